#include "core/metrics/flume_json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

namespace sluice {
namespace {

/// Writes one object of objects of strings.
class JsonGroups {
 public:
  void begin(std::string_view kind, const std::string& name) {
    text_ += first_group_ ? "{" : "},";
    first_group_ = false;
    first_value_ = true;
    quote(std::string(kind) + "." + name);
    text_ += ":{";
    add("Type", kind);
  }
  void add(std::string_view name, std::string_view value) {
    if (!first_value_) text_ += ',';
    first_value_ = false;
    quote(name);
    text_ += ':';
    quote(value);
  }
  void add(std::string_view name, std::uint64_t value) { add(name, std::to_string(value)); }
  void add(std::string_view name, const Counter& counter) { add(name, counter.get()); }

  std::string finish() && {
    text_ += first_group_ ? "{}" : "}}";
    return std::move(text_);
  }

 private:
  void quote(std::string_view text) {
    text_ += '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        text_ += '\\';
        text_ += c;
      } else if (byte < 0x20) {
        constexpr std::string_view digits = "0123456789abcdef";
        text_ += "\\u00";
        text_ += digits[byte >> 4];
        text_ += digits[byte & 15];
      } else {
        text_ += c;
      }
    }
    text_ += '"';
  }

  std::string text_;
  bool first_group_ = true;
  bool first_value_ = true;
};

/// Events of `source` whose fate is settled: in every channel, or dropped on purpose.
///
/// The books count copies, this counts events: what is still on its way into a durable channel is
/// the same share of the events as of their copies. Equal to made.events when nothing is on its
/// way.
std::uint64_t accepted_events(const SourceCounters& source) noexcept {
  // The settled side first: a batch that moves on meanwhile must not look settled before it is
  // made.
  const std::uint64_t settled =
      source.put.events.get() + source.refused.events.get() + source.doubles.events.get();
  const std::uint64_t dropped = source.filtered.events.get() + source.unrouted.events.get();
  const std::uint64_t copied = source.copied.events.get();
  const std::uint64_t made = source.made.events.get();
  const std::uint64_t routed = made - std::min(made, dropped);
  const std::uint64_t owed = routed + copied;
  if (settled >= owed) return made;
  const double share = static_cast<double>(routed) / static_cast<double>(owed);
  const double open = std::ceil(static_cast<double>(owed - settled) * share);
  return made - std::min(made, static_cast<std::uint64_t>(open));
}

void add_source(JsonGroups& out, const SourceMetrics& source) {
  const SourceCounters& c = *source.counters;
  const std::uint64_t accepted = accepted_events(c);
  const std::uint64_t received = c.made.events.get();
  out.begin("SOURCE", source.name);
  out.add("StartTime", c.start_ms);
  out.add("StopTime", c.stop_ms);
  out.add("EventReceivedCount", received);
  out.add("EventAcceptedCount", accepted);
  out.add("AppendReceivedCount", std::uint64_t{0});
  out.add("AppendAcceptedCount", std::uint64_t{0});
  out.add("AppendBatchReceivedCount", c.batches);
  out.add("AppendBatchAcceptedCount", c.batches);
  out.add("OpenConnectionCount", c.connections_open);
  out.add("EventReadFail", c.read_failures.get() + c.rejected_lines.get());
  out.add("ChannelWriteFail", c.channel_failures);
  out.add("GenericProcessingFail", std::uint64_t{0});
}

/// Flume counts a try for each event that a sink takes, again and again, and for each empty take;
/// so do our sinks together.
std::uint64_t take_attempts(const MetricsRegistry& registry, const ChannelMetrics& channel) {
  const std::uint64_t taken =
      channel.counters->committed.events.get() + channel.counters->in_flight.events.get();
  std::uint64_t attempts = 0;
  for (const SinkMetrics& sink : registry.sinks()) {
    if (sink.channel != channel.name) continue;
    attempts += sink.counters->attempts.get() + sink.counters->batches_empty.get();
  }
  return std::max(attempts, taken);
}

