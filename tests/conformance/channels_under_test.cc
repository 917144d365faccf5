#include <atomic>

#include "channels/durable_channel.h"
#include "channels/memory_channel.h"
#include "tests/conformance/channel_suite.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

/// The store of all durable channels of this program: opening one for each test would take longer
/// than the tests.
SharedStore& common_store() {
  static const testing::TempDirectory directory;
  // Opened before the static is complete, so that what RocksDB keeps in statics outlives it.
  static const std::unique_ptr<SharedStore> store = [] {
    auto made = std::make_unique<SharedStore>(
        Store::Options{.path = directory.path("store"), .free_bytes_min = 1 << 20},
        GroupCommit::Options{});
    SLUICE_ASSERT(made->open().ok(), "a store in an empty directory opens");
    return made;
  }();
  return *store;
}

ChannelUnderTest durable(std::string type, FrameCompression compression,
                         std::uint64_t cache_bytes_max, std::uint64_t retention_bytes = 0) {
  const auto make = [=](const ChannelBounds& bounds, SlabPool& pool) {
    static std::atomic<int> number{0};
    DurableChannel::Options options;
    options.name = "c" + std::to_string(++number);
    options.capacity_events = bounds.capacity_events;
    options.body_bytes_max = bounds.body_bytes_max;
    options.budget_bytes = std::min(cache_bytes_max, bounds.budget_bytes);
    options.compression = compression;
    options.retention.bytes = retention_bytes;
    return std::make_unique<DurableChannel>(std::move(options), common_store(), pool);
  };
  return {std::move(type), make, true, cache_bytes_max == 0};
}

}  // namespace

const std::vector<ChannelUnderTest>& channels_under_test() {
  constexpr std::uint64_t roomy = 64 << 20;
  constexpr std::uint64_t tight = 256 << 10;
  // Flume's types are served by the same channel: the three differ in what they exercise here.
  static const std::vector<ChannelUnderTest> channels{
      {"memory",
       [](const ChannelBounds& bounds, SlabPool& pool) -> std::unique_ptr<Channel> {
         MemoryChannel::Options options;
         options.name = "c1";
         options.capacity_events = bounds.capacity_events;
         options.body_bytes_max = bounds.body_bytes_max;
         options.budget_bytes = bounds.budget_bytes;
         options.pace_bytes = 0;
         return std::make_unique<MemoryChannel>(std::move(options), pool);
       }},
      durable("rocksdb", FrameCompression::None, roomy),
      durable("file", FrameCompression::Lz4, 0),
      durable("spillablememory", FrameCompression::Zstd, tight, roomy),
  };
  return channels;
}

}  // namespace sluice
