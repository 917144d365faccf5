#include "sinks/batch_query.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "analytics/aggregate_call.h"
#include "core/base/nearest_name.h"
#include "sinks/batch_output.h"

namespace sluice {
namespace {

using analytics::AggregateCall;
using analytics::AggregateFunction;

/// A piece of the query, and where it begins in it.
struct Piece {
  std::string_view text;
  std::size_t offset = 0;
};

bool is_blank(char c) { return c == ' ' || c == '\t'; }

Piece trimmed(Piece piece) {
  while (!piece.text.empty() && is_blank(piece.text.front())) {
    piece.text.remove_prefix(1);
    ++piece.offset;
  }
  while (!piece.text.empty() && is_blank(piece.text.back())) piece.text.remove_suffix(1);
  return piece;
}

/// Cuts where `ends(character)`, but not within quotes and brackets.
template <typename Ends>
std::vector<Piece> cut(Piece piece, Ends ends) {
  std::vector<Piece> pieces;
  std::size_t begin = 0;
  char quote = 0;
  int brackets = 0;
  const auto add = [&](std::size_t end) {
    pieces.push_back({piece.text.substr(begin, end - begin), piece.offset + begin});
    begin = end + 1;
  };
  for (std::size_t i = 0; i < piece.text.size(); ++i) {
    const char c = piece.text[i];
    if (quote != 0) {
      if (c == '\\') ++i;
      if (c == quote) quote = 0;
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == '(' || c == ')') {
      brackets += c == '(' ? 1 : -1;
    } else if (brackets <= 0 && ends(c)) {
      add(i);
    }
  }
  add(piece.text.size());
  return pieces;
}

/// Where a quote begins that nothing ends, and that holds stages together which were not meant to
/// be one; npos: nowhere.
std::size_t open_quote(std::string_view text) {
  std::size_t begin = text.npos;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (begin != text.npos) {
      if (c == '\\') ++i;
      if (c == text[begin]) begin = text.npos;
    } else if (c == '\'' || c == '"') {
      begin = i;
    }
  }
  return text.find('|', begin) == text.npos ? text.npos : begin;
}

std::vector<Piece> words_of(Piece piece) {
  auto words = cut(piece, is_blank);
  std::erase_if(words, [](const Piece& word) { return word.text.empty(); });
  return words;
}

std::string unquoted(std::string_view text) {
  const bool quoted = text.size() >= 2 && (text.front() == '"' || text.front() == '\'') &&
                      text.back() == text.front();
  return std::string(quoted ? text.substr(1, text.size() - 2) : text);
}

bool is_name(std::string_view text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
         });
}

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
}

/// What a result is called that nobody named: n, sum_bytes, p99, visitors are named by people.
std::string name_of(const AggregateCall& call) {
  const std::string function(to_string(call.function));
  if (call.function == AggregateFunction::Count) return "n";
  if (call.function == AggregateFunction::Quantile) {
    std::string digits = std::to_string(call.quantile * 100);
    digits.erase(digits.find_last_not_of('0') + 1);
    std::replace(digits.begin(), digits.end(), '.', '_');
    if (digits.ends_with('_')) digits.pop_back();
    return "p" + digits;
  }
  return is_name(call.argument) ? function + "_" + call.argument : function;
}

class QueryWriter {
 public:
  explicit QueryWriter(std::vector<Finding>& findings) : findings_(findings) {}

  std::vector<LongForm> write(std::string_view text) {
    if (const std::size_t quote = open_quote(text); quote != text.npos) {
      wrong({text.substr(quote), quote}, "this quote is not closed",
            "the bars behind it are in it");
      return {};
    }
    for (const Piece& stage : cut({text, 0}, [](char c) { return c == '|'; })) {
      if (!this->stage(trimmed(stage))) return {};
    }
    finish_list("steps", steps_);
    finish_list("outputs", outputs_);
    return std::move(all_);
  }

 private:
  using Words = std::vector<Piece>;
  bool wrong(const Piece& where, std::string message, std::string hint = {}) {
    findings_.push_back(
        {Severity::Error, "query", std::move(message), std::move(hint), where.offset});
    return false;
  }

  void finish_list(const std::string& list, const std::vector<std::string>& names) {
    std::string words;
    for (const std::string& name : names) words += (words.empty() ? "" : " ") + name;
    if (!words.empty()) all_.push_back({list, words, 0});
  }

