#include "sinks/bucket_path.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/base/host_name.h"
#include "core/base/time_escapes.h"

namespace sluice {
namespace {

constexpr std::string_view timestamp_header = "timestamp";
constexpr std::size_t component_bytes_max = 255;  // of every file system that matters
constexpr std::ptrdiff_t hadoop_depth_max = 990;
constexpr std::size_t path_bytes_max = 4000;

constexpr bool is_word(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
constexpr bool is_header_name(char c) noexcept { return is_word(c) || c == '.' || c == '-'; }

constexpr std::int64_t floor_div(std::int64_t value, std::int64_t by) noexcept {
  return value / by - (value % by < 0 ? 1 : 0);
}
constexpr std::int64_t floor_mod(std::int64_t value, std::int64_t by) noexcept {
  return value - floor_div(value, by) * by;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

Result<std::unique_ptr<BucketPath>> BucketPath::make(Options options) {
  std::unique_ptr<BucketPath> made(new BucketPath(std::move(options)));
  made->step_seconds_ = time_step_max;
  if (Status status = made->parse(made->options_.path, "path", made->path_); !status.ok()) {
    return status;
  }
  if (Status status = made->parse(made->options_.prefix, "file prefix", made->name_);
      !status.ok()) {
    return status;
  }
  return made;
}

Status BucketPath::parse(const std::string& text, const char* what, Template& pieces) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t percent = std::min(rest.find('%'), rest.size());
    if (percent > 0) {
      pieces.push_back({.text = std::string(rest.substr(0, percent))});
      rest.remove_prefix(percent);
      continue;
    }
    if (Status status = add_escape(rest, what, pieces); !status.ok()) return status;
  }
  return {};
}

/// `rest` begins with a percent sign and loses what is read.
Status BucketPath::add_escape(std::string_view& rest, const char* what, Template& pieces) {
  const char next = rest.size() > 1 ? rest[1] : '\0';
  if (next == '{' || next == '[') {
    const std::size_t end = rest.find(next == '{' ? '}' : ']', 2);
    if (end == rest.npos) {
      return Invalid(std::string("the ") + what +
                     " has an escape without an end: " + std::string(rest.substr(0, 40)));
    }
    const std::string_view inside = rest.substr(2, end - 2);
    rest.remove_prefix(end + 1);
    return add_named(inside, next, what, pieces);
  }
  if (next == '%') {
    pieces.push_back({.text = "%"});
  } else if (is_word(next)) {
    add_letter(next, what, pieces);
  } else {
    pieces.push_back({.text = "%"});  // it stands for itself, as in Flume
    rest.remove_prefix(1);
    return {};
  }
  rest.remove_prefix(2);
  return {};
}

Status BucketPath::add_named(std::string_view inside, char opening, const char* what,
                             Template& pieces) {
  const std::string name(inside);
  if (opening == '{') {
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_header_name)) {
      return Invalid(std::string("the ") + what + " has %{" + name +
                     "}, which names no header: letters, digits and _ . - may stand there");
    }
    const auto known = std::find_if(headers_.begin(), headers_.end(),
                                    [&](const Header& each) { return each.name == name; });
    const auto slot = static_cast<std::size_t>(known - headers_.begin());
    if (known == headers_.end()) headers_.push_back({name, {}});
    pieces.push_back({.kind = Kind::Header, .slot = slot});
    return {};
  }
  const std::string lower = lower_case(name);
  if (lower == "localhost") {
    pieces.push_back({.kind = Kind::HostName});
  } else if (lower == "ip") {
    pieces.push_back({.kind = Kind::Address});
  } else if (lower == "fqdn") {
    pieces.push_back({.kind = Kind::Fqdn});
  } else {
    return Invalid(std::string("the ") + what + " has %[" + name +
                   "]; there are %[localhost], %[ip] and %[fqdn]");
  }
  return {};
}

void BucketPath::add_letter(char letter, const char* what, Template& pieces) {
  if (letter == 't') {
    uses_time_ = uses_timestamp_text_ = true;
    pieces.push_back({.kind = Kind::Timestamp});
    return;
  }
  const std::int64_t step = time_step_of(letter);
  if (step == 0) {
    warnings_.push_back(std::string("%") + letter + " in the " + what +
                        " is no escape that Flume knows, so nothing stands in its place");
    return;
  }
  uses_time_ = true;
  step_seconds_ = std::min(step_seconds_, step);
  pieces.push_back({.kind = Kind::Time, .letter = letter});
}

BucketPath::Answer BucketPath::find(const HeaderView& headers, std::int64_t now_ms) {
  bool changed = !valid_;
  valid_ = false;
  if (uses_time_ && !see_time(headers, now_ms, changed)) return Answer::Refuse;
  if (see_headers(headers)) changed = true;
  if (changed) {
    from_headers_.clear();
    key_.clear();
    render(path_, key_);
    key_ += '/';
    render(name_, key_);
    if (!check()) return Answer::Refuse;
    const std::size_t slash = key_.rfind('/');
    directory_.assign(key_, 0, slash);
    prefix_.assign(key_, slash + 1);
  }
  valid_ = true;
  return changed ? Answer::Other : Answer::Same;
}

BucketPath::Answer BucketPath::refuse(std::string why) {
  why_ = std::move(why);
  return Answer::Refuse;
}

/// True when one of them is another than the last event's.
bool BucketPath::see_headers(const HeaderView& headers) {
  bool changed = false;
  for (Header& each : headers_) {
    std::string_view value;
    if (!headers.find(each.name, value)) value = {};
    if (each.value == value) continue;
    each.value = value;
    changed = true;
  }
  return changed;
}

