// A byte that says what, and bytes as the saved state of it: a sketch, or a group of every
// aggregate function. What is read must be usable, and written and read again must be the same.

#include <cmath>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "analytics/aggregates.h"
#include "analytics/ddsketch.h"
#include "analytics/hyperloglog.h"
#include "fuzz/byte_file.h"

namespace sluice::analytics {
namespace {

template <typename Sketch>
std::string encoded(const Sketch& sketch) {
  std::string bytes;
  sketch.encode(bytes);
  return bytes;
}

template <typename Sketch>
Sketch read_back(const std::string& bytes) {
  Sketch back;
  std::string_view in = bytes;
  require(Sketch::decode(in, back) && in.empty(), "what it writes it reads");
  require(encoded(back) == bytes, "and it is the same");
  return back;
}

void check_hyperloglog(std::string_view bytes) {
  HyperLogLog sketch;
  if (!HyperLogLog::decode(bytes, sketch)) return;
  auto back = read_back<HyperLogLog>(encoded(sketch));
  require(sketch.estimate() >= 0, "it has an estimate");
  back.merge(sketch);
  require(encoded(back) == encoded(sketch), "nothing is new in what is known");
  for (std::uint64_t hash = 1; hash < 5000; ++hash) back.add(hash * 0x9e3779b97f4a7c15);
  back.merge(sketch);
}

void check_ddsketch(std::string_view bytes) {
  DDSketch sketch;
  if (!DDSketch::decode(bytes, sketch)) return;
  auto back = read_back<DDSketch>(encoded(sketch));
  for (const double q : {0.0, 0.5, 1.0}) {
    const auto value = sketch.quantile(q);
    require(value.has_value() == (sketch.count() > 0), "what counts has quantiles");
    require(!value || std::isfinite(*value), "which are numbers");
  }
  back.subtract(sketch);
  require(back.count() == 0, "itself taken out, nothing stays");
  for (const double value : {1e-300, -1.0, 0.0, 7.5, 1e300}) back.add(value);
  back.merge(sketch);
  back.subtract(sketch);
  require(back.count() == 5, "what was merged is taken out");
  sketch.merge(back);
}

Aggregates make_every_function() {
  std::vector<Aggregate> all;
  for (const ColumnType type :
       {ColumnType::Bool, ColumnType::Int, ColumnType::Double, ColumnType::Text}) {
    for (const std::string_view text :
         {"count(x)", "sum(x)", "min(x)", "max(x)", "avg(x)", "var(x)", "first(x)", "collect(x, 9)",
          "distinct(x)", "quantile(x, 0.5)", "rate()"}) {
      auto call = std::get<AggregateCall>(read_aggregate(text));
      if (std::holds_alternative<Problem>(result_type(call, type))) continue;
      all.push_back({std::string(text), std::move(call), type});
    }
  }
  return Aggregates(std::move(all));
}

void check_aggregates(std::string_view bytes) {
  Aggregates aggregates = make_every_function();
  std::vector<std::uint64_t> group(aggregates.words());
  if (aggregates.decode(bytes, group.data())) {
    std::string saved;
    aggregates.encode(group.data(), saved);
    std::vector<std::uint64_t> back(aggregates.words());
    std::string_view in = saved;
    require(aggregates.decode(in, back.data()) && in.empty(), "what it writes it reads");
    std::vector<Column> results(aggregates.fields().size());
    TextArena texts;
    aggregates.finish(back.data(), results, texts, std::chrono::milliseconds(10));
    aggregates.merge(group.data(), back.data());
    aggregates.destroy(back.data());
    aggregates.destroy(group.data());
  }
  require(aggregates.owned_bytes() == 0, "all is given back");
}

void check_call(std::string_view text) {
  const auto result = read_aggregate(text);
  if (const auto* problem = std::get_if<Problem>(&result)) {
    require(problem->offset <= text.size() && problem->bytes <= text.size() - problem->offset,
            "a problem is within the text");
    return;
  }
  const auto& call = std::get<AggregateCall>(result);
  if (!call.has_argument()) return;
  require(text.substr(call.argument_offset, call.argument.size()) == call.argument,
          "the argument is where it says");
}

}  // namespace
}  // namespace sluice::analytics

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};
  constexpr void (*checks[])(std::string_view) = {
      sluice::analytics::check_hyperloglog, sluice::analytics::check_ddsketch,
      sluice::analytics::check_aggregates, sluice::analytics::check_call};
  checks[data[0] % 4](bytes);
  return 0;
}
