#include "analytics/group_inputs.h"

#include <utility>

namespace sluice::analytics {

void use_expression(const Expression& value, bool reads_events, Used& reads) {
  for (const std::size_t column : value.columns()) reads[column] = true;
  if (reads_events) reads.back() = true;
}

GroupInputs::GroupInputs(std::vector<std::size_t> keys, std::vector<AggregateArgument> arguments)
    : keys_(std::move(keys)),
      arguments_(std::move(arguments)),
      values_(arguments_.size()),
      argument_columns_(arguments_.size(), nullptr) {}

void GroupInputs::read(const Rows& rows) {
  arena_.clear();
  key_columns_.clear();
  for (const std::size_t key : keys_) key_columns_.push_back(rows.columns[key]);
  for (std::size_t i = 0; i < arguments_.size(); ++i) {
    if (!arguments_[i].value) continue;
    arguments_[i].value->evaluate(rows, arena_, values_[i]);
    argument_columns_[i] = &values_[i];
  }
}

void GroupInputs::use(Used& reads) const {
  for (const std::size_t key : keys_) reads[key] = true;
  for (const AggregateArgument& argument : arguments_) {
    if (argument.value) use_expression(*argument.value, argument.reads_events, reads);
  }
}

}  // namespace sluice::analytics
