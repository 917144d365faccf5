// Flume's spillable memory channel; here every event goes to disk.
#include <algorithm>
#include <limits>

#include "channels/durable_settings.h"

namespace sluice {
namespace {

constexpr std::array own_keys{
    Key{.name = "memoryCapacity",
        .type = KeyType::Integer,
        .default_value = "10000",
        .meaning = "Events beside overflowCapacity; here all of them are kept on disk.",
        .min = 0,
        .bad_means_default = true},
    Key{.name = "overflowCapacity",
        .type = KeyType::Integer,
        .default_value = "100000000",
        .meaning = "Events that the channel holds at most, together with memoryCapacity.",
        .min = 0,
        .bad_means_default = true},
    ignored_key("overflowTimeout", "Events go to disk at once."),
    ignored_key("overflowDeactivationThreshold", "Events go to disk at once."),
    ignored_key("byteCapacity", "cacheBytes bounds the memory."),
    ignored_key("byteCapacityBufferPercentage", "cacheBytes bounds the memory."),
    ignored_key("avgEventSize", "Bytes are counted, not estimated."),
};

constexpr auto keys = forgiving(joined(durable_keys, file_channel_keys, own_keys));

constexpr ComponentInfo info{
    .alias = "spillablememory",
    .class_name = "org.apache.flume.channel.SpillableMemoryChannel",
    .meaning = "Flume's spillable memory channel, served by the durable channel.",
    .keys = keys,
    .judge = judge_required_space,
    .on_disk = true};

std::string store_directory(const Settings& settings) {
  return file_channel_settings(settings).directory;
}

std::unique_ptr<Channel> make(const Settings& settings, ChannelContext context) {
  DurableChannel::Options options = durable_options(settings, context);
  // Two of the largest numbers fit; what is reported is one of Java's, so the sum ends there.
  const std::uint64_t events = static_cast<std::uint64_t>(settings.integer("memoryCapacity")) +
                               static_cast<std::uint64_t>(settings.integer("overflowCapacity"));
  constexpr std::uint64_t events_max = std::numeric_limits<std::int64_t>::max();
  options.capacity_events = std::clamp<std::uint64_t>(events, 1, events_max);
  FileChannelSettings file = file_channel_settings(settings);
  options.flume_directories = std::move(file.data_dirs);
  return make_durable(std::move(options), file.directory, settings, file.commits, context);
}

}  // namespace

extern const ChannelType spillablememory_channel{&info, make, store_directory};

}  // namespace sluice
