// Forwards events over Flume's Avro RPC, to Flume's avro sources and to our own agents.

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/config/key_tables.h"
#include "core/config/tls_keys.h"
#include "core/config/wire_keys.h"
#include "sinks/avro_link.h"
#include "sinks/client_layers.h"
#include "sinks/sink.h"

namespace sluice {
namespace {

constexpr Key own_keys[] = {
    {.name = "hostname", .type = KeyType::Text, .meaning = "Host to connect to.", .required = true},
    {.name = "port",
     .type = KeyType::Port,
     .meaning = "Port to connect to.",
     .required = true,
     .min = 1},
    {.name = "batch-size",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Events a call at most.",
     .min = 1,
     .max = 1'000'000,
     .bad_means_default = true},
    {.name = "connect-timeout",
     .type = KeyType::Millis,
     .default_value = "20000",
     .meaning = "How long a connection and its handshake may take.",
     .min = 1000,
     .bad_means_default = true},
    {.name = "request-timeout",
     .type = KeyType::Millis,
     .default_value = "20000",
     .meaning = "How long an answer may take; then the connection is given up and the call sent "
                "again.",
     .min = 1000,
     .bad_means_default = true},
    {.name = "reset-connection-interval",
     .type = KeyType::Seconds,
     .default_value = "0",
     .meaning = "A connection of this age is made anew, so that a load balancer in between can "
                "choose again; 0: never.",
     .min = 0,
     .bad_means_default = true},
    {.name = "maxIoWorkers",
     .type = KeyType::Ignored,
     .meaning = "Accepted for Flume's sake: a sink has a thread that sends and one that listens."},
    {.name = "backoff",
     .type = KeyType::Ignored,
     .meaning = "A receiver that is away is tried again after a growing pause in any case."},
    {.name = "maxCallsInFlight",
     .type = KeyType::Integer,
     .default_value = "8",
     .meaning = "Calls on their way at once to an agent of our own; a Flume gets one at a time.",
     .min = 1,
     .max = 64},
    {.name = "callCompression",
     .type = KeyType::Choice,
     .default_value = "none",
     .meaning = "What calls to an agent of our own are compressed with, beside compression-type, "
                "which Flume knows too.",
     .choices = "none lz4 zstd"},
};

// Between two connections that are both worth a line in the log.
constexpr std::chrono::minutes long_enough{1};

constexpr auto keys = joined_keys(own_keys, compression_keys, compression_client_keys,
                                  tls_client_keys, tls_rule_keys);

CallCompression compression_of(const Settings& settings) {
  const std::string name = settings.text("callCompression");
  if (name == "lz4") return CallCompression::Lz4;
  return name == "zstd" ? CallCompression::Zstd : CallCompression::None;
}

constexpr ComponentInfo info{.alias = "avro",
                             .class_name = "org.apache.flume.sink.AvroSink",
                             .meaning = "Forwards events over Flume's Avro RPC.",
                             .keys = keys,
                             .batch_size_key = "batch-size"};

class AvroSink final : public Sink {
 public:
  AvroSink(const Settings& settings, SinkContext context)
      : name_(settings.component()),
        settings_(settings),
        counters_(context.counters),
        clock_(context.clock),
        options_{{settings.text("hostname"), settings.port("port")},
                 settings.duration("connect-timeout"),
                 settings.duration("request-timeout"),
                 compression_of(settings),
                 {}},
        batch_events_(static_cast<std::uint32_t>(settings.integer("batch-size"))),
        in_flight_max_(static_cast<std::uint32_t>(settings.integer("maxCallsInFlight"))),
        reset_interval_(settings.duration("reset-connection-interval")) {}

  // The connection is made with the first batch: a receiver that is down is no reason not to start.
  Status open(const std::stop_token&) override {
    auto layers = client_layers(settings_);
    if (!layers.ok()) return layers.status();
    options_.layers = *std::move(layers);
    return {};
  }

