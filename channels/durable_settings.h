// Keys and settings that the types of durable channel have in common.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "channels/channel_type.h"
#include "channels/durable_channel.h"
#include "core/config/component.h"

namespace sluice {

/// The keys of every durable channel.
inline constexpr std::array durable_keys{
    Key{.name = "capacity",
        .type = KeyType::Integer,
        .default_value = "1000000",
        .meaning = "Events that the channel holds at most.",
        .min = 1},
    Key{.name = "transactionCapacity",
        .type = KeyType::Integer,
        .default_value = "10000",
        .meaning = "Largest batch that Flume would take in one transaction; judged by check, no "
                   "limit here.",
        .min = 1},
    Key{.name = "keep-alive",
        .type = KeyType::Seconds,
        .default_value = "3",
        .meaning = "How long a source with onFull = reject waits for room.",
        .min = 0},
    Key{.name = "capacityBytes",
        .type = KeyType::Bytes,
        .default_value = "0",
        .meaning = "Bytes of bodies that the channel holds at most; 0 is no limit.",
        .min = 0},
    Key{.name = "cacheBytes",
        .type = KeyType::Bytes,
        .meaning = "Memory for events that wait and need not be read from disk again; without it "
                   "the channel has its share of the agent's memory limit.",
        .min = 0},
    Key{.name = "sync",
        .type = KeyType::Choice,
        .default_value = "always",
        .meaning = "When a commit is complete: always = once it is on disk, interval = once it is "
                   "written, with a sync every syncInterval, never = once it is written.",
        .choices = "always interval never"},
    Key{.name = "syncInterval",
        .type = KeyType::Millis,
        .default_value = "1000",
        .meaning = "Time between two syncs with sync = interval.",
        .min = 1},
    Key{.name = "compression",
        .type = KeyType::Choice,
        .default_value = "none",
        .meaning = "How the bodies of a batch are made smaller on disk; worth it where the disk is "
                   "slow.",
        .choices = "none lz4 zstd"},
    Key{.name = "retention",
        .type = KeyType::TimeOrSize,
        .default_value = "0",
        .meaning = "How long, or up to which size of bodies, delivered events are kept to be "
                   "replayed: 24h, 10GB, or both; no part of capacity; 0 keeps nothing."},
    Key{.name = "replayCapacity",
        .type = KeyType::Bytes,
        .default_value = "1GiB",
        .meaning = "Bodies that a sink with batches of its own may have read ahead of its commit, "
                   "on disk beside capacity; 0 is no limit.",
        .min = 0},
};

/// A key of Flume's that is accepted and does nothing.
constexpr Key ignored_key(std::string_view name, std::string_view meaning) {
  return {.name = name, .type = KeyType::Ignored, .meaning = meaning};
}

/// The keys of Flume's file channel, which its spillable channel has too.
inline constexpr std::array file_channel_keys{
    Key{.name = "dataDirs",
        .type = KeyType::Text,
        .meaning = "Directories, with commas; the store lies in the first. Without it in the "
                   "agent's state directory, shared with the other durable channels."},
    Key{.name = "minimumRequiredSpace",
        .type = KeyType::Bytes,
        .default_value = "524288000",
        .meaning = "Nothing more is taken in while the disk has less than this left; at least 1 "
                   "MiB.",
        .bad_means_default = true},
    Key{.name = "fsyncPerTransaction",
        .type = KeyType::Boolean,
        .default_value = "true",
        .meaning = "false means sync = interval."},
    Key{.name = "fsyncInterval",
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
};

/// One table out of several.
template <std::size_t... sizes>
constexpr auto joined(const std::array<Key, sizes>&... tables) {
  std::array<Key, (sizes + ...)> all{};
  std::size_t next = 0;
  const auto append = [&](const auto& table) {
    for (const Key& key : table) all[next++] = key;
  };
  (append(tables), ...);
  return all;
}

/// As Flume's channels forgive them: a capacity that is none, or below its least, is a warning and
/// the default is used.
template <std::size_t size>
constexpr auto forgiving(std::array<Key, size> table) {
  for (Key& key : table) {
    if (key.name == "capacity" || key.name == "transactionCapacity") key.bad_means_default = true;
  }
  return table;
}

DurableChannel::Options durable_options(const Settings& settings, const ChannelContext& context);
GroupCommit::Options commit_options(const Settings& settings);

/// Less free space is never asked for, as in Flume.
inline constexpr std::uint64_t required_space_min = 1 << 20;
/// Warns where minimumRequiredSpace is below it.
std::vector<Finding> judge_required_space(const Settings& settings);

/// What Flume's file channel says about its directories and its syncs.
struct FileChannelSettings {
  std::string directory;               ///< Of the store; empty: the agent's.
  std::vector<std::string> data_dirs;  ///< Where Flume's own files may lie.
  GroupCommit::Options commits;
};
FileChannelSettings file_channel_settings(const Settings& settings);

/// A channel on the store in `directory`, or on the agent's when that is empty.
std::unique_ptr<Channel> make_durable(DurableChannel::Options options, const std::string& directory,
                                      const Settings& settings, const GroupCommit::Options& commits,
                                      const ChannelContext& context);

}  // namespace sluice
