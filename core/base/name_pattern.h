// A regular expression that a whole name must match.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "core/base/java_pattern.h"

namespace sluice {

/// Java's syntax (see JavaPattern). An expression that would try for ever matches nothing. One
/// thread at a time.
class NamePattern {
 public:
  /// Errors: Invalid, with the place in the expression.
  static Result<NamePattern> make(const std::string& expression);

  bool matches(std::string_view name) const noexcept {
    return pattern_.matches(name) == JavaPattern::Answer::Yes;
  }

 private:
  explicit NamePattern(JavaPattern pattern) noexcept : pattern_(std::move(pattern)) {}
  JavaPattern pattern_;
};

}  // namespace sluice
