// What a misspelt name was meant to be.
#pragma once

#include <string_view>
#include <vector>

namespace sluice {

/// The name among `names` that `word` most likely was meant to be, or an empty view.
///
/// Compared without case by edit distance (neighbours swapped count one); at most a third of the
/// letters may differ. A name that ends in "." + word, or the other way round, is near too: people
/// forget "hdfs." and "sink.". Cost: bounded; only the first 200 names are looked at,
/// and words above 128 characters have no neighbour.
std::string_view nearest_name(std::string_view word, const std::vector<std::string_view>& names);

/// True when both are the same but for the case of ASCII letters.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

}  // namespace sluice
