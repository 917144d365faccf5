// A sink that rejects what begins with "bad", as no built sink does yet.
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "sinks/sink.h"

namespace sluice {

/// Takes up to 10 events at once. Thread-safe, but for what Sink says.
class PickySink final : public Sink {
 public:
  Status open(const std::stop_token& /*stop*/) override { return {}; }
  void deliver(const Batch& batch, std::stop_token /*stop*/, DeliveryDone done) override {
    Delivery delivery;
    {
      const std::lock_guard lock(mutex_);
      ++offers_;
      if (failing_ > 0) {
        --failing_;
        delivery.status = Retry("a bad day");
      } else {
        judge(batch, delivery);
      }
    }
    done(std::move(delivery));
  }
  void close() override {}
  TakeLimit take_limit() const override { return {.events_max = 10, .wait_max = milliseconds(20)}; }

  /// So many offers fail before the next one is judged.
  void fail(int times) {
    const std::lock_guard lock(mutex_);
    failing_ = times;
  }
  /// Each delivery has a note of this key: how many offers there were.
  void note_under(std::string key) { note_key_ = std::move(key); }
  std::vector<std::string> delivered() const {
    const std::lock_guard lock(mutex_);
    return delivered_;
  }
  int offers() const {
    const std::lock_guard lock(mutex_);
    return offers_;
  }

 private:
  void judge(const Batch& batch, Delivery& delivery) {
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      if (batch.body(i).starts_with("bad")) {
        delivery.rejected.push_back(i);
      } else {
        delivered_.emplace_back(batch.body(i));
      }
    }
    if (!delivery.rejected.empty()) delivery.rejected_because = "it is bad";
    if (!note_key_.empty()) delivery.notes.push_back({note_key_, std::to_string(offers_)});
  }

  std::string note_key_;
  mutable std::mutex mutex_;
  std::vector<std::string> delivered_;  // guarded by mutex_
  int failing_ = 0;                     // guarded by mutex_
  int offers_ = 0;                      // guarded by mutex_
};

inline constexpr ComponentInfo picky_info{
    .alias = "picky", .class_name = {}, .meaning = "Rejects what begins with bad.", .keys = {}};
inline const SinkType picky_sink{&picky_info,
                                 [](const Settings&, SinkContext) -> std::unique_ptr<Sink> {
                                   return std::make_unique<PickySink>();
                                 }};

}  // namespace sluice
