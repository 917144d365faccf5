// Forwards events as lines over TCP, to whatever reads lines: another agent's netcat source,
// rsyslog, Vector, a script.

#include <optional>

#include "core/base/log.h"
#include "core/net/tcp_stream.h"
#include "sinks/sink.h"
#include "sinks/text_runs.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "hostname", .type = KeyType::Text, .meaning = "Host to connect to.", .required = true},
    {.name = "port",
     .type = KeyType::Port,
     .meaning = "Port to connect to.",
     .required = true,
     .min = 1},
    {.name = "batchSize",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Events a transaction; more are taken at once where they lie together.",
     .min = 1,
     .max = 1'000'000},
    {.name = "connect-timeout",
     .type = KeyType::Millis,
     .default_value = "20000",
     .meaning = "How long a connection may take to be made.",
     .min = 1},
    {.name = "request-timeout",
     .type = KeyType::Millis,
     .default_value = "0",
     .meaning = "How long the receiver may take nothing before the connection is given up and the "
                "batch sent again; 0 waits for as long as the connection stands.",
     .min = 0},
};

constexpr ComponentInfo info{.alias = "tcp",
                             .class_name = "",
                             .meaning = "Forwards each event as a line over a TCP connection.",
                             .keys = keys,
                             .batch_size_key = "batchSize"};

// At the end: how long a receiver may say nothing, and how long it may go on answering.
constexpr milliseconds goodbye_silence_max{2'000};
constexpr milliseconds goodbye_max{5'000};

class TcpSink final : public Sink {
 public:
  TcpSink(const Settings& settings, SinkContext context)
      : name_(settings.component()),
        counters_(context.counters),
        target_{settings.text("hostname"), settings.port("port")},
        batch_events_(static_cast<std::uint32_t>(settings.integer("batchSize"))),
        connect_timeout_(settings.duration("connect-timeout")),
        request_timeout_(settings.duration("request-timeout")) {}

  // The connection is made with the first batch: a receiver that is down is no reason not to start.
  Status open(const std::stop_token&) override { return {}; }

  void deliver(const Batch& batch, std::stop_token stop, DeliveryDone done) override {
    // A peer that has gone is noticed before anything is written into the void.
    if (stream_ && stream_->peer_is_gone()) disconnect("the receiver closed the connection");
    if (!stream_) {
      if (Status status = connect(stop); !status.ok()) return done({.status = std::move(status)});
    }
    const Deadline deadline =
        request_timeout_.count() == 0 ? Deadline::never() : Deadline::in(request_timeout_);
    Status status = stream_->write_all(runs_.assign_lines(batch), deadline, stop);
    if (!status.ok()) {
      // How much of it arrived is unknown: all of it is sent again over a new connection.
      disconnect(status.message());
      return done({.status = status.with_context(target_.text())});
    }
    done({});
  }

  void close() override {
    if (!stream_) return;
    stream_->finish(goodbye_silence_max, Deadline::in(goodbye_max));
    disconnect("the agent is stopping");
  }

  TakeLimit take_limit() const override {
    return {.events_max = batch_events_, .bytes_at_least = stream_bytes_at_least};
  }

 private:
  Status connect(const std::stop_token& stop) {
    auto stream = TcpStream::connect(target_, Deadline::in(connect_timeout_), stop);
    if (!stream.ok()) {
      counters_.connections_failed.add();
      return stream.status();
    }
    counters_.connections_created.add();
    log::info("{}: connected to {}", name_, target_.text());
    stream_ = *std::move(stream);
    return {};
  }

  void disconnect(const std::string& why) {
    stream_.reset();
    counters_.connections_closed.add();
    log::info("{}: disconnected from {}: {}", name_, target_.text(), why);
  }

  const std::string name_;
  SinkCounters& counters_;
  const TcpStream::Target target_;
  const std::uint32_t batch_events_;
  const milliseconds connect_timeout_;
  const milliseconds request_timeout_;
  std::optional<TcpStream> stream_;
  TextRuns runs_;
};

std::unique_ptr<Sink> make(const Settings& settings, SinkContext context) {
  return std::make_unique<TcpSink>(settings, context);
}

}  // namespace

extern const SinkType tcp_sink{&info, make};

}  // namespace sluice
