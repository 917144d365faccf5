#include "analytics/expression.h"

#include <utility>

#include "analytics/expression_builder.h"
#include "analytics/expression_kernel.h"
#include "analytics/expression_parser.h"
#include "core/base/assert.h"

namespace sluice::analytics {

using Kind = Operation::Kind;

Operand ExpressionProgram::operand(std::uint32_t at, const Rows* source) const noexcept {
  const Operation& operation = operations[at];
  const Column& column =
      operation.kind == Kind::Column ? *source->columns[operation.number] : operation.result;
  return {column.cells.data(), column.nulls.empty() ? nullptr : column.nulls.data(),
          operation.kind == Kind::Constant ? std::size_t{0} : std::size_t{1}};
}

void ExpressionProgram::run(std::uint32_t at, std::size_t rows, TextArena& arena,
                            const Rows* source) {
  Operation& operation = operations[at];
  operands.clear();
  for (const std::uint32_t input : operation.inputs) operands.push_back(operand(input, source));
  Run now{operation, operands.data(), operands.size(), rows, arena, source};
  operation.kernel(now);
}

namespace {

void run_all(ExpressionProgram& program, const Rows& rows, TextArena& arena) {
  for (const std::size_t column : program.columns) {
    SLUICE_ASSERT(rows.columns[column]->cells.size() == rows.size, "a cell a row");
  }
  for (std::uint32_t each = 0; each < program.operations.size(); ++each) {
    if (program.operations[each].kind == Kind::Compute) {
      program.run(each, rows.size, arena, &rows);
    }
  }
}

}  // namespace

Expression::Expression(std::unique_ptr<ExpressionProgram> program) noexcept
    : program_(std::move(program)) {}
Expression::Expression(Expression&&) noexcept = default;
Expression& Expression::operator=(Expression&&) noexcept = default;
Expression::~Expression() = default;

std::variant<Expression, Problem> Expression::compile(std::string_view text, const Schema& schema) {
  if (text.size() > text_bytes_max) {
    return Problem{text_bytes_max, text.size() - text_bytes_max,
                   "the expression is longer than " + std::to_string(text_bytes_max) + " bytes"};
  }
  auto program = std::make_unique<ExpressionProgram>();
  ExpressionBuilder builder(text, schema, *program);
  const Node root = ExpressionParser(text, builder).parse();
  if (builder.problem()) return *builder.problem();
  builder.finish(root);
  return Expression(std::move(program));
}

ColumnType Expression::type() const noexcept { return program_->operations[program_->root].type; }

const std::vector<std::size_t>& Expression::columns() const noexcept { return program_->columns; }

void Expression::evaluate(const Rows& rows, TextArena& arena, Column& out) {
  run_all(*program_, rows, arena);
  Operation& root = program_->operations[program_->root];
  switch (root.kind) {
    case Kind::Compute:
      std::swap(out, root.result);  // both keep their memory for the next chunk
      break;
    case Kind::Column: out = *rows.columns[root.number]; break;
    case Kind::Constant:
      out.cells.assign(rows.size, root.result.cells[0]);
      out.nulls.assign(root.result.is_null(0) ? rows.size : 0, 1);
      break;
  }
}

void Expression::select(const Rows& rows, TextArena& arena, std::vector<std::uint32_t>& rows_out) {
  SLUICE_ASSERT(type() == ColumnType::Bool, "a condition is a bool");
  run_all(*program_, rows, arena);
  const Operand truth = program_->operand(program_->root, &rows);
  for (std::uint32_t row = 0; row < rows.size; ++row) {
    if (!truth.is_null(row) && read_cell<bool>(truth[row])) rows_out.push_back(row);
  }
}

}  // namespace sluice::analytics
