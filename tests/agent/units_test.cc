// A source that breaks is tried again.

#include "agent/units.h"

#include <atomic>
#include <utility>

#include "channels/memory_channel.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/eventually.h"
#include "tests/support/settings.h"

namespace sluice {
namespace {

ManualClock the_clock;
milliseconds run_length{0};

/// Runs for `run_length` on the manual clock, and breaks.
class BreakingSource final : public Source {
 public:
  Status open() override { return {}; }
  Status run(std::stop_token) override {
    the_clock.advance(run_length);
    return Retry("broken");
  }
  void close() override {}
};

constexpr ComponentInfo info{
    .alias = "breaking", .class_name = {}, .meaning = "Breaks.", .keys = {}};
const SourceType breaking{&info, [](const Settings&, SourceContext) -> std::unique_ptr<Source> {
                            return std::make_unique<BreakingSource>();
                          }};

/// What the log has once the source broke so often.
std::string log_of_failures(int count) {
  const testing::CapturedLog log;
  SlabPool pool;
  MemoryChannel channel({{.name = "c1", .capacity_events = 1}}, pool);
  ChannelProcessor::Options processor;
  processor.required = {&channel};
  std::atomic<int> breaks{0};
  SourceUnit* running = nullptr;
  SourceUnit unit({test_settings(info, "source r1", {}), &breaking, std::move(processor), {}}, pool,
                  the_clock,
                  {.changed = [&] { breaks += running->state() == UnitState::Retrying ? 1 : 0; },
                   .fatal = [](const Status&) {}});
  running = &unit;
  unit.start();
  CHECK(eventually([&] { return breaks >= count; }));
  unit.join();
  return log.text();
}

TEST_CASE("failures in a row are counted") {
  run_length = milliseconds(0);
  const std::string text = log_of_failures(2);
  CHECK(text.find("(failure 1)") != std::string::npos);
  CHECK(text.find("(failure 2)") != std::string::npos);
}

TEST_CASE("a long good run begins the count and the backoff anew") {
  run_length = milliseconds(3001);
  const std::string text = log_of_failures(3);
  CHECK(text.find("(failure 1)") != text.rfind("(failure 1)"));
  CHECK(text.find("(failure 2)") == std::string::npos);
}

}  // namespace
}  // namespace sluice
