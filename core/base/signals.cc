#include "core/base/signals.h"

#include <pthread.h>

#include <csignal>

#include "core/base/thread.h"

namespace sluice {
namespace {

constexpr int end_of_watch = SIGUSR2;

sigset_t set_of(const std::vector<int>& signals) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, end_of_watch);
  for (const int signal : signals) sigaddset(&set, signal);
  return set;
}

}  // namespace

SignalWatch::SignalWatch(std::vector<int> signals, std::function<void(int)> handler) {
  const sigset_t set = set_of(signals);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  // A peer that hangs up and a file that may not grow are errors of the write, not of the process.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  thread_ = std::thread([this, set, handler = std::move(handler)] {
    name_this_thread("signals");
    for (;;) {
      int signal = 0;
      if (sigwait(&set, &signal) != 0) continue;
      if (signal != end_of_watch) {
        handler(signal);
      } else if (ending_) {
        return;
      }  // Otherwise somebody else sent it, and the watch goes on.
    }
  });
}

SignalWatch::~SignalWatch() {
  ending_ = true;
  pthread_kill(thread_.native_handle(), end_of_watch);
  thread_.join();
}

}  // namespace sluice
