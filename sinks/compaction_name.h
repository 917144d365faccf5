// What the name of a file says about its place among its neighbours.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

/// The parts of "FlumeData.1700000000001+37.log.gz", one behind the other. Views into the name.
///
/// The number is the last run of ten digits or more (a time), with the count that file_roll puts
/// behind it ("-12"); in a name without one the last run of digits in front of a codec's extension.
struct NumberedName {
  std::string_view prefix;     ///< "FlumeData."; without a number all in front of the first dot.
  std::string_view number;     ///< "1700000000001", or "1700000000001-12". Empty: there is none.
  std::uint64_t behind = 0;    ///< 37: how many files were merged behind the first one. Mostly 0.
  std::string_view mark;       ///< "+37", or "+37-2" where that name was taken. Mostly empty.
  std::string_view extension;  ///< ".log.gz": all behind the number and its mark.
};
NumberedName parse_numbered_name(std::string_view name) noexcept;

/// The name of a file that has the content of the file `first` and of so many files behind it.
/// `attempt` 1, 2, ... makes other names, for when that one is taken.
std::string merged_name(std::string_view first, std::uint64_t behind, unsigned attempt);

/// As people order names: digits count as the number they are, everything else by its bytes. A
/// total order: different names are never equal.
bool is_before(std::string_view name, std::string_view other) noexcept;

}  // namespace sluice
