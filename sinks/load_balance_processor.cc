// Load balancing: the batches go round.

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>
#include <vector>

#include "sinks/sink_processor.h"

namespace sluice {
namespace {

constexpr std::uint32_t failures_max = 16;
constexpr std::chrono::hours sequential_within{1};

class LoadBalanceProcessor final : public SinkProcessor {
 public:
  LoadBalanceProcessor(std::uint32_t members, LoadBalance options)
      : options_(options), members_(members), random_(options.seed) {}

  std::span<const std::uint32_t> order(SteadyTime now) override {
    order_.clear();
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
      if (members_[i].failures == 0 || members_[i].out_until < now) order_.push_back(i);
    }
    if (options_.random) {
      std::shuffle(order_.begin(), order_.end(), random_);
    } else if (!order_.empty()) {
      // The place counts among those that are not out, as in Flume.
      const std::size_t begin = head_ < order_.size() ? head_ : 0;
      next_head_ = (begin + 1) % order_.size();
      std::rotate(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(begin),
                  order_.end());
    }
    return order_;
  }
  void dealt() override { head_ = next_head_; }
  void failed(std::uint32_t member, SteadyTime now) override {
    if (!options_.backoff) return;
    Member& it = members_[member];
    const bool in_a_row =
        it.failures > 0 &&
        now - it.failed_at < sink_penalty(it.failures, options_.out_max) + sequential_within;
    it.failures = in_a_row ? std::min(it.failures + 1, failures_max) : 1;
    it.failed_at = now;
    it.out_until = now + sink_penalty(it.failures, options_.out_max);
  }
  bool spreads() const noexcept override { return true; }
  std::string_view all_failed() const noexcept override {
    return "All configured sinks have failed";
  }

 private:
  struct Member {
    std::uint32_t failures = 0;
    SteadyTime failed_at{};
    SteadyTime out_until{};
  };
  const LoadBalance options_;
  std::vector<Member> members_;
  std::size_t head_ = 0;
  std::size_t next_head_ = 0;  ///< When the last order is dealt from.
  std::mt19937_64 random_;
  std::vector<std::uint32_t> order_;
};

}  // namespace

std::unique_ptr<SinkProcessor> make_load_balance_processor(std::uint32_t members,
                                                           LoadBalance options) {
  return std::make_unique<LoadBalanceProcessor>(members, options);
}

}  // namespace sluice
