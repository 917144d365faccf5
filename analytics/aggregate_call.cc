#include "analytics/aggregate_call.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

#include "core/base/nearest_name.h"

namespace sluice::analytics {
namespace {

constexpr std::array<std::string_view, 13> names{"count",    "sum",      "min",   "max",  "avg",
                                                 "var",      "stddev",   "first", "last", "collect",
                                                 "distinct", "quantile", "rate"};
static_assert(names.size() == static_cast<std::size_t>(AggregateFunction::Rate) + 1);

// What others call them: too far from ours to be found as a misspelling.
constexpr std::array<std::pair<std::string_view, std::string_view>, 18> foreign_names{{
    {"mean", "avg"},
    {"average", "avg"},
    {"total", "sum"},
    {"minimum", "min"},
    {"maximum", "max"},
    {"variance", "var"},
    {"var_samp", "var"},
    {"std", "stddev"},
    {"stddev_samp", "stddev"},
    {"first_value", "first"},
    {"last_value", "last"},
    {"collect_list", "collect"},
    {"count_distinct", "distinct"},
    {"approx_count_distinct", "distinct"},
    {"percentile", "quantile"},
    {"approx_percentile", "quantile"},
    {"percentile_approx", "quantile"},
    {"median", "quantile"},
}};

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_word(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// A piece of the text, without the white space around it.
struct Piece {
  std::size_t offset = 0;
  std::string_view text;
};

Piece trimmed(std::string_view text, std::size_t from, std::size_t to) {
  while (from < to && is_space(text[from])) ++from;
  while (to > from && is_space(text[to - 1])) --to;
  return {from, text.substr(from, to - from)};
}

struct Arguments {
  std::vector<Piece> pieces;
  std::size_t end = 0;  ///< Behind the closing bracket.
};

/// The end of the quoted text that begins at `at`; the end of all when nothing closes it.
std::size_t skip_quoted(std::string_view text, std::size_t at) {
  const char quote = text[at];
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == quote) {
      return at + 1;
    }
  }
  return std::string_view::npos;
}

/// Splits what is in the bracket that opens at `open` at its own commas.
std::variant<Arguments, Problem> split_arguments(std::string_view text, std::size_t open) {
  Arguments found;
  std::vector<std::size_t> opened{open};
  std::size_t from = open + 1;
  for (std::size_t at = from; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\'' || c == '"') {
      const std::size_t end = skip_quoted(text, at);
      if (end == std::string_view::npos) {
        return Problem{at, text.size() - at, "this text has no closing quote"};
      }
      at = end - 1;
    } else if (c == '(' || c == '[' || c == '{') {
      opened.push_back(at);
    } else if (c == ')' || c == ']' || c == '}') {
      const char wanted = text[opened.back()] == '(' ? ')' : text[opened.back()] == '[' ? ']' : '}';
      if (c != wanted) {
        return Problem{at, 1, std::string("'") + wanted + "' is expected before this"};
      }
      opened.pop_back();
      if (!opened.empty()) continue;
      found.pieces.push_back(trimmed(text, from, at));
      found.end = at + 1;
      return found;
    } else if (c == ',' && opened.size() == 1) {
      found.pieces.push_back(trimmed(text, from, at));
      from = at + 1;
    }
  }
  return Problem{opened.back(), 1, "nothing closes this bracket"};
}

Problem unknown_function(Piece name) {
  std::string_view meant = nearest_name(name.text, {names.begin(), names.end()});
  for (const auto& [foreign, ours] : foreign_names) {
    if (equal_ignoring_case(foreign, name.text)) meant = ours;
  }
  Problem problem{name.offset, name.text.size(),
                  "there is no aggregate function '" + std::string(name.text) + "'"};
  if (!meant.empty()) problem.hint = "did you mean '" + std::string(meant) + "'?";
  return problem;
}

/// Reads all of `piece` as a number.
template <typename T>
bool read_number(Piece piece, T& number) {
  const char* const end = piece.text.data() + piece.text.size();
  const auto [stop, error] = std::from_chars(piece.text.data(), end, number);
  return error == std::errc() && stop == end;
}

std::optional<Problem> read_quantile(Piece piece, AggregateCall& call) {
  if (read_number(piece, call.quantile) && call.quantile >= 0 && call.quantile <= 1) return {};
  Problem problem{piece.offset, piece.text.size(), "a number from 0 to 1 is expected"};
  // Somebody who thinks in percent.
  if (call.quantile > 1 && call.quantile <= 100) problem.hint = "99 % is written 0.99";
  return problem;
}

std::optional<Problem> read_limit(Piece piece, AggregateCall& call) {
  if (read_number(piece, call.limit) && call.limit >= 1 && call.limit <= AggregateCall::limit_max) {
    return {};
  }
  return Problem{
      piece.offset, piece.text.size(),
      "a whole number from 1 to " + std::to_string(AggregateCall::limit_max) + " is expected"};
}

