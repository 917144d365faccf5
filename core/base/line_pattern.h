// A regular expression that is looked for in lines.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// RE2's syntax: Perl's without what needs backtracking (no look-around, no back-references), so
/// that no line can make it slow. Looking takes time linear in the line and allocates nothing per
/// line. Bytes that are no UTF-8 are matched by no character class. Thread-safe.
class LinePattern {
 public:
  /// Errors: Invalid, with what is wrong in the expression.
  static Result<LinePattern> make(const std::string& expression);

  LinePattern(LinePattern&&) noexcept;
  LinePattern& operator=(LinePattern&&) noexcept;
  ~LinePattern();

  /// True when it matches anywhere in the line; '^' and '$' are its ends.
  bool is_in(std::string_view line) const noexcept;

 private:
  struct Parts;
  explicit LinePattern(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
