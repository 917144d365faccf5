#include "analytics/aggregates.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/catch.h"

namespace sluice::analytics {
namespace {

using std::chrono_literals::operator""ms;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Aggregate aggregate(std::string_view text, ColumnType argument = ColumnType::Int) {
  return {std::string(text), std::get<AggregateCall>(read_aggregate(text)), argument};
}

/// One function over groups of its own, fed a value at a time.
class One {
 public:
  explicit One(std::string_view text, ColumnType type = ColumnType::Int)
      : aggregates_(single(aggregate(text, type))), group_(aggregates_.words()) {}
  One(const One&) = delete;
  One& operator=(const One&) = delete;
  ~One() {
    aggregates_.destroy(group_.data());
    CHECK(aggregates_.owned_bytes() == 0);
  }

  template <typename T>
  One& add(const std::vector<std::optional<T>>& values) {
    Column column;
    for (const auto& value : values)
      value ? column.push_back(Cell::of(*value)) : column.push_null();
    return add(&column, values.size());
  }
  One& add(const Column* column, std::size_t rows) {
    const std::vector<Aggregates::Group> groups(rows, group_.data());
    aggregates_.fold({&column, 1}, groups);
    return *this;
  }
  One& merge(One& other) {
    aggregates_.merge(group_.data(), other.group_.data());
    return *this;
  }
  One& subtract(One& other) {
    aggregates_.subtract(group_.data(), other.group_.data());
    return *this;
  }

  Column result(std::chrono::milliseconds length = 1000ms) {
    Column column;
    aggregates_.finish(group_.data(), {&column, 1}, texts_, length);
    REQUIRE(column.cells.size() == 1);
    return column;
  }
  bool is_null() { return result().is_null(0); }
  std::int64_t integer() { return result().cells[0].integer; }
  double real() { return result().cells[0].real; }
  std::string text() { return std::string(result().cells[0].view()); }
  const Aggregates& aggregates() const { return aggregates_; }

