// What the configuration has to say to the person who wrote it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/config/position.h"

namespace sluice {

enum class Severity : unsigned char {
  Note,     ///< Worth knowing, nothing is wrong.
  Warning,  ///< Everything runs, but perhaps not as meant.
  Error,    ///< Something is left out, or cannot be read.
};

/// "note", "warning", "error".
std::string_view to_string(Severity severity) noexcept;

/// One problem, at its place.
struct Diagnostic {
  Severity severity = Severity::Error;
  Position where;
  std::string message;
  std::string hint;  ///< What to do: nearest name, meaning, default. May be empty or several lines.
};

/// True when one of them is an error.
bool has_errors(const std::vector<Diagnostic>& diagnostics) noexcept;

/// The name among `names` that `word` most likely was meant to be, or an empty view.
///
/// Compared without case by edit distance (neighbours swapped count one); at most a third of the
/// letters may differ. A name that ends in "." + word, or the other way round, is near too: people
/// forget "hdfs." and "sink.". Cost: bounded; only the first 200 names are looked at,
/// and words above 128 characters have no neighbour.
std::string_view nearest_name(std::string_view word, const std::vector<std::string_view>& names);

/// True when both are the same but for the case of ASCII letters.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;

/// `text` with control characters written as \xNN and cut at `length_max` bytes, so that a file can
/// neither steer a terminal nor flood a log.
std::string printable(std::string_view text, std::size_t length_max = 200);

/// "'text'", made printable.
std::string in_quotes(std::string_view text);

}  // namespace sluice
