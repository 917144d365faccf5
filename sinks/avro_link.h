// One connection to an avro source, of Flume's or of our own, with its calls in flight.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/net/tcp_stream.h"
#include "core/wire/sluice_calls.h"

namespace sluice {

/// Sends batches and hears what became of them. One thread makes it, calls and destroys it; a
/// thread of its own listens for answers.
class AvroLink {
 public:
  struct Options {
    TcpStream::Target target;
    milliseconds connect_timeout{20'000};  ///< For the connection with its handshake.
    milliseconds request_timeout{20'000};  ///< For each answer.
    /// Of calls to an agent of our own that undoes it.
    CallCompression compression = CallCompression::None;
    StreamLayers layers = {};
  };
  struct Outcome {
    /// Ok: the events are the receiver's. Retry: they are still the caller's. Closed: stop.
    Status status;
    /// With an error: no answer came, so it is not known. An agent of our own takes nothing behind
    /// a call that it answered FAILED, so that is known without an answer.
    bool may_have_arrived = false;
  };
  /// Called once a call, on either thread, maybe before call() returns.
  using Done = std::function<void(Outcome)>;

  /// Connects and shakes hands. `stop` also ends what the link does later: answers to what was sent
  /// are then waited for a little longer. Errors: Retry, Closed (stop).
  static Result<std::unique_ptr<AvroLink>> connect(const Options& options, std::stop_token stop);
  /// Calls that are in flight end with an error.
  ~AvroLink();
  AvroLink(const AvroLink&) = delete;
  AvroLink& operator=(const AvroLink&) = delete;

  /// The receiver takes several calls at once, in their order, and knows origins; a Flume may take
  /// one at a time.
  bool is_ours() const noexcept { return is_ours_; }
  /// Why nothing can be sent any more; Ok while it can.
  Status broken() const;
  /// Waits until no call is in flight and each `done` has returned. False: stop.
  bool wait_until_idle(const std::stop_token& stop);

  /// Sends one call of appendBatch. A failure breaks the link: every call in flight fails.
  /// `settled_below`: nothing below it will be sent again; told to an agent of our own.
  void call(const Batch& batch, const std::stop_token& stop, Done done,
            const std::optional<Origin>& settled_below = std::nullopt);

  /// Says goodbye. REQUIRES: no call is in flight.
  void finish();

 private:
  struct Call {
    std::uint32_t serial;
    Deadline answer_by;
    Done done;
    bool passed_over = false;  ///< A call before it was answered FAILED by an agent of our own.
  };

  AvroLink(const Options& options, TcpStream stream, std::stop_token stop);
  Status shake_hands(Deadline deadline);
  void listen();
  Status read_answers();
  void pass_over_behind(std::uint32_t serial);
  Status answered(std::uint32_t serial, std::string_view payload);
  Deadline next_deadline() const;
  std::string unanswered(const std::string& why) const;
  void break_off(Status why);

  const Options options_;
  TcpStream stream_;
  const std::stop_token stop_;
  bool is_ours_ = false;
  CallCompression compression_ = CallCompression::None;
  std::uint32_t next_serial_ = 1;
  AvroCallWriter plain_;
  SluiceCallWriter ours_;

  mutable std::mutex mutex_;
  std::condition_variable idle_;
  std::vector<Call> calls_;  // guarded by mutex_; whoever takes one out ends it
  int ending_ = 0;           // guarded by mutex_: calls whose `done` runs
  bool refused_ = false;     // guarded by mutex_: what is sent now is passed over
  Status broken_;            // guarded by mutex_

  std::stop_source listening_;
  std::jthread listener_;
};

}  // namespace sluice
