// What the configuration has to say to the person who wrote it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/nearest_name.h"
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

/// `text` with control characters written as \xNN and cut at `length_max` bytes, so that a file can
/// neither steer a terminal nor flood a log.
std::string printable(std::string_view text, std::size_t length_max = 200);

/// "'text'", made printable.
std::string in_quotes(std::string_view text);

}  // namespace sluice
