#include "channels/durable_channel.h"

#include <algorithm>
#include <utility>

#include "core/base/fail_point.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/base/rarely.h"

namespace sluice {
namespace {

// Read from disk at once. Large enough for the disk, small enough to come soon.
constexpr std::uint64_t load_bytes = 4 << 20;
// Behind a read that failed.
constexpr milliseconds read_pause{200};
// Beside the cache: commits in flight of a few sources, gathered copies, slabs being filled.
constexpr std::uint64_t in_flight_bytes = 32 << 20;

std::string sequences(std::uint64_t begin, std::uint64_t end) {
  return "sequences " + std::to_string(begin) + " to " + std::to_string(end - 1);
}

/// Nobody can say how many bytes a damaged frame had; once nothing is left, it is what is missing.
void settle_bytes(Account& account) {
  if (account.stored_events() > 0) return;
  account.quarantined_bytes += account.stored_bytes();
  account.out_bytes = account.put_bytes;
}

}  // namespace

/// Takes a damaged frame out of the queue.
class DurableChannel::Quarantine final : public Work {
 public:
  Quarantine(DurableChannel& channel, std::uint64_t begin, std::uint64_t end)
      : channel_(channel), begin_(begin), end_(end) {}

  void write(WriteGroup& group) override {
    Account& account = channel_.ledger_->written();
    account.settle(begin_, end_);
    account.quarantined_events += end_ - begin_;
    settle_bytes(account);
    {
      const std::lock_guard lock(channel_.mutex_);
      account.head_frame = channel_.head_frame(account.low);
    }
    group.batch().remove_frame(channel_.ledger_->channel(), begin_);
    group.touch(*channel_.ledger_);
  }
  void complete(const Status& status, bool /*written*/) override {
    if (status.ok()) {
      channel_.quarantined(end_ - begin_);
    } else {
      // Not again from here: what is submitted before this call returns is refused as well.
      const std::lock_guard lock(channel_.mutex_);
      channel_.refused_quarantines_.emplace_back(begin_, end_);
    }
  }
  bool needs_room() const noexcept override { return false; }
  std::uint64_t bytes() const noexcept override { return 0; }

 private:
  DurableChannel& channel_;
  const std::uint64_t begin_;
  const std::uint64_t end_;
};

/// Drops what need not be kept any longer, where no put and no take does it on its way.
class DurableChannel::Expiry final : public Work {
 public:
  explicit Expiry(DurableChannel& channel) : channel_(channel) {}
  void write(WriteGroup& group) override { channel_.retain(group); }
  void complete(const Status& /*status*/, bool /*written*/) override { channel_.expiring_ = false; }
  bool needs_room() const noexcept override { return false; }
  std::uint64_t bytes() const noexcept override { return 0; }

