// Puts operations together, with the types of what they work on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analytics/expression_functions.h"
#include "analytics/expression_operators.h"
#include "analytics/expression_program.h"

namespace sluice::analytics {

/// An operation of the program that is being built, or `nothing`.
using Node = std::uint32_t;
constexpr Node nothing = UINT32_MAX;

/// A part of the text.
struct Place {
  std::size_t offset = 0;
  std::size_t bytes = 0;
};

/// Adds operations to a program, and computes those of constants at once.
///
/// Every function returns `nothing` once there is a problem, and the first one is kept. Arguments
/// are operations of this builder, none of them `nothing`.
class ExpressionBuilder {
 public:
  ExpressionBuilder(std::string_view text, const Schema& schema, ExpressionProgram& program)
      : text_(text), schema_(schema), program_(program), columns_read_(schema.size()) {}

  const std::optional<Problem>& problem() const noexcept { return problem_; }
  Node fail(Place place, std::string message, std::string hint = {});

  Node constant(Cell cell, ColumnType type, Place place);
  Node text_constant(std::string_view text, Place place);
  Node null(Place place);
  Node column(std::string_view name, Place place);

  Node negation(Node of, Place place);
  Node inversion(Node of, Place place);
  Node arithmetic(Arithmetic operation, std::string_view symbol, Node a, Node b);
  Node comparison(Comparison operation, std::string_view symbol, Node a, Node b);
  /// `a and b` or `a or b`.
  Node logic(bool is_and, Node a, Node b);
  Node like(Node text, Node pattern, bool negated, Place place);
  Node in(Node value, std::vector<Node> members, bool negated, Place place);
  Node is_null(Node of, bool negated, Place place);
  Node call(std::string_view name, Place name_place, std::vector<Node> arguments, Place place);

  Place place(Node node) const noexcept;
  /// Widens what the node stands for, for messages: brackets around it.
  void set_place(Node node, Place place) noexcept;
  /// The last word: what the whole text is.
  void finish(Node root);

 private:
  Operation& at(Node node) noexcept { return program_.operations[node]; }
  const Operation& at(Node node) const noexcept { return program_.operations[node]; }
  std::string_view words(Node node) const noexcept;
  Node add(Operation operation);
  Node compute(Kernel kernel, ColumnType type, std::vector<Node> inputs, Place place);
  Node add_and_fold(Operation operation);
  void fold(Node node);

  ColumnType type(Node node) const noexcept { return at(node).type; }
  bool is_constant(Node node) const noexcept { return at(node).kind == Operation::Kind::Constant; }
  bool numeric(Node node) const noexcept;
  /// A bare null becomes one of this type.
  void settle(Node node, ColumnType type) noexcept;
  Node convert(Node node, ColumnType type);
  /// Fails if the value is not of this type; a bare null is of any.
  bool require(Node node, ColumnType type, std::string_view who);
  bool require_number(Node node, std::string_view who);
  /// Makes all one type, ints to doubles where needed.
  bool unify(std::vector<Node>& nodes, std::string_view who);
  std::string conversion_hint(Node node, ColumnType wanted) const;

  Node call_of(const Function& function, std::vector<Node>& arguments, Place place);
  bool check_arguments(const Function& function, const std::vector<Node>& arguments, Place place);
  Node choice(const Function& function, std::vector<Node>& arguments, Place place);
  Node hash(const std::vector<Node>& arguments, Place place);
  Node numeric_call(const Function& function, std::vector<Node>& arguments, Place place);
  Node regex(const Function& function, const std::vector<Node>& arguments, Place place);
  Node header(const Function& function, Node name, Place place);
  bool require_literal(Node node, std::string_view what);

  std::string_view text_;
  const Schema& schema_;
  ExpressionProgram& program_;
  std::vector<bool> columns_read_;  ///< By the places in the schema.
  std::optional<Problem> problem_;
};

}  // namespace sluice::analytics
