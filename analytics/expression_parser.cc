#include "analytics/expression_parser.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <utility>

#include "analytics/expression.h"

namespace sluice::analytics {
namespace {

using Kind = Token::Kind;

constexpr int or_level = 1;
constexpr int and_level = 2;
constexpr int comparison_level = 4;  // `not` is between
constexpr int sum_level = 5;
constexpr int product_level = 6;

constexpr std::array<std::string_view, 9> words_of_language{"and", "or",   "not",  "in",   "like",
                                                            "is",  "null", "true", "false"};

}  // namespace

struct ExpressionParser::Operator {
  enum class Kind : unsigned char { None, Or, And, Comparison, Word, Arithmetic };
  std::string_view symbol = {};
  int precedence = 0;
  Kind kind = Kind::None;
  Comparison comparison = Comparison::Equal;
  Arithmetic arithmetic = Arithmetic::Add;
};

void ExpressionParser::advance() {
  end_ = token_.offset + token_.bytes;
  token_ = lexer_.next();
  if (token_.kind == Kind::Broken) {
    const Problem& problem = lexer_.problem();
    builder_.fail({problem.offset, problem.bytes}, problem.message, problem.hint);
  }
}

Node ExpressionParser::parse() {
  advance();
  const Node root = binary(or_level);
  if (root == nothing || builder_.problem()) return nothing;
  if (token_.kind == Kind::End) return root;
  if (token_.is_symbol(")")) {
    return builder_.fail(here(), "there is no '(' for this ')'");
  }
  return builder_.fail(here(), "an operator, or the end, was expected in front of this");
}

Node ExpressionParser::unexpected() {
  if (token_.kind == Kind::End) {
    return builder_.fail({token_.offset, 0}, "the expression ends where a value was expected");
  }
  const std::string shown(token_.raw);
  return builder_.fail(here(), "a value was expected here, not '" + shown + "'",
                       token_.kind == Kind::Word
                           ? "a column of this name goes in backticks: `" + shown + "`"
                           : std::string());
}

ExpressionParser::Operator ExpressionParser::peek_operator() const noexcept {
  using Of = Operator::Kind;
  constexpr Comparison equal = Comparison::Equal;
  static constexpr std::array symbols{
      Operator{"or", or_level, Of::Or},
      Operator{"||", or_level, Of::Or},
      Operator{"and", and_level, Of::And},
      Operator{"&&", and_level, Of::And},
      Operator{"=", comparison_level, Of::Comparison, equal},
      Operator{"==", comparison_level, Of::Comparison, equal},
      Operator{"!=", comparison_level, Of::Comparison, Comparison::NotEqual},
      Operator{"<>", comparison_level, Of::Comparison, Comparison::NotEqual},
      Operator{"<", comparison_level, Of::Comparison, Comparison::Less},
      Operator{"<=", comparison_level, Of::Comparison, Comparison::LessOrEqual},
      Operator{">", comparison_level, Of::Comparison, Comparison::Greater},
      Operator{">=", comparison_level, Of::Comparison, Comparison::GreaterOrEqual},
      Operator{"not", comparison_level, Of::Word},  // of `not in` and `not like`
      Operator{"in", comparison_level, Of::Word},
      Operator{"like", comparison_level, Of::Word},
      Operator{"is", comparison_level, Of::Word},
      Operator{"+", sum_level, Of::Arithmetic, equal, Arithmetic::Add},
      Operator{"-", sum_level, Of::Arithmetic, equal, Arithmetic::Subtract},
      Operator{"*", product_level, Of::Arithmetic, equal, Arithmetic::Multiply},
      Operator{"/", product_level, Of::Arithmetic, equal, Arithmetic::Divide},
      Operator{"%", product_level, Of::Arithmetic, equal, Arithmetic::Remainder},
  };
  for (const Operator& each : symbols) {
    if (token_.is_symbol(each.symbol) || token_.is_word(each.symbol)) return each;
  }
  return {};
}

Node ExpressionParser::binary(int precedence_min) {
  // What it counts is the depth of the recursion: every way back here goes through it.
  if (nesting_ >= Expression::nesting_max) {
    return builder_.fail(here(), "nested too deeply");
  }
  ++nesting_;
  const Node made = binary_part(precedence_min);
  --nesting_;
  return made;
}

Node ExpressionParser::binary_part(int precedence_min) {
  Node left = unary();
  bool compared = false;
  while (left != nothing && !builder_.problem()) {
    const Operator found = peek_operator();
    if (found.kind == Operator::Kind::None || found.precedence < precedence_min) break;
    if (found.precedence == comparison_level) {
      if (compared) {
        return builder_.fail(here(), "comparisons do not chain",
                             "join them with 'and', or put one in brackets");
      }
      compared = true;
    }
    const std::string_view symbol = token_.raw;
    left = apply(found, symbol, left);
  }
  return builder_.problem() ? nothing : left;
}

Node ExpressionParser::apply(const Operator& found, std::string_view symbol, Node left) {
  if (found.kind == Operator::Kind::Word) return comparison_words(found, left);
  advance();
  const Node right = binary(found.precedence + 1);
  if (right == nothing) return nothing;
  switch (found.kind) {
    case Operator::Kind::Or:
    case Operator::Kind::And: return builder_.logic(found.kind == Operator::Kind::And, left, right);
    case Operator::Kind::Comparison:
      return builder_.comparison(found.comparison, symbol, left, right);
    default: return builder_.arithmetic(found.arithmetic, symbol, left, right);
  }
}

Node ExpressionParser::comparison_words(const Operator& found, Node left) {
  advance();
  bool negated = false;
  std::string_view word = found.symbol;
  if (word == "not") {
    negated = true;
    word = token_.is_word("in") ? "in" : token_.is_word("like") ? "like" : "";
    if (word.empty()) {
      return builder_.fail(here(), "'in' or 'like' was expected behind 'not'",
                           "'not' stands in front of what it turns around: not (a = b)");
    }
    advance();
  }
  if (word == "is") return is_null(left);
  if (word == "in") return in_list(left, negated);
  const Node pattern = binary(comparison_level + 1);
  if (pattern == nothing) return nothing;
  return builder_.like(left, pattern, negated, since(builder_.place(left).offset));
}

Node ExpressionParser::in_list(Node left, bool negated) {
  const Place open = here();
  if (!token_.is_symbol("(")) {
    return builder_.fail(open, "a list in brackets was expected behind 'in'", "x in (1, 2, 3)");
  }
  advance();
  std::vector<Node> members;
  if (!list(open, members)) return nothing;
  if (members.empty()) return builder_.fail(open, "the list behind 'in' is empty");
  return builder_.in(left, std::move(members), negated, since(builder_.place(left).offset));
}

Node ExpressionParser::is_null(Node left) {
  const bool negated = token_.is_word("not");
  if (negated) advance();
  if (!token_.is_word("null")) {
    return builder_.fail(here(), "'null' or 'not null' was expected behind 'is'",
                         "'=' compares with other values");
  }
  advance();
  return builder_.is_null(left, negated, since(builder_.place(left).offset));
}

Node ExpressionParser::unary() {
  if (token_.is_word("not")) return inversion(comparison_level);
  if (token_.is_symbol("!")) return inversion(product_level + 1);
  return token_.is_symbol("-") ? minus() : primary();
}

Node ExpressionParser::inversion(int operand_precedence) {
  const std::size_t offset = token_.offset;
  advance();
  const Node of = binary(operand_precedence);
  return of == nothing ? nothing : builder_.inversion(of, since(offset));
}

Node ExpressionParser::minus() {
  const std::size_t offset = token_.offset;
  advance();
  constexpr std::uint64_t limit = std::uint64_t{1} << 63;
  if (token_.kind == Kind::Int && token_.integer == limit) {
    advance();  // -2^63 is an int, though 2^63 is none
    return builder_.constant(Cell::of(INT64_MIN), ColumnType::Int, since(offset));
  }
  const Node of = binary(product_level + 1);
  return of == nothing ? nothing : builder_.negation(of, since(offset));
}

Node ExpressionParser::primary() {
  const Place place = here();
  switch (token_.kind) {
    case Kind::Word: return word();
    case Kind::QuotedName: {
      const std::string name = std::move(token_.text);
      advance();
      return builder_.column(name, place);
    }
    case Kind::Int:
    case Kind::Double: return number();
    case Kind::Text: {
      const std::string text = std::move(token_.text);
      advance();
      return builder_.text_constant(text, place);
    }
    case Kind::Symbol: return token_.is_symbol("(") ? brackets() : unexpected();
    default: return unexpected();
  }
}

Node ExpressionParser::word() {
  const Token name = token_;
  const Place place = here();
  if (name.is_word("true") || name.is_word("false")) {
    advance();
    return builder_.constant(Cell::of(name.is_word("true")), ColumnType::Bool, place);
  }
  if (name.is_word("null")) {
    advance();
    return builder_.null(place);
  }
  const auto is_name = [&](std::string_view each) { return name.is_word(each); };
  if (std::any_of(words_of_language.begin(), words_of_language.end(), is_name)) {
    return unexpected();
  }
  advance();
  if (token_.is_symbol("(")) return call(name.raw, place);
  return builder_.column(name.raw, place);
}

Node ExpressionParser::number() {
  const Token token = token_;
  const Place place = here();
  advance();
  if (token.kind == Kind::Double) {
    return builder_.constant(Cell::of(token.real), ColumnType::Double, place);
  }
  if (token.integer > std::uint64_t{INT64_MAX}) {
    return builder_.fail(place, "the number does not fit 64 bits",
                         "write it with a point for a double");
  }
  return builder_.constant(Cell::of(static_cast<std::int64_t>(token.integer)), ColumnType::Int,
                           place);
}

Node ExpressionParser::brackets() {
  const Place open = here();
  advance();
  const Node inner = binary(or_level);
  if (inner == nothing || !close(open)) return nothing;
  builder_.set_place(inner, since(open.offset));
  return inner;
}

Node ExpressionParser::call(std::string_view name, Place name_place) {
  const Place open = here();
  advance();
  std::vector<Node> values;
  if (!list(open, values)) return nothing;
  return builder_.call(name, name_place, std::move(values), since(name_place.offset));
}

bool ExpressionParser::list(Place open, std::vector<Node>& values) {
  while (values.empty() ? !token_.is_symbol(")") : token_.is_symbol(",")) {
    if (!values.empty()) advance();
    const Node value = binary(or_level);
    if (value == nothing) return false;
    values.push_back(value);
  }
  return close(open);
}

bool ExpressionParser::close(Place open) {
  if (builder_.problem()) return false;
  if (token_.is_symbol(")")) {
    advance();
    return !builder_.problem();
  }
  if (token_.kind == Kind::End) {
    builder_.fail(open, "this '(' is never closed");
  } else {
    builder_.fail(here(), "an operator or ')' was expected in front of this");
  }
  return false;
}

}  // namespace sluice::analytics
