// Copies small batches together, so that few events do not pin whole slabs.
#pragma once

#include "core/event/batch_builder.h"

namespace sluice {

/// Appends batches to slabs of its own; several copies share one slab. One thread at a time.
class Compactor {
 public:
  /// The slabs being filled are charged to `account`; copies are paid by who keeps them.
  Compactor(SlabPool& pool, MemoryAccount& account) noexcept : pool_(pool), account_(account) {}

  /// The same events, headers, receipt and provenance in a slab that holds little else.
  Batch copy(const Batch& batch);
  /// Lets go of the slabs being filled.
  void reset() noexcept;

 private:
  SlabPool& pool_;
  MemoryAccount& account_;
  std::unique_ptr<BatchBuilder> shared_;  ///< For batches without headers of their own.
  std::unique_ptr<BatchBuilder> own_;
};

}  // namespace sluice
