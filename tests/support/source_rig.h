// A source with everything it is given, on a thread of its own, over a memory channel.
#pragma once

#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "channels/memory_channel.h"
#include "sources/source.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/late_committer.h"
#include "tests/support/memory_channels.h"
#include "tests/support/settings.h"

namespace sluice {

class SourceRig {
 public:
  struct Options {
    MemoryChannel::Options channel = roomy_channel();
    ChannelProcessor::Options processor = {};
    FileSystem* files = &FileSystem::real();
  };
  SourceRig(const SourceType& type, const Settings& settings, Options options,
            Committer* committer = nullptr)
      : channel_(std::move(options.channel), pool_),
        window_("window", type.window_bytes ? type.window_bytes(settings) : window_bytes_default) {
    options.processor.required = {&channel_};
    if (committer != nullptr) options.processor.stores = {committer};
    processor_ = std::make_unique<ChannelProcessor>(std::move(options.processor), counters_);
    source_ = type.make(settings, {*processor_, counters_, pool_, window_, Clock::system(), false,
                                   InputFiles::real(), *options.files});
  }
  ~SourceRig() { stop(); }

  Status open() { return source_->open(); }
  void start() {
    thread_ = std::jthread([this](std::stop_token stop) {
      outcome_ = source_->run(stop);
      processor_->finish(stop);
      source_->close();
    });
  }
  /// As the agent does it: run() ends, commits land, close().
  void stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
  }
  /// Waits for the end of a source that ends by itself.
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  const Status& outcome() const noexcept { return outcome_; }

  /// Takes `events` out of the channel, with patience; their bodies.
  std::vector<std::string> take(std::size_t events) {
    std::vector<std::string> bodies;
    const Deadline deadline = patiently();
    while (bodies.size() < events && !deadline.passed()) {
      Taken taken = channel_.take({.events_max = static_cast<std::uint32_t>(events - bodies.size()),
                                   .wait_max = milliseconds(50)},
                                  {});
      for (auto& body : bodies_of(taken.batch())) bodies.push_back(std::move(body));
      if (!taken.empty()) commit(std::move(taken));
    }
    return bodies;
  }

  MemoryChannel& channel() noexcept { return channel_; }
  SourceCounters& counters() noexcept { return counters_; }
  const MemoryAccount& window() const noexcept { return window_; }
  SlabPool& pool() noexcept { return pool_; }
  bool balanced() const noexcept {
    const SourceCounters& c = counters_;
    return c.made.events.get() + c.copied.events.get() ==
               c.filtered.events.get() + c.unrouted.events.get() + c.doubles.events.get() +
                   c.refused.events.get() + c.put.events.get() &&
           c.made.bytes.get() + c.copied.bytes.get() ==
               c.filtered.bytes.get() + c.unrouted.bytes.get() + c.doubles.bytes.get() +
                   c.refused.bytes.get() + c.put.bytes.get();
  }

 private:
  SlabPool pool_;
  MemoryChannel channel_;
  SourceCounters counters_;
  MemoryAccount window_;
  std::unique_ptr<ChannelProcessor> processor_;
  std::unique_ptr<Source> source_;
  Status outcome_;
  std::jthread thread_;
};

}  // namespace sluice
