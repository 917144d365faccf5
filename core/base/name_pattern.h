// A regular expression that a whole name must match.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// Perl's syntax, which is Java's for what is used in names of files. Matching is bounded: an
/// expression that would try for ever matches nothing. One thread at a time.
class NamePattern {
 public:
  /// Errors: Invalid, with the place in the expression.
  static Result<NamePattern> make(const std::string& expression);

  NamePattern(NamePattern&&) noexcept;
  NamePattern& operator=(NamePattern&&) noexcept;
  ~NamePattern();

  bool matches(std::string_view name) const noexcept;

 private:
  struct Parts;
  explicit NamePattern(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
