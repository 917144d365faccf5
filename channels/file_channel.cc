// Flume's file channel.
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
    ignored_key("use-fast-replay", "There is no log to replay.")};

constexpr ComponentInfo info{.alias = "file",
                             .class_name = "org.apache.flume.channel.file.FileChannel",
                             .meaning = "Flume's file channel, served by the durable channel.",
                             .keys = keys};

std::unique_ptr<Channel> make(const Settings& settings, ChannelContext context) {
  DurableChannel::Options options = durable_options(settings, context);
  FileChannelSettings file = file_channel_settings(settings);
  options.flume_directories = std::move(file.data_dirs);
  return make_durable(std::move(options), file.directory, settings, file.commits, context);
}

}  // namespace

extern const ChannelType file_channel{&info, make};

}  // namespace sluice