 private:
  static std::vector<Aggregate> single(Aggregate one) {
    std::vector<Aggregate> all;
    all.push_back(std::move(one));
    return all;
  }
  Aggregates aggregates_;
  std::vector<std::uint64_t> group_;
  TextArena texts_;
};

using Ints = std::vector<std::optional<std::int64_t>>;
using Doubles = std::vector<std::optional<double>>;
using Texts = std::vector<std::optional<std::string_view>>;
using Bools = std::vector<std::optional<bool>>;
const std::optional<std::int64_t> null;

TEST_CASE("aggregates: each function passes over nulls") {
  const Ints values{4, null, -2, 7, null, 7};
  CHECK(One("count()").add(nullptr, 6).integer() == 6);
  CHECK(One("count(x)").add(values).integer() == 4);
  CHECK(One("sum(x)").add(values).integer() == 16);
  CHECK(One("min(x)").add(values).integer() == -2);
  CHECK(One("max(x)").add(values).integer() == 7);
  CHECK(One("avg(x)").add(values).real() == 4);
  CHECK(One("var(x)").add(values).real() == Approx(18));
  CHECK(One("stddev(x)").add(values).real() == Approx(std::sqrt(18)));
  CHECK(One("first(x)").add(Ints{null, 3, 4}).integer() == 3);
  CHECK(One("last(x)").add(Ints{3, 4, null}).integer() == 4);
  CHECK(One("collect(x, 3)").add(values).text() == "[4, -2, 7]");
  CHECK(One("distinct(x)").add(values).integer() == 3);
  CHECK(One("quantile(x, 1)").add(values).real() == Approx(7).epsilon(0.01));
  CHECK(One("rate()").add(nullptr, 6).result(1500ms).cells[0].real == 4);
}

TEST_CASE("aggregates: of nothing there are zeros, an empty list, and nulls") {
  const Ints nothing{null, null};
  CHECK(One("count(x)").add(nothing).integer() == 0);
  CHECK(One("distinct(x)").add(nothing).integer() == 0);
  CHECK(One("collect(x)").add(nothing).text() == "[]");
  CHECK(One("rate()").result().cells[0].real == 0);
  for (const std::string_view text : {"sum(x)", "avg(x)", "min(x)", "max(x)", "var(x)", "stddev(x)",
                                      "first(x)", "last(x)", "quantile(x, 0.5)"}) {
    CHECK(One(text).add(nothing).is_null());
    CHECK(One(text, ColumnType::Double).is_null());
  }
  CHECK(One("min(x)", ColumnType::Text).is_null());
  CHECK(One("var(x)").add(Ints{5}).is_null());  // One value varies from nothing, as in Spark 3.
  CHECK(One("rate()").add(nullptr, 3).result(0ms).is_null(0));
}

TEST_CASE("aggregates: texts are copied, an empty one too") {
  std::string mortal = "m";
  One least("min(x)", ColumnType::Text);
  One most("max(x)", ColumnType::Text);
  One first("first(x)", ColumnType::Text);
  One last("last(x)", ColumnType::Text);
  One all("collect(x)", ColumnType::Text);
  for (One* each : {&least, &most, &first, &last, &all}) each->add(Texts{mortal, "x", "b"});
  mortal = "q";
  CHECK(least.text() == "b");
  CHECK(most.text() == "x");
  CHECK(first.text() == "m");
  CHECK(last.text() == "b");
  CHECK(all.text() == "[m, x, b]");
  const std::string large(10'000, 'z');
  for (One* each : {&least, &most, &first, &last}) each->add(Texts{large, "", std::nullopt});
  CHECK(least.text().empty());
  CHECK_FALSE(least.is_null());
  CHECK(most.text() == large);
  CHECK(first.text() == "m");
  CHECK(last.text().empty());
  CHECK(last.add(Texts{"short"}).text() == "short");
  CHECK(most.aggregates().owned_bytes() >= 10'000);
}

TEST_CASE("aggregates: bools have an order, and are counted apart") {
  const Bools values{true, false, std::nullopt, true};
  CHECK_FALSE(One("min(x)", ColumnType::Bool).add(values).result().cells[0].truth);
  CHECK(One("max(x)", ColumnType::Bool).add(values).result().cells[0].truth);
  CHECK(One("count(x)", ColumnType::Bool).add(values).integer() == 3);
  CHECK(One("distinct(x)", ColumnType::Bool).add(values).integer() == 2);
  CHECK(One("collect(x)", ColumnType::Bool).add(values).text() == "[true, false, true]");
}

TEST_CASE("aggregates: NaN is above all numbers, and zero has one sign when counted") {
  const Doubles values{2.0, nan, -1.5};
  CHECK(One("min(x)", ColumnType::Double).add(values).real() == -1.5);
  CHECK(std::isnan(One("max(x)", ColumnType::Double).add(values).real()));
  CHECK(std::isnan(One("max(x)", ColumnType::Double).add(Doubles{nan, 3.0}).real()));
  CHECK(One("min(x)", ColumnType::Double).add(Doubles{nan, 3.0}).real() == 3.0);
  CHECK(std::isnan(One("min(x)", ColumnType::Double).add(Doubles{nan, nan}).real()));
  CHECK(One("distinct(x)", ColumnType::Double).add(Doubles{0.0, -0.0, nan, -nan}).integer() == 2);
  CHECK(One("quantile(x, 0)", ColumnType::Double).add(Doubles{nan}).is_null());
  CHECK(One("collect(x)", ColumnType::Double).add(Doubles{0.1, -1e300, 3.0}).text() ==
        "[0.1, -1e+300, 3]");
}

TEST_CASE("aggregates: a sum of ints wraps, an average of them does not") {
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  constexpr auto least = std::numeric_limits<std::int64_t>::min();
  CHECK(One("sum(x)").add(Ints{most, 1}).integer() == least);
  CHECK(One("avg(x)").add(Ints{most, most, most}).real() == static_cast<double>(most));
  CHECK(One("avg(x)").add(Ints{least, least, 0, 0}).real() == static_cast<double>(least) / 2);
  CHECK(One("avg(x)").add(Ints{-1, -2}).real() == -1.5);
}

TEST_CASE("aggregates: a small variance around a large mean comes out right") {
  Doubles values;
  for (int i = 0; i < 1000; ++i) values.emplace_back(1e9 + i % 2);
  One first("var(x)", ColumnType::Double);
  One second("var(x)", ColumnType::Double);
  first.add(Doubles(values.begin(), values.begin() + 300));
  second.add(Doubles(values.begin() + 300, values.end()));
  CHECK(One("var(x)", ColumnType::Double).add(values).real() == Approx(250.0 / 999));
  CHECK(first.merge(second).real() == Approx(250.0 / 999));
  One nothing("var(x)", ColumnType::Double);
  CHECK(nothing.merge(first).real() == Approx(250.0 / 999));
}

TEST_CASE("aggregates: merging takes the other one as what came later") {
  const auto merged = [](std::string_view text, const Texts& before, const Texts& after) {
    One one(text, ColumnType::Text);
    One other(text, ColumnType::Text);
    one.add(before).merge(other.add(after));
    return one.is_null() ? "null" : one.text();
  };
  CHECK(merged("first(x)", {"a", "b"}, {"c"}) == "a");
  CHECK(merged("last(x)", {"a", "b"}, {"c", "d"}) == "d");
  CHECK(merged("last(x)", {"a", "b"}, {}) == "b");
  CHECK(merged("first(x)", {}, {"c", "d"}) == "c");
  CHECK(merged("first(x)", {}, {}) == "null");
  CHECK(merged("collect(x, 4)", {"a", "b"}, {"c", "", "e"}) == "[a, b, c, ]");
  CHECK(merged("collect(x, 4)", {}, {"", "c"}) == "[, c]");
  CHECK(merged("min(x)", {"b"}, {"a"}) == "a");
  CHECK(merged("max(x)", {"b"}, {}) == "b");
  One five("first(x)");
  One six("first(x)");
  CHECK(five.add(Ints{5}).merge(six.add(Ints{6})).integer() == 5);
}

TEST_CASE("aggregates: counting rows takes one word, and a schema names all") {
  std::vector<Aggregate> all;
  all.push_back(aggregate("count()"));
  CHECK(Aggregates(all).words() == 1);
  CHECK(Aggregates(all).invertible());
  CHECK(Aggregates(all).layout() == "count");
  all.push_back(aggregate("sum(x)", ColumnType::Double));
  all.push_back(aggregate("avg(x)"));
  const Aggregates several(all);
  CHECK(several.words() == 6);
  CHECK(several.layout() == "count sum:double avg:int");
  CHECK(several.fields() == Schema({{"count()", ColumnType::Int},
                                    {"sum(x)", ColumnType::Double},
                                    {"avg(x)", ColumnType::Double}}));
  CHECK(Aggregates({}).words() == 0);
}

TEST_CASE("aggregates: those are invertible whose subtraction is exact") {
  const auto is_invertible = [](std::string_view text, ColumnType type = ColumnType::Int) {
    return One(text, type).aggregates().invertible();
  };
  for (const std::string_view text :
       {"count()", "count(x)", "rate()", "sum(x)", "avg(x)", "quantile(x, 0.5)"}) {
    CHECK(is_invertible(text));
  }
  CHECK(is_invertible("quantile(x, 0.5)", ColumnType::Double));
  CHECK_FALSE(is_invertible("sum(x)", ColumnType::Double));
  CHECK_FALSE(is_invertible("avg(x)", ColumnType::Double));
  for (const std::string_view text : {"min(x)", "max(x)", "var(x)", "stddev(x)", "first(x)",
                                      "last(x)", "collect(x)", "distinct(x)"}) {
    CHECK_FALSE(is_invertible(text));
  }
}

// ---- against a model

/// All functions over two columns of each type, or those that can be subtracted.
std::vector<Aggregate> every_function(bool invertible_only) {
  std::vector<Aggregate> all{aggregate("count()"), aggregate("rate()")};
  for (const ColumnType type :
       {ColumnType::Bool, ColumnType::Int, ColumnType::Double, ColumnType::Text}) {
    for (const std::string_view text :
         {"count(x)", "sum(x)", "min(x)", "max(x)", "avg(x)", "var(x)", "stddev(x)", "first(x)",
          "last(x)", "collect(x, 5)", "distinct(x)", "quantile(x, 0.25)"}) {
      Aggregate one = aggregate(text, type);
      if (std::holds_alternative<Problem>(result_type(one.call, type))) continue;
      if (invertible_only && !Aggregates({one}).invertible()) continue;
      all.push_back(std::move(one));
    }
  }
  return all;
}

struct Row {
  std::optional<bool> truth;
  std::optional<std::int64_t> integer;
  std::optional<double> real;
  std::optional<std::string> text;
};

Row random_row(std::mt19937_64& random) {
  Row row;
  if (random() % 5 != 0) row.truth = random() % 2 == 0;
  if (random() % 5 != 0) row.integer = static_cast<std::int64_t>(random() % 2001) - 1000;
  if (random() % 5 != 0) row.real = static_cast<double>(random() % 100'000) / 64 - 700;
  if (random() % 5 != 0)
    row.text = std::string(random() % 40, static_cast<char>('a' + random() % 26));
  return row;
}

std::string shown(bool value) { return value ? "true" : "false"; }
std::string shown(std::int64_t value) { return std::to_string(value); }
std::string shown(const std::string& value) { return value; }
std::string shown(double value) {
  char room[32];
  return {room, std::to_chars(room, room + 32, value).ptr};
}

/// What a function over all these values is, computed straight from its definition.
template <typename T>
void check_result(AggregateFunction function, const std::vector<T>& values, const Column& got) {
  const Cell cell = got.cells.back();
  const bool is_null = got.is_null(got.cells.size() - 1);
  const auto same = [&](const T& wanted) {
    if constexpr (std::is_same_v<T, bool>) return cell.truth == wanted;
    if constexpr (std::is_same_v<T, std::int64_t>) return cell.integer == wanted;
    if constexpr (std::is_same_v<T, double>) return cell.real == wanted;
    if constexpr (std::is_same_v<T, std::string>) return cell.view() == wanted;
  };
  switch (function) {
    case AggregateFunction::Count:
      CHECK(cell.integer == static_cast<std::int64_t>(values.size()));
      return;
    case AggregateFunction::Distinct:
      CHECK(cell.integer ==
            static_cast<std::int64_t>(std::set<T>(values.begin(), values.end()).size()));
      return;
    case AggregateFunction::Collect: {
      std::string list;
      for (std::size_t i = 0; i < values.size() && i < 5; ++i) {
        list += (i == 0 ? "" : ", ") + shown(T(values[i]));
      }
      CHECK(cell.view() == "[" + list + "]");
      return;
    }
    default: break;
  }
  const bool is_variance =
      function == AggregateFunction::Var || function == AggregateFunction::Stddev;
  REQUIRE(is_null == (values.size() < (is_variance ? 2 : 1)));
  if (is_null) return;
  if (function == AggregateFunction::Min)
    CHECK(same(*std::min_element(values.begin(), values.end())));
  if (function == AggregateFunction::Max)
    CHECK(same(*std::max_element(values.begin(), values.end())));
  if (function == AggregateFunction::First) CHECK(same(values.front()));
  if (function == AggregateFunction::Last) CHECK(same(values.back()));
  if constexpr (std::is_same_v<T, std::int64_t> || std::is_same_v<T, double>) {
    const auto n = static_cast<double>(values.size());
    T sum = 0;
    for (const T value : values) sum += value;
    const double mean = static_cast<double>(sum) / n;
    double squares = 0;
    for (const T value : values) squares += std::pow(static_cast<double>(value) - mean, 2);
    const auto near = [](double wanted) { return Approx(wanted).epsilon(1e-9).margin(1e-6); };
    if (function == AggregateFunction::Sum) {
      if constexpr (std::is_same_v<T, std::int64_t>) CHECK(cell.integer == sum);
      if constexpr (std::is_same_v<T, double>) CHECK(cell.real == near(sum));
    }
    if (function == AggregateFunction::Avg) CHECK(cell.real == near(mean));
    if (function == AggregateFunction::Var) CHECK(cell.real == near(squares / (n - 1)));
    if (function == AggregateFunction::Stddev)
      CHECK(cell.real == near(std::sqrt(squares / (n - 1))));
    if (function == AggregateFunction::Quantile) {
      auto sorted = values;
      std::sort(sorted.begin(), sorted.end());
      const auto exact = static_cast<double>(sorted[static_cast<std::size_t>(0.25 * (n - 1))]);
      CHECK(std::fabs(cell.real - exact) <= std::fabs(exact) * 0.0100001);
    }
  }
}

template <typename T>
std::vector<T> values_of(const std::vector<Row>& rows, std::optional<T> Row::*field) {
  std::vector<T> values;
  for (const Row& row : rows) {
    if (row.*field) values.push_back(*(row.*field));
  }
  return values;
}

/// Groups and, for each, the rows that it has seen.
class Modelled {
 public:
  Modelled(std::size_t groups, bool invertible_only)
      : functions_(every_function(invertible_only)), aggregates_(functions_), rows_(groups) {
    for (std::size_t i = 0; i < groups; ++i) groups_.emplace_back(aggregates_.words());
  }
  Modelled(const Modelled&) = delete;
  Modelled& operator=(const Modelled&) = delete;
  ~Modelled() {
    for (auto& group : groups_) aggregates_.destroy(group.data());
    CHECK(aggregates_.owned_bytes() == 0);
  }

  std::size_t size() const { return groups_.size(); }

  void fold(std::mt19937_64& random, std::size_t count) {
    Column columns[4];
    std::vector<Row> rows(count);
    std::vector<Aggregates::Group> groups;
    for (Row& row : rows) {
      row = random_row(random);
      const std::size_t group = random() % groups_.size();
      rows_[group].push_back(row);
      groups.push_back(groups_[group].data());
      row.truth ? columns[0].push_back(Cell::of(*row.truth)) : columns[0].push_null();
      row.integer ? columns[1].push_back(Cell::of(*row.integer)) : columns[1].push_null();
      row.real ? columns[2].push_back(Cell::of(*row.real)) : columns[2].push_null();
      row.text ? columns[3].push_back(Cell::of(std::string_view(*row.text)))
               : columns[3].push_null();
    }
    std::vector<const Column*> arguments;
    for (const Aggregate& each : functions_) {
      const auto column = static_cast<std::size_t>(each.argument);
      arguments.push_back(each.call.has_argument() ? &columns[column] : nullptr);
    }
    aggregates_.fold(arguments, groups);
  }
  void merge(std::size_t into, std::size_t from) {
    aggregates_.merge(groups_[into].data(), groups_[from].data());
    rows_[into].insert(rows_[into].end(), rows_[from].begin(), rows_[from].end());
  }
  void subtract_front(std::size_t from, std::size_t what) {
    aggregates_.subtract(groups_[from].data(), groups_[what].data());
    rows_[from].erase(rows_[from].begin(),
                      rows_[from].begin() + static_cast<long>(rows_[what].size()));
  }
  void clear(std::size_t group) {
    aggregates_.destroy(groups_[group].data());
    rows_[group].clear();
  }
  std::string encoded(std::size_t group) const {
    std::string bytes;
    aggregates_.encode(groups_[group].data(), bytes);
    return bytes;
  }
  void save_and_load(std::size_t group) {
    const std::string bytes = encoded(group) + "rest";
    aggregates_.destroy(groups_[group].data());
    std::string_view in = bytes;
    REQUIRE(aggregates_.decode(in, groups_[group].data()));
    CHECK(in == "rest");
    CHECK(encoded(group) + "rest" == bytes);
  }
  void check(std::size_t group) {
    std::vector<Column> results(functions_.size());
    TextArena texts;
    aggregates_.finish(groups_[group].data(), results, texts, 2000ms);
    const std::vector<Row>& rows = rows_[group];
    CHECK(results[0].cells[0].integer == static_cast<std::int64_t>(rows.size()));
    CHECK(results[1].cells[0].real == static_cast<double>(rows.size()) / 2);
    for (std::size_t i = 2; i < functions_.size(); ++i) {
      const AggregateFunction function = functions_[i].call.function;
      INFO(functions_[i].name << " of " << to_string(functions_[i].argument));
      switch (functions_[i].argument) {
        case ColumnType::Bool:
          check_result(function, values_of(rows, &Row::truth), results[i]);
          break;
        case ColumnType::Int:
          check_result(function, values_of(rows, &Row::integer), results[i]);
          break;
        case ColumnType::Double:
          check_result(function, values_of(rows, &Row::real), results[i]);
          break;
        case ColumnType::Text:
          check_result(function, values_of(rows, &Row::text), results[i]);
          break;
      }
    }
  }
  Aggregates& aggregates() { return aggregates_; }

 private:
  std::vector<Aggregate> functions_;
  Aggregates aggregates_;
  std::vector<std::vector<std::uint64_t>> groups_;
  std::vector<std::vector<Row>> rows_;
};

TEST_CASE("aggregates: random folds, merges and saves are what a naive model says") {
  for (unsigned seed = 0; seed < 6; ++seed) {
    std::mt19937_64 random(seed);
    Modelled groups(7, false);
    for (int step = 0; step < 60; ++step) {
      const std::size_t one = random() % groups.size();
      const std::size_t other = (one + 1 + random() % (groups.size() - 1)) % groups.size();
      const auto what = random() % 8;
      if (what < 4) groups.fold(random, random() % 50);
      if (what == 4 || what == 5) groups.merge(one, other);
      if (what == 5) groups.clear(other);
      if (what == 6) groups.save_and_load(one);
      if (what == 7) groups.clear(one);
      groups.check(one);
    }
    for (std::size_t i = 0; i < groups.size(); ++i) groups.check(i);
  }
}

TEST_CASE("aggregates: what leaves a window is subtracted, as if summed afresh") {
  std::mt19937_64 random(20);
  constexpr std::size_t total = 0;  // The other groups are the panes, used in turn.
  constexpr std::size_t panes = 4;
  for (int round = 0; round < 30; ++round) {
    Modelled groups(1 + panes, true);
    REQUIRE(groups.aggregates().invertible());
    std::vector<std::size_t> in_window;
    for (std::size_t pane = 1; pane <= panes; ++pane) {
      // Folding spreads over all groups, so the total is emptied of what came to it directly.
      groups.fold(random, 40);
    }
    groups.clear(total);
    for (std::size_t pane = 1; pane <= panes; ++pane) {
      groups.merge(total, pane);
      groups.check(total);
    }
    groups.save_and_load(total);
    for (std::size_t pane = 1; pane <= panes; ++pane) {
      groups.subtract_front(total, pane);
      groups.check(total);
    }
  }
}

TEST_CASE("aggregates: bytes that are cut or changed are refused or harmless") {
  std::mt19937_64 random(30);
  Modelled groups(1, false);
  groups.fold(random, 30);
  const std::string bytes = groups.encoded(0);
  Aggregates& aggregates = groups.aggregates();
  const std::uint64_t owned = aggregates.owned_bytes();
  std::vector<std::uint64_t> group(aggregates.words());
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const std::vector<char> exact(bytes.begin(), bytes.begin() + static_cast<long>(cut));
    std::string_view in{exact.data(), exact.size()};
    CHECK_FALSE(aggregates.decode(in, group.data()));
    CHECK(aggregates.owned_bytes() == owned);
    CHECK(std::count(group.begin(), group.end(), 0) == static_cast<long>(group.size()));
  }
  for (int i = 0; i < 5000; ++i) {
    std::string broken = bytes;
    for (auto left = random() % 3 + 1; left > 0; --left) {
      broken[random() % broken.size()] = static_cast<char>(random());
    }
    std::string_view in = broken;
    if (!aggregates.decode(in, group.data())) continue;
    std::vector<Column> results(aggregates.fields().size());
    TextArena texts;
    aggregates.finish(group.data(), results, texts, 1000ms);
    aggregates.merge(group.data(), std::vector<std::uint64_t>(aggregates.words()).data());
    aggregates.destroy(group.data());
  }
  CHECK(aggregates.owned_bytes() == owned);
}

TEST_CASE("aggregates: a list saved under a higher limit is cut to the one of now") {
  Aggregates five({aggregate("collect(x, 5)")});
  Aggregates four({aggregate("collect(x, 4)")});
  CHECK(five.layout() == four.layout());
  std::uint64_t group = 0;
  std::uint64_t back = 0;
  Column column;
  for (std::int64_t i = 0; i < 9; ++i) column.push_back(Cell::of(i));
  const Column* const argument = &column;
  five.fold({&argument, 1}, std::vector<Aggregates::Group>(9, &group));
  std::string bytes;
  five.encode(&group, bytes);
  std::string_view in = bytes;
  REQUIRE(four.decode(in, &back));
  CHECK(in.empty());
  Column list;
  TextArena texts;
  four.finish(&back, {&list, 1}, texts, 1000ms);
  CHECK(list.cells[0].view() == "[0, 1, 2, 3]");
  four.destroy(&back);
  CHECK(four.owned_bytes() == 0);
  five.destroy(&group);
  CHECK(five.owned_bytes() == 0);
}

}  // namespace
}  // namespace sluice::analytics
