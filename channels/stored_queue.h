// What a commit writes for a channel whose events lie in a store.
#pragma once

#include "channels/channel.h"
#include "core/event/frame.h"

namespace sluice {

class WriteGroup;

/// Implemented by durable channels. encode() is called by who submits (see Commit::encode()); the
/// rest on the committer's threads, in the order of submission.
class StoredQueue {
 public:
  virtual ~StoredQueue() = default;
  /// The batch as it will be stored.
  virtual Frame encode(const Batch& batch) = 0;
  /// The frame goes to the end of the queue; without what was taken before, by its origins.
  virtual void write_put(WriteGroup& group, const Frame& frame, Reservation& room) = 0;
  /// What write_put() wrote was refused.
  virtual void undo_put(const Reservation& room) noexcept = 0;
  /// These events are out; frames that are out as a whole are removed.
  virtual void write_take(WriteGroup& group, const Taken& events) = 0;
  /// What write_take() wrote was refused; the account is restored by the committer.
  virtual void undo_take(const Taken& events) noexcept = 0;

  /// Of what got its origin here, nothing below this one is taken again by anybody: those who sent
  /// it have committed. Any thread.
  virtual Origin settled_below() const = 0;
  /// Says that of a sender: so the oldest of its ranges may be forgotten. Any thread.
  virtual void sender_settled(const Origin& below) = 0;
};

}  // namespace sluice
