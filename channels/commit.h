// The one atomic write of an agent.
#pragma once

#include <boost/container/small_vector.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "channels/channel.h"
#include "core/event/frame.h"
#include "core/event/note.h"

namespace sluice {

/// Makes commits durable. Implemented by the store, and by channels that lie outside the agent;
/// memory channels need none.
class Committer {
 public:
  virtual ~Committer() = default;
  /// Takes the commit over and calls complete() on it, in the order of submission, on a thread of
  /// its own: submit() neither completes nor waits for a completion. A refused commit is completed
  /// with a status; so is everything its owner submits until that call of complete() has returned.
  virtual void submit(Commit commit) = 0;
  /// The value that the commits which completed well have given this note. Thread-safe.
  virtual std::optional<std::string> note(std::string_view key) const = 0;
  /// All notes whose keys begin so, in no order. Thread-safe.
  virtual std::vector<std::pair<std::string, std::string>> notes(std::string_view prefix) const = 0;
};

/// Takes, puts and notes that become true together.
///
/// Nothing is visible to anyone before it completes. On a store, completion means synced to disk.
/// Commits of one owner complete in the order of submission; when one is refused, so are those that
/// the same owner submitted behind it. A Commit that is destroyed unsubmitted rolls everything
/// back.
///
/// Thread rule: built and submitted by one owner; `done` may run on the committer's thread and must
/// only post. Without a committer it runs within submit().
class Commit {
 public:
  using Done = std::function<void(Status)>;

  /// `committer` may be null when only memory channels take part; notes then are a programming
  /// error.
  explicit Commit(Committer* committer = nullptr) noexcept : committer_(committer) {}
  Commit(Commit&&) = default;
  Commit& operator=(Commit&&) = default;

  Committer* committer() const noexcept { return committer_; }
  /// Lets a channel of this committer (null: one in memory) take part. False when it cannot: one
  /// commit does not span two stores.
  bool join(Committer* committer) noexcept;

  void put(Reservation room) { puts_.push_back(std::move(room)); }
  /// A take of nothing is none.
  void take(Taken events) {
    if (events.channel() != nullptr) takes_.push_back(std::move(events));
  }
  void note(Note note);
  /// What channels on disk have taken before is added to it before `done` is called with Ok.
  void tell_doubles(std::shared_ptr<Amount> to) { doubles_ = std::move(to); }

  /// Puts what durable channels get into the form in which it is stored. submit() does it too; who
  /// submits under a lock calls it before.
  void encode();
  /// Errors reach `done`: Retry (no room on disk, try again), Closed, Fatal (the store is broken).
  void submit(Done done) &&;
  /// submit() and wait: for callers that have nothing to read meanwhile.
  Status wait() &&;

  /// For committers: what is to be written. A put into a durable channel has its frame.
  const auto& puts() const noexcept { return puts_; }
  auto& puts() noexcept { return puts_; }
  const auto& frames() const noexcept { return frames_; }
  const auto& takes() const noexcept { return takes_; }
  const auto& notes() const noexcept { return notes_; }
  /// For committers: makes it true (or, with an error, rolls it back) and tells the owner.
  void complete(Status status) &&;

 private:
  Committer* committer_;
  boost::container::small_vector<Reservation, 2> puts_;
  boost::container::small_vector<Taken, 1> takes_;
  Notes notes_;
  boost::container::small_vector<Frame, 1> frames_;  ///< In the order of the puts that have one.
  std::shared_ptr<Amount> doubles_;
  Done done_;
};

}  // namespace sluice
