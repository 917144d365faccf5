// A sink whose deliveries end later, on a thread of its own, in any order: what far peers do.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/base/wait.h"
#include "sinks/sink.h"

namespace sluice {

/// One lock covers `offered`, `ended` and the call of done(): whoever offers next knows of it.
class LateSink final : public Sink {
 public:
  struct Script {
    std::function<void(const Batch&)> offered;
    std::function<Delivery(const Batch&)> ended;
    std::uint64_t seed = 0;
    std::uint32_t in_flight_max = 4;
    milliseconds take_wait_max{1000};
    milliseconds retry_same_for{0};
  };
  explicit LateSink(Script script)
      : script_(std::move(script)),
        random_(script_.seed),
        thread_([this](std::stop_token stop) { work(stop); }) {}

  Status open(const std::stop_token& /*stop*/) override { return {}; }
  void deliver(const Batch& batch, std::stop_token /*stop*/, DeliveryDone done) override {
    const std::lock_guard lock(mutex_);
    SLUICE_ASSERT(outstanding_.size() < script_.in_flight_max, "more deliveries than asked for");
    script_.offered(batch);
    outstanding_.emplace_back(batch, done);
    patience_ = milliseconds(random_() % 3);
    changed_.notify_all();
  }
  void close() override {
    const std::lock_guard lock(mutex_);
    SLUICE_ASSERT(outstanding_.empty(), "closed while a delivery is outstanding");
  }
  TakeLimit take_limit() const override {
    return {.events_max = 10, .wait_max = script_.take_wait_max};
  }
  std::uint32_t in_flight_max() const override { return script_.in_flight_max; }
  milliseconds retry_same_for() const override { return script_.retry_same_for; }

 private:
  /// Now and then it waits until several are outstanding.
  void work(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (wait_until(changed_, lock, Deadline::never(), stop,
                      [&] { return !outstanding_.empty(); })) {
      wait_until(changed_, lock, Deadline::in(patience_), stop,
                 [&] { return outstanding_.size() == script_.in_flight_max; });
      const auto one =
          outstanding_.begin() + static_cast<std::ptrdiff_t>(random_() % outstanding_.size());
      const auto [batch, done] = std::move(*one);
      outstanding_.erase(one);
      done(script_.ended(batch));
    }
  }

  const Script script_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::mt19937_64 random_;                                   // guarded by mutex_
  milliseconds patience_{0};                                 // guarded by mutex_
  std::vector<std::pair<Batch, DeliveryDone>> outstanding_;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace sluice
