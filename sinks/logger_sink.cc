// Writes each event into the agent's log, for trying things out.

#include <string>

#include "core/base/log.h"
#include "core/wire/event_text.h"
#include "core/wire/hex_dump.h"
#include "sinks/sink.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "maxBytesToLog",
     .type = KeyType::Integer,
     .default_value = "16",
     .meaning = "Bytes of the body that are shown.",
     .min = 1,
     .max = 1 << 20,
     .bad_means_default = true},
};

constexpr ComponentInfo info{.alias = "logger",
                             .class_name = "org.apache.flume.sink.LoggerSink",
                             .meaning = "Writes each event into the agent's log at INFO level.",
                             .keys = keys};

class LoggerSink final : public Sink {
 public:
  explicit LoggerSink(const Settings& settings)
      : body_bytes_max_(static_cast<std::size_t>(settings.integer("maxBytesToLog"))) {}

  Status open(const std::stop_token&) override { return {}; }

  void deliver(const Batch& batch, std::stop_token, DeliveryDone done) override {
    // Flume's sink takes the events as well when nobody is to see them.
    if (log::enabled(log::Level::Info)) {
      for (std::uint32_t i = 0; i < batch.size(); ++i) log::write(log::Level::Info, line(batch[i]));
    }
    done({});
  }

  void close() override {}
  TakeLimit take_limit() const override { return {.events_max = 100}; }

 private:
  /// Flume's text. The log writes the line feed between two rows as \n, so that an event is one
  /// line.
  const std::string& line(const Event& event) {
    line_ = "Event: { headers:";
    append_headers_text(line_, event.headers);
    line_ += " body:";
    append_hex_dump(line_, event.body.substr(0, body_bytes_max_));
    line_ += " }";
    return line_;
  }

  const std::size_t body_bytes_max_;
  std::string line_;
};

std::unique_ptr<Sink> make(const Settings& settings, SinkContext) {
  return std::make_unique<LoggerSink>(settings);
}

}  // namespace

extern const SinkType logger_sink{&info, make};

}  // namespace sluice
