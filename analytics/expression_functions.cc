#include "analytics/expression_functions.h"

#include <xxhash.h>

#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "analytics/expression_kernel.h"
#include "analytics/text_functions.h"

namespace sluice::analytics {
namespace {

using Kind = Function::Kind;
using Text = std::string_view;
using Answer = JavaPattern::Answer;

// ---- conversions

std::optional<std::int64_t> int_of_double(double value) {
  constexpr double limit = 9223372036854775808.0;  // 2^63
  if (!(value >= -limit && value < limit)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}
std::int64_t int_of_bool(bool value) { return value ? 1 : 0; }
double double_of_int(std::int64_t value) { return static_cast<double>(value); }
double double_of_bool(bool value) { return value ? 1 : 0; }
std::optional<std::int64_t> int_of_text(Text value) { return parse_integer(value); }
std::optional<double> double_of_text(Text value) { return parse_double(value); }
Text text_of_int(TextArena& arena, std::int64_t value) { return write_integer(arena, value); }
Text text_of_double(TextArena& arena, double value) { return write_double(arena, value); }
Text text_of_bool(bool value) { return value ? "true" : "false"; }

// ---- numbers

std::int64_t same(std::int64_t a) { return a; }
std::int64_t magnitude(std::int64_t a) {
  return a < 0 ? static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(a)) : a;
}
double magnitude_real(double a) { return std::fabs(a); }
double round_real(double a) { return std::round(a); }
double floor_real(double a) { return std::floor(a); }
double ceil_real(double a) { return std::ceil(a); }
std::int64_t smaller(std::int64_t a, std::int64_t b) { return b < a ? b : a; }
std::int64_t larger(std::int64_t a, std::int64_t b) { return b > a ? b : a; }
double smaller_real(double a, double b) { return b < a ? b : a; }
double larger_real(double a, double b) { return b > a ? b : a; }

// ---- texts

Text trim_text(Text text) { return trimmed(text); }
Text lower(TextArena& arena, Text text) { return lower_text(arena, text); }
Text upper(TextArena& arena, Text text) { return upper_text(arena, text); }
std::int64_t length(Text text) { return length_of(text); }
Text part(Text text, std::int64_t from, std::int64_t count) { return part_of(text, from, count); }
bool starts(Text text, Text with) { return text.starts_with(with); }
bool ends(Text text, Text with) { return text.ends_with(with); }
bool holds(Text text, Text what) { return text.find(what) != Text::npos; }
std::optional<Text> split(Text text, Text separator, std::int64_t n) {
  return split_part(text, separator, n);
}
std::optional<std::int64_t> path_int(Text path, Text prefix) { return path_integer(path, prefix); }
bool like(Text text, Text pattern) { return is_like(text, pattern); }

void matches_kernel(Run& run) {
  const JavaPattern& pattern = *run.operation.pattern;
  const auto one = [&](Text text) -> std::optional<bool> {
    const Answer answer = pattern.matches(text);
    if (answer == Answer::GaveUp) return std::nullopt;
    return answer == Answer::Yes;
  };
  for_rows<false>(run, one, Values<Text, any_step>(run.operands[0]));
}

void extract_kernel(Run& run) {
  const JavaPattern& pattern = *run.operation.pattern;
  const auto one = [&](Text text) -> std::optional<Text> {
    JavaPattern::Range range;
    if (pattern.find_group(text, run.operation.number, range) != Answer::Yes) return std::nullopt;
    return text.substr(range.begin, range.end - range.begin);
  };
  for_rows<false>(run, one, Values<Text, any_step>(run.operands[0]));
}

void header_kernel(Run& run) {
  Column& result = run.operation.result;
  result.cells.resize(run.rows);
  result.nulls.assign(run.rows, 1);
  if (run.source->batch == nullptr) return;
  for (std::size_t row = 0; row < run.rows; ++row) {
    Text value;
    if (run.source->batch->headers(run.source->events[row]).find(run.operation.text, value)) {
      result.cells[row] = Cell::of(value);
      result.nulls[row] = 0;
    }
  }
}

// ---- hashes; what is hashed is spelt out in bytes, so that every machine has the same

std::int64_t hash_bytes(const void* data, std::size_t bytes, std::int64_t before) {
  const auto seed = static_cast<std::uint64_t>(before);
  return static_cast<std::int64_t>(XXH3_64bits_withSeed(data, bytes, seed) >> 1);
}
std::int64_t hash_bits(std::uint64_t bits, std::int64_t before) {
  std::array<unsigned char, sizeof bits> spelt{};
  for (std::size_t i = 0; i < sizeof bits; ++i) {
    spelt[i] = static_cast<unsigned char>(bits >> (8 * i));
  }
  return hash_bytes(spelt.data(), spelt.size(), before);
}
std::int64_t hash_text(Text value, std::int64_t before) {
  return hash_bytes(value.empty() ? "" : value.data(), value.size(), before);
}
std::int64_t hash_int(std::int64_t value, std::int64_t before) {
  return hash_bits(static_cast<std::uint64_t>(value), before);
}
std::int64_t hash_bool(bool value, std::int64_t before) { return hash_bits(value ? 1 : 0, before); }
std::int64_t hash_double(double value, std::int64_t before) {
  if (value == 0) value = 0;  // -0.0 equals 0.0
  if (std::isnan(value)) value = std::nan("");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return hash_bits(bits, before);
}

template <typename T, std::int64_t (*f)(T, std::int64_t)>
std::int64_t first_hash(T value) {
  return f(value, 0);
}

// ---- the table

constexpr Function plain(Text name, Text signature, Text parameters, ColumnType result,
                         Kernel kernel) {
  return {name, signature, parameters, Kind::Plain, result, kernel, nullptr};
}
constexpr Function numeric(Text name, Text signature, Text parameters, Kernel ints,
                           Kernel doubles) {
  return {name, signature, parameters, Kind::Numeric, ColumnType::Int, ints, doubles};
}
constexpr Function special(Text name, Text signature, Text parameters, Kind kind, ColumnType result,
                           Kernel kernel = nullptr, bool any_number = false) {
  return {name, signature, parameters, kind, result, kernel, nullptr, any_number};
}

constexpr auto Int = ColumnType::Int;
constexpr auto Bool = ColumnType::Bool;
constexpr auto Double = ColumnType::Double;
constexpr auto String = ColumnType::Text;

constexpr std::array table{
    special("if", "if(condition, a, b)", "bxx", Kind::If, String),
    special("coalesce", "coalesce(a, b, ...)", "x", Kind::Coalesce, String, nullptr, true),
    plain("lower", "lower(text)", "t", String, kernel_of<&lower>()),
    plain("upper", "upper(text)", "t", String, kernel_of<&upper>()),
    plain("len", "len(text)", "t", Int, kernel_of<&length>()),
    plain("substr", "substr(text, from, count)", "tii", String, kernel_of<&part>()),
    plain("trim", "trim(text)", "t", String, kernel_of<&trim_text>()),
    special("concat", "concat(a, b, ...)", "x", Kind::Concat, String, concat_kernel, true),
    plain("startswith", "startswith(text, start)", "tt", Bool, kernel_of<&starts>()),
    plain("endswith", "endswith(text, end)", "tt", Bool, kernel_of<&ends>()),
    plain("contains", "contains(text, part)", "tt", Bool, kernel_of<&holds>()),
    plain("split_part", "split_part(text, separator, n)", "tti", String, kernel_of<&split>()),
    plain("pathint", "pathint(path, prefix)", "tt", Int, kernel_of<&path_int>()),
    special("matches", "matches(text, 'regex')", "tt", Kind::Regex, Bool, matches_kernel),
    special("extract", "extract(text, 'regex', group)", "tti", Kind::Regex, String, extract_kernel),
    special("header", "header('name')", "t", Kind::Header, String, header_kernel),
    special("int", "int(value)", "x", Kind::Convert, Int),
    special("double", "double(value)", "x", Kind::Convert, Double),
    special("float", "float(value)", "x", Kind::Convert, Double),
    special("text", "text(value)", "x", Kind::Convert, String),
    special("hash", "hash(a, b, ...)", "x", Kind::Hash, Int, nullptr, true),
    numeric("abs", "abs(number)", "n", kernel_of<&magnitude>(), kernel_of<&magnitude_real>()),
    numeric("round", "round(number)", "n", kernel_of<&same>(), kernel_of<&round_real>()),
    numeric("floor", "floor(number)", "n", kernel_of<&same>(), kernel_of<&floor_real>()),
    numeric("ceil", "ceil(number)", "n", kernel_of<&same>(), kernel_of<&ceil_real>()),
    numeric("min", "min(a, b)", "nn", kernel_of<&smaller>(), kernel_of<&smaller_real>()),
    numeric("max", "max(a, b)", "nn", kernel_of<&larger>(), kernel_of<&larger_real>()),
};

}  // namespace

std::span<const Function> functions() noexcept { return table; }

Kernel conversion_kernel(ColumnType from, ColumnType to) noexcept {
  if (from == to) return nullptr;
  constexpr Kernel none = nullptr;
  constexpr std::array<std::array<Kernel, 4>, 3> to_int_double_text{{
      {kernel_of<&int_of_bool>(), none, kernel_of<&int_of_double>(), kernel_of<&int_of_text>()},
      {kernel_of<&double_of_bool>(), kernel_of<&double_of_int>(), none,
       kernel_of<&double_of_text>()},
      {kernel_of<&text_of_bool>(), kernel_of<&text_of_int>(), kernel_of<&text_of_double>(), none},
  }};
  const auto row = static_cast<std::size_t>(to);
  SLUICE_ASSERT(row > 0, "nothing converts to bool");
  return to_int_double_text[row - 1][static_cast<std::size_t>(from)];
}

Kernel hash_kernel(ColumnType type, bool more) noexcept {
  switch (type) {
    case ColumnType::Bool:
      return more ? kernel_of<&hash_bool>() : kernel_of<&first_hash<bool, hash_bool>>();
    case ColumnType::Int:
      return more ? kernel_of<&hash_int>() : kernel_of<&first_hash<std::int64_t, hash_int>>();
    case ColumnType::Double:
      return more ? kernel_of<&hash_double>() : kernel_of<&first_hash<double, hash_double>>();
    case ColumnType::Text: break;
  }
  return more ? kernel_of<&hash_text>() : kernel_of<&first_hash<Text, hash_text>>();
}

void concat_kernel(Run& run) {
  begin_results(run);
  Column& result = run.operation.result;
  for (std::size_t row = 0; row < run.rows; ++row) {
    if (result.is_null(row)) continue;
    std::size_t bytes = 0;
    for (std::size_t each = 0; each < run.count; ++each)
      bytes += run.operands[each][row].text.bytes;
    char* const made = run.arena.room(bytes);
    char* end = made;
    for (std::size_t each = 0; each < run.count; ++each) {
      const Text part_here = run.operands[each][row].view();
      end += part_here.copy(end, part_here.size());
    }
    result.cells[row] = Cell::of(Text(made, bytes));
  }
}

Kernel like_kernel() noexcept { return kernel_of<&like>(); }

}  // namespace sluice::analytics
