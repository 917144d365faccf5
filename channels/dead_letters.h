// Where events go that nobody can ever deliver.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "channels/commit.h"
#include "core/base/status.h"
#include "core/event/batch.h"

namespace sluice {

/// One event that a sink, or a channel outside the agent, has rejected. Views; see the lifetime
/// rule in core/event/batch.h.
struct DeadLetter {
  Event event;
  std::uint64_t sequence = 0;    ///< In the channel that it was taken from.
  std::uint32_t attempts = 1;    ///< How often it was offered.
  std::optional<Origin> origin;  ///< Where it is known.
};

/// What was rejected of one batch.
struct Rejection {
  std::string_view sink;     ///< "k1"; empty: the channel itself has rejected them.
  std::string_view channel;  ///< That they were taken from, or could not enter: "c1".
  std::string_view reason;
  std::vector<DeadLetter> letters;
};

/// A place for dead letters. Thread-safe.
class DeadLetters {
 public:
  virtual ~DeadLetters() = default;

  /// Ok: they are kept as durably as this place keeps anything, or `taking`, the commit that takes
  /// them out of their channel, will do so: they are in one place or in the other, never in none.
  /// They may be in both where `taking` is refused; then they come again. Errors: Retry (no room
  /// just now), Closed, Fatal. Never waits for room.
  virtual Status keep(const Rejection& rejection, Commit& taking) = 0;

  /// "channel dead", for messages.
  virtual const std::string& name() const noexcept = 0;
};

}  // namespace sluice
