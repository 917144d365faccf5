// Access logs in the common and the combined format, as Apache and nginx write them.

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <utility>

#include "analytics/escapes.h"
#include "analytics/record_formats.h"
#include "analytics/record_row.h"
#include "analytics/scan.h"

namespace sluice::analytics {
namespace {

enum Place : std::size_t { Ip, Ident, User, Time, Method, Path, Query, Protocol, Status, Bytes };
constexpr std::size_t common_fields = Bytes + 1;  // combined: referer, agent behind them
constexpr std::size_t combined_fields = common_fields + 2;

std::vector<Schema::Field> fields_of(bool combined, const std::vector<Schema::Field>& extra) {
  std::vector<Schema::Field> fields = {
      {"ip"},   {"ident"}, {"user"},     {"time", ColumnType::Int},   {"method"},
      {"path"}, {"query"}, {"protocol"}, {"status", ColumnType::Int}, {"bytes", ColumnType::Int}};
  if (combined) fields.insert(fields.end(), {{"referer"}, {"agent"}});
  fields.insert(fields.end(), extra.begin(), extra.end());
  return fields;
}

/// A number of two digits, or one above 99.
unsigned two_digits(const char* at) noexcept {
  const unsigned tens = static_cast<unsigned char>(at[0]) - unsigned{'0'};
  const unsigned ones = static_cast<unsigned char>(at[1]) - unsigned{'0'};
  return tens > 9 || ones > 9 ? 100 : tens * 10 + ones;
}

/// Reads "17/May/2015:10:05:03 +0000". Lines of one day and zone share the costly part.
class LogClock {
 public:
  static constexpr std::size_t text_bytes = 26;

  /// `text` has text_bytes. False: it is no time.
  bool read(const char* text, std::int64_t& time_ms) noexcept {
    if (std::memcmp(text, day_.data(), day_.size()) != 0 ||
        std::memcmp(text + 20, zone_.data(), zone_.size()) != 0) {
      if (!read_day(text)) return false;
    }
    const unsigned hour = two_digits(text + 12);
    const unsigned minute = two_digits(text + 15);
    const unsigned second = two_digits(text + 18);
    // 60: a leap second.
    if (hour > 23 || minute > 59 || second > 60 || text[14] != ':' || text[17] != ':') return false;
    time_ms = midnight_ms_ + ((hour * 60 + minute) * 60 + second) * std::int64_t{1000};
    return true;
  }

 private:
  bool read_day(const char* text) noexcept {
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const std::size_t month = months.find(std::string_view(text + 3, 3));
    const unsigned century = two_digits(text + 7);
    const unsigned year = two_digits(text + 9);
    if (month == std::string_view::npos || month % 3 != 0) return false;
    if (century > 99 || year > 99) return false;
    if (text[2] != '/' || text[6] != '/' || text[11] != ':' || text[20] != ' ') return false;
    const std::chrono::year_month_day day(std::chrono::year(static_cast<int>(century * 100 + year)),
                                          std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                                          std::chrono::day(two_digits(text)));
    const unsigned hours = two_digits(text + 22);
    const unsigned minutes = two_digits(text + 24);
    if (!day.ok() || hours > 23 || minutes > 59) return false;
    if (text[21] != '+' && text[21] != '-') return false;
    const std::chrono::minutes east(hours * 60 + minutes);
    const auto midnight = std::chrono::sys_days(day) - (text[21] == '+' ? east : -east);
    midnight_ms_ = std::chrono::milliseconds(midnight.time_since_epoch()).count();
    std::memcpy(day_.data(), text, day_.size());
    std::memcpy(zone_.data(), text + 20, zone_.size());
    return true;
  }

  std::array<char, 12> day_{};  ///< "17/May/2015:"; zeros match no text that is a time.
  std::array<char, 6> zone_{};  ///< " +0000".
  std::int64_t midnight_ms_ = 0;
};

/// What is left of a record.
struct Rest {
  const char* at;
  const char* end;