  void settled_below(const Origin& below) override { settled_below_ = below; }

  void deliver(const Batch& batch, std::stop_token stop, DeliveryDone done) override {
    if (Status status = make_ready(stop); !status.ok()) {
      return done({.status = std::move(status)});
    }
    const auto ended = [done, this](const AvroLink::Outcome& outcome) {
      if (!outcome.status.ok()) failed_ = true;
      done({.status = outcome.status.with_context(options_.target.text()),
            .may_have_arrived = outcome.may_have_arrived});
    };
    link_->call(batch, stop, ended, settled_below_);
    // Only then is it known whether the next batch may follow, or comes behind this one again.
    if (!link_->is_ours()) link_->wait_until_idle(stop);
  }

  void close() override {
    if (!link_) return;
    link_->finish();
    disconnect("the agent is stopping");
  }

  TakeLimit take_limit() const override { return {.events_max = batch_events_}; }
  std::uint32_t in_flight_max() const override { return in_flight_max_; }
  milliseconds retry_same_for() const override { return options_.request_timeout; }
  void start_over() override { failed_ = false; }

 private:
  /// A link that takes a call.
  Status make_ready(const std::stop_token& stop) {
    if (link_ && !link_->broken().ok()) link_->wait_until_idle({});  // its calls fail just now
    if (failed_) return too_early();
    if (link_ && reset_interval_.count() > 0 && clock_.steady() >= reset_at_) {
      if (!link_->wait_until_idle(stop)) return Closed("the agent is stopping");
      if (link_->broken().ok()) link_->finish();
      disconnect("reset-connection-interval is over");
    }
    if (link_) {
      const Status broken = link_->broken();
      if (broken.ok()) return {};
      disconnect(broken.message());
    }
    // With the old link its last calls have ended.
    if (failed_) return too_early();
    auto link = AvroLink::connect(options_, stop);
    if (!link.ok()) {
      counters_.connections_failed.add();
      return link.status();
    }
    counters_.connections_created.add();
    link_ = *std::move(link);
    reset_at_ = clock_.steady() + reset_interval_;
    report_connected();
    return {};
  }

  /// A receiver of our own that is full hangs up after each call that it refuses: connections that
  /// follow each other soon are said rarely.
  void report_connected() {
    const SteadyTime now = clock_.steady();
    if (now - connected_at_ >= long_enough) soon_again_ = 0;
    connected_at_ = now;
    const std::uint64_t n = ++soon_again_;
    said_ = worth_saying(n);
    if (!said_) return;
    log::info("{}: connected to {}{}{}", name_, options_.target.text(),
              link_->is_ours() ? "" : ", a Flume: one call at a time",
              n == 1 ? "" : " (" + std::to_string(n) + " times soon after one another)");
  }

  /// What was taken before a failure was known must not overtake what comes again.
  static Status too_early() { return Retry("a batch before this one has failed"); }

  void disconnect(const std::string& why) {
    link_.reset();
    counters_.connections_closed.add();
    if (said_) log::info("{}: disconnected from {}: {}", name_, options_.target.text(), why);
  }

  const std::string name_;
  const Settings settings_;
  SinkCounters& counters_;
  const Clock& clock_;
  AvroLink::Options options_;
  const std::uint32_t batch_events_;
  const std::uint32_t in_flight_max_;
  const milliseconds reset_interval_;
  SteadyTime reset_at_{};
  SteadyTime connected_at_{};
  std::uint64_t soon_again_ = 0;  ///< Connections, each soon after the one before.
  bool said_ = false;             ///< That the connection was made.
  std::optional<Origin> settled_below_;
  std::unique_ptr<AvroLink> link_;
  std::atomic<bool> failed_{false};  ///< A delivery, since start_over().
};

std::unique_ptr<Sink> make(const Settings& settings, SinkContext context) {
  return std::make_unique<AvroSink>(settings, context);
}

}  // namespace

extern const SinkType avro_sink{&info, make};

}  // namespace sluice
