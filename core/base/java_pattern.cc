#include "core/base/java_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

// The worst expression costs some ten milliseconds a text with it; one that somebody means to use
// stays far below, also in long lines.
constexpr std::uint32_t tries_max = 1'000'000;
constexpr std::size_t jit_stack_first_bytes = 32 << 10;
constexpr std::size_t jit_stack_bytes_max = 1 << 20;

PCRE2_SPTR units(std::string_view text) noexcept {
  // An empty view may have no address, which PCRE2 would refuse.
  return reinterpret_cast<PCRE2_SPTR>(text.empty() ? "" : text.data());
}

std::string error_text(int number) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(number, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

bool is_ascii(std::string_view text) noexcept {
  std::uint64_t seen = 0;
  std::size_t i = 0;
  for (; i + sizeof seen <= text.size(); i += sizeof seen) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, sizeof word);
    seen |= word;
  }
  for (; i < text.size(); ++i) seen |= static_cast<unsigned char>(text[i]);
  return (seen & 0x8080808080808080u) == 0;
}

/// What Java and PCRE2 both accept and read differently; 0-based, nullptr when there is none.
struct Parting {
  std::size_t at = 0;
  const char* what = nullptr;
};

/// Walks an expression as far as is needed to know what is escaped and what is in a [class].
Parting find_parting(std::string_view text) noexcept {
  bool in_class = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view rest = text.substr(i);
    if (rest.starts_with("\\Q")) {
      const std::size_t end = rest.find("\\E");
      if (end == std::string_view::npos) return {};
      i += end + 1;
    } else if (rest.front() == '\\') {
      ++i;
    } else if (in_class) {
      if (rest.front() == ']') in_class = false;
      if (rest.front() == '[') {
        return {i, "a class within a class; write '\\[' for the character"};
      }
      if (rest.starts_with("&&")) return {i, "an intersection of classes"};
    } else if (rest.front() == '[') {
      in_class = true;
      if (rest.starts_with("[^")) ++i;
      if (text.substr(i + 1).starts_with("]")) ++i;  // there it is a character
    } else if (rest.starts_with("(?") && rest.size() > 2 && rest[2] != '<') {
      const std::size_t end = rest.find_first_not_of("imsxUJn-^", 2);
      const bool flags = end != std::string_view::npos && (rest[end] == ')' || rest[end] == ':');
      const std::size_t other = rest.find_first_of("UJn^", 2);
      if (flags && other < end) return {i + other, "a flag that means something else in Java"};
    }
  }
  return {};
}

JavaPattern::Answer answer(int found) noexcept {
  if (found >= 0) return JavaPattern::Answer::Yes;
  return found == PCRE2_ERROR_NOMATCH ? JavaPattern::Answer::No : JavaPattern::Answer::GaveUp;
}

struct FreeCode {
  void operator()(pcre2_code* code) const noexcept { pcre2_code_free(code); }
};
struct FreeMatch {
  void operator()(pcre2_match_data* match) const noexcept { pcre2_match_data_free(match); }
};
struct FreeContext {
  void operator()(pcre2_match_context* context) const noexcept {
    pcre2_match_context_free(context);
  }
};
struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const noexcept {
    pcre2_compile_context_free(context);
  }
};
struct FreeStack {
  void operator()(pcre2_jit_stack* stack) const noexcept { pcre2_jit_stack_free(stack); }
};

}  // namespace

struct JavaPattern::Parts {
  std::unique_ptr<pcre2_code, FreeCode> characters;  ///< For UTF-8.
  std::unique_ptr<pcre2_code, FreeCode> bytes;       ///< For everything else; the same for ASCII.
  std::unique_ptr<pcre2_jit_stack, FreeStack> stack;
  std::unique_ptr<pcre2_match_context, FreeContext> context;
  std::unique_ptr<pcre2_match_data, FreeMatch> match;
  std::unique_ptr<pcre2_match_data, FreeMatch> match_groups;  ///< With room for every group.

  int run(std::string_view text, std::size_t from, std::uint32_t options) const noexcept {
    return run(text, from, options, match.get());
  }
  int run(std::string_view text, std::size_t from, std::uint32_t options,
          pcre2_match_data* into) const noexcept {
    const auto on = [&](const pcre2_code* code) {
      return pcre2_match(code, units(text), text.size(), from, options, into, context.get());
    };
    if (is_ascii(text)) return on(bytes.get());
    const int found = on(characters.get());
    const bool not_utf8 = found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21;
    return not_utf8 || found == PCRE2_ERROR_BADUTFOFFSET ? on(bytes.get()) : found;
  }
};

