// What a channel keeps of what it delivered, so that it can be replayed.
//
// A delivered frame stays where it is. That it may go is known from a few marks in the channel's
// account, "below this sequence all was out by that time", so nothing is ever searched, and a start
// does not depend on what is kept. To drop frames is to say so in the account: they are not removed
// one by one, whole tables of them are.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/clock.h"
#include "core/store/group_commit.h"

namespace sluice {

/// How much of what was delivered is kept; of two bounds the one that is reached first holds.
struct RetentionLimits {
  milliseconds age{0};      ///< Since it was delivered; 0: no such bound.
  std::uint64_t bytes = 0;  ///< Of bodies; 0: no such bound.
  /// What is kept stays kept and nothing else is: for tools, which do not know the limits.
  bool as_found = false;

  bool any() const noexcept { return age > milliseconds(0) || bytes > 0; }
};

/// Keeps what one channel delivered as long as it was asked to.
///
/// A bound is kept to in steps of a 32nd of it: of 24 hours, frames are dropped between 24 hours
/// and 24 hours 45 minutes behind their delivery; of 32 GB, between 31 and 32 GB are kept. Without
/// limits whatever an earlier start kept is dropped, and nothing is done any more.
///
/// Thread rule: begin() before the account has a ledger; advance() on the committer's thread; the
/// rest by any thread.
class Retention {
 public:
  Retention(RetentionLimits limits, const Clock& clock) noexcept : limits_(limits), clock_(clock) {}

  /// From now on the account keeps, if that is wanted.
  void begin(Account& account) const;
  /// True when frames that are out stay.
  bool keeps() const noexcept { return limits_.any() || limits_.as_found; }
  /// In a group in which the ledger takes part anyway: notes when what is out was delivered, and
  /// drops what need not be kept any longer.
  void advance(Ledger& ledger, WriteGroup& group) const;
  /// True when advance() would change something. Costs a copy of the account.
  bool due(const Ledger& ledger) const;

 private:
  void add_mark(Account& account, std::int64_t now_ms) const;
  std::size_t expired_marks(const Account& account, std::int64_t now_ms) const;

  const RetentionLimits limits_;
  const Clock& clock_;
};

/// Drops the oldest of what each of these channels keeps: one mark's worth, or all when there is no
/// mark. Gives room back, so it goes on while the disk is full.
class DropForRoom final : public Work {
 public:
  /// The ledgers outlive it. REQUIRES: made on the committer's thread.
  explicit DropForRoom(std::vector<Ledger*> ledgers);
  /// True when none of them keeps anything.
  bool nothing_left() const noexcept { return ledgers_.empty(); }

  void write(WriteGroup& group) override;
  void complete(const Status& /*status*/, bool /*written*/) override {}
  bool needs_room() const noexcept override { return false; }
  std::uint64_t bytes() const noexcept override { return 0; }

 private:
  std::vector<Ledger*> ledgers_;
};

}  // namespace sluice
