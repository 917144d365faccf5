// Rows that a step left out, for whoever wants them.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "analytics/row_picker.h"
#include "analytics/step.h"

namespace sluice::analytics {

/// The rows that a step could not use, as they came to it: what steps and outputs have as their
/// input by the name of that step and a suffix behind it. Part of the step, which ticks it.
class AsideRows final : public Step {
 public:
  /// Behind the name of a parse: the records that it could not read.
  static constexpr std::string_view bad = ".bad";
  /// Behind the name of an aggregation of event time: rows whose windows had been passed on.
  static constexpr std::string_view late = ".late";

  /// `columns`: those of the step's input that these rows have.
  AsideRows(std::string_view suffix, const Schema& input, std::vector<std::size_t> columns);
  /// With all columns.
  AsideRows(std::string_view suffix, const Schema& input);

  std::string_view suffix() const noexcept { return suffix_; }
  /// Marks what is read of the step's input: `used` is what is read of these rows.
  void use_input(const Used& used, Used& reads) const;
  Used use(const Used& used) override { return used; }
  void push(const Rows& rows) override { pass(rows); }
  /// The chosen ones of the rows that came to the step. Costs nothing where nobody wants them.
  void pass_on(const Rows& rows, std::span<const std::uint32_t> chosen);

 private:
  const std::string_view suffix_;
  const std::vector<std::size_t> columns_;
  RowPicker picker_;
  Rows out_;
};

}  // namespace sluice::analytics
