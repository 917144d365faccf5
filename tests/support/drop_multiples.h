// An interceptor that drops by what is in an event, and does the same to it whenever it comes.
#pragma once

#include <cstdint>
#include <vector>

#include "interceptors/interceptor.h"
#include "tests/support/batches.h"

namespace sluice {

/// Keeps every event of numbered() whose number is no multiple of `of`.
class DropMultiples final : public Interceptor {
 public:
  explicit DropMultiples(std::uint64_t of) : of_(of) {}
  Batch intercept(Batch batch) override {
    std::vector<std::uint32_t> kept;
    const auto numbers = numbers_of(batch);
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      if (numbers[i] % of_ != 0) kept.push_back(i);
    }
    return kept.size() == batch.size() ? batch : batch.select(kept);
  }

 private:
  const std::uint64_t of_;
};

}  // namespace sluice