  /// Begins a part of a list; what set() says is about it.
  void begin(const std::string& list, std::vector<std::string>& names, std::string_view type,
             const Piece& where) {
    std::string name(type);
    for (int i = 2; std::find(names.begin(), names.end(), name) != names.end(); ++i) {
      name = std::string(type) + std::to_string(i);
    }
    names.push_back(name);
    stem_ = list + "." + name + ".";
    all_.push_back({stem_ + "type", std::string(type), where.offset});
  }
  void begin_step(std::string_view type, const Piece& where) {
    begin("steps", steps_, type, where);
  }
  void set(const std::string& key, std::string value, const Piece& where) {
    all_.push_back({stem_ + key, std::move(value), where.offset});
  }

  /// Takes words `key=value` out of the others.
  void set_all(Words& words) {
    std::erase_if(words, [this](const Piece& word) {
      const std::size_t equals = word.text.find('=');
      if (equals == std::string_view::npos || !is_name(word.text.substr(0, equals))) return false;
      set(std::string(word.text.substr(0, equals)), unquoted(word.text.substr(equals + 1)),
          {word.text, word.offset + equals + 1});
      return true;
    });
  }
  /// Takes "NAME WORD" out of the others.
  static std::optional<Piece> take(Words& words, std::string_view name) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i].text != name) continue;
      const Piece value = words[i + 1];
      words.erase(words.begin() + static_cast<std::ptrdiff_t>(i),
                  words.begin() + static_cast<std::ptrdiff_t>(i) + 2);
      return value;
    }
    return std::nullopt;
  }
  bool nothing_more(const Words& words) {
    if (words.empty()) return true;
    return wrong(words.front(), "nothing is known of '" + std::string(words.front().text) + "'",
                 "other keys are written key=value");
  }

  bool stage(const Piece& text);
  bool output(std::string_view type, Words words, const Piece& where);
  bool parse(Words words, const Piece& where);
  bool split(Words words, const Piece& where);
  bool rename(Words words, const Piece& where);
  bool window(std::string_view kind, Words words, const Piece& where);
  bool aggregate(const Piece& text);
  bool state(std::string_view mode, Words words, const Piece& where);
  bool order(std::string_view type, Words words, const Piece& where);
  bool expression(std::string_view type, const Piece& rest, const Piece& where);
  bool assign(const Piece& rest, const Piece& where);
  bool unknown(const Piece& word);

  std::vector<Finding>& findings_;
  std::vector<LongForm> all_;
  std::vector<std::string> steps_;
  std::vector<std::string> outputs_;
  std::string stem_;
  /// Of the last aggregation: its results by name, and the columns of its groups.
  std::vector<std::pair<std::string, AggregateFunction>> results_;
  std::vector<std::string> groups_;
};

constexpr std::string_view stage_names[] = {
    "parse",   "split", "set",   "drop",    "rename",  "where", "filter", "having", "window",
    "session", "rows",  "count", "running", "changes", "top",   "sort",   "limit"};

bool QueryWriter::stage(const Piece& text) {
  Words words = words_of(text);
  if (words.empty()) return wrong(text, "a stage of the query is empty");
  const Piece first = words.front();
  const std::string_view verb = first.text;
  const bool calls =
      verb.find('(') != std::string_view::npos || verb.substr(0, verb.find(',')) == "count";
  words.erase(words.begin());
  const std::size_t rest_at = words.empty() ? text.text.size() : words[0].offset - text.offset;
  const Piece rest{text.text.substr(rest_at), text.offset + rest_at};
  const auto types = batch_output_types();
  const bool is_output = std::any_of(types.begin(), types.end(),
                                     [&](const auto* type) { return type->alias == verb; });
  if (is_output) return output(verb, std::move(words), first);
  if (!outputs_.empty()) return wrong(first, "no step comes behind an output");
  if (calls) return aggregate(text);
  if (verb == "parse") return parse(std::move(words), first);
  if (verb == "split") return split(std::move(words), first);
  if (verb == "set") return assign(rest, first);
  if (verb == "drop") {
    if (rest.text.empty()) return wrong(first, "drop needs the columns that go");
    begin_step("map", first);
    set("drop", std::string(rest.text), rest);
    return true;
  }
  if (verb == "rename") return rename(std::move(words), first);
  if (verb == "where" || verb == "filter") return expression("filter", rest, first);
  if (verb == "having") return expression("having", rest, first);
  if (verb == "window" || verb == "session" || verb == "rows") {
    return window(verb, std::move(words), first);
  }
  if (verb == "running" || verb == "changes") return state(verb, std::move(words), first);
  if (verb == "top" || verb == "sort" || verb == "limit") {
    return order(verb, std::move(words), first);
  }
  return unknown(first);
}

