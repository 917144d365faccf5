// Between a source and its channels: interceptors, selector, room, commit.
#pragma once

#include <boost/container/small_vector.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "channels/commit.h"
#include "core/metrics/counters.h"
#include "interceptors/interceptor.h"
#include "sources/selector.h"

namespace sluice {

/// What a source does when a required channel has no room.
enum class OnFull : unsigned char {
  Wait,    ///< Until there is room: backpressure reaches whoever sends.
  Reject,  ///< After the channel's keep-alive the batch is refused, as Flume does.
};

/// Carries batches of one source into its channels. Used by the source's thread only.
///
/// A batch goes through the interceptors, then the selector takes it apart; its way is decided once
/// and kept through retries. Every required channel gets its part, or none does: one commit holds
/// all of them. Where they lie in several stores, each store has a commit of its own, submitted
/// when the one before is complete; what a crash leaves between two of them is known by its origins
/// when it comes again. An optional channel that has no room is passed over, and that is counted.
class ChannelProcessor {
 public:
  struct Options {
    std::string source_name;
    /// Of events that no mapping names: all of them, where there are no mappings.
    std::vector<Channel*> required;
    std::vector<Channel*> optional;
    /// The selector multiplexing: where events go by the value of this header.
    std::string header = {};
    std::vector<Mapping> mappings = {};
    std::vector<std::unique_ptr<Interceptor>> interceptors;
    OnFull on_full = OnFull::Wait;
    /// Ends waits for room instead of the source's stop, when given: a source that stops reading
    /// may still put what it holds.
    std::stop_token abandon = {};
    /// The stores in which channels lie, those of required channels first. None: all are in memory.
    std::vector<Committer*> stores = {};
    std::size_t optional_stores = 0;  ///< The last of them hold optional channels only.
    /// What notes say is as safe as the events: every required channel keeps them on disk.
    bool keeps_notes = true;
    std::uint64_t in_flight_bytes_max = 8 << 20;  ///< Of bodies, submitted and not complete.
  };
  ChannelProcessor(Options options, SourceCounters& counters);
  /// Waits for every commit in flight; gives up what is refused.
  ~ChannelProcessor();

  /// Puts a batch on its way; `done` hears the outcome, on any thread, maybe before this returns.
  ///
  /// Ok: submitted, `done` will be called (Ok: in every required channel, durably where they are).
  /// Errors, without a call of `done`: Retry (no room), Closed (stop).
  /// With OnFull::Wait a commit that is refused for now (a full disk) is kept and submitted again,
  /// in order, so `done` never hears Retry. `notes` become true with the events, or alone when
  /// interceptors or the selector have left none of them. `room_by` ends the wait for room: with
  /// OnFull::Reject when the keep-alive has not done so before, with OnFull::Wait for a source that
  /// has something to see to and comes again with the batch; then nothing has failed.
  /// REQUIRES: store() is not null where there are notes.
  Status process(Batch batch, std::stop_token stop, Commit::Done done, Notes notes = {},
                 Deadline room_by = Deadline::never());

  /// The sender of what is put here will never send again what lies below this origin.
  void sender_settled(const Origin& below);

  /// False when a required channel is in memory: a note would then be true while its events are not
  /// safe yet, so that a source goes by receipts instead.
  bool keeps_notes() const noexcept { return options_.keeps_notes && required_stores() > 0; }
  /// The values that the stores hold for a note. Where there are several, a crash may have left one
  /// behind the others: the source goes on from the lowest. A store without one is new to the
  /// source, so a note is put into all of them, and waited for, before the first event that it is
  /// about. REQUIRES: keeps_notes().
  std::vector<std::string> notes(std::string_view key) const;
  /// True when a part of a batch may be in one store while another is not in its: a source that can
  /// read again gives its events origins, so that each channel takes each of them once.
  bool wants_origins() const noexcept { return options_.keeps_notes && required_stores() > 1; }

  /// Submits again what was refused for now. process() does it too; a source that has nothing to
  /// process calls this about once a second.
  void retry_refused(const std::stop_token& stop);

  /// Waits for every commit in flight, submits again what was refused for now, and gives that up at
  /// stop: when it returns, every `done` has been called. For the end of a source, which they may
  /// not outlive.
  void finish(std::stop_token stop);

  /// process() and wait for the outcome.
  Status process_and_wait(Batch batch, std::stop_token stop, Notes notes = {});

  /// A source that cuts its own batches seals at most so many events: more would never fit.
  std::uint32_t batch_events_max() const noexcept { return batch_events_max_; }

 private:
  /// A batch on its way, behind interceptors and selector.
  struct Pending {
    std::uint64_t number = 0;  ///< Their order.
    Routed routed;             ///< Without the parts that have arrived.
    std::uint64_t bytes = 0;   ///< Of the bodies, each once.
    bool arrived_in_part = false;
    Amount made;              ///< Before interceptors.
    Amount filtered;          ///< By them.
    Amount copied;            ///< For second and further channels.
    Receipt receipt;          ///< Of all of it.
    std::uint64_t ended = 0;  ///< Events for which no channel answers: they settle with the rest.
    // Of the parts that have arrived:
    Amount put;
    Amount refused;                   ///< Optional channels had no room for them.
    std::shared_ptr<Amount> doubles;  ///< Told by the commits; null when no event has an origin.
    Notes notes;
    Commit::Done done;
  };

  /// One a store, in their order, of those that have something to write; before them that of
  /// channels in memory, where no required channel is on disk.
  using Commits = boost::container::small_vector<Commit, 1>;

  Status settle_refused(std::stop_token stop);
  std::size_t required_stores() const noexcept {
    return options_.stores.size() - options_.optional_stores;
  }
  bool is_optional(const Committer* store) const noexcept;
  Batch intercept(Batch batch);
  void name_origins(Routed& routed) const;
  Status reserve_all(Pending& pending, Deadline room_by, std::stop_token stop, Commits& commits);
  Status try_reserve(const Routed& routed, std::size_t& wait_in, Deadline deadline,
                     const std::stop_token& stop, Commits& commits) const;
  Committer* committer_of(Channel& channel) const noexcept;
  void add_to(Commits& commits, Reservation room) const;
  void submit(Commits commits, Pending pending);
  void send(Commits commits, Pending pending);
  void written(Status status, const Committer* store, Commits later, Pending pending);
  void landed(Status status, Pending pending);
  void refuse(Pending pending);
  void arrive(Pending& pending, const Committer* committer) const;
  template <typename F>
  static void arrive_if(Pending& pending, F is_there);
  void arrived_in_full(Pending pending);
  void note_arrival(const Pending& pending) noexcept;

  Options options_;
  Selector selector_;
  SourceCounters& counters_;
  std::uint32_t batch_events_max_;
  std::uint64_t batches_ = 0;

  std::mutex mutex_;
  std::condition_variable landed_;
  std::uint64_t in_flight_bytes_ = 0;    // guarded by mutex_
  std::uint64_t in_flight_commits_ = 0;  // guarded by mutex_
  std::vector<Pending> refused_;         // guarded by mutex_; to be submitted again, in order
};

}  // namespace sluice
