#include "core/event/compactor.h"

namespace sluice {

Batch Compactor::copy(const Batch& batch) {
  const bool own = batch.own_headers();
  auto& builder = own ? own_ : shared_;
  if (!builder) {
    builder = std::make_unique<BatchBuilder>(pool_, own ? EventHeaders::Own : EventHeaders::Shared,
                                             &account_);
  }
  builder->reserve(BatchBuilder::bytes_needed(batch));
  builder->append_copy(batch);
  Batch copy = builder->seal();
  // With headers of its own each event got all of them; otherwise they stay shared.
  if (!own && !batch.without_headers()) {
    copy = copy.with_shared_headers(batch.imposed_headers(), batch.fallback_headers());
  }
  return copy.with_receipt(batch.receipt()).with_provenance(batch.provenance());
}

void Compactor::reset() noexcept {
  shared_.reset();
  own_.reset();
}

}  // namespace sluice
