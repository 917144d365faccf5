// Events for a channel of an agent that runs, from another process.
//
// The talk, over the socket `replay.socket` in the directory of a store: the caller says
// "sluice-replay 1 FROM TO" in a line. Then, as often as it likes, the bytes of a frame (8, little
// endian) and the frame of a batch (docs/formats/frame.md). Each is answered by a line: "ok", or
// "error CODE SENTENCE", the last one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "channels/replay.h"
#include "core/base/status.h"
#include "core/net/local_socket.h"

namespace sluice {

constexpr std::string_view replay_greeting = "sluice-replay 1";
constexpr std::size_t replay_line_max = 4096;
/// The socket of a store.
std::string replay_socket(const std::string& store);

/// The caller's side: a target that is a channel of another process. One thread.
class ReplayCall final : public ReplayTarget {
 public:
  /// `from`: the channel that delivered the events. Errors: Closed (no agent works on the store, or
  /// go_on said no), Invalid (it has no such channel on disk), Retry.
  static Result<std::unique_ptr<ReplayCall>> open(const std::string& store, const std::string& from,
                                                  const std::string& to,
                                                  const std::function<bool()>& go_on);

  Status put(const Batch& batch, const std::function<bool()>& go_on) override;

 private:
  explicit ReplayCall(LocalStream stream) : stream_(std::move(stream)) {}
  Status await_answer(const std::function<bool()>& go_on);
  Result<std::string> read_line(const std::function<bool()>& go_on);

  LocalStream stream_;
  const StopSignal never_;  ///< Waits end by go_on.
  std::string read_;        ///< Of an answer.
};

}  // namespace sluice
