#include "core/base/line_pattern.h"

#include <re2/re2.h>

#include <utility>

namespace sluice {
namespace {

RE2::Options quiet() {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_never_capture(true);
  return options;
}

}  // namespace

struct LinePattern::Parts {
  explicit Parts(const std::string& expression) : code(expression, quiet()) {}
  const RE2 code;
};

LinePattern::LinePattern(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
LinePattern::LinePattern(LinePattern&&) noexcept = default;
LinePattern& LinePattern::operator=(LinePattern&&) noexcept = default;
LinePattern::~LinePattern() = default;

Result<LinePattern> LinePattern::make(const std::string& expression) {
  auto parts = std::make_unique<Parts>(expression);
  if (!parts->code.ok()) {
    return Invalid("'" + expression +
                   "' is no regular expression of RE2's: " + parts->code.error());
  }
  return LinePattern(std::move(parts));
}

bool LinePattern::is_in(std::string_view line) const noexcept {
  return parts_->code.Match({line.data(), line.size()}, 0, line.size(), RE2::UNANCHORED, nullptr,
                            0);
}

}  // namespace sluice
