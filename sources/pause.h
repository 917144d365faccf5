// A source's pause between two tries.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "core/base/wait.h"
#include "sources/outlet.h"

namespace sluice {

/// Waits so long, seeing to refused commits meanwhile; false when stop ended the wait.
inline bool pause(milliseconds duration, Outlet& outlet, const std::stop_token& stop) {
  constexpr milliseconds idle_interval{1000};
  std::mutex mutex;
  std::condition_variable changed;
  const Deadline end = Deadline::in(duration);
  while (!end.passed() && !stop.stop_requested()) {
    std::unique_lock lock(mutex);
    wait_until(changed, lock, Deadline::in(end.left(idle_interval)), stop, [] { return false; });
    outlet.idle(stop);
  }
  return !stop.stop_requested();
}

}  // namespace sluice
