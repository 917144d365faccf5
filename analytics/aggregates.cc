#include "analytics/aggregates.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "analytics/accumulators.h"
#include "core/base/assert.h"

namespace sluice::analytics {

/// What is done with one kind of accumulator; calls of fold and finish are for chunks of groups.
struct AccumulatorTable {
  std::size_t words;
  bool invertible;
  void (*fold)(const Column* argument, std::span<const Aggregates::Group> groups, std::size_t word,
               AccumulatorContext& context);
  void (*merge)(std::uint64_t* into, const std::uint64_t* from, AccumulatorContext& context);
  void (*subtract)(std::uint64_t* from, const std::uint64_t* what, AccumulatorContext& context);
  void (*finish)(std::span<const std::uint64_t* const> groups, std::size_t word, Column& out,
                 const FinishContext& context);
  void (*encode)(const std::uint64_t* words, std::string& out);
  bool (*decode)(std::string_view& in, std::uint64_t* words, AccumulatorContext& context);
  void (*destroy)(std::uint64_t* words, AccumulatorContext& context);
};

namespace {

using Group = Aggregates::Group;

// Accumulators are copied out of their words and back, which compilers do in registers.
template <typename A>
A load(const std::uint64_t* words) noexcept {
  A accumulator;
  std::memcpy(&accumulator, words, sizeof(A));
  return accumulator;
}

template <typename A>
void store(const A& accumulator, std::uint64_t* words) noexcept {
  std::memcpy(words, &accumulator, sizeof(A));
}

template <typename A>
void fold_values(const Column* argument, std::span<const Group> groups, std::size_t word,
                 AccumulatorContext& context) {
  const Cell* const cells = argument->cells.data();
  const auto fold_row = [&](std::size_t row) {
    auto accumulator = load<A>(groups[row] + word);
    accumulator.add(value_of<typename A::Value>(cells[row]), context);
    store(accumulator, groups[row] + word);
  };
  if (argument->nulls.empty()) {
    for (std::size_t row = 0; row < groups.size(); ++row) fold_row(row);
    return;
  }
  const std::uint8_t* const nulls = argument->nulls.data();
  for (std::size_t row = 0; row < groups.size(); ++row) {
    if (nulls[row] == 0) fold_row(row);
  }
}

/// count() and rate(): their word is the number of rows.
void fold_rows(const Column*, std::span<const Group> groups, std::size_t word,
               AccumulatorContext&) {
  for (const Group group : groups) ++group[word];
}

template <typename A>
void merge_words(std::uint64_t* into, const std::uint64_t* from, AccumulatorContext& context) {
  auto accumulator = load<A>(into);
  accumulator.merge(load<A>(from), context);
  store(accumulator, into);
}

template <typename A>
void subtract_words(std::uint64_t* from, const std::uint64_t* what, AccumulatorContext& context) {
  if constexpr (A::invertible) {
    auto accumulator = load<A>(from);
    accumulator.subtract(load<A>(what), context);
    store(accumulator, from);
  }
}

template <typename A>
void finish_words(std::span<const std::uint64_t* const> groups, std::size_t word, Column& out,
                  const FinishContext& context) {
  for (const std::uint64_t* const group : groups) load<A>(group + word).finish(out, context);
}

template <typename A>
bool decode_words(std::string_view& in, std::uint64_t* words, AccumulatorContext& context) {
  auto accumulator = load<A>(words);
  const bool sound = accumulator.decode(in, context);
  store(accumulator, words);
  return sound;
}

template <typename A>
void destroy_words(std::uint64_t* words, AccumulatorContext& context) {
  auto accumulator = load<A>(words);
  accumulator.destroy(context);
  store(accumulator, words);
}

template <typename A>
constexpr AccumulatorTable make_table() {
  static_assert(std::is_trivially_copyable_v<A> && sizeof(A) % sizeof(std::uint64_t) == 0);
  return {
      .words = sizeof(A) / sizeof(std::uint64_t),
      .invertible = A::invertible,
      .fold = fold_values<A>,
      .merge = merge_words<A>,
      .subtract = subtract_words<A>,
      .finish = finish_words<A>,
      .encode = [](const std::uint64_t* words, std::string& out) { load<A>(words).encode(out); },
      .decode = decode_words<A>,
      .destroy = destroy_words<A>};
}

template <typename A>
const AccumulatorTable* table_of() {
  static constexpr AccumulatorTable table = make_table<A>();
  return &table;
}

/// An accumulator that only counts rows.
template <typename A>
const AccumulatorTable* table_of_rows() {
  static constexpr AccumulatorTable table = [] {
    AccumulatorTable rows = make_table<A>();
    rows.fold = fold_rows;
    return rows;
  }();
  return &table;
}

template <Keep keep, typename T>
const AccumulatorTable* table_of_one() {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return table_of<OneText<keep>>();
  } else {
    return table_of<OneOf<keep, T>>();
  }
}

/// Of the functions that only numbers have; null for other types.
template <typename T>
const AccumulatorTable* table_of_numbers(AggregateFunction function) {
  if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, double>) {
    using Avg = std::conditional_t<std::is_same_v<T, double>, AvgOfDoubles, AvgOfInts>;
    switch (function) {
      case AggregateFunction::Sum: return table_of<SumOf<T>>();
      case AggregateFunction::Avg: return table_of<Avg>();
      case AggregateFunction::Var: return table_of<VarianceOf<T, false>>();
      case AggregateFunction::Stddev: return table_of<VarianceOf<T, true>>();
      case AggregateFunction::Quantile: return table_of<QuantileOf<T>>();
      default: break;
    }
  }
  return nullptr;
}

