#include "core/event/receipt.h"

#include "core/base/assert.h"

namespace sluice {

Receipt Receipt::make(std::shared_ptr<ReceiptListener> listener, std::uint64_t token,
                      std::uint64_t events) {
  SLUICE_ASSERT(events > 0, "a receipt for nothing would never be settled");
  return Receipt(new Rep{1, events, token, std::move(listener)});
}

Receipt::Receipt(const Receipt& other) noexcept : rep_(other.rep_) {
  if (rep_) rep_->refs.fetch_add(1, std::memory_order_relaxed);
}

Receipt::~Receipt() {
  if (!rep_ || rep_->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (rep_->outstanding.load(std::memory_order_acquire) != 0) {
    rep_->listener->settled(rep_->token, false);
  }
  delete rep_;
}

void Receipt::expect_more(std::uint64_t events) const noexcept {
  if (!rep_) return;
  const auto before = rep_->outstanding.fetch_add(events, std::memory_order_relaxed);
  SLUICE_ASSERT(before > 0, "a settled receipt cannot expect more");
}

void Receipt::settle(std::uint64_t events) const noexcept {
  if (!rep_ || events == 0) return;
  const auto before = rep_->outstanding.fetch_sub(events, std::memory_order_acq_rel);
  SLUICE_ASSERT(before >= events, "more events are settled than the receipt covers");
  if (before == events) rep_->listener->settled(rep_->token, true);
}

}  // namespace sluice
