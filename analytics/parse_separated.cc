// Values one behind the other with a byte between them: CSV (RFC 4180) and TSV.

#include <cstring>
#include <utility>

#include "analytics/record_formats.h"
#include "analytics/record_row.h"
#include "analytics/scan.h"

namespace sluice::analytics {
namespace {

class SeparatedParser final : public RecordParser {
 public:
  SeparatedParser(std::vector<Schema::Field> fields, char delimiter, char quote)
      : RecordParser(std::move(fields)), delimiter_(delimiter), quote_(quote) {}

 private:
  bool read(std::string_view record, RecordRow& row) override {
    record = without_line_end(record);
    // An empty line is a value that is empty, where one is all there is; else too few.
    const char* at = record.data();
    const char* const end = at + record.size();
    const std::size_t count = fields().size();
    for (std::size_t field = 0;;) {
      const bool quoted = quote_ != '\0' && at != end && *at == quote_;
      const char* const stop =
          quoted ? read_quoted(at, end, field, row) : read_plain(at, end, field, row);
      if (stop == nullptr) return false;
      if (++field == count) return true;
      if (stop == end) return false;  // it ends early
      at = stop + 1;
    }
  }

  /// Returns where the value ends; nullptr: it is not of its type.
  const char* read_plain(const char* at, const char* end, std::size_t field,
                         RecordRow& row) const noexcept {
    const char* const stop = find_byte(at, end, delimiter_);
    return row.set_text(field, {at, static_cast<std::size_t>(stop - at)}) ? stop : nullptr;
  }

  /// Returns where the second quote ends; nullptr: there is none, something sticks to it, or the
  /// value is not of its type.
  const char* read_quoted(const char* at, const char* end, std::size_t field,
                          RecordRow& row) const {
    const char* const begin = ++at;
    bool doubled = false;
    for (;; at += 2) {
      at = find_byte(at, end, quote_);
      if (at == end) return nullptr;
      if (end - at < 2 || at[1] != quote_) break;
      doubled = true;
    }
    std::string_view text(begin, static_cast<std::size_t>(at - begin));
    if (++at != end && *at != delimiter_) return nullptr;
    if (doubled && row.wanted(field)) text = without_doubles(text, row.arena());
    return row.set_text(field, text) ? at : nullptr;
  }

  std::string_view without_doubles(std::string_view text, TextArena& arena) const {
    char* const begin = arena.room(text.size());
    char* out = begin;
    while (!text.empty()) {
      const char* const end = text.data() + text.size();
      const auto plain =
          static_cast<std::size_t>(find_byte(text.data(), end, quote_) - text.data());
      std::memcpy(out, text.data(), plain);
      out += plain;
      text.remove_prefix(plain);
      if (text.empty()) break;
      *out++ = quote_;
      text.remove_prefix(2);
    }
    return {begin, static_cast<std::size_t>(out - begin)};
  }

  const char delimiter_;
  const char quote_;
};

}  // namespace

MadeParser make_csv_parser(ParseOptions options) {
  if (options.delimiter == options.quote || options.delimiter == '\n' || options.quote == '\n') {
    return Problem{0, 1, "the delimiter and the quote of csv must be two bytes that end no line"};
  }
  return std::make_unique<SeparatedParser>(std::move(options.fields), options.delimiter,
                                           options.quote);
}

MadeParser make_tsv_parser(ParseOptions options) {
  return std::make_unique<SeparatedParser>(std::move(options.fields), '\t', '\0');
}

}  // namespace sluice::analytics
