// A committer as a store will be one: late, on a thread of its own, and sometimes with a refusal.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "channels/commit.h"
#include "core/base/wait.h"

namespace sluice {

/// Serves one owner. Commits wait until a few are together or `late_by` has passed. A refused
/// commit takes with it everything that waits behind it, as the contract in channels/commit.h says.
class LateCommitter final : public Committer {
 public:
  struct Options {
    std::uint64_t seed = 1;
    double refusals = 0;  ///< Share of commits that are refused with Retry.
    milliseconds late_by{1};
    std::size_t together = 8;  ///< So many are completed without waiting any longer.
  };
  explicit LateCommitter(Options options)
      : options_(options),
        random_(options.seed),
        thread_([this](std::stop_token stop) { run(std::move(stop)); }) {}
  ~LateCommitter() override {
    resume();
    thread_.request_stop();
    thread_.join();
  }

  void submit(Commit commit) override {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(commit));
    submitted_ = submitted_ + 1;
    changed_.notify_all();
  }

  std::vector<std::pair<std::string, std::string>> notes(std::string_view prefix) const override {
    std::vector<std::pair<std::string, std::string>> found;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, value] : notes_) {
      if (key.starts_with(prefix)) found.emplace_back(key, value);
    }
    return found;
  }
  std::optional<std::string> note(std::string_view key) const override {
    const std::lock_guard lock(mutex_);
    const auto found = notes_.find(key);
    if (found == notes_.end()) return std::nullopt;
    return found->second;
  }

  /// Nothing completes until resume().
  void pause() {
    const std::lock_guard lock(mutex_);
    paused_ = true;
  }
  void resume() {
    const std::lock_guard lock(mutex_);
    paused_ = false;
    changed_.notify_all();
  }
  /// The next commit to complete gets this instead of Ok.
  void refuse_next(Status status) {
    const std::lock_guard lock(mutex_);
    refuse_with_ = std::move(status);
  }
  /// Nothing gets through any more, as if the process were gone.
  void refuse_all(bool yes) {
    const std::lock_guard lock(mutex_);
    refuse_all_ = yes;
  }
  std::uint64_t submitted() const {
    const std::lock_guard lock(mutex_);
    return submitted_;
  }
  std::uint64_t refused() const {
    const std::lock_guard lock(mutex_);
    return refused_;
  }
  /// Called with every commit before it completes well, on the committer's thread.
  std::function<void(const Commit&)> on_commit;

 private:
  void run(std::stop_token stop) {
    for (;;) {
      std::unique_lock lock(mutex_);
      wait_until(changed_, lock, Deadline::never(), stop,
                 [&] { return !waiting_.empty() && !paused_; });
      if (waiting_.empty()) return;
      if (!stop.stop_requested()) {
        wait_until(changed_, lock, Deadline::in(options_.late_by), stop,
                   [&] { return waiting_.size() >= options_.together; });
        if (paused_) continue;
      }
      complete_some(lock);
    }
  }

  /// Completes the front, or refuses it and everything behind it.
  void complete_some(std::unique_lock<std::mutex>& lock) {
    Status status = std::exchange(refuse_with_, {});
    if (status.ok() && (refuse_all_ || chance_(random_) < options_.refusals))
      status = Retry("the disk is full");
    std::deque<Commit> batch;
    if (status.ok()) {
      batch.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    } else {
      batch.swap(waiting_);
      refused_ += batch.size();
    }
    while (!batch.empty()) {
      lock.unlock();
      for (Commit& commit : batch) {
        if (status.ok()) keep_notes(commit);
        if (status.ok() && on_commit) on_commit(commit);
        std::move(commit).complete(status);
      }
      lock.lock();
      batch.clear();
      if (status.ok()) return;
      // What came before the owner could know is refused too.
      batch.swap(waiting_);
      refused_ += batch.size();
    }
  }

  void keep_notes(const Commit& commit) {
    const std::lock_guard lock(mutex_);
    for (const Note& note : commit.notes()) {
      notes_[note.key] = note.value;
      if (note.value.empty()) notes_.erase(note.key);
    }
  }

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string, std::less<>> notes_;  // guarded by mutex_
  std::deque<Commit> waiting_;                             // guarded by mutex_
  std::mt19937_64 random_;                                 // the committer's thread
  std::uniform_real_distribution<double> chance_{0, 1};
  bool paused_ = false;          // guarded by mutex_
  bool refuse_all_ = false;      // guarded by mutex_
  Status refuse_with_;           // guarded by mutex_
  std::uint64_t submitted_ = 0;  // guarded by mutex_
  std::uint64_t refused_ = 0;    // guarded by mutex_
  std::jthread thread_;
};

}  // namespace sluice
