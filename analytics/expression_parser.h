// Reads an expression by its grammar (see expression.h).
#pragma once

#include <string_view>

#include "analytics/expression_builder.h"
#include "analytics/expression_lexer.h"

namespace sluice::analytics {

/// Hands what it reads to a builder, which keeps the first problem. Used once.
class ExpressionParser {
 public:
  ExpressionParser(std::string_view text, ExpressionBuilder& builder) noexcept
      : lexer_(text), builder_(builder) {}

  /// The whole text; `nothing` if the builder has a problem now.
  Node parse();

 private:
  struct Operator;

  void advance();
  Place here() const noexcept { return {token_.offset, token_.bytes}; }
  Place since(std::size_t offset) const noexcept { return {offset, end_ - offset}; }
  Node unexpected();
  Operator peek_operator() const noexcept;

  Node binary(int precedence_min);
  Node binary_part(int precedence_min);
  Node apply(const Operator& found, std::string_view symbol, Node left);
  Node comparison_words(const Operator& found, Node left);
  Node in_list(Node left, bool negated);
  Node is_null(Node left);
  Node unary();
  Node minus();
  Node inversion(int operand_precedence);
  Node primary();
  Node word();
  Node number();
  Node brackets();
  Node call(std::string_view name, Place name_place);
  /// The values up to the closing bracket, which is taken; false on a problem.
  bool list(Place open, std::vector<Node>& values);
  bool close(Place open);

  Lexer lexer_;
  ExpressionBuilder& builder_;
  Token token_;
  std::size_t end_ = 0;  ///< Of the token before.
  int nesting_ = 0;
};

}  // namespace sluice::analytics
