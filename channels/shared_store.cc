#include "channels/shared_store.h"

#include <algorithm>
#include <utility>

#include "channels/stored_queue.h"
#include "core/base/assert.h"
#include "core/base/fail_point.h"
#include "core/base/file.h"

namespace sluice {
namespace {

/// A commit as the group committer sees it.
class StoreCommit final : public Work {
 public:
  explicit StoreCommit(Commit commit) : commit_(std::move(commit)) {
    for (const Frame& frame : commit_.frames()) bytes_ += frame.bytes();
    // A take alone gives room back, also on a full disk.
    needs_room_ = commit_.takes().empty() || bytes_ > 0;
  }

  void write(WriteGroup& group) override {
    auto frame = commit_.frames().begin();
    for (Reservation& room : commit_.puts()) {
      if (StoredQueue* const queue = room.channel()->stored()) {
        queue->write_put(group, *frame++, room);
      }
    }
    for (const Taken& taken : commit_.takes()) {
      if (StoredQueue* const queue = taken.channel()->stored()) {
        queue->write_take(group, taken);
      }
    }
    for (const Note& note : commit_.notes()) group.note(note.key, note.value);
  }

  void complete(const Status& status, bool written) override {
    if (written && !status.ok()) {
      for (const Reservation& room : commit_.puts()) {
        if (StoredQueue* const queue = room.channel()->stored()) queue->undo_put(room);
      }
      for (const Taken& taken : commit_.takes()) {
        if (StoredQueue* const queue = taken.channel()->stored()) queue->undo_take(taken);
      }
    }
    std::move(commit_).complete(status);
  }

  bool needs_room() const noexcept override { return needs_room_; }
  std::uint64_t bytes() const noexcept override { return bytes_; }

 private:
  Commit commit_;
  std::uint64_t bytes_ = 0;
  bool needs_room_ = true;
};

}  // namespace

void SharedStore::tighten(const Store::Options& store, const GroupCommit::Options& commits) {
  const std::lock_guard lock(mutex_);
  SLUICE_ASSERT(commits_ == nullptr, "an open store keeps its options");
  store_options_.free_bytes_min = std::max(store_options_.free_bytes_min, store.free_bytes_min);
  commit_options_.sync = std::min(commit_options_.sync, commits.sync);
  commit_options_.sync_interval = std::min(commit_options_.sync_interval, commits.sync_interval);
}

Status SharedStore::open() {
  const std::lock_guard lock(mutex_);
  if (commits_) return {};
  fail_point(FailPoint::RecoveryBeforeOpen);
  auto store = Store::open(store_options_);
  if (!store.ok()) return store.status();
  fail_point(FailPoint::RecoveryAfterOpen);
  auto notes = GroupCommit::read_notes(**store);
  if (!notes.ok()) return notes.status();
  store_ = *std::move(store);
  commits_ = std::make_unique<GroupCommit>(*store_, commit_options_, *std::move(notes));
  return {};
}

bool SharedStore::is_open() const {
  const std::lock_guard lock(mutex_);
  return commits_ != nullptr;
}

Status SharedStore::health() const {
  const std::lock_guard lock(mutex_);
  return commits_ ? commits_->health() : Retry("the store is not open");
}

void SharedStore::submit(Commit commit) {
  SLUICE_ASSERT(commits_ != nullptr, "a commit for a store that is not open");
  commits_->submit(std::make_unique<StoreCommit>(std::move(commit)));
}

std::optional<std::string> SharedStore::note(std::string_view key) const {
  SLUICE_ASSERT(commits_ != nullptr, "a note is asked from a store that is not open");
  return commits_->note(key);
}

std::vector<std::pair<std::string, std::string>> SharedStore::notes(std::string_view prefix) const {
  SLUICE_ASSERT(commits_ != nullptr, "notes are asked from a store that is not open");
  return commits_->notes(prefix);
}

SharedStore& Stores::at(const Store::Options& options, const GroupCommit::Options& commits) {
  // Two ways to write one directory are one store.
  auto& store = stores_[canonical_path(options.path)];
  if (store) {
    store->tighten(options, commits);
  } else {
    store = std::make_unique<SharedStore>(options, commits);
  }
  return *store;
}

std::vector<SharedStore*> Stores::open_ones() const {
  std::vector<SharedStore*> open;
  for (const auto& [path, store] : stores_) {
    if (store->is_open()) open.push_back(store.get());
  }
  return open;
}

}  // namespace sluice