bool QueryWriter::unknown(const Piece& word) {
  std::vector<std::string_view> known(std::begin(stage_names), std::end(stage_names));
  for (const auto* type : batch_output_types()) known.push_back(type->alias);
  const std::string_view near = nearest_name(word.text, known);
  std::string all;
  for (const std::string_view each : known) {
    all += (all.empty() ? "" : ", ");
    all += each;
  }
  return wrong(word, "no stage is called '" + std::string(word.text) + "'",
               near.empty() ? "there are: " + all : "did you mean '" + std::string(near) + "'?");
}

bool QueryWriter::output(std::string_view type, Words words, const Piece& where) {
  begin("outputs", outputs_, type, where);
  if (!steps_.empty()) set("input", steps_.back(), where);
  set_all(words);
  // Keys that need no name, in this order.
  using Names = std::vector<std::string>;
  static const std::map<std::string_view, Names> plain = {{"channel", {"channel", "format"}},
                                                          {"file", {"prefix", "format"}}};
  if (type == "print") {
    for (const Piece& word : std::exchange(words, {})) {
      set(is_number(word.text) ? "num" : "style", unquoted(word.text), word);
    }
  } else if (const auto found = plain.find(type); found != plain.end()) {
    for (const std::string& key : found->second) {
      if (words.empty()) break;
      set(key, unquoted(words.front().text), words.front());
      words.erase(words.begin());
    }
  }
  return nothing_more(words);
}

bool QueryWriter::parse(Words words, const Piece& where) {
  if (words.empty()) return wrong(where, "parse needs a format", "write parse json a b:int");
  begin_step("parse", where);
  set("format", std::string(words.front().text), words.front());
  const bool by_pattern = words.front().text == "regex";
  words.erase(words.begin());
  set_all(words);
  if (by_pattern && !words.empty()) {
    set("pattern", unquoted(words.front().text), words.front());
    words.erase(words.begin());
  }
  if (words.empty()) return true;
  std::string fields;
  for (const Piece& word : words) {
    fields += fields.empty() ? "" : " ";
    fields += word.text;
  }
  set("fields", fields, words.front());
  return true;
}

bool QueryWriter::split(Words words, const Piece& where) {
  begin_step("split", where);
  set_all(words);
  for (const char* key : {"as", "from"}) {
    if (const auto value = take(words, key)) set(key, std::string(value->text), *value);
  }
  if (!words.empty()) {
    set("on", unquoted(words.front().text), words.front());
    words.erase(words.begin());
  }
  return nothing_more(words);
}

bool QueryWriter::rename(Words words, const Piece& where) {
  if (words.size() != 2) return wrong(where, "rename needs the old name and the new one");
  begin_step("map", where);
  set("rename." + std::string(words[0].text), std::string(words[1].text), words[1]);
  return true;
}

bool QueryWriter::expression(std::string_view type, const Piece& rest, const Piece& where) {
  if (rest.text.empty()) return wrong(where, "a condition is missing");
  begin_step(type, where);
  set("where", std::string(rest.text), rest);
  return true;
}

bool QueryWriter::assign(const Piece& rest, const Piece& where) {
  const std::size_t equals = rest.text.find('=');
  const Piece name = trimmed({rest.text.substr(0, equals), rest.offset});
  if (equals == std::string_view::npos || !is_name(name.text)) {
    return wrong(where, "set needs a name and an expression", "write set course = expression");
  }
  const Piece value = trimmed({rest.text.substr(equals + 1), rest.offset + equals + 1});
  if (value.text.empty()) return wrong(where, "set needs a name and an expression");
  begin_step("map", where);
  set("set." + std::string(name.text), std::string(value.text), value);
  return true;
}