template <typename T>
const AccumulatorTable* table_of_values(AggregateFunction function) {
  switch (function) {
    case AggregateFunction::Count: return table_of<CountOf<T>>();
    case AggregateFunction::Min: return table_of_one<Keep::Smallest, T>();
    case AggregateFunction::Max: return table_of_one<Keep::Largest, T>();
    case AggregateFunction::First: return table_of_one<Keep::First, T>();
    case AggregateFunction::Last: return table_of_one<Keep::Last, T>();
    case AggregateFunction::Collect: return table_of<CollectOf<T>>();
    case AggregateFunction::Distinct: return table_of<DistinctOf<T>>();
    default: return table_of_numbers<T>(function);
  }
}

const AccumulatorTable* find_table(const Aggregate& aggregate) {
  const AggregateFunction function = aggregate.call.function;
  if (function == AggregateFunction::Rate) return table_of_rows<RateOf>();
  if (!aggregate.call.has_argument()) {
    return function == AggregateFunction::Count ? table_of_rows<CountOf<bool>>() : nullptr;
  }
  switch (aggregate.argument) {
    case ColumnType::Bool: return table_of_values<bool>(function);
    case ColumnType::Int: return table_of_values<std::int64_t>(function);
    case ColumnType::Double: return table_of_values<double>(function);
    case ColumnType::Text: return table_of_values<std::string_view>(function);
  }
  return nullptr;
}

}  // namespace

Aggregates::Aggregates(std::vector<Aggregate> aggregates) {
  std::vector<Schema::Field> fields;
  for (Aggregate& each : aggregates) {
    const auto type = result_type(each.call, each.argument);
    const AccumulatorTable* const table = find_table(each);
    SLUICE_ASSERT(table != nullptr && std::holds_alternative<ColumnType>(type),
                  "aggregates are checked before they are made");
    parts_.push_back({table, words_, each.call.limit, each.call.quantile});
    words_ += table->words;
    invertible_ = invertible_ && table->invertible;
    if (!layout_.empty()) layout_ += ' ';
    layout_ += to_string(each.call.function);
    if (each.call.has_argument()) layout_.append(1, ':').append(to_string(each.argument));
    fields.push_back({std::move(each.name), std::get<ColumnType>(type)});
  }
  fields_ = Schema(std::move(fields));
}

void Aggregates::init(Group group) const noexcept { std::fill_n(group, words_, 0); }

void Aggregates::limit_to(StateBudget& budget) {
  budget_ = &budget;
  share_ = StateBudget::Share(&budget);
}

void Aggregates::fold(std::span<const Column* const> arguments, std::span<const Group> groups) {
  const std::uint64_t owned_max =
      budget_ == nullptr ? StateBudget::no_limit : owned_bytes_ + budget_->room();
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    AccumulatorContext context{owned_bytes_, parts_[i].limit, owned_max, budget_};
    parts_[i].table->fold(arguments[i], groups, parts_[i].word, context);
  }
  share_.set(owned_bytes_);
}

void Aggregates::merge(Group into, const std::uint64_t* from) {
  for (const Part& part : parts_) {
    AccumulatorContext context{owned_bytes_, part.limit};
    part.table->merge(into + part.word, from + part.word, context);
  }
  share_.set(owned_bytes_);
}

void Aggregates::subtract(Group from, const std::uint64_t* what) {
  SLUICE_ASSERT(invertible_, "only what is invertible is subtracted");
  for (const Part& part : parts_) {
    AccumulatorContext context{owned_bytes_, part.limit};
    part.table->subtract(from + part.word, what + part.word, context);
  }
  share_.set(owned_bytes_);
}

void Aggregates::finish(const std::uint64_t* group, std::span<Column> out, TextArena& texts,
                        std::chrono::milliseconds length) const {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    finish_one(std::span(&group, 1), i, out[i], texts, length);
  }
}

void Aggregates::finish_one(std::span<const std::uint64_t* const> groups, std::size_t result,
                            Column& out, TextArena& texts, std::chrono::milliseconds length) const {
  const Part& part = parts_[result];
  const double seconds = std::chrono::duration<double>(length).count();
  part.table->finish(groups, part.word, out, FinishContext{texts, part.quantile, seconds});
}

void Aggregates::encode(const std::uint64_t* group, std::string& out) const {
  for (const Part& part : parts_) part.table->encode(group + part.word, out);
}

bool Aggregates::decode(std::string_view& in, Group group) {
  for (const Part& part : parts_) {
    AccumulatorContext context{owned_bytes_, part.limit};
    if (part.table->decode(in, group + part.word, context)) continue;
    destroy(group);
    return false;
  }
  share_.set(owned_bytes_);
  return true;
}

void Aggregates::destroy(Group group) noexcept {
  for (const Part& part : parts_) {
    AccumulatorContext context{owned_bytes_, part.limit};
    part.table->destroy(group + part.word, context);
  }
  share_.set(owned_bytes_);
  init(group);
}

}  // namespace sluice::analytics
