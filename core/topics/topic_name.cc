#include "core/topics/topic_name.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/base/host_name.h"
#include "core/base/nearest_name.h"
#include "core/base/time_escapes.h"
#include "core/config/diagnostics.h"
#include "core/kafka/producer.h"

namespace sluice {
namespace {

constexpr std::string_view timestamp_header = "timestamp";
constexpr std::int64_t seconds_max = 253'402'300'799;  // the end of the year 9999

constexpr bool is_word(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/// Each is asked for once: a name server may take its time.
const std::string& host_name() {
  static const std::string name = own_host_name();
  return name;
}
const std::string& host_address() {
  static const std::string address = local_address();
  return address;
}
const std::string& canonical_host_name() {
  static const std::string name = local_host_name();
  return name;
}

constexpr std::int64_t floor_seconds(std::int64_t ms) noexcept {
  return ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
}

}  // namespace

Result<KafkaTopicName> KafkaTopicName::make(std::string_view text, bool may_have_escapes) {
  KafkaTopicName name;
  if (!may_have_escapes) {
    name.add_literal(text);
    if (is_kafka_topic_name(text)) return name;
    if (text.find('%') != text.npos) {
      return Invalid("escapes are looked at only with allowTopicOverride = true, as in Flume");
    }
  } else {
    if (Status status = name.parse(text); !status.ok()) return status;
    // With a letter for what is known only later, it must be a name that a topic can have.
    std::string sample;
    for (const Piece& each : name.pieces_) {
      if (each.kind == Kind::Literal) {
        sample += each.text;
      } else if (each.kind == Kind::Time) {
        append_time(each.letter, CivilTime(), 0, sample);
      } else {
        sample += 'x';
      }
    }
    if (is_kafka_topic_name(sample)) return name;
  }
  return Invalid("no topic can have this name: 1 to 249 letters, digits, '.', '_' and '-'");
}

Status KafkaTopicName::parse(std::string_view text) {
  while (!text.empty()) {
    const std::size_t percent = std::min(text.find('%'), text.size());
    add_literal(text.substr(0, percent));
    text.remove_prefix(percent);
    if (text.empty()) break;
    if (Status status = add_escape(text); !status.ok()) return status;
  }
  return {};
}

/// `rest` begins with a percent sign and loses what is read.
Status KafkaTopicName::add_escape(std::string_view& rest) {
  const char next = rest.size() > 1 ? rest[1] : '\0';
  if (next != '{' && next != '[') {
    // A percent sign stands for itself, and no topic has one in its name.
    if (!is_word(next)) return Invalid("no topic can have a '%' in its name");
    rest.remove_prefix(2);
    return add_letter(next);
  }
  const std::size_t end = rest.find(next == '{' ? '}' : ']', 2);
  if (end == rest.npos) return Invalid("it has an escape without an end: " + std::string(rest));
  const std::string_view inside = rest.substr(2, end - 2);
  rest.remove_prefix(end + 1);
  if (next == '{') {
    pieces_.push_back({.kind = Kind::Header, .text = std::string(inside)});
  } else if (equal_ignoring_case(inside, "localhost")) {
    pieces_.push_back({.kind = Kind::HostName});
  } else if (equal_ignoring_case(inside, "ip")) {
    pieces_.push_back({.kind = Kind::Address});
  } else if (equal_ignoring_case(inside, "fqdn")) {
    pieces_.push_back({.kind = Kind::Fqdn});
  } else {
    return Invalid("it has %[" + std::string(inside) +
                   "]; there are %[localhost], %[ip] and %[fqdn]");
  }
  return {};
}

Status KafkaTopicName::add_letter(char letter) {
  if (letter != 't' && time_step_of(letter) == 0) {
    warnings_.push_back(std::string("%") + letter +
                        " is no escape that Flume knows, so nothing stands in its place");
    return {};
  }
  pieces_.push_back({.kind = letter == 't' ? Kind::Timestamp : Kind::Time, .letter = letter});
  if (zone_) return {};
  auto zone = TimeZone::find("");
  if (!zone.ok()) return zone.status();
  zone_ = *std::move(zone);
  return {};
}

void KafkaTopicName::add_literal(std::string_view text) {
  if (!text.empty()) pieces_.push_back({.text = std::string(text)});
}

Status KafkaTopicName::append_for(const HeaderView& headers, std::string& out) const {
  if (!zone_) {
    append(headers, {}, out);
    return {};
  }
  auto moment = moment_of(headers);
  if (!moment.ok()) return moment.status();
  append(headers, *moment, out);
  return {};
}

Result<KafkaTopicName::Moment> KafkaTopicName::moment_of(const HeaderView& headers) const {
  Moment moment;
  if (!headers.find(timestamp_header, moment.text)) {
    return Reject("its topic needs the event's header timestamp, which it has not");
  }
  std::int64_t ms = 0;
  const char* const text_end = moment.text.data() + moment.text.size();
  const auto [end, error] = std::from_chars(moment.text.data(), text_end, ms);
  moment.seconds = floor_seconds(ms);
  if (error != std::errc() || end != text_end || moment.seconds > seconds_max ||
      moment.seconds < -seconds_max) {
    return Reject("its header timestamp holds " + in_quotes(moment.text) +
                  ", which is no time in milliseconds");
  }
  moment.civil = zone_->at(moment.seconds);
  return moment;
}

void KafkaTopicName::append(const HeaderView& headers, const Moment& moment,
                            std::string& out) const {
  for (const Piece& each : pieces_) {
    std::string_view value;
    switch (each.kind) {
      case Kind::Literal: out += each.text; break;
      case Kind::Header:
        if (headers.find(each.text, value)) out += value;
        break;
      case Kind::Timestamp: out += moment.text; break;
      case Kind::Time: append_time(each.letter, moment.civil, moment.seconds, out); break;
      case Kind::HostName: out += host_name(); break;
      case Kind::Address: out += host_address(); break;
      case Kind::Fqdn: out += canonical_host_name(); break;
    }
  }
}

}  // namespace sluice
