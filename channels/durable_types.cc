// The types that the durable channel serves: our own, and Flume's file and spillablememory.

#include <algorithm>
#include <cstdlib>

#include "channels/channel_type.h"
#include "channels/durable_channel.h"

namespace sluice {
namespace {

constexpr Key capacity{.name = "capacity",
                       .type = KeyType::Integer,
                       .default_value = "1000000",
                       .meaning = "Events that the channel holds at most.",
                       .min = 1};
constexpr Key transaction_capacity{
    .name = "transactionCapacity",
    .type = KeyType::Integer,
    .default_value = "10000",
    .meaning =
        "Largest batch that Flume would take in one transaction; judged by check, no limit "
        "here.",
    .min = 1};
constexpr Key keep_alive{.name = "keep-alive",
                         .type = KeyType::Seconds,
                         .default_value = "3",
                         .meaning = "How long a source with onFull = reject waits for room.",
                         .min = 0};
constexpr Key capacity_bytes{
    .name = "capacityBytes",
    .type = KeyType::Bytes,
    .default_value = "0",
    .meaning = "Bytes of bodies that the channel holds at most; 0 is no limit.",
    .min = 0};
constexpr Key cache_bytes{
    .name = "cacheBytes",
    .type = KeyType::Bytes,
    .meaning =
        "Memory for events that wait and need not be read from disk again; without it the "
        "channel has its share of the agent's memory limit.",
    .min = 0};
constexpr Key sync{.name = "sync",
                   .type = KeyType::Choice,
                   .default_value = "always",
                   .meaning =
                       "When a commit is complete: always = once it is on disk, interval = "
                       "once it is written, with a sync every syncInterval, never = once it "
                       "is written.",
                   .choices = "always interval never"};
constexpr Key sync_interval{.name = "syncInterval",
                            .type = KeyType::Millis,
                            .default_value = "1000",
                            .meaning = "Time between two syncs with sync = interval.",
                            .min = 1};
constexpr Key compression{.name = "compression",
                          .type = KeyType::Choice,
                          .default_value = "none",
                          .meaning =
                              "How the bodies of a batch are made smaller on disk; worth it "
                              "where the disk is slow.",
                          .choices = "none lz4 zstd"};

constexpr Key ignored(std::string_view name, std::string_view meaning) {
  return {.name = name, .type = KeyType::Ignored, .meaning = meaning};
}

constexpr Key rocksdb_keys[] = {
    capacity,
    transaction_capacity,
    keep_alive,
    capacity_bytes,
    cache_bytes,
    sync,
    sync_interval,
    compression,
    {.name = "directory",
     .type = KeyType::Path,
     .meaning = "Where the store lies; without it in the agent's state directory, shared with the "
                "other durable channels."},
    {.name = "minimumRequiredSpace",
     .type = KeyType::Bytes,
     .default_value = "64MiB",
     .meaning = "Nothing more is taken in while the disk has less than this left.",
     .min = 1 << 20},
};

#define SLUICE_FILE_CHANNEL_KEYS                                                                \
  capacity, transaction_capacity, keep_alive, capacity_bytes, cache_bytes, sync, sync_interval, \
      compression,                                                                              \
      {.name = "dataDirs",                                                                      \
       .type = KeyType::Text,                                                                   \
       .meaning =                                                                               \
           "Directories, with commas; the store lies in the first. Without it in the "          \
           "agent's state directory, shared with the other durable channels."},                 \
      {.name = "minimumRequiredSpace",                                                          \
       .type = KeyType::Bytes,                                                                  \
       .default_value = "524288000",                                                            \
       .meaning = "Nothing more is taken in while the disk has less than this left.",           \
       .min = 1 << 20},                                                                         \
      {.name = "fsyncPerTransaction",                                                           \
       .type = KeyType::Boolean,                                                                \
       .default_value = "true",                                                                 \
       .meaning = "false means sync = interval."},                                              \
      {.name = "fsyncInterval",                                                                 \
       .type = KeyType::Seconds,                                                                \
       .default_value = "5",                                                                    \
       .meaning = "Time between two syncs with fsyncPerTransaction = false.",                   \
       .min = 1},                                                                               \
      ignored("checkpointDir", "There are no checkpoints: the store recovers by itself."),      \
      ignored("checkpointInterval", "There are no checkpoints."),                               \
      ignored("checkpointOnClose", "There are no checkpoints."),                                \
      ignored("useDualCheckpoints", "There are no checkpoints."),                               \
      ignored("backupCheckpointDir", "There are no checkpoints."),                              \
      ignored("compressBackupCheckpoint", "There are no checkpoints."),                         \
      ignored("maxFileSize", "The store has files of its own size."),                           \
      ignored("use-log-replay-v1", "There is no log to replay."),                               \
      ignored("use-fast-replay", "There is no log to replay.")

constexpr Key file_keys[] = {SLUICE_FILE_CHANNEL_KEYS};

constexpr Key spillable_keys[] = {
    SLUICE_FILE_CHANNEL_KEYS,
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
    ignored("overflowTimeout", "Events go to disk at once."),
    ignored("overflowDeactivationThreshold", "Events go to disk at once."),
    ignored("byteCapacity", "cacheBytes bounds the memory."),
    ignored("byteCapacityBufferPercentage", "cacheBytes bounds the memory."),
    ignored("avgEventSize", "Bytes are counted, not estimated."),
};

constexpr ComponentInfo rocksdb_info{
    .alias = "rocksdb",
    .class_name = {},
    .meaning = "Keeps events on disk: what it has acknowledged survives a crash.",
    .keys = rocksdb_keys};
constexpr ComponentInfo file_info{.alias = "file",
                                  .class_name = "org.apache.flume.channel.file.FileChannel",
                                  .meaning = "Flume's file channel, served by the durable channel.",
                                  .keys = file_keys};
constexpr ComponentInfo spillable_info{
    .alias = "spillablememory",
    .class_name = "org.apache.flume.channel.SpillableMemoryChannel",
    .meaning = "Flume's spillable memory channel, served by the durable channel.",
    .keys = spillable_keys};

FrameCompression compression_of(const Settings& settings) {
  const std::string choice = settings.text("compression");
  if (choice == "lz4") return FrameCompression::Lz4;
  return choice == "zstd" ? FrameCompression::Zstd : FrameCompression::None;
}

DurableChannel::Options channel_options(const Settings& settings, const ChannelContext& context) {
  DurableChannel::Options options;
  options.name = settings.name();
  options.capacity_events = static_cast<std::uint64_t>(settings.integer("capacity"));
  options.transaction_capacity =
      static_cast<std::uint64_t>(settings.integer("transactionCapacity"));
  options.keep_alive = settings.duration("keep-alive");
  if (const std::uint64_t bytes = settings.bytes("capacityBytes"); bytes > 0) {
    options.body_bytes_max = bytes;
  }
  options.cache_bytes = context.memory_share_bytes;
  if (settings.has("cacheBytes")) options.cache_bytes = settings.bytes("cacheBytes");
  options.compression = compression_of(settings);
  return options;
}

GroupCommit::Options commit_options(const Settings& settings) {
  GroupCommit::Options options;
  options.sync_interval = settings.duration("syncInterval");
  const std::string choice = settings.text("sync");
  if (choice == "interval") options.sync = SyncMode::Interval;
  if (choice == "never") options.sync = SyncMode::Never;
  return options;
}

std::unique_ptr<Channel> make(DurableChannel::Options options, std::string directory,
                              const Settings& settings, GroupCommit::Options commits,
                              const ChannelContext& context) {
  Store::Options store;
  store.path = directory.empty() ? context.stores.directory() : std::move(directory);
  store.free_bytes_min = settings.bytes("minimumRequiredSpace");
  return std::make_unique<DurableChannel>(std::move(options), context.stores.at(store, commits),
                                          context.pool);
}

std::unique_ptr<Channel> make_rocksdb(const Settings& settings, ChannelContext context) {
  return make(channel_options(settings, context),
              settings.has("directory") ? settings.text("directory") : "", settings,
              commit_options(settings), context);
}

/// The first of Flume's data directories, in a folder of our own beside Flume's files.
std::string file_directory(const Settings& settings) {
  if (!settings.has("dataDirs")) return "";
  const std::string all = settings.text("dataDirs");
  std::string first = all.substr(0, all.find(','));
  first.erase(0, first.find_first_not_of(' '));
  first.erase(first.find_last_not_of(' ') + 1);
  if (first.rfind("~/", 0) == 0) {
    if (const char* home = std::getenv("HOME")) first = home + first.substr(1);
  }
  return first.empty() ? "" : first + "/sluice-" + settings.name();
}

GroupCommit::Options file_commits(const Settings& settings) {
  GroupCommit::Options options = commit_options(settings);
  if (!settings.boolean("fsyncPerTransaction")) {
    options.sync = SyncMode::Interval;
    options.sync_interval = settings.duration("fsyncInterval");
  }
  return options;
}

std::unique_ptr<Channel> make_file(const Settings& settings, ChannelContext context) {
  return make(channel_options(settings, context), file_directory(settings), settings,
              file_commits(settings), context);
}

std::unique_ptr<Channel> make_spillable(const Settings& settings, ChannelContext context) {
  DurableChannel::Options options = channel_options(settings, context);
  options.capacity_events = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(settings.integer("memoryCapacity")) +
             static_cast<std::uint64_t>(settings.integer("overflowCapacity")));
  return make(std::move(options), file_directory(settings), settings, file_commits(settings),
              context);
}

}  // namespace

extern const ChannelType rocksdb_channel{&rocksdb_info, make_rocksdb};
extern const ChannelType file_channel{&file_info, make_file};
extern const ChannelType spillable_channel{&spillable_info, make_spillable};

}  // namespace sluice
