// Waiting for what other threads do, with a deadline: tests never sleep a fixed time.
#pragma once

#include <condition_variable>
#include <mutex>

#include "core/base/clock.h"

namespace sluice {

constexpr milliseconds test_patience{10'000};

/// True as soon as `ready()` holds; false when it still does not after `patience`.
template <typename Ready>
bool eventually(Ready ready, milliseconds patience = test_patience) {
  const Deadline deadline = Deadline::in(patience);
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  while (!ready()) {
    if (deadline.passed()) return ready();
    never.wait_for(lock, milliseconds(1));
  }
  return true;
}

}  // namespace sluice