  bool skip(char byte) noexcept {
    if (at == end || *at != byte) return false;
    ++at;
    return true;
  }
  /// What stands before the next blank.
  std::string_view word() noexcept {
    const char* const begin = at;
    at = find_byte(at, end, ' ');
    return {begin, static_cast<std::size_t>(at - begin)};
  }
};

/// What stands between quotes.
struct Quoted {
  std::string_view text;
  bool escaped = false;  ///< It has a backslash.
};

/// False: there is no quote, or not both, or something sticks to the second one.
bool read_quoted(Rest& rest, Quoted& quoted) noexcept {
  if (!rest.skip('"')) return false;
  const char* at = rest.at;
  quoted.escaped = false;
  for (;;) {
    at = find_either(at, rest.end, '"', '\\');
    if (at == rest.end) return false;
    if (*at == '"') break;
    quoted.escaped = true;
    if (rest.end - at < 2) return false;
    at += 2;
  }
  quoted.text = {rest.at, static_cast<std::size_t>(at - rest.at)};
  rest.at = at + 1;
  return rest.at == rest.end || *rest.at == ' ';
}

/// Digits, or "-" for null. Up to 18, which is more than any answer has bytes.
bool read_digits(std::string_view word, std::size_t field, RecordRow& row) noexcept {
  if (word == "-") return true;
  if (word.empty() || word.size() > 18) return false;
  std::int64_t number = 0;
  for (const char c : word) {
    const unsigned digit = static_cast<unsigned char>(c) - unsigned{'0'};
    if (digit > 9) return false;
    number = number * 10 + digit;
  }
  row.set(field, Cell::of(number));
  return true;
}

void set_word(std::string_view word, std::size_t field, RecordRow& row) noexcept {
  if (word != "-") row.set(field, Cell::of(word));
}

void set_quoted(Quoted part, std::size_t field, RecordRow& row) {
  if (!row.wanted(field) || part.text == "-") return;
  row.set(field, Cell::of(part.escaped ? without_escapes(part.text, Escapes::Log, row.arena())
                                       : part.text));
}

bool is_method(std::string_view word) noexcept {
  for (const char c : word) {
    const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!letter && c != '-' && c != '_') return false;
  }
  return !word.empty();
}

/// "GET /path?query HTTP/1.1", or without a protocol, as HTTP/0.9 had it.
void set_request(Quoted request, RecordRow& row) {
  const bool target_wanted = row.wanted(Path) || row.wanted(Query);
  if (!target_wanted && !row.wanted(Method) && !row.wanted(Protocol)) return;
  const char* const begin = request.text.data();
  const char* end = begin + request.text.size();
  const char* const blank = find_byte(begin, end, ' ');
  const std::string_view method(begin, static_cast<std::size_t>(blank - begin));
  if (blank == end || !is_method(method)) return;
  const std::string_view behind(blank + 1, static_cast<std::size_t>(end - blank - 1));
  const std::size_t last_blank = behind.rfind(' ');
  row.set(Method, Cell::of(method));
  if (last_blank != std::string_view::npos && behind.substr(last_blank + 1).starts_with("HTTP/")) {
    set_quoted({behind.substr(last_blank + 1), request.escaped}, Protocol, row);
    end = behind.data() + last_blank;
  }
  if (!target_wanted) return;
  const char* const target = behind.data();
  const char* const mark = find_byte(target, end, '?');
  set_quoted({{target, static_cast<std::size_t>(mark - target)}, request.escaped}, Path, row);
  if (mark == end) return;
  const std::string_view query(mark + 1, static_cast<std::size_t>(end - mark - 1));
  set_quoted({query, request.escaped}, Query, row);
}

class AccessLogParser final : public RecordParser {
 public:
  AccessLogParser(bool combined, const std::vector<Schema::Field>& extra)
      : RecordParser(fields_of(combined, extra)),
        combined_(combined),
        first_extra_(combined ? combined_fields : common_fields),
        extra_(extra.size()) {}

 private:
  bool read(std::string_view record, RecordRow& row) override {
    record = without_line_end(record);
    Rest rest{record.data(), record.data() + record.size()};
    return read_client(rest, row) && read_time(rest, row) && read_request(rest, row) &&
           read_answer(rest, row) && (!combined_ || read_origin(rest, row)) &&
           read_extra(rest, row);
  }

  static bool read_client(Rest& rest, RecordRow& row) noexcept {
    const std::string_view ip = rest.word();
    if (ip.empty() || !rest.skip(' ')) return false;
    set_word(ip, Ip, row);
    const std::string_view ident = rest.word();
    if (ident.empty() || !rest.skip(' ')) return false;
    set_word(ident, Ident, row);
    // The one part that may have blanks and no quotes.
    const char* const begin = rest.at;
    for (;; ++rest.at) {
      rest.at = find_byte(rest.at, rest.end, ' ');
      if (rest.end - rest.at < 2) return false;
      if (rest.at[1] == '[') break;
    }
    const std::string_view user(begin, static_cast<std::size_t>(rest.at - begin));
    rest.at += 2;
    set_word(user, User, row);
    return !user.empty();
  }

  bool read_time(Rest& rest, RecordRow& row) noexcept {
    if (rest.end - rest.at < static_cast<std::ptrdiff_t>(LogClock::text_bytes)) return false;
    std::int64_t time_ms = 0;
    if (!clock_.read(rest.at, time_ms)) return false;
    rest.at += LogClock::text_bytes;
    row.set(Time, Cell::of(time_ms));
    return rest.skip(']') && rest.skip(' ');
  }

  static bool read_request(Rest& rest, RecordRow& row) {
    Quoted request;
    if (!read_quoted(rest, request)) return false;
    set_request(request, row);
    return rest.skip(' ');
  }

  static bool read_answer(Rest& rest, RecordRow& row) noexcept {
    return read_digits(rest.word(), Status, row) && rest.skip(' ') &&
           read_digits(rest.word(), Bytes, row);
  }

  static bool read_origin(Rest& rest, RecordRow& row) {
    Quoted part;
    for (std::size_t field = common_fields; field < combined_fields; ++field) {
      if (!rest.skip(' ') || !read_quoted(rest, part)) return false;
      set_quoted(part, field, row);
    }
    return true;
  }

  bool read_extra(Rest& rest, RecordRow& row) const {
    for (std::size_t field = first_extra_; field < first_extra_ + extra_; ++field) {
      if (!rest.skip(' ')) return false;
      Quoted part;
      if (rest.at == rest.end || *rest.at != '"') {
        part.text = rest.word();
        if (part.text.empty()) return false;
      } else if (!read_quoted(rest, part)) {
        return false;
      }
      if (row.type(field) == ColumnType::Text) {
        set_quoted(part, field, row);
      } else if (part.text != "-" && !row.set_text(field, part.text)) {
        return false;
      }
    }
    return true;
  }

  const bool combined_;
  const std::size_t first_extra_;
  const std::size_t extra_;
  LogClock clock_;
};

}  // namespace

MadeParser make_access_log_parser(ParseOptions options) {
  const bool combined = options.format == "combined";
  Problem problem = twice_named(fields_of(combined, options.extra));
  if (!problem.message.empty()) return problem;
  return std::make_unique<AccessLogParser>(combined, options.extra);
}

}  // namespace sluice::analytics
