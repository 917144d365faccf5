#include "core/base/name_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <utility>

namespace sluice {
namespace {

constexpr std::uint32_t steps_max = 100'000;

PCRE2_SPTR units(std::string_view text) noexcept {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string error_text(int number) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(number, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct NamePattern::Parts {
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;

  Parts() = default;
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;
  ~Parts() {
    pcre2_match_context_free(context);
    pcre2_match_data_free(match);
    pcre2_code_free(code);
  }
};

NamePattern::NamePattern(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
NamePattern::NamePattern(NamePattern&&) noexcept = default;
NamePattern& NamePattern::operator=(NamePattern&&) noexcept = default;
NamePattern::~NamePattern() = default;

Result<NamePattern> NamePattern::make(const std::string& expression) {
  auto parts = std::make_unique<Parts>();
  int error = 0;
  PCRE2_SIZE where = 0;
  parts->code =
      pcre2_compile(units(expression), expression.size(),
                    PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL, &error, &where, nullptr);
  if (parts->code == nullptr) {
    return Invalid("'" + expression + "' is no regular expression: " + error_text(error) +
                   " at character " + std::to_string(where + 1));
  }
  parts->match = pcre2_match_data_create_from_pattern(parts->code, nullptr);
  parts->context = pcre2_match_context_create(nullptr);
  pcre2_set_match_limit(parts->context, steps_max);
  return NamePattern(std::move(parts));
}

bool NamePattern::matches(std::string_view name) const noexcept {
  return pcre2_match(parts_->code, units(name), name.size(), 0, 0, parts_->match,
                     parts_->context) >= 0;
}

}  // namespace sluice
