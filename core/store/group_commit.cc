#include "core/store/group_commit.h"

#include <algorithm>

#include "core/base/assert.h"
#include "core/base/fail_point.h"
#include "core/base/log.h"
#include "core/base/thread.h"
#include "core/base/wait.h"
#include "core/store/retention.h"

namespace sluice {
namespace {

constexpr std::string_view note_prefix = "note/";

std::string account_key(std::uint32_t channel) { return "account/" + std::to_string(channel); }

}  // namespace

void WriteGroup::touch(Ledger& ledger) {
  if (std::find(ledgers_.begin(), ledgers_.end(), &ledger) == ledgers_.end()) {
    ledgers_.push_back(&ledger);
  }
}

void WriteGroup::abandon_frames(const Ledger& ledger, std::uint64_t below) {
  abandoned_.emplace_back(ledger.channel(), below);
}

void WriteGroup::note(std::string key, std::string value) {
  if (value.empty()) {
    batch_.remove_row(std::string(note_prefix) + key);
  } else {
    batch_.put_row(std::string(note_prefix) + key, value);
  }
  notes_.emplace_back(std::move(key), std::move(value));
}

Result<GroupCommit::NoteMap> GroupCommit::read_notes(const Store& store) {
  NoteMap notes;
  Status status =
      store.for_each_row(note_prefix, [&](std::string_view key, std::string_view value) {
        notes.emplace(key.substr(note_prefix.size()), value);
      });
  if (!status.ok()) return status;
  return notes;
}

GroupCommit::GroupCommit(Store& store, Options options, NoteMap notes)
    : store_(store), options_(options), notes_(std::move(notes)) {
  group_.batch_ = store_.batch();
  syncer_ = std::jthread([this] { sync_loop(); });
  writer_ = std::jthread([this](const std::stop_token& stop) { write_loop(stop); });
}

GroupCommit::~GroupCommit() {
  writer_.request_stop();
  writer_.join();
  {
    const std::lock_guard lock(mutex_);
    writer_done_ = true;
  }
  handed_over_.notify_all();
  syncer_.join();
}

void GroupCommit::submit(std::unique_ptr<Work> work) {
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    wake = queue_.empty();
    queue_.push_back(std::move(work));
  }
  if (wake) submitted_.notify_one();
}

void GroupCommit::add(Ledger& ledger) {
  const std::lock_guard lock(mutex_);
  ledgers_.push_back(&ledger);
}

void GroupCommit::remove(Ledger& ledger) {
  std::unique_lock lock(mutex_);
  synced_.wait(lock,
               [this] { return idle_ && queue_.empty() && written_.empty() && !syncer_busy_; });
  std::erase(ledgers_, &ledger);
}

std::optional<std::string> GroupCommit::note(std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const auto found = notes_.find(std::string(key));
  if (found == notes_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::pair<std::string, std::string>> GroupCommit::notes(std::string_view prefix) const {
  std::vector<std::pair<std::string, std::string>> found;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, value] : notes_) {
    if (key.starts_with(prefix)) found.emplace_back(key, value);
  }
  return found;
}

Status GroupCommit::health() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

// ---- the writer

void GroupCommit::write_loop(const std::stop_token& stop) {
  name_this_thread("committer");
  for (;;) {
    Works works = next_works(stop);
    if (works.empty() && (health().ok() || stop.stop_requested())) return;
    if (!health().ok()) {
      refuse(std::move(works), health(), true);
    } else if (Status room = make_room(store_.check_room(), works); !room.ok()) {
      refuse_for_lack_of_room(std::move(works), std::move(room));
    } else {
      write(std::move(works));
    }
    if (!health().ok()) recover(stop);
  }
}

