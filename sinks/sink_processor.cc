#include "sinks/sink_processor.h"

#include <algorithm>
#include <array>

namespace sluice {
namespace {

class SingleProcessor final : public SinkProcessor {
 public:
  std::span<const std::uint32_t> order(SteadyTime /*now*/) override { return only_; }
  bool spreads() const noexcept override { return false; }
  std::string_view all_failed() const noexcept override { return "the sink has failed"; }

 private:
  const std::array<std::uint32_t, 1> only_{0};
};

}  // namespace

milliseconds sink_penalty(std::uint32_t failures, milliseconds most) noexcept {
  constexpr std::uint32_t doublings_max = 30;  // beyond every sensible bound
  const milliseconds penalty{std::int64_t{1000} << std::min(failures, doublings_max)};
  return std::min(penalty, most);
}

std::unique_ptr<SinkProcessor> make_single_processor() {
  return std::make_unique<SingleProcessor>();
}

}  // namespace sluice
