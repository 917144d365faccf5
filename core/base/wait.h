// Waiting on a condition with a deadline and a stop token: the only way a thread of ours sleeps.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "core/base/clock.h"

namespace sluice {

/// Sleeps on `changed` until `ready()` holds; `lock` is released meanwhile.
///
/// Returns what ready() says, with the lock held: false means that the deadline passed or stop was
/// requested. Whoever makes ready() true notifies `changed`. Costs nothing when it holds already.
template <typename Ready>
bool wait_until(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                Deadline deadline, const std::stop_token& stop, Ready ready) {
  if (ready()) return true;
  std::mutex& mutex = *lock.mutex();
  lock.unlock();
  {
    // Registered without the lock, because a stop that is already requested runs it at once.
    const std::stop_callback wake(stop, [&] {
      { const std::lock_guard guard(mutex); }
      changed.notify_all();
    });
    lock.lock();
    while (!ready() && !stop.stop_requested() && !deadline.passed()) {
      if (deadline.is_never()) {
        changed.wait(lock);
      } else {
        changed.wait_until(lock, deadline.time());
      }
    }
    lock.unlock();  // the callback's destructor waits for a run that may want the lock
  }
  lock.lock();
  return ready();
}

}  // namespace sluice