/// How many arguments a function takes.
struct Arity {
  std::size_t min;
  std::size_t max;
};

Arity arity(AggregateFunction function) noexcept {
  switch (function) {
    case AggregateFunction::Count: return {0, 1};
    case AggregateFunction::Rate: return {0, 0};
    case AggregateFunction::Collect: return {1, 2};
    case AggregateFunction::Quantile: return {2, 2};
    default: return {1, 1};
  }
}

/// Checks that there are as many as the function takes, and none of them empty.
std::optional<Problem> check_arity(AggregateFunction function, const std::vector<Piece>& pieces,
                                   Piece bracket) {
  const auto [min, max] = arity(function);
  const std::string name = std::string(to_string(function)) + "()";
  if (pieces.size() > max) {
    const Piece& first = pieces[max];
    const std::size_t end = pieces.back().offset + pieces.back().text.size();
    return Problem{first.offset, end - first.offset,
                   name + (max == 0   ? " takes no argument"
                           : max == 1 ? " takes one argument"
                                      : " takes two arguments")};
  }
  for (const Piece& piece : pieces) {
    if (piece.text.empty()) return Problem{piece.offset, 1, "an argument is expected here"};
  }
  if (pieces.size() >= min) return std::nullopt;
  Problem problem{bracket.offset, bracket.text.size(),
                  name + (min == 1 ? " needs an argument" : " needs two arguments")};
  if (function == AggregateFunction::Quantile) problem.hint = "for example quantile(x, 0.99)";
  return problem;
}

}  // namespace

std::string_view to_string(AggregateFunction function) noexcept {
  return names[static_cast<std::size_t>(function)];
}

std::variant<AggregateCall, Problem> read_aggregate(std::string_view text) {
  const Piece all = trimmed(text, 0, text.size());
  const auto name_end = static_cast<std::size_t>(
      std::find_if_not(all.text.begin(), all.text.end(), is_word) - all.text.begin());
  const Piece name{all.offset, all.text.substr(0, name_end)};
  if (name.text.empty()) {
    return Problem{all.offset, std::min<std::size_t>(all.text.size(), 1),
                   "an aggregate function is expected", "for example count() or sum(x)"};
  }
  const auto found = std::find(names.begin(), names.end(), name.text);
  if (found == names.end()) return unknown_function(name);

  AggregateCall call;
  call.function = static_cast<AggregateFunction>(found - names.begin());
  std::size_t open = all.offset + name_end;
  while (open < text.size() && is_space(text[open])) ++open;
  if (open == text.size() || text[open] != '(') {
    return Problem{name.offset, name.text.size(),
                   "'(' is expected after " + std::string(name.text)};
  }
  auto split = split_arguments(text, open);
  if (auto* problem = std::get_if<Problem>(&split)) return std::move(*problem);
  auto& [pieces, end] = std::get<Arguments>(split);
  if (pieces.size() == 1 && pieces.front().text.empty()) pieces.clear();
  const Piece rest = trimmed(text, end, text.size());
  if (!rest.text.empty()) {
    return Problem{rest.offset, rest.text.size(),
                   "nothing is expected after " + std::string(name.text) + "(...)"};
  }
  const Piece bracket{open, text.substr(open, end - open)};
  if (auto problem = check_arity(call.function, pieces, bracket)) return std::move(*problem);
  if (!pieces.empty()) {
    call.argument = pieces.front().text;
    call.argument_offset = pieces.front().offset;
  }
  if (pieces.size() < 2) return call;
  auto problem = call.function == AggregateFunction::Quantile ? read_quantile(pieces[1], call)
                                                              : read_limit(pieces[1], call);
  if (problem) return std::move(*problem);
  return call;
}

std::variant<ColumnType, Problem> result_type(const AggregateCall& call, ColumnType argument) {
  const bool is_number = argument == ColumnType::Int || argument == ColumnType::Double;
  switch (call.function) {
    case AggregateFunction::Count:
    case AggregateFunction::Distinct: return ColumnType::Int;
    case AggregateFunction::Rate: return ColumnType::Double;
    case AggregateFunction::Collect: return ColumnType::Text;
    case AggregateFunction::Min:
    case AggregateFunction::Max:
    case AggregateFunction::First:
    case AggregateFunction::Last: return argument;
    case AggregateFunction::Sum:
      if (is_number) return argument;
      break;
    default:
      if (is_number) return ColumnType::Double;
      break;
  }
  return Problem{call.argument_offset, call.argument.size(),
                 std::string(to_string(call.function)) + "() needs a number, and this is a " +
                     std::string(to_string(argument)),
                 argument == ColumnType::Text ? "int(x) reads one from a text" : ""};
}

}  // namespace sluice::analytics
