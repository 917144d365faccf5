#include "channels/batch_keeper.h"

#include "core/base/assert.h"

namespace sluice {

bool BatchKeeper::fits(const Batch& batch) const noexcept {
  const Slab* const slab = batch.slab();
  const bool pays = slab != nullptr && slab->charged_to(account_);
  const std::uint64_t pinned = slab == nullptr || pays ? 0 : slab->capacity();
  return account_.used_bytes() + pinned <= budget_bytes_;
}

Batch BatchKeeper::keep(const Batch& batch) {
  Batch kept = batch;
  if (Slab* const slab = batch.slab()) {
    const bool small = batch.body_bytes() < slab->capacity() / 4;
    const bool tight = account_.used_bytes() > budget_bytes_ / 4;
    if (small && tight && !slab->charged_to(account_)) kept = compactor_.copy(batch);
    if (!kept.slab()->charge(account_)) {
      kept = compactor_.copy(batch);
      SLUICE_ASSERT(kept.slab()->charge(account_), "a slab of our own has no other payers");
    }
  }
  account_.charge(kept.beside_bytes());
  return kept;
}

void BatchKeeper::let_go(const Batch& batch) noexcept {
  if (Slab* const slab = batch.slab()) slab->release(account_);
  account_.release(batch.beside_bytes());
}

void BatchKeeper::keep_again(const Batch& batch) noexcept {
  SLUICE_ASSERT(batch.slab()->charge(account_), "the channel pays for this slab already");
  account_.charge(batch.beside_bytes());
}

}  // namespace sluice
