// Names for threads, so that top(1) and a debugger tell what each one does.
#pragma once

#include <string_view>

namespace sluice {

/// Names the calling thread; the system keeps 15 characters.
void name_this_thread(std::string_view name) noexcept;

}  // namespace sluice
