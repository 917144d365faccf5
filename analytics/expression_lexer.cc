#include "analytics/expression_lexer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include "core/base/nearest_name.h"

namespace sluice::analytics {
namespace {

using Kind = Token::Kind;

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
bool starts_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool in_name(char c) noexcept { return starts_name(c) || is_digit(c); }

/// The end of the run of characters of names, and of dots between them, that begins at `at`.
std::size_t name_end(std::string_view text, std::size_t at) noexcept {
  while (at < text.size() && (in_name(text[at]) ||
                              (text[at] == '.' && at + 1 < text.size() && in_name(text[at + 1])))) {
    ++at;
  }
  return at;
}

std::size_t digits_end(std::string_view text, std::size_t at) noexcept {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

/// The character that a backslash and `c` stand for; 0 when they stand for themselves.
char escape(char c) noexcept {
  switch (c) {
    case 'n': return '\n';
    case 't': return '\t';
    case 'r': return '\r';
    case '\\':
    case '\'':
    case '"': return c;
    default: return 0;
  }
}

}  // namespace

bool Token::is_word(std::string_view word) const noexcept {
  return kind == Kind::Word && equal_ignoring_case(raw, word);
}

Token Lexer::token(Kind kind, std::size_t end) {
  Token made;
  made.kind = kind;
  made.offset = at_;
  made.bytes = end - at_;
  made.raw = text_.substr(at_, end - at_);
  at_ = end;
  return made;
}

Token Lexer::broken(std::size_t end, std::string message, std::string hint) {
  problem_ = {at_, end - at_, std::move(message), std::move(hint)};
  return token(Kind::Broken, end);
}

Token Lexer::next() {
  at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
  if (at_ == text_.size()) return token(Kind::End, at_);
  const char first = text_[at_];
  if (starts_name(first)) return token(Kind::Word, name_end(text_, at_));
  if (is_digit(first)) return number();
  if (first == '\'' || first == '"' || first == '`') return quoted();
  return symbol();
}

Token Lexer::number() {
  std::size_t end = digits_end(text_, at_);
  bool whole = true;
  if (end + 1 < text_.size() && text_[end] == '.' && is_digit(text_[end + 1])) {
    whole = false;
    end = digits_end(text_, end + 1);
  }
  if (end < text_.size() && (text_[end] == 'e' || text_[end] == 'E')) {
    std::size_t digits = end + 1;
    if (digits < text_.size() && (text_[digits] == '+' || text_[digits] == '-')) ++digits;
    if (digits < text_.size() && is_digit(text_[digits])) {
      whole = false;
      end = digits_end(text_, digits);
    }
  }
  if (end < text_.size() && in_name(text_[end])) {
    return broken(name_end(text_, end), "letters right behind a number",
                  "the name of a column that begins with a digit goes in backticks");
  }
  const std::string_view digits = text_.substr(at_, end - at_);
  std::uint64_t integer = 0;
  double real = 0;
  const char* const last = digits.data() + digits.size();
  if (!whole) {
    if (std::from_chars(digits.data(), last, real).ec != std::errc()) {
      return broken(end, "the number does not fit a double");
    }
  } else if (std::from_chars(digits.data(), last, integer).ec != std::errc() ||
             integer > std::uint64_t{1} << 63) {
    return broken(end, "the number does not fit 64 bits", "write it with a point for a double");
  }
  Token made = token(whole ? Kind::Int : Kind::Double, end);
  made.integer = integer;
  made.real = real;
  return made;
}

Token Lexer::quoted() {
  const char quote = text_[at_];
  std::string text;
  std::size_t at = at_ + 1;
  for (; at < text_.size() && text_[at] != quote; ++at) {
    char c = text_[at];
    if (c == '\\' && quote != '`' && at + 1 < text_.size()) {
      const char meant = escape(text_[at + 1]);
      if (meant != 0) {
        c = meant;
        ++at;
      }
    }
    text.push_back(c);
  }
  if (at >= text_.size()) {
    return broken(text_.size(), std::string("the closing ") + quote + " is missing");
  }
  Token made = token(quote == '`' ? Kind::QuotedName : Kind::Text, at + 1);
  made.text = std::move(text);
  return made;
}

Token Lexer::symbol() {
  constexpr std::array<std::string_view, 19> symbols{"<=", "<>", "==", "!=", ">=", "&&", "||",
                                                     "<",  "=",  ">",  "!",  "+",  "-",  "*",
                                                     "/",  "%",  "(",  ")",  ","};
  const std::string_view rest = text_.substr(at_);
  for (const std::string_view each : symbols) {
    if (rest.starts_with(each)) return token(Kind::Symbol, at_ + each.size());
  }
  const char c = rest.front();
  const std::string shown = c > ' ' && c < '\x7f' ? std::string("'") + c + "'" : "this character";
  return broken(at_ + 1, shown + " has no meaning here",
                c == '&'   ? "write 'and' or '&&'"
                : c == '|' ? "write 'or' or '||'"
                           : "");
}

}  // namespace sluice::analytics