 private:
  DurableChannel& channel_;
};

DurableChannel::DurableChannel(Options options, SharedStore& store, SlabPool& pool)
    : QueueChannel(options, in_flight_bytes + 8 * pool.slab_bytes(), pool),
      options_(std::move(options)),
      retention_(options_.retention, *options_.clock),
      store_(store),
      decoder_(pool) {}

DurableChannel::~DurableChannel() {
  if (ledger_) store_.commits().remove(*ledger_);
  abandon();
}

std::uint64_t DurableChannel::abandon() {
  const std::lock_guard lock(mutex_);
  while (!queue_.empty()) keeper_.let_go(queue_.pop_front(UINT32_MAX).batch);
  keeper_.rest();
  decoder_.reset();
  return 0;
}

Status DurableChannel::open() {
  if (Status status = check_for_flume_files(); !status.ok()) return status;
  if (Status status = store_.open(); !status.ok()) return status;
  if (Status status = restore(); !status.ok()) return status;
  fail_point(FailPoint::RecoveryAfterAccounts);
  expire_when_due();
  return QueueChannel::open();
}

/// Flume's logs are "log-1", "log-2", ...; what lies in them is not read here.
Status DurableChannel::check_for_flume_files() const {
  for (const std::string& directory : options_.flume_directories) {
    std::uint64_t logs = 0;
    for (const std::string& file : file_names_in(directory)) {
      const bool log = file.size() > 4 && file.rfind("log-", 0) == 0 &&
                       file.find_first_not_of("0123456789", 4) == std::string::npos;
      if (log) ++logs;
    }
    if (logs > 0) {
      return Invalid(std::to_string(logs) + " files of Flume's file channel in " + directory +
                     " may hold undelivered events: drain them with Flume first, then remove them");
    }
  }
  return {};
}

/// Goes on where the account ends. Takes no longer with more events inside.
Status DurableChannel::restore() {
  auto number = store_.store().channel_number(name());
  if (!number.ok()) return number.status();
  Account account;
  auto row = store_.store().row("account/" + std::to_string(*number));
  if (!row.ok()) return row.status();
  if (row->has_value()) {
    auto read = Account::decode(**row);
    if (!read.ok()) {
      return Invalid("the store " + store_.path() + ": channel " + name() + ": " +
                     read.status().message());
    }
    account = *std::move(read);
  }
  retention_.begin(account);
  store_.store().abandon_frames(*number, account.kept ? account.kept->low : account.head_frame);
  RefusedTakes& refused = *this;
  auto ledger = std::make_unique<Ledger>(*number, account, &refused, &counters_.kept);
  if (Status status = ledger->accepted().read(store_.store()); !status.ok()) return status;
  recovered_ = account;
  const std::lock_guard lock(mutex_);
  next_sequence_ = account.next;
  on_disk_ = {account.head_frame, account.next};
  if (account.stored_events() == 0) on_disk_ = {account.next, account.next};
  if (!account.above.empty()) unremoved_below_ = account.above.rbegin()->second;
  used_events_ = account.stored_events();
  used_bytes_ = account.stored_bytes();
  counters_.put.add(account.next, account.put_bytes);
  counters_.committed.add(account.out_events - account.quarantined_events,
                          account.out_bytes - account.quarantined_bytes);
  counters_.quarantined.add(account.quarantined_events, account.quarantined_bytes);
  counters_.stored.add(used_events_, used_bytes_);
  if (used_events_ > 0) {
    log::info("channel {}: {} events ({} MiB) from before are waiting in {}", name(), used_events_,
              used_bytes_ >> 20, store_.path());
  }
  id_ = part_of(store_.store().opening(), name());
  ledger_ = std::move(ledger);
  store_.commits().add(*ledger_);
  return {};
}

// ---- putting

Frame DurableChannel::encode(const Batch& batch) {
  const std::uint32_t put_at =
      retention_.keeps() ? static_cast<std::uint32_t>(options_.clock->wall_ms() / 1000) : 0;
  return encode_frame(batch, id_, options_.compression, put_at);
}

void DurableChannel::write_put(WriteGroup& group, const Frame& frame, Reservation& room) {
  Account& account = ledger_->written();
  if (room.batch().provenance().known() && drop_doubles(group, room)) {
    if (room.batch().empty()) return;
    group.batch().put_frame(ledger_->channel(), account.next, encode(room.batch()));
  } else {
    group.batch().put_frame(ledger_->channel(), account.next, frame);
  }
  account.next += room.batch().size();
  account.put_bytes += room.batch().body_bytes();
  group.touch(*ledger_);
  if (account.kept) retain(group);
}

/// True when the batch is another now.
bool DurableChannel::drop_doubles(WriteGroup& group, Reservation& room) {
  const Batch& batch = room.batch();
  auto verdict =
      ledger_->accepted().accept(batch.provenance(), Clock::system().wall_ms(), group.batch());
  if (verdict.all) {
    room.wrote(batch, {{}, std::move(verdict.added)});
    return false;
  }
  const Amount before{batch.size(), batch.body_bytes()};
  Batch left = batch.select(verdict.fresh).with_provenance(std::move(verdict.left));
  bool wake;
  {
    const std::lock_guard lock(mutex_);
    give_room(batch);
    used_events_ += left.size();
    used_bytes_ += left.body_bytes();
    left = keeper_.keep(left);
    wake = putters_asleep_ > 0;
  }
  if (wake) not_full_.notify_all();
  const Amount doubles = before - Amount{left.size(), left.body_bytes()};
  room.wrote(std::move(left), {doubles, std::move(verdict.added)});
  return true;
}

void DurableChannel::undo_put(const Reservation& room) noexcept {
  ledger_->accepted().undo(room.found().accepted);
}

/// Known is either its own id or, where a batch goes into several channels, that of this part.
void DurableChannel::sender_settled(const Origin& below) {
  ledger_->accepted().settled_below(below.id, below.sequence);
  ledger_->accepted().settled_below(part_of(below.id, name()), below.sequence);
}

void DurableChannel::publish(Reservation& room) noexcept {
  // On disk: that is as far as a source is concerned.
  room.batch().receipt().settle(room.batch().size() +
                                static_cast<std::uint32_t>(room.found().doubles.events));
  if (room.batch().empty()) return cancel(room);
  QueueChannel::publish(room);
}

void DurableChannel::enqueue(std::uint64_t first_sequence, const Batch& batch) noexcept {
  const std::uint64_t behind = first_sequence + batch.size();
  if (on_disk_.empty() && keeper_.account().used_bytes() <= options_.budget_bytes) {
    // As it would be read from the frame.
    auto origins = batch.provenance().numbered(id_, first_sequence, batch.size());
    queue_.push_back({first_sequence, batch.with_receipt({}).with_provenance(std::move(origins)),
                      first_sequence, batch.size()});
    on_disk_ = {behind, behind};
  } else {
    on_disk_.end = behind;
    keeper_.let_go(batch);
  }
}

// ---- keeping what was delivered

void DurableChannel::retain(WriteGroup& group) {
  group.touch(*ledger_);
  retention_.advance(*ledger_, group);
}

/// At most once a second, by whoever comes.
void DurableChannel::expire_when_due() {
  constexpr std::int64_t look_every_ms = 1000;
  const std::int64_t now = options_.clock->steady().time_since_epoch() / milliseconds(1);
  std::int64_t looked = expiry_looked_ms_;
  if (now - looked < look_every_ms || !expiry_looked_ms_.compare_exchange_strong(looked, now)) {
    return;
  }
  if (!retention_.due(*ledger_) || expiring_.exchange(true)) return;
  store_.commits().submit(std::make_unique<Expiry>(*this));
}

// ---- taking

Taken DurableChannel::take(const TakeLimit& limit, std::stop_token stop) {
  // A taker comes again and again, also where nothing flows or its sink is down.
  if (counters_.kept.events.get() > 0) expire_when_due();
  return QueueChannel::take(limit, std::move(stop));
}

void DurableChannel::fetch(std::unique_lock<std::mutex>& lock, const TakeLimit& limit,
                           const std::stop_token& stop) {
  for (const auto& [begin, end] : std::exchange(refused_quarantines_, {})) {
    store_.commits().submit(std::make_unique<Quarantine>(*this, begin, end));
  }
  if (loading_ || (on_disk_.empty() && unread_.empty())) return;
  if (unread_.empty() ? load(lock) : load_again(lock)) return;
  wait_until(not_empty_, lock, Deadline::in(std::min(limit.wait_max, read_pause)), stop,
             [] { return false; });
}

/// Brings the next frames into memory, without holding up those who put. False: not now.
bool DurableChannel::load(std::unique_lock<std::mutex>& lock) {
  loading_ = true;
  const OnDisk wanted = on_disk_;
  lock.unlock();
  Loaded loaded;
  read_from_disk(wanted.begin, wanted.end, loaded);
  lock.lock();
  for (Taken::Piece& piece : loaded.pieces) {
    piece.batch = keeper_.keep(piece.batch);
    queue_.push_back(std::move(piece));
  }
  for (const auto& [first, frame] : loaded.open_frames) open_frames_.emplace(first, frame);
  on_disk_.begin = loaded.end;
  return end_of_load(std::move(loaded.failure));
}

/// What was let go and came back, the oldest first. Likewise.
bool DurableChannel::load_again(std::unique_lock<std::mutex>& lock) {
  // What a refused commit has removed is not there before it is written again.
  if (!refused_takes_.empty()) return false;
  const auto [begin, wanted] = *unread_.begin();
  Loaded loaded;
  loaded.wanted_begin = begin;
  loaded.wanted_end = wanted.end;
  loading_ = true;
  lock.unlock();
  read_from_disk(wanted.frame, wanted.end, loaded);
  lock.lock();
  for (Taken::Piece& piece : loaded.pieces) {
    piece.batch = keeper_.keep(piece.batch);
    queue_.put_back(piece);
  }
  if (loaded.end > begin) {
    unread_.erase(begin);
    if (loaded.end < wanted.end) unread_[loaded.end] = {wanted.end, loaded.end};
    missing_from_ = unread_.empty() ? UINT64_MAX : unread_.begin()->first;
  }
  return end_of_load(std::move(loaded.failure));
}

/// False where the store could not be read. What cannot be read is asked for again and again.
bool DurableChannel::end_of_load(Status failure) {
  loading_ = false;
  if (takers_asleep_ > 0) not_empty_.notify_all();
  unreadable_ = std::move(failure);
  if (unreadable_.ok()) {
    if (read_failures_ == 0) return true;
    log::info("channel {}: the store can be read again, after {} failures", name(), read_failures_);
    read_failures_ = 0;
    return true;
  }
  if (worth_saying(++read_failures_)) {
    log::error("channel {}: {}; nothing is lost, its sinks wait and it is tried again (failure {})",
               name(), unreadable_.message(), read_failures_);
  }
  return false;
}

Status DurableChannel::health() const {
  if (Status status = store_.health(); !status.ok()) return status;
  const std::lock_guard lock(mutex_);
  return unreadable_;
}

/// REQUIRES: a frame begins at `begin`.
void DurableChannel::read_from_disk(std::uint64_t begin, std::uint64_t end, Loaded& loaded) {
  loaded.end = begin;
  std::uint64_t bytes = 0;
  std::string damaged;
  Status damage;
  const auto add = [&](std::uint64_t first, std::string_view frame) {
    if (first > loaded.end) skip_damage(loaded.end, first, Reject("it is not there"), loaded);
    auto batch = decoder_.decode(frame, first);
    if (!batch.ok()) {
      damage = batch.status();
      damaged = frame;
      return false;
    }
    add_loaded(first, *batch, loaded);
    loaded.end = first + batch->size();
    bytes += std::max<std::uint64_t>(frame.size(), batch->body_bytes());
    return bytes < load_bytes;
  };
  Status status = store_.store().read_frames(ledger_->channel(), begin, end, add);
  if (status.ok() && !damage.ok()) status = damage;
  if (status.code() == Code::Reject) {
    const std::uint64_t behind = damage.ok() ? loaded.end : loaded.end + 1;
    const auto next = store_.store().next_readable(ledger_->channel(), behind, end);
    if (next.ok()) {
      if (!damaged.empty()) keep_damaged(loaded.end, damaged);
      skip_damage(loaded.end, next.value(), status, loaded);
      return;
    }
    status = next.status();
  }
  if (!status.ok()) {
    loaded.failure = std::move(status);
  } else if (bytes < load_bytes && loaded.end < end) {
    skip_damage(loaded.end, end, Reject("it is not there"), loaded);
  }
}

/// What of a frame is not out: all of it, but for the first ones behind a start; and of what came
/// back, that alone.
void DurableChannel::add_loaded(std::uint64_t first, const Batch& frame, Loaded& loaded) const {
  const std::uint32_t events = frame.size();
  const auto out_or_not_wanted = [&](std::uint64_t sequence) {
    return sequence < loaded.wanted_begin || sequence >= loaded.wanted_end ||
           recovered_.settled(sequence);
  };
  const bool untouched = first >= recovered_.low && recovered_.above.empty();
  if (untouched && first >= loaded.wanted_begin && first + events <= loaded.wanted_end) {
    loaded.pieces.push_back({first, frame, first, events});
    return;
  }
  std::uint32_t left = 0;
  for (std::uint32_t i = 0; i < events;) {
    const bool out = out_or_not_wanted(first + i);
    std::uint32_t run = 1;
    while (i + run < events && out_or_not_wanted(first + i + run) == out) ++run;
    if (!out) loaded.pieces.push_back({first + i, frame.slice(i, run), first, events});
    if (!out) left += run;
    i += run;
  }
  // One that is out as a whole is there because it is kept.
  if (left > 0 && left < events) loaded.open_frames.push_back({first, {events, left, left}});
}

void DurableChannel::skip_damage(std::uint64_t begin, std::uint64_t end, const Status& why,
                                 Loaded& loaded) {
  // What is out already is not missed, nor what somebody else has in hand.
  const std::uint64_t missed_end = std::min(end, loaded.wanted_end);
  for (std::uint64_t at = std::max(begin, loaded.wanted_begin); at < missed_end;) {
    const bool out = recovered_.settled(at);
    std::uint64_t run_end = at + 1;
    while (run_end < missed_end && recovered_.settled(run_end) == out) ++run_end;
    if (!out) quarantine(at, run_end, why);
    at = run_end;
  }
  loaded.end = end;
}

void DurableChannel::keep_damaged(std::uint64_t first, std::string_view frame) const {
  const std::string path =
      store_.path() + "/quarantine/" + name() + "-" + std::to_string(first) + ".frame";
  const Status kept = write_whole_file(path, frame);
  log::error("channel {}: the bytes of the frame at sequence {} {}", name(), first,
             kept.ok() ? "are kept in " + path : "cannot be kept: " + kept.message());
}

void DurableChannel::quarantine(std::uint64_t begin, std::uint64_t end, const Status& why) {
  log::error("channel {}: {} ({} events) cannot be read and are passed over: {}", name(),
             sequences(begin, end), end - begin, why.message());
  store_.commits().submit(std::make_unique<Quarantine>(*this, begin, end));
}

void DurableChannel::quarantined(std::uint64_t events) noexcept {
  counters_.quarantined.events.add(events);
  counters_.stored.events.sub(events);
  const std::lock_guard lock(mutex_);
  used_events_ -= events;
  forget_quarantined_bytes();
  not_full_.notify_all();
  not_empty_.notify_all();
}

/// See settle_bytes().
void DurableChannel::forget_quarantined_bytes() noexcept {
  if (!nothing_left() || used_bytes_ == 0) return;
  counters_.quarantined.bytes.add(used_bytes_);
  counters_.stored.bytes.sub(used_bytes_);
  used_bytes_ = 0;
}

/// True when the piece was the last of its frame, which can be removed.
bool DurableChannel::take_from_frame(const Taken::Piece& piece) {
  const std::uint32_t events = piece.batch.size();
  const auto found = open_frames_.find(piece.frame);
  if (found == open_frames_.end() && events == piece.frame_events) return true;
  OpenFrame& frame = open_frames_
                         .try_emplace(piece.frame, OpenFrame{piece.frame_events, piece.frame_events,
                                                             piece.frame_events})
                         .first->second;
  SLUICE_ASSERT(frame.left >= events, "more events leave a frame than it has");
  frame.left -= events;
  return frame.left == 0 && !frame.only_copy;
}

/// Calls f(place of the frame, how many of its events are in the run).
template <typename F>
void DurableChannel::for_each_open_frame(const ReadAhead::Run& run, F f) {
  auto at = open_frames_.lower_bound(run.frame);
  while (at != open_frames_.end() && at->first < run.end()) {
    const auto here = at++;
    const std::uint64_t begin = std::max(here->first, run.sequence);
    const std::uint64_t end = std::min(here->first + here->second.events, run.end());
    if (begin < end) f(here, static_cast<std::uint32_t>(end - begin));
  }
}

/// Where a start has to begin to read. What is not loaded begins at a frame, too.
std::uint64_t DurableChannel::head_frame(std::uint64_t low) const noexcept {
  low = std::min(low, on_disk_.begin);
  const auto behind = open_frames_.upper_bound(low);
  if (behind == open_frames_.begin()) return low;
  const auto& [first, frame] = *std::prev(behind);
  return low < first + frame.events ? first : low;
}

void DurableChannel::write_take(WriteGroup& group, const Taken& events) {
  fail_point(FailPoint::TakeBeforeCommit);
  Account& account = ledger_->written();
  const std::lock_guard lock(mutex_);
  for (const Taken::Piece& piece : events.pieces()) {
    account.settle(piece.sequence, piece.sequence + piece.batch.size());
    account.out_bytes += piece.batch.body_bytes();
    const bool removed = take_from_frame(piece) && !retention_.keeps();
    if (removed) group.batch().remove_frame(ledger_->channel(), piece.frame);
  }
  if (const ReadAhead* const ahead = events.ahead()) {
    for (const ReadAhead::Run& run : ahead->runs()) {
      account.settle(run.sequence, run.end());
      for_each_open_frame(run, [](auto frame, std::uint32_t out) {
        SLUICE_ASSERT(frame->second.left >= out, "more events leave a frame than it has");
        frame->second.left -= out;
      });
    }
    account.out_bytes += ahead->amount().bytes;
  }
  settle_bytes(account);
  account.head_frame = head_frame(account.low);
  group.touch(*ledger_);
  if (account.kept) {
    retain(group);
  } else {
    abandon_out(group, account);
  }
}

/// Frames that were let go are not removed one by one: a refused commit could not bring them back,
/// for nobody has their bytes. Once the commit is on disk the store forgets them together.
void DurableChannel::abandon_out(WriteGroup& group, const Account& account) {
  if (abandoned_below_ >= unremoved_below_ || account.head_frame <= abandoned_below_) return;
  group.abandon_frames(*ledger_, account.head_frame);
  abandoned_below_ = account.head_frame;
}

void DurableChannel::undo_take(const Taken& events) noexcept {
  const std::lock_guard lock(mutex_);
  abandoned_below_ = 0;
  if (const ReadAhead* const ahead = events.ahead()) {
    for (const ReadAhead::Run& run : ahead->runs()) {
      for_each_open_frame(run, [](auto frame, std::uint32_t back) { frame->second.left += back; });
    }
  }
  for (const Taken::Piece& piece : events.pieces()) {
    const auto found = open_frames_.find(piece.frame);
    if (found != open_frames_.end()) found->second.left += piece.batch.size();
    refused_takes_[piece.frame].push_back(piece);
  }
}

Status DurableChannel::rewrite(StoreBatch& batch) {
  decltype(refused_takes_) refused;
  {
    const std::lock_guard lock(mutex_);
    refused = refused_takes_;
  }
  for (auto& [frame, parts] : refused) {
    bool there = false;
    const auto found = [&](std::uint64_t /*first*/, std::string_view /*bytes*/) {
      there = true;
      return false;
    };
    Status status = store_.store().read_frames(ledger_->channel(), frame, frame + 1, found);
    if (status.code() == Code::Reject) continue;  // damaged: set aside when it is read
    if (!status.ok()) return status;
    if (there) continue;  // others of its events were not taken, or nothing was written
    const Batch whole = frame_of(frame, std::move(parts));
    batch.put_frame(ledger_->channel(), frame, encode(whole));
  }
  return {};
}

void DurableChannel::rewritten() noexcept {
  const std::lock_guard lock(mutex_);
  refused_takes_.clear();
}

/// A frame that was removed, up to the last of its events that were refused. Those between them are
/// out for good: nobody reads them again, and empty ones take their places.
Batch DurableChannel::frame_of(std::uint64_t first, std::vector<Taken::Piece> refused) {
  std::sort(refused.begin(), refused.end(),
            [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
  std::vector<Batch> row;
  for (const Taken::Piece& piece : refused) {
    if (first < piece.sequence) {
      const auto events = static_cast<std::uint32_t>(piece.sequence - first);
      BatchBuilder empty(pool_);
      empty.reserve(events * (1 + sizeof(IndexEntry)));
      for (std::uint32_t i = 0; i < events; ++i) {
        const bool fits = empty.append({});
        SLUICE_ASSERT(fits, "reserve() was asked for less than empty events need");
      }
      row.push_back(empty.seal().with_provenance(Provenance::dense(id_, first, events)));
    }
    row.push_back(piece.batch);
    first = piece.sequence + piece.batch.size();
  }
  return row.size() == 1 ? row.front() : Batch::concat(row, pool_);
}

// ---- letting go

bool DurableChannel::note_let_go(const Taken::Pieces& pieces, const Amount& amount) noexcept {
  for (const Taken::Piece& piece : pieces) {
    auto frame = open_frames_.find(piece.frame);
    if (frame == open_frames_.end() && piece.batch.size() < piece.frame_events) {
      frame = open_frames_
                  .emplace(piece.frame,
                           OpenFrame{piece.frame_events, piece.frame_events, piece.frame_events})
                  .first;
    }
    if (frame != open_frames_.end()) frame->second.only_copy = true;
    unremoved_below_ = std::max(unremoved_below_, piece.frame + piece.frame_events);
  }
  const std::uint64_t most = options_.read_ahead_bytes_max;
  return most == 0 || ahead_.bytes + amount.bytes <= most;
}

void DurableChannel::come_back(const ReadAhead& ahead) noexcept {
  count_put_back(ahead.amount());
  used_events_ += ahead.freed().events;
  used_bytes_ += ahead.freed().bytes;
  ahead_ = ahead_ - ahead.freed();
  for (const ReadAhead::Run& run : ahead.runs()) {
    unread_[run.sequence] = {run.end(), run.frame};
  }
  missing_from_ = unread_.begin()->first;
}

void DurableChannel::forget(const Taken& events) noexcept {
  if (const ReadAhead* const ahead = events.ahead()) {
    for (const ReadAhead::Run& run : ahead->runs()) {
      for_each_open_frame(run, [this](auto frame, std::uint32_t out) {
        frame->second.unfinished -= out;
        if (frame->second.unfinished == 0) open_frames_.erase(frame);
      });
    }
  }
  for (const Taken::Piece& piece : events.pieces()) {
    const auto found = open_frames_.find(piece.frame);
    if (found == open_frames_.end()) continue;
    found->second.unfinished -= piece.batch.size();
    if (found->second.unfinished == 0) open_frames_.erase(found);
  }
  forget_quarantined_bytes();
}

}  // namespace sluice
