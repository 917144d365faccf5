// As many events as the rest can take: for finding out how many those are.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "sources/outlet.h"
#include "sources/pause.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "size",
     .type = KeyType::Integer,
     .default_value = "500",
     .meaning = "Bytes of each body, all of value 127.",
     .min = 0,
     .max = 64 << 20},
    {.name = "maxTotalEvents",
     .type = KeyType::Integer,
     .default_value = "-1",
     .meaning = "Stop after so many events; -1 never does.",
     .min = -1},
    {.name = "maxSuccessfulEvents",
     .type = KeyType::Integer,
     .default_value = "-1",
     .meaning = "Stop after so many events that the channels took; -1 never does.",
     .min = -1},
    {.name = "batchSize",
     .type = KeyType::Integer,
     .default_value = "1",
     .meaning =
         "Events a transaction in Flume; here at least so many are put at once, unless their "
         "rate is limited.",
     .min = 1,
     .max = 1'000'000},
    {.name = "maxEventsPerSecond",
     .type = KeyType::Integer,
     .default_value = "0",
     .meaning = "Events a second at most; 0 is no limit.",
     .min = 0},
};

constexpr ComponentInfo info{.alias = "stress",
                             .class_name = "org.apache.flume.source.StressSource",
                             .meaning = "Makes equal events as fast as they are taken.",
                             .keys = keys,
                             .batch_size_key = "batchSize"};

// Putting fewer at a time costs more than making them, unless they are large.
constexpr std::int64_t batch_events_min = 1000;
constexpr std::int64_t batch_bytes_max = 256 * 1024;
// With a limited rate: how often events are put.
constexpr std::int64_t puts_a_second = 100;

std::int64_t limit(const Settings& settings, std::string_view key) {
  const std::int64_t value = settings.integer(key);
  return value < 0 ? std::numeric_limits<std::int64_t>::max() : value;
}

class StressSource final : public Source {
 public:
  StressSource(const Settings& settings, SourceContext context)
      : body_(static_cast<std::size_t>(settings.integer("size")), '\x7F'),
        made_max_(limit(settings, "maxTotalEvents")),
        put_max_(limit(settings, "maxSuccessfulEvents")),
        events_a_second_(settings.integer("maxEventsPerSecond")),
        batch_events_(batch_events(settings)),
        outlet_(settings.component(), context) {}

  Status open() override { return {}; }

  Status run(std::stop_token stop) override {
    const SteadyTime start = Clock::system().steady();
    const std::int64_t made_before = made_;
    while (!stop.stop_requested()) {
      const std::int64_t left = std::min(made_max_ - made_, put_max_ - put_events());
      if (left <= 0) break;
      Status status = put(std::min(left, batch_events_), stop);
      if (!status.ok()) return status.code() == Code::Closed ? Status() : status;
      if (events_a_second_ > 0 && !keep_to_rate(start, made_ - made_before, stop)) break;
    }
    return {};
  }

  void close() override { outlet_.close(); }

 private:
  std::int64_t batch_events(const Settings& settings) const {
    const std::int64_t wanted = settings.integer("batchSize");
    if (events_a_second_ > 0) return std::max(wanted, events_a_second_ / puts_a_second);
    const auto event_bytes = static_cast<std::int64_t>(body_.size()) + 1;
    return std::max(wanted, std::min(batch_events_min, batch_bytes_max / event_bytes));
  }

  std::int64_t put_events() const noexcept {
    return static_cast<std::int64_t>(outlet_.put_events());
  }

  Status put(std::int64_t events, const std::stop_token& stop) {
    for (std::int64_t i = 0; i < events; ++i) {
      ++made_;
      if (Status status = outlet_.append(body_, {}, stop); !status.ok()) return status;
    }
    return outlet_.put(stop);
  }

  /// Waits until so many events are due; false when stop ended the wait.
  bool keep_to_rate(SteadyTime start, std::int64_t made, const std::stop_token& stop) {
    const auto due =
        start + std::chrono::nanoseconds(static_cast<std::int64_t>(
                    1e9 * static_cast<double>(made) / static_cast<double>(events_a_second_)));
    const auto left = std::chrono::ceil<milliseconds>(due - Clock::system().steady());
    return left.count() <= 0 || pause(left, outlet_, stop);
  }

  const std::string body_;
  const std::int64_t made_max_;
  const std::int64_t put_max_;
  const std::int64_t events_a_second_;
  const std::int64_t batch_events_;
  Outlet outlet_;
  std::int64_t made_ = 0;
};

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<StressSource>(settings, context);
}

std::uint64_t window_bytes(const Settings& settings) {
  return window_bytes_default + 2 * static_cast<std::uint64_t>(settings.integer("size"));
}

}  // namespace

extern const SourceType stress_source{&info, make, window_bytes};

}  // namespace sluice
