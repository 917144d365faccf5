#include "channels/durable_settings.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/base/fail_point.h"

namespace sluice {
namespace {

FrameCompression compression_of(const Settings& settings) {
  const std::string choice = settings.text("compression");
  if (choice == "lz4") return FrameCompression::Lz4;
  return choice == "zstd" ? FrameCompression::Zstd : FrameCompression::None;
}

/// Flume's lists of directories have commas, and ~ is the user's home.
std::vector<std::string> directories_of(const std::string& list) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at <= list.size();) {
    const std::size_t comma = std::min(list.find(',', at), list.size());
    std::string one = list.substr(at, comma - at);
    one.erase(0, one.find_first_not_of(" \t"));
    one.erase(one.find_last_not_of(" \t") + 1);
    const char* const home = std::getenv("HOME");
    if (one.rfind("~/", 0) == 0 && home != nullptr) one = home + one.substr(1);
    if (!one.empty()) all.push_back(std::move(one));
    at = comma + 1;
  }
  return all;
}

}  // namespace

DurableChannel::Options durable_options(const Settings& settings, const ChannelContext& context) {
  DurableChannel::Options options;
  options.name = settings.name();
  options.capacity_events = static_cast<std::uint64_t>(settings.integer("capacity"));
  options.transaction_capacity =
      static_cast<std::uint64_t>(settings.integer("transactionCapacity"));
  options.keep_alive = settings.duration("keep-alive");
  if (const std::uint64_t bytes = settings.bytes("capacityBytes"); bytes > 0) {
    options.body_bytes_max = bytes;
  }
  options.budget_bytes = context.memory_share_bytes;
  if (settings.has("cacheBytes")) options.budget_bytes = settings.bytes("cacheBytes");
  options.read_ahead_bytes_max = settings.bytes("replayCapacity");
  options.compression = compression_of(settings);
  const TimeOrSize retention = settings.time_or_size("retention");
  options.retention = {.age = retention.time, .bytes = retention.bytes};
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

std::vector<Finding> judge_required_space(const Settings& settings) {
  if (settings.bytes("minimumRequiredSpace") >= required_space_min) return {};
  return {{.severity = Severity::Warning,
           .key = "minimumRequiredSpace",
           .message = "it is raised to 1 MiB, the least, as Flume does"}};
}

FileChannelSettings file_channel_settings(const Settings& settings) {
  FileChannelSettings result;
  result.commits = commit_options(settings);
  if (settings.has("dataDirs")) result.data_dirs = directories_of(settings.text("dataDirs"));
  if (!result.data_dirs.empty()) {
    result.directory = result.data_dirs.front() + "/sluice-" + settings.name();
  }
  if (!settings.boolean("fsyncPerTransaction")) {
    result.commits.sync = SyncMode::Interval;
    result.commits.sync_interval = settings.duration("fsyncInterval");
  }
  return result;
}

std::unique_ptr<Channel> make_durable(DurableChannel::Options options, const std::string& directory,
                                      const Settings& settings, const GroupCommit::Options& commits,
                                      const ChannelContext& context) {
  Store::Options store;
  store.path = directory.empty() ? context.stores.directory() : directory;
  store.sync_takes = sync_takes();
  store.free_bytes_min =
      std::max<std::uint64_t>(settings.bytes("minimumRequiredSpace"), required_space_min);
  return std::make_unique<DurableChannel>(std::move(options), context.stores.at(store, commits),
                                          context.pool);
}

}  // namespace sluice
