// What Flume's two capacities come to.

#include <cstdint>
#include <limits>

#include "channels/channel_type.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/captured_log.h"
#include "tests/support/settings.h"

namespace sluice {

extern const ChannelType spillablememory_channel;

namespace {

std::uint64_t capacity_of(std::map<std::string, std::string> values) {
  const testing::TempDirectory directory;
  SlabPool pool;
  Stores stores(directory.path("store"));
  const auto settings =
      test_settings(*spillablememory_channel.info, "channel c1", std::move(values));
  const auto channel = spillablememory_channel.make(settings, {pool, 64 << 20, stores});
  return channel->capacity_events();
}

TEST_CASE("a spillable memory channel holds the sum of its capacities, however large they are") {
  const std::string most = std::to_string(std::numeric_limits<std::int64_t>::max());
  constexpr std::uint64_t bound = std::numeric_limits<std::int64_t>::max();
  CHECK(capacity_of({}) == 100'010'000);
  CHECK(capacity_of({{"memoryCapacity", "3"}, {"overflowCapacity", "4"}}) == 7);
  CHECK(capacity_of({{"memoryCapacity", "0"}, {"overflowCapacity", "0"}}) == 1);
  CHECK(capacity_of({{"memoryCapacity", most}, {"overflowCapacity", "0"}}) == bound);
  CHECK(capacity_of({{"memoryCapacity", most}, {"overflowCapacity", "1"}}) == bound);
  CHECK(capacity_of({{"memoryCapacity", most}, {"overflowCapacity", most}}) == bound);
}

}  // namespace
}  // namespace sluice
