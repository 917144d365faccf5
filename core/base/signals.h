// Signals as calls on a thread of their own, where everything is allowed.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

namespace sluice {

/// Blocks signals for the whole process and hands them to a function. Make it before any other
/// thread, so that all of them inherit the mask; children get it undone by who spawns them. SIGUSR2
/// is the watch's own: one from outside does nothing.
class SignalWatch {
 public:
  /// `handler` runs on the watch's thread, one signal at a time.
  SignalWatch(std::vector<int> signals, std::function<void(int)> handler);
  ~SignalWatch();
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  std::atomic<bool> ending_{false};  ///< Before the thread, which reads it.
  std::thread thread_;
};

}  // namespace sluice
