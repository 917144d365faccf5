// Looks at events between a source and its channels; may drop them or change their headers.
#pragma once

#include "core/event/batch.h"

namespace sluice {

/// One step of a source's chain. Called by the source's thread only.
class Interceptor {
 public:
  virtual ~Interceptor() = default;

  /// Returns the batch that goes on: the same, one with other headers, or a selection of it (maybe
  /// empty). What is left out counts as filtered; the caller settles its receipt.
  virtual Batch intercept(Batch batch) = 0;
};

}  // namespace sluice
