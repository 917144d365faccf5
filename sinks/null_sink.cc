// Throws events away: for measuring, and for channels that must not fill up.

#include "core/base/log.h"
#include "sinks/sink.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "batchSize",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Events a transaction; more are taken at once where they lie together.",
     .min = 1,
     .max = 1'000'000},
    {.name = "logEveryNEvents",
     .type = KeyType::Integer,
     .default_value = "10000",
     .meaning =
         "Say at DEBUG level how many events were thrown away, each time this many are full.",
     .min = 1},
};

constexpr ComponentInfo info{.alias = "null",
                             .class_name = "org.apache.flume.sink.NullSink",
                             .meaning = "Throws all events away.",
                             .keys = keys,
                             .batch_size_key = "batchSize"};

class NullSink final : public Sink {
 public:
  NullSink(const Settings& settings, SinkContext)
      : name_(settings.component()),
        batch_events_(static_cast<std::uint32_t>(settings.integer("batchSize"))),
        log_events_(static_cast<std::uint64_t>(settings.integer("logEveryNEvents"))) {}

  Status open(const std::stop_token&) override { return {}; }
  void deliver(const Batch& batch, std::stop_token, DeliveryDone done) override {
    const std::uint64_t before = events_ / log_events_;
    events_ += batch.size();
    if (events_ / log_events_ != before) log::debug("{}: {} events thrown away", name_, events_);
    done({});
  }
  void close() override {}
  TakeLimit take_limit() const override {
    return {.events_max = batch_events_, .bytes_at_least = stream_bytes_at_least};
  }

 private:
  const std::string name_;
  const std::uint32_t batch_events_;
  const std::uint64_t log_events_;
  std::uint64_t events_ = 0;
};

std::unique_ptr<Sink> make(const Settings& settings, SinkContext context) {
  return std::make_unique<NullSink>(settings, context);
}

}  // namespace

extern const SinkType null_sink{&info, make};

}  // namespace sluice
