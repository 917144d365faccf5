// A sink with its runner on a thread of its own, behind a memory channel.
#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "channels/memory_channel.h"
#include "sinks/sink_runner.h"
#include "tests/support/batches.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_file_system.h"
#include "tests/support/memory_channels.h"
#include "tests/support/settings.h"

namespace sluice {

class SinkRig {
 public:
  SinkRig(const SinkType& type, const Settings& settings, FileSystem& files = FileSystem::real(),
          const Clock& clock = Clock::system())
      : channel_(roomy_channel(), pool_),
        sink_(type.make(settings, {counters_, files, clock})),
        runner_(
            {.name = "sink k1", .backoff_first = milliseconds(1), .backoff_max = milliseconds(20)},
            channel_, *sink_, counters_) {}
  ~SinkRig() { stop(); }

  void start() {
    thread_ =
        std::jthread([this](std::stop_token stop) { outcome_ = runner_.run(std::move(stop)); });
  }
  void stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
  }
  /// Lets the sink empty the channel and end.
  void drain() {
    channel_.close();
    if (thread_.joinable()) thread_.join();
  }
  /// Puts numbered events in batches of 10.
  void put_numbers(std::uint64_t first, std::uint64_t count, std::size_t bytes_min = 0) {
    for (std::uint64_t i = 0; i < count; i += 10) {
      const auto events = static_cast<std::uint32_t>(std::min<std::uint64_t>(10, count - i));
      if (!put(channel_, numbered(pool_, first + i, events, bytes_min))) std::abort();
    }
  }
  bool delivered(std::uint64_t events) {
    return eventually([&] { return counters_.delivered.events.get() >= events; });
  }

  MemoryChannel& channel() noexcept { return channel_; }
  SinkCounters& counters() noexcept { return counters_; }
  SlabPool& pool() noexcept { return pool_; }
  Sink& sink() noexcept { return *sink_; }
  const Status& outcome() const noexcept { return outcome_; }
  bool healthy() const noexcept { return runner_.healthy(); }

 private:
  SlabPool pool_{64 * 1024, keep_no_free_slabs};
  MemoryChannel channel_;
  SinkCounters counters_;
  std::unique_ptr<Sink> sink_;
  SinkRunner runner_;
  Status outcome_;
  std::jthread thread_;
};

/// "first\n", "first + 1\n", ... as numbered() makes them without a least size.
inline std::string number_lines(std::uint64_t first, std::uint64_t count) {
  std::string text;
  for (std::uint64_t i = 0; i < count; ++i) text += std::to_string(first + i) + "\n";
  return text;
}

}  // namespace sluice
