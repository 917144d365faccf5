// An agent without sources and sinks: interceptors, selector, channels and stores, wired as one
// that was loaded from a file, and with disks that fail when they are told to.
#pragma once

#include <rocksdb/env.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "channels/memory_channel.h"
#include "interceptors/catalog.h"
#include "sources/channel_processor.h"
#include "tests/origins/plain_agent.h"
#include "tests/support/durable_channels.h"
#include "tests/support/memory_channels.h"
#include "tests/support/power_cut.h"
#include "tests/support/settings.h"

namespace sluice::testing {

/// One thread.
class WiredAgent {
 public:
  struct Options {
    std::string path;  ///< Its stores lie below it.
    PlainRouting routing;
    std::vector<PlainChannel> channels;
    std::size_t stores = 0;
    OnFull on_full = OnFull::Wait;
    std::uint64_t budget_bytes = 0;  ///< Of durable channels; 0: everything is read from disk.
    std::uint64_t memtable_bytes = 1 << 20;
    const Clock* clock = &Clock::system();
  };
  /// Pool and clock outlive it.
  WiredAgent(Options options, SlabPool& pool) : options_(std::move(options)), pool_(pool) {}
  ~WiredAgent() { stop(); }
  WiredAgent(const WiredAgent&) = delete;
  WiredAgent& operator=(const WiredAgent&) = delete;

  /// Errors: of a channel that cannot be opened.
  Status start() {
    for (std::size_t i = 0; i < options_.stores; ++i) {
      disks_.push_back(std::make_shared<PowerCut>());
      environments_.push_back(rocksdb::NewCompositeEnv(disks_.back()));
      stores_.push_back(
          std::make_unique<SharedStore>(Store::Options{.path = store_path(i),
                                                       .memtable_bytes = options_.memtable_bytes,
                                                       .free_bytes_min = 1 << 20,
                                                       .env = environments_.back().get()},
                                        GroupCommit::Options{.reopen_pause = milliseconds(1)}));
    }
    for (const PlainChannel& plan : options_.channels) {
      channels_.push_back(made(plan));
      if (Status status = channels_.back()->open(); !status.ok()) return status;
    }
    processor_ = std::make_unique<ChannelProcessor>(processor_options(), counters_);
    return {};
  }

  /// What is in memory is lost, and so is what a disk that was cut had not synced.
  void stop(std::mt19937_64* torn_by = nullptr) {
    processor_.reset();
    for (auto& channel : channels_) {
      channel->close();
      channel->abandon();
    }
    channels_.clear();
    stores_.clear();
    for (const auto& disk : disks_) {
      if (torn_by != nullptr && disk->is_cut()) disk->tear(*torn_by);
    }
    environments_.clear();
    disks_.clear();
  }

  ChannelProcessor& processor() noexcept { return *processor_; }
  Channel& channel(std::size_t number) noexcept { return *channels_[number]; }
  SharedStore& store(std::size_t number) noexcept { return *stores_[number]; }
  PowerCut& disk(std::size_t store) noexcept { return *disks_[store]; }
  std::string store_path(std::size_t store) const {
    return options_.path + "/store" + std::to_string(store);
  }
  const Options& options() const noexcept { return options_; }
  const SourceCounters& counters() const noexcept { return counters_; }
  std::optional<std::uint64_t> note(std::size_t store) const {
    const auto value = stores_[store]->note("position");
    return value ? std::optional<std::uint64_t>(std::stoull(*value)) : std::nullopt;
  }

 private:
  std::unique_ptr<Channel> made(const PlainChannel& plan) {
    if (!plan.store) {
      MemoryChannel::Options options = roomy_channel(plan.name);
      options.capacity_events = plan.capacity;
      options.keep_alive = milliseconds(0);
      return std::make_unique<MemoryChannel>(std::move(options), pool_);
    }
    DurableChannel::Options options = stored_channel(plan.name, options_.budget_bytes);
    options.capacity_events = plan.capacity;
    options.keep_alive = milliseconds(0);
    options.clock = options_.clock;
    if (plan.keeps) options.retention.age = std::chrono::hours(1000);
    return std::make_unique<DurableChannel>(std::move(options), *stores_[*plan.store], pool_);
  }

  Route wired(const PlainRoute& plain) const {
    Route route;
    for (const std::size_t i : plain.required) route.required.push_back(channels_[i].get());
    for (const std::size_t i : plain.optional) route.optional.push_back(channels_[i].get());
    return route;
  }

  ChannelProcessor::Options processor_options() const {
    const PlainRouting& routing = options_.routing;
    ChannelProcessor::Options options;
    options.source_name = "source r1";
    Route otherwise = wired(routing.otherwise);
    options.required = std::move(otherwise.required);
    options.optional = std::move(otherwise.optional);
    options.header = routing.header;
    for (const auto& [value, way] : routing.by_value)
      options.mappings.push_back({value, wired(way)});
    for (const PlainStep& step : routing.steps) options.interceptors.push_back(made(step));
    options.on_full = options_.on_full;
    const PlainAgent plain{routing, options_.channels, {}};
    const std::set<std::size_t> required = plain.required_stores();
    for (const std::size_t i : required) options.stores.push_back(stores_[i].get());
    for (const std::size_t i : plain.stores_of(routing.optional())) {
      if (required.count(i) > 0) continue;
      options.stores.push_back(stores_[i].get());
      ++options.optional_stores;
    }
    options.keeps_notes = plain.all_required_durable();
    return options;
  }

  static std::unique_ptr<Interceptor> made(const PlainStep& step) {
    std::string alias = "static";
    std::map<std::string, std::string> keys;
    switch (step.kind) {
      case PlainStep::Kind::DropDigit:
        alias = "regex_filter";
        keys = {{"regex", step.value + "$"}, {"excludeEvents", "true"}};
        break;
      case PlainStep::Kind::SetMissing:
        keys = {{"key", "kind"}, {"value", step.value}, {"preserveExisting", "true"}};
        break;
      case PlainStep::Kind::SetAll:
        keys = {{"key", "kind"}, {"value", step.value}, {"preserveExisting", "false"}};
        break;
      case PlainStep::Kind::Remove:
        alias = "remove_header";
        keys = {{"withName", "kind"}};
        break;
    }
    const InterceptorType* const type = find_type(interceptor_types(), alias);
    SLUICE_ASSERT(type != nullptr, "a built interceptor is in the catalogue");
    return type->make(test_settings(*type->info, "interceptor i1", keys), Clock::system());
  }

  const Options options_;
  SlabPool& pool_;
  SourceCounters counters_;
  std::vector<std::shared_ptr<PowerCut>> disks_;
  std::vector<std::unique_ptr<rocksdb::Env>> environments_;
  std::vector<std::unique_ptr<SharedStore>> stores_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::unique_ptr<ChannelProcessor> processor_;
};

}  // namespace sluice::testing
