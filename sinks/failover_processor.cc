// Failover: one sink works, the others stand by.

#include <algorithm>
#include <vector>

#include "sinks/sink_processor.h"

namespace sluice {
namespace {

class FailoverProcessor final : public SinkProcessor {
 public:
  FailoverProcessor(std::uint32_t members, milliseconds penalty_max)
      : members_(members), penalty_max_(penalty_max) {}

  /// Those whose penalty is over come first, the one that is over longest before the others.
  std::span<const std::uint32_t> order(SteadyTime now) override {
    order_.clear();
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
      if (members_[i].failures > 0 && members_[i].out_until < now) order_.push_back(i);
    }
    std::stable_sort(order_.begin(), order_.end(), [this](std::uint32_t a, std::uint32_t b) {
      return members_[a].out_until < members_[b].out_until;
    });
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
      if (members_[i].failures == 0) order_.push_back(i);
    }
    return order_;
  }
  void succeeded(std::uint32_t member) override { members_[member].failures = 0; }
  void failed(std::uint32_t member, SteadyTime now) override {
    Member& it = members_[member];
    ++it.failures;
    it.out_until = now + sink_penalty(it.failures, penalty_max_);
  }
  bool spreads() const noexcept override { return false; }
  std::string_view all_failed() const noexcept override {
    return "All sinks failed to process, nothing left to failover to";
  }

 private:
  struct Member {
    std::uint32_t failures = 0;  ///< 0: it works.
    SteadyTime out_until{};
  };
  std::vector<Member> members_;
  const milliseconds penalty_max_;
  std::vector<std::uint32_t> order_;
};

}  // namespace

std::unique_ptr<SinkProcessor> make_failover_processor(std::uint32_t members,
                                                       milliseconds penalty_max) {
  return std::make_unique<FailoverProcessor>(members, penalty_max);
}

}  // namespace sluice
