// Delivered events once more, as new ones.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "channels/channel.h"
#include "core/base/clock.h"
#include "core/event/batch_builder.h"

namespace sluice {

/// Where they go. One thread.
class ReplayTarget {
 public:
  virtual ~ReplayTarget() = default;
  /// Ok: the batch is put, on disk where the channel is. While there is no room it waits, and asks
  /// `go_on` several times a second. Errors: Closed (go_on said no, or the channel is closed),
  /// Retry; then it is not put, unless the message says that this is not known.
  virtual Status put(const Batch& batch, const std::function<bool()>& go_on) = 0;
};

/// A channel of this process, which outlives it.
class ReplayChannel final : public ReplayTarget {
 public:
  explicit ReplayChannel(Channel& channel) noexcept : channel_(channel) {}
  Status put(const Batch& batch, const std::function<bool()>& go_on) override;

 private:
  Channel& channel_;
};

/// Puts events that one channel delivered into a channel, maybe the same one.
///
/// They enter other than by their normal way, so they get a new origin. What they were is in their
/// headers: replay.channel, replay.sequence, replay.origin ("id:sequence"), and replay.time, in
/// milliseconds, of the replay; those of an earlier replay are replaced. One thread.
class Replay {
 public:
  /// `from`: name of the channel that delivered them. `target` and the pool outlive this.
  Replay(std::string from, ReplayTarget& target, SlabPool& pool, const Clock& clock);

  /// Gathers the event; puts what is gathered once it is a megabyte. Errors: of the target.
  Status add(std::uint64_t sequence, const Event& event, const Origin& origin,
             const std::function<bool()>& go_on);
  /// Puts the rest. Errors: as add().
  Status finish(const std::function<bool()>& go_on);

  /// Of what is put: how many, and the sequence they had behind the last one.
  std::uint64_t events() const noexcept { return events_; }
  std::uint64_t put_below() const noexcept { return put_below_; }

 private:
  std::string headers_of(std::uint64_t sequence, const Event& event, const Origin& origin) const;
  Status put(const std::function<bool()>& go_on);

  const std::string from_;
  ReplayTarget& target_;
  const Clock& clock_;
  BatchBuilder builder_;
  std::uint64_t gathered_below_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t put_below_ = 0;
};

}  // namespace sluice
