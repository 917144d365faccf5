// Where events that were read from topics go.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/event/batch.h"
#include "core/event/note.h"
#include "core/event/provenance.h"

namespace sluice {

/// Where the batches of a reader go. Called on the reader's thread.
class KafkaTarget {
 public:
  using Done = std::function<void(Status)>;
  virtual ~KafkaTarget() = default;

  /// True: the notes that go with events are kept as safely as the events, so that they are the
  /// truth of where the reader stands. False: the receipt of a batch says when it has arrived, and
  /// there are no notes.
  virtual bool keeps_notes() const = 0;
  /// All values that are kept for this note. REQUIRES: keeps_notes().
  virtual std::vector<std::string> notes(std::string_view key) const = 0;
  /// Notes that become true before any event that is put later does. REQUIRES: keeps_notes().
  /// Errors: Retry, Closed (stop), Fatal.
  virtual Status put_notes(Notes notes, const std::stop_token& stop) = 0;

  /// Puts a batch, which may be empty where there are notes. With Ok `done`, where there is one,
  /// hears once, on any thread, whether it has arrived; with an error never.
  /// Errors: Retry (no room by `room_by`), Closed (stop), Fatal.
  virtual Status put(Batch batch, const std::stop_token& stop, Done done, Notes notes,
                     Deadline room_by) = 0;
  /// Takes back what was put of these logs and nobody has taken yet, as if it had not been put.
  /// The first event of each part of it.
  virtual std::vector<Origin> recall(std::span<const OriginId> /*logs*/) { return {}; }
  /// Called about once a second at least, while there is nothing to put too.
  virtual void tend(const std::stop_token& /*stop*/) {}
};

}  // namespace sluice
