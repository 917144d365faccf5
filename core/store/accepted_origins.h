// What a channel took already, by where it came from; what comes again is known by that.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/event/provenance.h"

namespace sluice {

class Store;
class StoreBatch;

/// For each id the ranges of sequences that one channel accepted itself.
///
/// A mark of "everything below" would lose events: a sender that spreads its load gives
/// neighbouring ranges to different receivers, and any of them may come here later. Rows
/// "accepted/CHANNEL/ID/BEGIN", written in the commit of the events; docs/formats/store.md.
///
/// What is forgotten and comes again is taken again: forgetting may double, it never loses.
/// accept() and repair() are the committer's; all may be called by any thread.
class AcceptedOrigins {
 public:
  struct Limits {
    std::size_t ranges_max = 10'000;  ///< An id; beyond it the lowest are forgotten.
    /// An id that is silent so long forgets what its sender said it will not send again ...
    milliseconds silent = std::chrono::hours(24);
    milliseconds gone = std::chrono::hours(24 * 30);  ///< ... and so long, the rest.
  };
  AcceptedOrigins(std::uint32_t channel, Limits limits);
  explicit AcceptedOrigins(std::uint32_t channel) : AcceptedOrigins(channel, Limits()) {}

  /// What the store holds. Errors: Retry, Reject (damaged, or of a newer release).
  Status read(const Store& store);

  /// What is new in a row of events.
  struct Verdict {
    bool all = true;                   ///< Every event is.
    std::vector<std::uint32_t> fresh;  ///< Otherwise those that are,
    Provenance left;                   ///< and their origins, which answer for nothing else.
    std::vector<OriginRange> added;    ///< Accepted now, and not before.
  };
  /// Accepts what is new, and adds the rows that say so to the batch. Events without an origin are
  /// always new.
  Verdict accept(const Provenance& row, std::int64_t now_ms, StoreBatch& batch);
  /// The commit of this verdict was refused. The rows are the matter of repair().
  void undo(const std::vector<OriginRange>& added);
  /// The sender will never send again what lies below this sequence.
  void settled_below(OriginId id, std::uint64_t sequence);
  /// Adds what makes the store's rows what this object says.
  /// Errors: as Store::for_each_row().
  Status repair(const Store& store, StoreBatch& batch);

  bool accepted(const Origin& origin) const;
  std::vector<OriginRange> ranges() const;
  /// Ranges forgotten though their sender may still send them.
  std::uint64_t forgotten_early() const;

 private:
  struct Known {
    std::map<std::uint64_t, std::uint64_t> ranges;  ///< begin -> end; neither overlap nor touch.
    std::int64_t heard_ms = 0;
    std::uint64_t settled_below = 0;
  };
  /// Ranges whose rows are old, by id and begin.
  using Changed = std::set<std::pair<OriginId, std::uint64_t>>;

  // REQUIRE mutex_:
  bool touches(const OriginRange& range) const;
  void judge(const Provenance::Run& run, std::uint32_t first, Verdict& verdict,
             std::vector<Provenance::Run>& left) const;
  void insert(const OriginRange& range, Changed& changed);
  void forget_beyond_limit(OriginId id, Known& known, Changed& changed);
  void forget_silent(std::int64_t now_ms, Changed& changed);
  void write_rows(const Changed& changed, StoreBatch& batch) const;
  std::string row_key(OriginId id, std::uint64_t begin) const;
  static std::string row_value(const Known& known, std::uint64_t end);

  const std::string prefix_;
  const Limits limits_;
  mutable std::mutex mutex_;
  std::map<OriginId, Known> known_;    // guarded by mutex_
  std::int64_t swept_ms_ = 0;          // guarded by mutex_
  std::uint64_t forgotten_early_ = 0;  // guarded by mutex_
};

}  // namespace sluice