void add_channel(JsonGroups& out, const MetricsRegistry& registry, const ChannelMetrics& channel) {
  const ChannelCounters& c = *channel.counters;
  const std::uint64_t taken = c.committed.events.get();
  const std::uint64_t size = c.stored.events.get() + c.in_flight.events.get();
  out.begin("CHANNEL", channel.name);
  out.add("StartTime", c.start_ms);
  out.add("StopTime", c.stop_ms);
  out.add("ChannelCapacity", channel.capacity_events);
  out.add("ChannelSize", size);
  out.add("ChannelFillPercentage",
          java_double_text(fill_percentage(size, channel.capacity_events)));
  out.add("EventPutSuccessCount", c.put.events);
  out.add("EventPutAttemptCount", c.put_attempts);
  out.add("EventTakeSuccessCount", taken);
  out.add("EventTakeAttemptCount", take_attempts(registry, channel));
}

void add_sink(JsonGroups& out, const SinkMetrics& sink) {
  const SinkCounters& c = *sink.counters;
  out.begin("SINK", sink.name);
  out.add("StartTime", c.start_ms);
  out.add("StopTime", c.stop_ms);
  out.add("ConnectionCreatedCount", c.connections_created);
  out.add("ConnectionClosedCount", c.connections_closed);
  out.add("ConnectionFailedCount", c.connections_failed);
  out.add("BatchEmptyCount", c.batches_empty);
  out.add("BatchUnderflowCount", c.batches_underflow);
  out.add("BatchCompleteCount", c.batches_complete);
  out.add("EventDrainSuccessCount", c.delivered.events);
  out.add("EventDrainAttemptCount", c.attempts);
  out.add("EventWriteFail", c.failures);
  out.add("ChannelReadFail", c.channel_failures);
  if (sink.microbatch == nullptr) return;
  // Flume's sinks have names of their own behind those of all, too.
  const MicrobatchCounters& m = *sink.microbatch;
  constexpr std::uint64_t us_a_ms = 1000;
  out.add("MicrobatchCount", m.batches);
  out.add("MicrobatchTime", m.batch_ms);
  out.add("ResultRowCount", m.result_rows);
  out.add("LeftOutRowCount", m.left_out.sum());
  out.add("KeyCount", m.keys);
  out.add("ProcessingMillis", m.processing_us.get() / us_a_ms);
  out.add("DelayMillis", m.delay_ms);
}

}  // namespace

double fill_percentage(std::uint64_t size_events, std::uint64_t capacity_events) noexcept {
  if (capacity_events == 0) return std::numeric_limits<double>::max();
  return static_cast<double>(size_events) / static_cast<double>(capacity_events) * 100;
}

std::string java_double_text(double number) {
  if (number == 0) return "0.0";
  std::array<char, 40> buffer;
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                     std::chars_format::scientific);
  const std::string_view shortest(buffer.data(),
                                  static_cast<std::size_t>(written.ptr - buffer.data()));
  const std::size_t e = shortest.find('e');
  const int exponent = std::atoi(std::string(shortest.substr(e + 1)).c_str());
  std::string digits(shortest.substr(0, 1));
  if (e > 2) digits += shortest.substr(2, e - 2);
  if (exponent < -3 || exponent >= 7) {
    if (digits.size() == 1) digits += '0';
    return digits.insert(1, ".") + "E" + std::to_string(exponent);
  }
  if (exponent < 0)
    return "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const std::size_t whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) digits.resize(whole + 1, '0');
  return digits.insert(whole, ".");
}

std::string flume_metrics_json(const MetricsRegistry& registry) {
  JsonGroups out;
  for (const SourceMetrics& source : registry.sources()) add_source(out, source);
  for (const ChannelMetrics& channel : registry.channels()) add_channel(out, registry, channel);
  for (const SinkMetrics& sink : registry.sinks()) add_sink(out, sink);
  return std::move(out).finish();
}

}  // namespace sluice
