// Flume's spillable memory channel; here every event goes to disk.
#include <algorithm>

#include "channels/durable_settings.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    capacity_key,
    transaction_capacity_key,
    keep_alive_key,
    capacity_bytes_key,
    cache_bytes_key,
    sync_key,
    sync_interval_key,
    compression_key,
    {.name = "dataDirs",
     .type = KeyType::Text,
     .meaning = "Directories, with commas; the store lies in the first. Without it in the "
                "agent's state directory, shared with the other durable channels."},
    {.name = "minimumRequiredSpace",
     .type = KeyType::Bytes,
     .default_value = "524288000",
     .meaning = "Nothing more is taken in while the disk has less than this left.",
     .min = 1 << 20},
    {.name = "fsyncPerTransaction",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "false means sync = interval."},
    {.name = "fsyncInterval",
     .type = KeyType::Seconds,
     .default_value = "5",
     .meaning = "Time between two syncs with fsyncPerTransaction = false.",
     .min = 1},
    ignored_key("checkpointDir", "There are no checkpoints: the store recovers by itself."),
    ignored_key("checkpointInterval", "There are no checkpoints."),
    ignored_key("checkpointOnClose", "There are no checkpoints."),
    ignored_key("useDualCheckpoints", "There are no checkpoints."),
    ignored_key("backupCheckpointDir", "There are no checkpoints."),
    ignored_key("compressBackupCheckpoint", "There are no checkpoints."),
    ignored_key("maxFileSize", "The store has files of its own size."),
    ignored_key("use-log-replay-v1", "There is no log to replay."),
    ignored_key("use-fast-replay", "There is no log to replay."),
    {.name = "memoryCapacity",
     .type = KeyType::Integer,
     .default_value = "10000",
     .meaning = "Events beside overflowCapacity; here all of them are kept on disk.",
     .min = 0},
    {.name = "overflowCapacity",
     .type = KeyType::Integer,
     .default_value = "100000000",
     .meaning = "Events that the channel holds at most, together with memoryCapacity.",
     .min = 0},
    ignored_key("overflowTimeout", "Events go to disk at once."),
    ignored_key("overflowDeactivationThreshold", "Events go to disk at once."),
    ignored_key("byteCapacity", "cacheBytes bounds the memory."),
    ignored_key("byteCapacityBufferPercentage", "cacheBytes bounds the memory."),
    ignored_key("avgEventSize", "Bytes are counted, not estimated."),
};

constexpr ComponentInfo info{
    .alias = "spillablememory",
    .class_name = "org.apache.flume.channel.SpillableMemoryChannel",
    .meaning = "Flume's spillable memory channel, served by the durable channel.",
    .keys = keys};

std::unique_ptr<Channel> make(const Settings& settings, ChannelContext context) {
  DurableChannel::Options options = durable_options(settings, context);
  const std::int64_t events =
      settings.integer("memoryCapacity") + settings.integer("overflowCapacity");
  options.capacity_events = static_cast<std::uint64_t>(std::max<std::int64_t>(1, events));
  FileChannelSettings file = file_channel_settings(settings);
  options.flume_directories = std::move(file.data_dirs);
  return make_durable(std::move(options), file.directory, settings, file.commits, context);
}

}  // namespace

extern const ChannelType spillablememory_channel{&info, make};

}  // namespace sluice
