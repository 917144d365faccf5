// A file system elsewhere, whose answers get lost and whose files break off.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "sinks/file_place.h"

namespace sluice::testing {

/// Thread-safe; outlives the sinks that write to it.
class FakeStorage {
 public:
  explicit FakeStorage(std::uint64_t seed = 1) : random_(seed) {}

  /// Of calls; the rest fails: before, after or in the middle of what they do.
  void working_percent(unsigned percent) {
    const std::lock_guard lock(mutex_);
    percent_ = percent;
  }
  /// What was given up may still be done, in part, before any later call.
  void calls_come_late() {
    const std::lock_guard lock(mutex_);
    late_calls_ = true;
  }
  std::map<std::string, std::string> files() const {
    const std::lock_guard lock(mutex_);
    return files_;
  }
  void put(const std::string& name, std::string content) {
    const std::lock_guard lock(mutex_);
    files_[name] = std::move(content);
  }

 private:
  friend class FakePlace;
  enum class Luck : unsigned char { Works, FailsBefore, AnswerLost };
  Luck luck() {
    if (!late_.empty() && random_() % 3 == 0) {
      const auto& [name, content] = late_[random_() % late_.size()];
      files_[name] = content.substr(0, random_() % (content.size() + 1));
    }
    if (random_() % 100 < percent_) return Luck::Works;
    return random_() % 2 == 0 ? Luck::FailsBefore : Luck::AnswerLost;
  }

  mutable std::mutex mutex_;
  std::mt19937_64 random_;  // these: guarded by mutex_
  unsigned percent_ = 100;
  std::map<std::string, std::string> files_;
  bool late_calls_ = false;
  std::vector<std::pair<std::string, std::string>> late_;
};

class FakePlace final : public FilePlace {
 public:
  explicit FakePlace(FakeStorage& storage) : storage_(storage) {}

  Result<std::uint64_t> write(const std::string& name, Content& content) override {
    if (Status status = content.begin(); !status.ok()) return status;
    std::string all;
    for (std::string piece;; piece.clear()) {
      if (Status status = content.more(piece); !status.ok()) return status;
      if (piece.empty()) break;
      all += piece;
    }
    const std::lock_guard lock(storage_.mutex_);
    const auto luck = storage_.luck();
    if (storage_.late_calls_ && luck != FakeStorage::Luck::Works) {
      storage_.late_.emplace_back(name, all);
    }
    if (luck == FakeStorage::Luck::FailsBefore) {
      storage_.files_[name] = all.substr(0, storage_.random_() % (all.size() + 1));
      return Retry("it broke off");
    }
    storage_.files_[name] = all;
    if (luck == FakeStorage::Luck::AnswerLost) return Retry("no answer");
    return all.size();
  }
  Result<std::optional<std::uint64_t>> size_of(const std::string& name) override {
    const std::lock_guard lock(storage_.mutex_);
    const auto file = storage_.files_.find(name);
    if (file == storage_.files_.end()) return std::optional<std::uint64_t>();
    return std::optional<std::uint64_t>(file->second.size());
  }
  Status rename_new(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(storage_.mutex_);
    const auto luck = storage_.luck();
    if (luck == FakeStorage::Luck::FailsBefore) return Retry("no connection");
    const bool source = storage_.files_.count(from) > 0;
    const bool target = storage_.files_.count(to) > 0;
    if (!source) return target ? Status() : Retry("it is not there");
    if (target) return Reject("it is taken");
    storage_.files_[to] = storage_.files_[from];
    storage_.files_.erase(from);
    return luck == FakeStorage::Luck::AnswerLost ? Retry("no answer") : Status();
  }
  Status remove(const std::string& name) override {
    const std::lock_guard lock(storage_.mutex_);
    storage_.files_.erase(name);
    return {};
  }

 private:
  FakeStorage& storage_;
};

}  // namespace sluice::testing
