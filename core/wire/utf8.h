// Lengths of UTF-8 text as Java counts them.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice {

/// UTF-16 units of the text: what Java calls its length. A byte that is not part of valid UTF-8
/// counts as one, so this never fails and never exceeds the number of bytes.
std::size_t utf16_length(std::string_view text) noexcept;

}  // namespace sluice
