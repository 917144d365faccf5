// Counts: for trying a configuration out.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

#include "sources/outlet.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "batchSize",
     .type = KeyType::Integer,
     .default_value = "1",
     .meaning = "Events a transaction in Flume; here at least so many are put at once.",
     .min = 1,
     .max = 1'000'000},
    {.name = "totalEvents",
     .type = KeyType::Integer,
     .default_value = "9223372036854775807",
     .meaning = "Stop after so many events.",
     .min = 0},
};

constexpr ComponentInfo info{.alias = "seq",
                             .class_name = "org.apache.flume.source.SequenceGeneratorSource",
                             .meaning = "Makes events whose bodies count 0, 1, 2, ...",
                             .keys = keys,
                             .batch_size_key = "batchSize"};

// Putting fewer at a time costs more than making them.
constexpr std::int64_t batch_events_min = 1000;

class SeqSource final : public Source {
 public:
  SeqSource(const Settings& settings, SourceContext context)
      : batch_events_(std::max(batch_events_min, settings.integer("batchSize"))),
        total_events_(settings.integer("totalEvents")),
        outlet_(settings.component(), context) {}

  Status open() override { return {}; }

  Status run(std::stop_token stop) override {
    while (!stop.stop_requested() && next_ < total_events_) {
      const std::int64_t end = next_ + std::min(batch_events_, total_events_ - next_);
      Status status;
      for (; status.ok() && next_ < end; ++next_) status = append(stop);
      if (status.ok()) status = outlet_.put(stop);
      if (!status.ok()) return status.code() == Code::Closed ? Status() : status;
    }
    return {};
  }

  void close() override { outlet_.close(); }

 private:
  Status append(const std::stop_token& stop) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), next_).ptr;
    return outlet_.append({digits.data(), static_cast<std::size_t>(end - digits.data())}, {}, stop);
  }

  const std::int64_t batch_events_;
  const std::int64_t total_events_;
  Outlet outlet_;
  std::int64_t next_ = 0;
};

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<SeqSource>(settings, context);
}

}  // namespace

extern const SourceType seq_source{&info, make};

}  // namespace sluice
