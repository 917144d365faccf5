// What a channel pays for the batches it keeps.
#pragma once

#include "core/event/compactor.h"
#include "core/event/memory_account.h"

namespace sluice {

/// Charges the slabs of kept batches to one account, each slab once.
///
/// A batch that would keep only a small part of its slab alive is copied compact once the budget is
/// a quarter full. Not thread-safe: used under its channel's lock.
class BatchKeeper {
 public:
  /// `beside_bytes`: what the account's limit has above the budget.
  BatchKeeper(const std::string& channel, std::uint64_t budget_bytes, std::uint64_t beside_bytes,
              SlabPool& pool)
      : budget_bytes_(budget_bytes),
        account_("channel " + channel, budget_bytes + beside_bytes),
        compactor_(pool, account_) {}

  const MemoryAccount& account() const noexcept { return account_; }
  MemoryAccount& account() noexcept { return account_; }

  /// True when this batch can be kept within the budget.
  bool fits(const Batch& batch) const noexcept;
  /// The batch, or a compact copy of it; paid for until let_go().
  Batch keep(const Batch& batch);
  void let_go(const Batch& batch) noexcept;
  /// A kept batch will be let go in one part more.
  void keep_again(const Batch& batch) noexcept;
  /// Lets go of the slab that copies go into. Nothing is kept any more, or will be for long.
  void rest() noexcept { compactor_.reset(); }

 private:
  const std::uint64_t budget_bytes_;
  MemoryAccount account_;
  Compactor compactor_;
};

}  // namespace sluice