JavaPattern::JavaPattern(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
JavaPattern::JavaPattern(JavaPattern&&) noexcept = default;
JavaPattern& JavaPattern::operator=(JavaPattern&&) noexcept = default;
JavaPattern::~JavaPattern() = default;

Result<JavaPattern> JavaPattern::make(const std::string& expression) {
  const auto refusal = [&](const std::string& why, std::size_t at) {
    return Invalid("'" + expression + "' is no regular expression that can be used here: " + why +
                   ", at character " + std::to_string(at + 1));
  };
  const Parting parting = find_parting(expression);
  if (parting.what != nullptr) return refusal(parting.what, parting.at);
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> how(
      pcre2_compile_context_create(nullptr));
  // As in Java, "." stops and "$" matches before a carriage return too.
  pcre2_set_newline(how.get(), PCRE2_NEWLINE_ANYCRLF);
  auto parts = std::make_unique<Parts>();
  int error = 0;
  PCRE2_SIZE at = 0;
  for (const auto& [code, options] : {std::pair(&parts->characters, std::uint32_t{PCRE2_UTF}),
                                      std::pair(&parts->bytes, std::uint32_t{0})}) {
    code->reset(
        pcre2_compile(units(expression), expression.size(), options, &error, &at, how.get()));
    if (*code == nullptr) return refusal(error_text(error), at);
    // Where machine code may not be made, the interpreter does it, slower.
    static_cast<void>(pcre2_jit_compile(code->get(), PCRE2_JIT_COMPLETE));
  }
  parts->stack.reset(pcre2_jit_stack_create(jit_stack_first_bytes, jit_stack_bytes_max, nullptr));
  parts->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(parts->context.get(), tries_max);
  pcre2_jit_stack_assign(parts->context.get(), nullptr, parts->stack.get());
  parts->match.reset(pcre2_match_data_create(1, nullptr));
  parts->match_groups.reset(pcre2_match_data_create_from_pattern(parts->bytes.get(), nullptr));
  return JavaPattern(std::move(parts));
}

JavaPattern::Answer JavaPattern::find(std::string_view text) const noexcept {
  return answer(parts_->run(text, 0, 0));
}

JavaPattern::Answer JavaPattern::find(std::string_view text, std::size_t from,
                                      Range& where) const noexcept {
  const int found = parts_->run(text, from, 0);
  if (found >= 0) {
    const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(parts_->match.get());
    where = {range[0], range[1]};
  }
  return answer(found);
}

JavaPattern::Answer JavaPattern::find_group(std::string_view text, std::size_t group,
                                            Range& where) const noexcept {
  SLUICE_ASSERT(group <= groups(), "a group of this expression");
  const int found = parts_->run(text, 0, 0, parts_->match_groups.get());
  if (found < 0) return answer(found);
  const PCRE2_SIZE* const range = pcre2_get_ovector_pointer(parts_->match_groups.get()) + 2 * group;
  if (range[0] == PCRE2_UNSET || range[0] > range[1]) return Answer::No;
  where = {range[0], range[1]};
  return Answer::Yes;
}

JavaPattern::Answer JavaPattern::find(std::string_view text,
                                      std::span<Range> groups) const noexcept {
  SLUICE_ASSERT(groups.size() <= this->groups(), "only groups that there are can be asked for");
  const int found = parts_->run(text, 0, 0, parts_->match_groups.get());
  if (found < 0) return answer(found);
  // Behind the last group that took part PCRE2 leaves its PCRE2_UNSET, which is Range::none.
  static_assert(PCRE2_UNSET == Range::none);
  const PCRE2_SIZE* const ranges = pcre2_get_ovector_pointer(parts_->match_groups.get());
  for (std::size_t i = 0; i < groups.size(); ++i) {
    groups[i] = {ranges[2 * i + 2], ranges[2 * i + 3]};
  }
  return Answer::Yes;
}

JavaPattern::Answer JavaPattern::matches(std::string_view text) const noexcept {
  return answer(parts_->run(text, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED));
}

std::size_t JavaPattern::groups() const noexcept {
  std::uint32_t count = 0;
  pcre2_pattern_info(parts_->bytes.get(), PCRE2_INFO_CAPTURECOUNT, &count);
  return count;
}

std::vector<std::string> JavaPattern::group_names() const {
  std::vector<std::string> names(groups());
  std::uint32_t count = 0;
  std::uint32_t entry_bytes = 0;
  PCRE2_SPTR entry = nullptr;
  pcre2_pattern_info(parts_->bytes.get(), PCRE2_INFO_NAMECOUNT, &count);
  pcre2_pattern_info(parts_->bytes.get(), PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
  pcre2_pattern_info(parts_->bytes.get(), PCRE2_INFO_NAMETABLE, &entry);
  // An entry is the number of the group in two bytes, then the name and a zero.
  for (; count > 0; --count, entry += entry_bytes) {
    const std::size_t group = static_cast<std::size_t>(entry[0]) << 8 | entry[1];
    names.at(group - 1) = reinterpret_cast<const char*>(entry + 2);
  }
  return names;
}

}  // namespace sluice
