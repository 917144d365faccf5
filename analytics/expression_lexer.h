// The words of an expression.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "analytics/rows.h"

namespace sluice::analytics {

struct Token {
  enum class Kind : unsigned char { End, Word, QuotedName, Int, Double, Text, Symbol, Broken };
  Kind kind = Kind::End;
  std::size_t offset = 0;
  std::size_t bytes = 0;
  std::string_view raw;       ///< As it stands in the text.
  std::string text;           ///< Of a Text or a QuotedName, without quotes and escapes.
  std::uint64_t integer = 0;  ///< Of an Int: up to 2^63, which fits behind a minus.
  double real = 0;

  bool is_symbol(std::string_view symbol) const noexcept {
    return kind == Kind::Symbol && raw == symbol;
  }
  /// Whether it is this word, in any case.
  bool is_word(std::string_view word) const noexcept;
};

/// Cuts a text into tokens. Views it; one thread.
class Lexer {
 public:
  explicit Lexer(std::string_view text) noexcept : text_(text) {}
  /// The next token; End for ever at the end. After a Broken one see problem(), and do not go on.
  Token next();
  const Problem& problem() const noexcept { return problem_; }

 private:
  Token token(Token::Kind kind, std::size_t end);
  Token broken(std::size_t end, std::string message, std::string hint = {});
  Token number();
  Token quoted();
  Token symbol();

  std::string_view text_;
  std::size_t at_ = 0;
  Problem problem_;
};

}  // namespace sluice::analytics