bool QueryWriter::window(std::string_view kind, Words words, const Piece& where) {
  if (words.empty()) {
    return wrong(where, std::string(kind) + " needs to know how long, or how many",
                 "write window 30s slide 10s, session 30m, or rows 100");
  }
  begin_step("window", where);
  const bool counts = kind == "rows";
  if (kind == "session") set("kind", "session", where);
  if (counts) set("kind", "count", where);
  set_all(words);
  if (const auto slide = take(words, "slide")) {
    set(counts ? "slideRows" : "slide", std::string(slide->text), *slide);
  }
  if (const auto on = take(words, "on")) {
    set("time", "event", *on);
    set("timestamp", std::string(on->text), *on);
  }
  if (words.empty()) return wrong(where, std::string(kind) + " needs to know how long");
  set(counts              ? "rows"
      : kind == "session" ? "gap"
                          : "length",
      std::string(words.front().text), words.front());
  words.erase(words.begin());
  return nothing_more(words);
}

bool QueryWriter::aggregate(const Piece& text) {
  begin_step("aggregate", text);
  results_.clear();
  groups_.clear();
  for (const Piece& each : cut(text, [](char c) { return c == ','; })) {
    if (!results_.empty() && !groups_.empty()) {
      return wrong(each, "columns behind 'by' are separated by blanks");
    }
    Words words = words_of(each);
    if (words.empty()) return wrong(each, "a function is missing");
    set_all(words);
    const auto by = std::find_if(words.begin(), words.end(),
                                 [](const Piece& word) { return word.text == "by"; });
    if (by != words.end()) {
      std::string columns;
      for (auto word = by + 1; word != words.end(); ++word) {
        groups_.emplace_back(word->text);
        columns += (columns.empty() ? "" : " ") + groups_.back();
      }
      if (groups_.empty()) return wrong(*by, "columns are missing behind 'by'");
      set("by", columns, by[1]);
      words.erase(by, words.end());
    }
    const auto as = take(words, "as");
    if (words.empty()) return wrong(each, "a function is missing");
    const Piece call = words.front();
    const Piece whole{
        text.text.substr(call.offset - text.offset,
                         words.back().offset + words.back().text.size() - call.offset),
        call.offset};
    const std::string function = whole.text == "count" ? "count()" : std::string(whole.text);
    const auto read = analytics::read_aggregate(function);
    if (const auto* problem = std::get_if<analytics::Problem>(&read)) {
      return wrong({whole.text, whole.offset + problem->offset}, problem->message, problem->hint);
    }
    const auto& known = std::get<AggregateCall>(read);
    const std::string name = as ? std::string(as->text) : name_of(known);
    if (std::any_of(results_.begin(), results_.end(),
                    [&](const auto& result) { return result.first == name; })) {
      return wrong(whole, "two results are called '" + name + "'", "write as NAME behind one");
    }
    results_.emplace_back(name, known.function);
    set("agg." + results_.back().first, function, whole);
  }
  return true;
}

bool QueryWriter::state(std::string_view mode, Words words, const Piece& where) {
  if (results_.empty()) {
    return wrong(where, "'" + std::string(mode) + "' goes on with what an aggregation has counted",
                 "put count by word, or another one, in front of it");
  }
  begin_step("state", where);
  set("mode", std::string(mode), where);
  set_all(words);
  for (const auto& [name, function] : results_) {
    std::string merge(to_string(function));
    if (function == AggregateFunction::Count) merge = "sum";
    constexpr std::array<std::string_view, 5> known = {"sum", "min", "max", "first", "last"};
    if (std::find(known.begin(), known.end(), merge) == known.end()) {
      return wrong(where, "results of " + merge + " of several batches do not make one of all",
                   "count, sum, min, max, first and last do");
    }
    set("merge." + name, merge, where);
  }
  return nothing_more(words);
}

bool QueryWriter::order(std::string_view type, Words words, const Piece& where) {
  begin_step(type, where);
  set_all(words);
  if (type != "sort" && !words.empty() && is_number(words.front().text)) {
    set("n", std::string(words.front().text), words.front());
    words.erase(words.begin());
  }
  if (type == "limit") return nothing_more(words);
  if (!words.empty() && words.front().text == "by") words.erase(words.begin());
  std::string columns;
  for (const Piece& word : words) {
    columns += columns.empty() ? "" : " ";
    columns += word.text;
  }
  if (columns.empty()) {
    if (results_.empty()) return wrong(where, "it needs the columns to order by");
    columns = "-" + results_.front().first;
    for (const std::string& group : groups_) columns += " " + group;
  }
  set("order", columns, words.empty() ? where : words.front());
  return true;
}

}  // namespace

std::vector<LongForm> write_out_query(std::string_view text, std::vector<Finding>& findings) {
  return QueryWriter(findings).write(text);
}

}  // namespace sluice