/// Waits for work; empty at the end, and when a sync has failed.
GroupCommit::Works GroupCommit::next_works(const std::stop_token& stop) {
  Works works;
  std::unique_lock lock(mutex_);
  idle_ = queue_.empty();
  if (idle_) synced_.notify_all();
  wait_until(submitted_, lock, Deadline::never(), stop,
             [this] { return !queue_.empty() || !broken_.ok(); });
  idle_ = false;
  std::uint64_t bytes = 0;
  while (!queue_.empty() && (works.empty() || bytes < options_.group_bytes_max)) {
    bytes += queue_.front()->bytes();
    works.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  return works;
}

void GroupCommit::write(Works works) {
  Group group;
  group_.batch_.clear();
  group_.ledgers_.clear();
  group_.notes_.clear();
  group_.abandoned_.clear();
  for (const auto& work : works) work->write(group_);
  group.accounts.reserve(group_.ledgers_.size());
  for (Ledger* ledger : group_.ledgers_) {
    group_.batch_.put_row(account_key(ledger->channel()), ledger->written().encode());
    group.accounts.emplace_back(ledger, ledger->written());
  }
  group.works = std::move(works);
  group.notes = std::move(group_.notes_);
  group.abandoned = std::move(group_.abandoned_);
  group.written = true;
  fail_point(FailPoint::CommitBeforeWrite);
  group.status = store_.write(group_.batch_);
  fail_point(FailPoint::CommitAfterWrite);
  counters_.groups.add();
  counters_.works.add(group.works.size());
  counters_.bytes.add(group_.batch_.bytes());
  if (!group.status.ok()) {
    const std::lock_guard lock(mutex_);
    if (broken_.ok()) broken_ = group.status;
  }
  hand_over(std::move(group));
}

void GroupCommit::hand_over(Group group) {
  {
    const std::lock_guard lock(mutex_);
    written_.push_back(std::move(group));
  }
  handed_over_.notify_one();
}

/// Drops what is kept of what was delivered, until there is room or nothing is left of it.
Status GroupCommit::make_room(Status status, const Works& works) {
  const auto needs_room = [](const auto& work) { return work->needs_room(); };
  if (status.ok() || std::none_of(works.begin(), works.end(), needs_room)) return status;
  std::vector<Ledger*> ledgers;
  {
    const std::lock_guard lock(mutex_);
    ledgers = ledgers_;
  }
  while (!status.ok()) {
    auto drop = std::make_unique<DropForRoom>(ledgers);
    if (drop->nothing_left()) break;
    Works alone;
    alone.push_back(std::move(drop));
    write(std::move(alone));
    wait_for_syncer();
    if (!health().ok()) return health();
    status = store_.check_room(true);
  }
  if (!status.ok()) {
    for (Ledger* ledger : ledgers) {
      store_.give_room_back(ledger->channel(), ledger->durable().head_frame);
    }
  }
  return status;
}

/// What makes room goes on; the rest is refused, and with it what its owners submit meanwhile.
void GroupCommit::refuse_for_lack_of_room(Works works, Status status) {
  Works go_on;
  Works refused;
  for (auto& work : works) (work->needs_room() ? refused : go_on).push_back(std::move(work));
  if (!go_on.empty()) write(std::move(go_on));
  if (!refused.empty()) refuse(std::move(refused), status, false);
}

void GroupCommit::refuse(Works works, const Status& status, bool all) {
  counters_.failures.add(works.size());
  while (!works.empty()) {
    Group group;
    group.works = std::move(works);
    group.status = status;
    hand_over(std::move(group));
    wait_for_syncer();
    // Submitted before its owner could know: refused too. Those that stay keep their order.
    works.clear();
    const std::lock_guard lock(mutex_);
    std::deque<std::unique_ptr<Work>> kept;
    for (auto& work : queue_) {
      if (all || work->needs_room()) {
        works.push_back(std::move(work));
      } else {
        kept.push_back(std::move(work));
      }
    }
    queue_ = std::move(kept);
  }
}

void GroupCommit::wait_for_syncer() {
  std::unique_lock lock(mutex_);
  synced_.wait(lock, [this] { return written_.empty() && !syncer_busy_; });
}

/// Refuses what is in flight, then reopens the store, as often as it takes.
void GroupCommit::recover(const std::stop_token& stop) {
  wait_for_syncer();
  const Status why = health();
  log::error("{}; what is in flight is refused and offered again, the store is reopened",
             why.message());
  for (std::uint64_t attempts = 1;; ++attempts) {
    Works works;
    {
      const std::lock_guard lock(mutex_);
      for (auto& work : queue_) works.push_back(std::move(work));
      queue_.clear();
    }
    refuse(std::move(works), why, true);
    Status status = repair();
    if (status.ok()) break;
    if (attempts == 1 || attempts % 64 == 0) {
      log::error("{}; it is tried again", status.message());
    }
    std::unique_lock lock(mutex_);
    if (stop.stop_requested() && queue_.empty()) return;
    idle_ = true;
    synced_.notify_all();
    wait_until(submitted_, lock, Deadline::in(options_.reopen_pause), stop, [] { return false; });
    idle_ = false;
  }
  counters_.reopenings.add();
  log::info("the store {} is open again", store_.path());
  const std::lock_guard lock(mutex_);
  broken_ = {};
}

/// Opens the store again and makes its rows and frames what the completed commits say.
Status GroupCommit::repair() {
  if (Status status = store_.reopen(); !status.ok()) return status;
  group_.batch_ = store_.batch();
  StoreBatch batch = store_.batch();
  // Nothing completes meanwhile, so what is copied here stays true; nobody waits for the disk.
  std::vector<Ledger*> ledgers;
  NoteMap notes;
  {
    const std::lock_guard lock(mutex_);
    ledgers = ledgers_;
    notes = notes_;
  }
  for (Ledger* ledger : ledgers) {
    if (Status status = take_back(batch, *ledger); !status.ok()) return status;
  }
  auto on_disk = read_notes(store_);
  if (!on_disk.ok()) return on_disk.status();
  for (const auto& [key, value] : notes) {
    if ((*on_disk)[key] != value) batch.put_row(std::string(note_prefix) + key, value);
  }
  for (const auto& [key, value] : *on_disk) {
    if (!notes.contains(key)) batch.remove_row(std::string(note_prefix) + key);
  }
  if (Status status = store_.write(batch); !status.ok()) return status;
  if (Status status = store_.sync(); !status.ok()) return status;
  for (Ledger* ledger : ledgers) {
    if (ledger->refused_ != nullptr) ledger->refused_->rewritten();
  }
  return {};
}

/// Frames beyond the completed ones were refused: their owners offer them again. Those that refused
/// commits had removed wait again: the account says so, and a start must find them.
Status GroupCommit::take_back(StoreBatch& batch, Ledger& ledger) {
  const Account account = ledger.durable();
  ledger.written_ = account;
  if (Status status = ledger.accepted_.repair(store_, batch); !status.ok()) return status;
  Status status = store_.read_frames(ledger.channel(), account.next, UINT64_MAX,
                                     [&](std::uint64_t first, auto) {
                                       batch.remove_frame(ledger.channel(), first);
                                       return true;
                                     });
  batch.put_row(account_key(ledger.channel()), account.encode());
  if (status.ok() && ledger.refused_ != nullptr) status = ledger.refused_->rewrite(batch);
  return status;
}

// ---- the syncer

void GroupCommit::sync_loop() {
  name_this_thread("syncer");
  auto last_sync = Clock::system().steady();
  bool unsynced = false;
  for (;;) {
    std::deque<Group> groups;
    {
      std::unique_lock lock(mutex_);
      syncer_busy_ = false;
      if (written_.empty()) synced_.notify_all();
      const auto ready = [this] { return !written_.empty() || writer_done_; };
      if (unsynced && options_.sync == SyncMode::Interval) {
        handed_over_.wait_until(lock, last_sync + options_.sync_interval, ready);
      } else {
        handed_over_.wait(lock, ready);
      }
      if (written_.empty() && writer_done_) break;
      groups.swap(written_);
      syncer_busy_ = true;
    }
    const bool wrote =
        std::any_of(groups.begin(), groups.end(), [](const Group& group) { return group.written; });
    unsynced = unsynced || wrote;
    // Tables are deleted for good: whatever the mode, what says so must be on disk before.
    const bool abandons = std::any_of(groups.begin(), groups.end(),
                                      [](const Group& group) { return !group.abandoned.empty(); });
    const bool interval_over = options_.sync == SyncMode::Interval && unsynced &&
                               Clock::system().steady() - last_sync >= options_.sync_interval;
    const bool due = options_.sync == SyncMode::Always ? wrote : abandons || interval_over;
    // Behind a failed sync nothing counts, also where this one is not waited for.
    Status status = due ? sync_now() : health();
    if (due) {
      last_sync = Clock::system().steady();
      unsynced = false;
    }
    for (Group& group : groups) finish(group, status);
  }
  if (unsynced && options_.sync != SyncMode::Never) static_cast<void>(store_.sync());
}

Status GroupCommit::sync_now() {
  {
    // Behind a failed sync nothing that was written counts.
    const std::lock_guard lock(mutex_);
    if (!broken_.ok()) return broken_;
  }
  fail_point(FailPoint::CommitBeforeSync);
  const auto begin = Clock::system().steady();
  Status status = store_.sync();
  fail_point(FailPoint::CommitAfterSync);
  counters_.syncs.add();
  counters_.sync_us.add(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::system().steady() - begin)
          .count()));
  if (!status.ok()) {
    const std::lock_guard lock(mutex_);
    if (broken_.ok()) broken_ = status;
    submitted_.notify_one();  // the writer sees to it, whether or not there is work
  }
  return status;
}

void GroupCommit::finish(Group& group, const Status& synced) {
  const Status& status = group.status.ok() ? synced : group.status;
  const bool counts = group.written && status.ok();
  if (counts) {
    for (auto& [ledger, account] : group.accounts) {
      ledger->count_kept(account);
      const std::lock_guard lock(ledger->mutex_);
      ledger->durable_ = std::move(account);
    }
    const std::lock_guard lock(mutex_);
    for (auto& [key, value] : group.notes) {
      if (value.empty()) {
        notes_.erase(key);
      } else {
        notes_[std::move(key)] = std::move(value);
      }
    }
  }
  for (const auto& work : group.works) {
    work->complete(status, group.written);
    fail_point(FailPoint::CommitBetweenCompletions);
  }
  if (!counts) return;
  for (const auto& [channel, below] : group.abandoned) store_.abandon_frames(channel, below);
}

}  // namespace sluice
