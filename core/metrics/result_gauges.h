// Figures that users let an agent compute, as Prometheus shows them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sluice {

/// The rows of the latest batch of one output. Bounded by whoever makes it.
struct ResultFigures {
  /// Nothing: the row has no such figure.
  using Value = std::variant<std::monostate, std::int64_t, double>;
  struct Row {
    std::vector<std::string> labels;  ///< By the places in label_names; UTF-8.
    std::vector<Value> values;        ///< By the places in value_names.
  };
  std::string sink;
  std::string output;
  std::string step = {};  ///< Where an output has the rows of several.
  /// As metric_names() makes them.
  std::vector<std::string> label_names;
  std::vector<std::string> value_names;
  std::vector<Row> rows = {};  ///< No two have the same labels.
  std::uint64_t left_out = 0;  ///< Rows of other labels that were too many.
};

/// The figures of all outputs of an agent. Thread-safe.
class ResultGauges {
 public:
  using All = std::map<std::string, std::shared_ptr<const ResultFigures>, std::less<>>;

  /// Those of an earlier batch of the same sink, output and step go.
  void show(ResultFigures figures);
  All all() const;

 private:
  mutable std::mutex mutex_;
  All all_;  // guarded by mutex_
};

/// Names as Prometheus allows them, each once and none of `taken`: other characters become '_', a
/// name that is there gets a number behind it.
std::vector<std::string> metric_names(const std::vector<std::string>& columns,
                                      std::vector<std::string> taken);

}  // namespace sluice