/// False: it has none.
bool BucketPath::see_time(const HeaderView& headers, std::int64_t now_ms, bool& changed) {
  std::int64_t ms = now_ms;
  std::array<char, 24> now_text{};
  std::string_view text;
  if (options_.local_time) {
    if (uses_timestamp_text_) {
      text = {now_text.data(),
              static_cast<std::size_t>(
                  std::to_chars(now_text.data(), now_text.data() + now_text.size(), now_ms).ptr -
                  now_text.data())};
    }
  } else {
    if (!headers.find(timestamp_header, text)) {
      refuse("the path needs the event's header timestamp, which it has not");
      return false;
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
    if (error != std::errc() || end != text.data() + text.size()) {
      refuse("the event's header timestamp is no number of milliseconds");
      return false;
    }
  }
  if (uses_timestamp_text_ && timestamp_ != text) {
    timestamp_ = text;
    changed = true;
  }
  const std::int64_t seconds = floor_div(ms, 1000);
  if (seconds < same_from_ || seconds >= same_to_) {
    constexpr std::int64_t seconds_max = 253'402'300'799;  // the end of the year 9999
    if (seconds > seconds_max || seconds < -seconds_max) {
      refuse("the event's header timestamp is out of all bounds");
      return false;
    }
    see_moment(seconds);
    changed = true;
  }
  return true;
}

void BucketPath::see_moment(std::int64_t seconds) {
  const int offset = options_.zone.at(seconds).offset_seconds;
  same_from_ = seconds - floor_mod(seconds + offset, step_seconds_);
  same_to_ = same_from_ + step_seconds_;
  rounded_seconds_ = rounded(seconds);
  time_ = options_.zone.at(rounded_seconds_);
}

std::int64_t BucketPath::rounded(std::int64_t seconds) const {
  const RoundDown& round = options_.round;
  if (round.unit == RoundDown::Unit::Never) return seconds;
  CivilTime time = options_.zone.at(seconds);
  if (round.unit == RoundDown::Unit::Second) return seconds - time.second % round.value;
  const int within_minute = time.second;
  if (round.unit == RoundDown::Unit::Minute) {
    return seconds - within_minute - std::int64_t{60} * (time.minute % round.value);
  }
  const int hours = time.hour % round.value;
  // Within the hour there is nothing to ask the calendar for, which could take one of two.
  if (hours == 0) return seconds - within_minute - std::int64_t{60} * time.minute;
  time.hour -= hours;
  time.minute = time.second = 0;
  return options_.zone.seconds_of(time);
}

void BucketPath::render(const Template& pieces, std::string& out) {
  for (const Piece& piece : pieces) {
    const std::size_t begin = out.size();
    switch (piece.kind) {
      case Kind::Literal: out += piece.text; continue;
      case Kind::Header: out += headers_[piece.slot].value; break;
      case Kind::Timestamp: out += timestamp_; break;
      case Kind::Time: append_time(piece.letter, time_, rounded_seconds_, out); continue;
      case Kind::HostName:
      case Kind::Address:
      case Kind::Fqdn: out += host_text(piece.kind); continue;
    }
    from_headers_.push_back({begin, out.size()});
  }
}

/// Asked for once, and only where the path has it: a name server may take its time.
const std::string& BucketPath::host_text(Kind kind) {
  const auto index = static_cast<std::size_t>(kind) - static_cast<std::size_t>(Kind::HostName);
  std::string& text = host_texts_[index];
  if (!text.empty()) return text;
  if (kind == Kind::HostName) text = own_host_name();
  if (kind == Kind::Address) text = local_address();
  if (kind == Kind::Fqdn) text = local_host_name();
  if (text.empty()) text = "localhost";
  return text;
}

/// False when what was rendered is no path that an event may ask for.
bool BucketPath::check() {
  const auto made_by_header = [this](std::size_t begin, std::size_t end) {
    return std::any_of(from_headers_.begin(), from_headers_.end(),
                       [&](const Part& part) { return part.begin < end && begin < part.end; });
  };
  if (key_.find('\0') != key_.npos) {
    refuse("a header in the path holds a byte 0");
    return false;
  }
  const auto depth = std::count(key_.begin(), key_.end(), '/');
  if (options_.hadoop_names && depth > hadoop_depth_max) {
    refuse("Hadoop takes no more than 1000 directories in each other");
    return false;
  }
  if (key_.size() > path_bytes_max) {
    refuse("the path would be longer than " + std::to_string(path_bytes_max) + " bytes");
    return false;
  }
  for (std::size_t begin = 0; begin <= key_.size();) {
    const std::size_t end = std::min(key_.find('/', begin), key_.size());
    const std::string_view component = std::string_view(key_).substr(begin, end - begin);
    if (component == ".." && made_by_header(begin, end)) {
      refuse("a header would lead out of its directory by \"..\"");
      return false;
    }
    const bool reserved = component == "." || component == ".." || component == ".snapshot" ||
                          component == ".reserved" || component.find(':') != component.npos;
    if (options_.hadoop_names && reserved) {
      refuse("Hadoop takes no name \"" + std::string(component) + "\"");
      return false;
    }
    const std::size_t beside = end == key_.size() ? options_.bytes_beside : 0;
    if (component.size() + beside > component_bytes_max) {
      refuse("a name in the path would be longer than 255 bytes");
      return false;
    }
    begin = end + 1;
  }
  return true;
}

}  // namespace sluice
