// Keys with their values, in any order: kv and logfmt.

#include <algorithm>
#include <utility>

#include "analytics/escapes.h"
#include "analytics/record_formats.h"
#include "analytics/record_row.h"
#include "analytics/scan.h"

namespace sluice::analytics {
namespace {

/// A value between quotes, in which a backslash takes the byte behind it away from them. Advances
/// `rest` behind the second quote; false: there is none.
bool take_quoted(std::string_view& rest, char quote, std::string_view& value, bool& escaped) {
  const char* const begin = rest.data() + 1;
  const char* const end = rest.data() + rest.size();
  escaped = false;
  const char* at = begin;
  for (;;) {
    at = find_either(at, end, quote, '\\');
    if (at == end) return false;
    if (*at == quote) break;
    escaped = true;
    if (end - at < 2) return false;
    at += 2;
  }
  value = {begin, static_cast<std::size_t>(at - begin)};
  rest.remove_prefix(value.size() + 2);
  return true;
}

/// Sets the field of this name, if there is one. False: the value is not of its type.
bool set_value(FieldNames& names, std::string_view key, std::string_view value, RecordRow& row) {
  const std::size_t field = names.find(key);
  return field == FieldNames::none || row.set_text(field, value);
}

bool set_escaped(FieldNames& names, std::string_view key, std::string_view value, Escapes escapes,
                 RecordRow& row) {
  const std::size_t field = names.find(key);
  if (field == FieldNames::none) return true;
  if (row.type(field) == ColumnType::Text && !row.wanted(field)) return true;
  return row.set_text(field, without_escapes(value, escapes, row.arena()));
}

std::string_view without_blanks(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Pairs with separators of the user's choice. A word that is no pair is passed over.
class KvParser final : public RecordParser {
 public:
  explicit KvParser(ParseOptions options)
      : RecordParser(std::move(options.fields)),
        pair_separator_(std::move(options.pair_separator)),
        key_value_separator_(std::move(options.key_value_separator)),
        quote_(options.quote),
        names_(fields()) {}

 private:
  bool read(std::string_view record, RecordRow& row) override {
    std::string_view rest = without_line_end(record);
    std::size_t pairs = 0;
    while (!rest.empty()) {
      const std::size_t word_end = std::min(rest.find(pair_separator_), rest.size());
      // Not beyond the word: another pair's separator may be far away.
      const std::size_t key_end = rest.substr(0, word_end).find(key_value_separator_);
      if (key_end == std::string_view::npos) {
        rest.remove_prefix(std::min(word_end + pair_separator_.size(), rest.size()));
        continue;
      }
      const std::string_view key = without_blanks(rest.substr(0, key_end));
      rest.remove_prefix(key_end + key_value_separator_.size());
      if (!take_value(rest, key, row)) return false;
      ++pairs;
    }
    // A line of another kind is no record without values, but none at all.
    return pairs > 0;
  }

  bool take_value(std::string_view& rest, std::string_view key, RecordRow& row) {
    std::string_view value;
    if (!pair_separator_.starts_with(' ')) {
      while (rest.starts_with(' ')) rest.remove_prefix(1);
    }
    if (quote_ == '\0' || !rest.starts_with(quote_)) {
      value = rest.substr(0, rest.find(pair_separator_));
      rest.remove_prefix(std::min(value.size() + pair_separator_.size(), rest.size()));
      return set_value(names_, key, without_blanks(value), row);
    }
    bool escaped = false;
    if (!take_quoted(rest, quote_, value, escaped)) return false;
    const std::size_t next = rest.find(pair_separator_);
    if (!without_blanks(rest.substr(0, next)).empty()) return false;
    rest.remove_prefix(next == std::string_view::npos ? rest.size()
                                                      : next + pair_separator_.size());
    return escaped ? set_escaped(names_, key, value, Escapes::Quote, row)
                   : set_value(names_, key, value, row);
  }

  const std::string pair_separator_;
  const std::string key_value_separator_;
  const char quote_;
  FieldNames names_;
};

/// key=value with blanks between, as Heroku and Go's loggers write it. A key alone is true.
class LogfmtParser final : public RecordParser {
 public:
  explicit LogfmtParser(std::vector<Schema::Field> fields)
      : RecordParser(std::move(fields)), names_(this->fields()) {}

 private:
  static bool is_blank(char c) noexcept { return static_cast<unsigned char>(c) <= ' '; }

  bool read(std::string_view record, RecordRow& row) override {
    std::string_view rest = record;
    std::size_t keys = 0;
    for (;;) {
      while (!rest.empty() && is_blank(rest.front())) rest.remove_prefix(1);
      if (rest.empty()) return keys > 0;
      std::size_t end = 0;
      while (end < rest.size() && !is_blank(rest[end]) && rest[end] != '=' && rest[end] != '"') {
        ++end;
      }
      const std::string_view key = rest.substr(0, end);
      rest.remove_prefix(end);
      if (key.empty() || rest.starts_with('"')) return false;
      ++keys;
      if (rest.starts_with('=')) {
        rest.remove_prefix(1);
        if (!take_value(rest, key, row)) return false;
      } else {
        set_truth(key, row);
      }
    }
  }

  bool take_value(std::string_view& rest, std::string_view key, RecordRow& row) {
    std::string_view value;
    if (!rest.starts_with('"')) {
      std::size_t end = 0;
      while (end < rest.size() && !is_blank(rest[end])) ++end;
      value = rest.substr(0, end);
      rest.remove_prefix(end);
      return set_value(names_, key, value, row);
    }
    bool escaped = false;
    if (!take_quoted(rest, '"', value, escaped)) return false;
    if (!rest.empty() && !is_blank(rest.front())) return false;
    return escaped ? set_escaped(names_, key, value, Escapes::Logfmt, row)
                   : set_value(names_, key, value, row);
  }

  void set_truth(std::string_view key, RecordRow& row) noexcept {
    const std::size_t field = names_.find(key);
    if (field == FieldNames::none) return;
    if (row.type(field) == ColumnType::Bool) {
      row.set(field, Cell::of(true));
    } else {
      row.set_null(field);
    }
  }

  FieldNames names_;
};

}  // namespace

MadeParser make_kv_parser(ParseOptions options) {
  if (options.pair_separator.empty() || options.key_value_separator.empty()) {
    return Problem{0, 0, "the separators of kv must not be empty"};
  }
  if (options.pair_separator == options.key_value_separator) {
    return Problem{0, options.pair_separator.size(), "the separators of kv must differ"};
  }
  return std::make_unique<KvParser>(std::move(options));
}

MadeParser make_logfmt_parser(ParseOptions options) {
  return std::make_unique<LogfmtParser>(std::move(options.fields));
}

}  // namespace sluice::analytics
