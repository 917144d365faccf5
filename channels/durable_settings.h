// Keys and settings that the types of durable channel have in common.
#pragma once

#include <memory>
#include <string>

#include "channels/channel_type.h"
#include "channels/durable_channel.h"
#include "core/config/component.h"

namespace sluice {

inline constexpr Key capacity_key{.name = "capacity",
                                  .type = KeyType::Integer,
                                  .default_value = "1000000",
                                  .meaning = "Events that the channel holds at most.",
                                  .min = 1};
inline constexpr Key transaction_capacity_key{
    .name = "transactionCapacity",
    .type = KeyType::Integer,
    .default_value = "10000",
    .meaning =
        "Largest batch that Flume would take in one transaction; judged by check, no limit "
        "here.",
    .min = 1};
inline constexpr Key keep_alive_key{
    .name = "keep-alive",
    .type = KeyType::Seconds,
    .default_value = "3",
    .meaning = "How long a source with onFull = reject waits for room.",
    .min = 0};
inline constexpr Key capacity_bytes_key{
    .name = "capacityBytes",
    .type = KeyType::Bytes,
    .default_value = "0",
    .meaning = "Bytes of bodies that the channel holds at most; 0 is no limit.",
    .min = 0};
inline constexpr Key cache_bytes_key{
    .name = "cacheBytes",
    .type = KeyType::Bytes,
    .meaning =
        "Memory for events that wait and need not be read from disk again; without it the "
        "channel has its share of the agent's memory limit.",
    .min = 0};
inline constexpr Key sync_key{
    .name = "sync",
    .type = KeyType::Choice,
    .default_value = "always",
    .meaning =
        "When a commit is complete: always = once it is on disk, interval = "
        "once it is written, with a sync every syncInterval, never = once it "
        "is written.",
    .choices = "always interval never"};
inline constexpr Key sync_interval_key{.name = "syncInterval",
                                       .type = KeyType::Millis,
                                       .default_value = "1000",
                                       .meaning = "Time between two syncs with sync = interval.",
                                       .min = 1};
inline constexpr Key compression_key{
    .name = "compression",
    .type = KeyType::Choice,
    .default_value = "none",
    .meaning =
        "How the bodies of a batch are made smaller on disk; worth it "
        "where the disk is slow.",
    .choices = "none lz4 zstd"};

/// A key of Flume's that is accepted and does nothing.
constexpr Key ignored_key(std::string_view name, std::string_view meaning) {
  return {.name = name, .type = KeyType::Ignored, .meaning = meaning};
}

DurableChannel::Options durable_options(const Settings& settings, const ChannelContext& context);
GroupCommit::Options commit_options(const Settings& settings);

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
