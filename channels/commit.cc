#include "channels/commit.h"

#include <condition_variable>
#include <mutex>
#include <optional>

#include "channels/stored_queue.h"
#include "core/base/assert.h"

namespace sluice {

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this == &other) return *this;
  if (channel_) channel_->cancel(*this);
  channel_ = std::exchange(other.channel_, nullptr);
  batch_ = std::move(other.batch_);
  found_ = std::move(other.found_);
  return *this;
}

Reservation::~Reservation() {
  if (channel_) channel_->cancel(*this);
}

Taken& Taken::operator=(Taken&& other) noexcept {
  if (this == &other) return *this;
  if (channel_) channel_->put_back(*this);
  channel_ = std::exchange(other.channel_, nullptr);
  pieces_ = std::move(other.pieces_);
  batch_ = std::move(other.batch_);
  copied_ = std::move(other.copied_);
  ahead_ = std::move(other.ahead_);
  return *this;
}

Taken::~Taken() {
  if (channel_) channel_->put_back(*this);
}

void Taken::settle_receipts() const noexcept {
  for (const Piece& piece : pieces_) piece.batch.receipt().settle(piece.batch.size());
  if (ahead_) ahead_->settle_receipts();
}

void Taken::let_go() noexcept {
  if (channel_ == nullptr || ahead_) return;
  ahead_ = std::make_unique<ReadAhead>();
  for (const Piece& piece : pieces_) {
    ahead_->add({piece.sequence, piece.batch.size(), piece.frame, piece.frame_events},
                piece.batch.body_bytes(), piece.batch.receipt());
  }
  channel_->let_go(pieces_, *ahead_);
  pieces_.clear();
  batch_ = {};
  copied_ = {};
}

void Taken::append(Taken&& next) noexcept {
  if (next.channel_ == nullptr) return;
  if (channel_ == nullptr) {
    *this = std::move(next);
    return;
  }
  SLUICE_ASSERT(channel_ == next.channel_, "takes of one channel are appended to each other");
  SLUICE_ASSERT(ahead_ && next.ahead_, "a take that was not let go cannot be appended");
  ahead_->append(std::move(*next.ahead_));
  next.ahead_.reset();
  next.channel_ = nullptr;
}

Taken Taken::split_front(std::uint32_t events) {
  SLUICE_ASSERT(!ahead_, "nobody knows any more where what was let go could be split");
  SLUICE_ASSERT(events <= batch_.size(), "a split beyond what was taken");
  Pieces front;
  Pieces back;
  std::uint32_t left = events;
  for (Piece& piece : pieces_) {
    const std::uint32_t size = piece.batch.size();
    if (left >= size) {
      front.push_back(std::move(piece));
      left -= size;
    } else if (left == 0) {
      back.push_back(std::move(piece));
    } else {
      channel_->split(piece.batch);
      front.push_back(piece.part(0, left));
      back.push_back(piece.part(left, size - left));
      left = 0;
    }
  }
  Taken part(channel_, std::move(front), batch_.slice(0, events));
  batch_ = batch_.slice(events, batch_.size() - events);
  pieces_ = std::move(back);
  return part;
}

bool Commit::join(Committer* committer) noexcept {
  if (committer_ == nullptr) committer_ = committer;
  return committer == nullptr || committer == committer_;
}

void Commit::note(Note note) {
  SLUICE_ASSERT(committer_ != nullptr, "only a store can keep a note");
  notes_.push_back(std::move(note));
}

void Commit::encode() {
  if (!frames_.empty()) return;
  for (const Reservation& room : puts_) {
    if (StoredQueue* const queue = room.channel()->stored()) {
      frames_.push_back(queue->encode(room.batch()));
    }
  }
}

void Commit::submit(Done done) && {
  done_ = std::move(done);
  encode();
  if (committer_) {
    committer_->submit(std::move(*this));
  } else {
    std::move(*this).complete({});
  }
}

void Commit::complete(Status status) && {
  if (status.ok()) {
    for (Taken& taken : takes_) {
      taken.channel_->finish(taken);
      taken.channel_ = nullptr;
    }
    for (Reservation& room : puts_) {
      if (doubles_) *doubles_ += room.found_.doubles;
      room.channel_->publish(room);
      room.channel_ = nullptr;
    }
  }
  // What was not made true is rolled back by its destructor, before the owner hears of it.
  takes_.clear();
  puts_.clear();
  if (done_) done_(std::move(status));
}

Status Commit::wait() && {
  if (!committer_) {
    std::move(*this).complete({});
    return {};
  }
  struct Outcome {
    std::mutex mutex;
    std::condition_variable ready;
    std::optional<Status> status;
  } outcome;
  std::move(*this).submit([&outcome](Status status) {
    const std::lock_guard lock(outcome.mutex);
    outcome.status = std::move(status);
    outcome.ready.notify_one();
  });
  std::unique_lock lock(outcome.mutex);
  outcome.ready.wait(lock, [&] { return outcome.status.has_value(); });
  return std::move(*outcome.status);
}

}  // namespace sluice
