// A source with its channel, or a channel to put into: what tests of sources need around them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "channels/memory_channel.h"
#include "core/base/assert.h"
#include "core/config/settings.h"
#include "core/config/values.h"
#include "sources/source.h"

namespace sluice::testing {

/// Deadline of everything that a test waits for.
constexpr std::chrono::seconds patience{20};

/// Settings of a component named "x1", checked as the loader does.
inline Settings make_settings(const std::string& kind, const ComponentInfo& info,
                              const std::map<std::string, std::string>& values) {
  std::map<std::string, Settings::Value, std::less<>> checked;
  for (const auto& [name, text] : values) {
    const Key* found = nullptr;
    for (const Key& key : info.keys) {
      const bool pattern = key.name.ends_with(".*");
      const auto prefix = key.name.substr(0, key.name.size() - (pattern ? 1 : 0));
      if (pattern ? name.starts_with(prefix) : name == prefix) found = &key;
    }
    SLUICE_ASSERT(found != nullptr, "a test sets a key that is not in the table");
    SLUICE_ASSERT(check_value(*found, text).ok(), "a test sets a value that the loader refuses");
    checked[name] = {text, {}, static_cast<std::uint32_t>(checked.size())};
  }
  return Settings(kind + " x1", "x1", info, std::move(checked));
}

/// True once `ready` holds; false after the deadline.
inline bool wait_for(const std::function<bool()>& ready,
                     std::chrono::milliseconds most = patience) {
  const auto end = std::chrono::steady_clock::now() + most;
  while (!ready()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

/// One source in front of a memory channel, on a thread of its own once it is started.
class Pipeline {
 public:
  struct Options {
    MemoryChannel::Options channel{{.name = "c1", .capacity_events = 100'000}};
    OnFull on_full = OnFull::Wait;
    std::size_t slab_bytes = Slab::bytes_default;
    bool once = false;
    InputFiles* input = &InputFiles::real();
    FileSystem* files = &FileSystem::real();
    const Clock* clock = &Clock::system();
    std::unique_ptr<DirectoryWatch> (*make_watch)() = DirectoryWatch::make;
  };
  Pipeline(const SourceType& type, const std::map<std::string, std::string>& values)
      : Pipeline(type, values, Options()) {}
  Pipeline(const SourceType& type, const std::map<std::string, std::string>& values,
           Options options)
      : settings(make_settings("source", *type.info, values)),
        pool(options.slab_bytes),
        window("source x1", type.window_bytes ? type.window_bytes(settings) : window_bytes_default),
        channel(std::move(options.channel), pool),
        out({.source_name = "source x1",
             .required = {&channel},
             .optional = {},
             .interceptors = {},
             .on_full = options.on_full},
            counters),
        source(type.make(settings, {out, counters, pool, window, *options.clock, options.once,
                                    *options.input, *options.files, options.make_watch})) {
    SLUICE_ASSERT(channel.open().ok(), "a memory channel opens");
  }
  ~Pipeline() { stop(); }
  Pipeline(const Pipeline&) = delete;
  Pipeline& operator=(const Pipeline&) = delete;

  /// Opens and runs the source on its thread. The outcome of open() is returned.
  Status start() {
    std::atomic<bool> opened{false};
    Status outcome;
    thread = std::jthread([&, this](const std::stop_token& stop_token) {
      outcome = source->open();
      const bool runs = outcome.ok();
      opened = true;
      opened.notify_one();
      if (runs) result = source->run(stop_token);
      source->close();
      finished = true;
    });
    opened.wait(false);
    return outcome;
  }

  /// Asks the source to stop and waits until it has.
  void stop() {
    thread.request_stop();
    if (thread.joinable()) thread.join();
  }
  /// Waits until the source has finished by itself.
  bool wait_finished() {
    return wait_for([this] { return finished.load(); });
  }

  /// Takes `events` events (or what comes until the deadline) and keeps them for good.
  std::vector<std::string> read(std::size_t events) {
    std::vector<std::string> bodies;
    take(events, [&](const Event& event) { bodies.emplace_back(event.body); });
    return bodies;
  }
  /// All that is there just now.
  std::vector<std::string> read_rest() { return read(channel.counters().stored.events.get()); }

  template <typename F>
  void take(std::size_t events, F&& each) {
    const auto end = std::chrono::steady_clock::now() + patience;
    for (std::size_t seen = 0; seen < events && std::chrono::steady_clock::now() < end;) {
      const auto most = static_cast<std::uint32_t>(events - seen);
      Taken taken =
          channel.take({.events_max = most, .wait_max = std::chrono::milliseconds(100)}, {});
      for (std::uint32_t i = 0; i < taken.batch().size(); ++i) each(taken.batch()[i]);
      seen += taken.batch().size();
      if (taken.empty()) continue;
      Commit commit;
      commit.take(std::move(taken));
      SLUICE_ASSERT(std::move(commit).wait().ok(), "a commit in memory cannot fail");
    }
  }

  const Settings settings;
  SlabPool pool;
  MemoryAccount window;
  SourceCounters counters;
  MemoryChannel channel;
  ChannelProcessor out;
  std::unique_ptr<Source> source;
  std::atomic<bool> finished{false};
  Status result;  ///< Of run(); read it after stop() or wait_finished().
  std::jthread thread;
};

}  // namespace sluice::testing
