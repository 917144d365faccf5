// How much a step may keep, and how much it does.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <utility>

namespace sluice::analytics {

/// Bytes that the tables of one step and what hangs on their groups may come to.
///
/// What is charged depends on what is kept, never on how the memory for it was come by: it is the
/// same behind a restart. (But for texts of first, last, min and max that became shorter: they keep
/// their room until then.) It is no less than the memory that is taken, which while a table grows
/// is up to half as much again. Known keys are never refused anything but values that need room of
/// their own.
///
/// One thread; the counts may be read by any.
class StateBudget {
 public:
  static constexpr std::uint64_t no_limit = std::numeric_limits<std::uint64_t>::max();
  explicit StateBudget(std::uint64_t bytes_max) noexcept : max_(bytes_max) {}
  StateBudget(const StateBudget&) = delete;
  StateBudget& operator=(const StateBudget&) = delete;

  std::uint64_t max() const noexcept { return max_; }
  std::uint64_t used() const noexcept { return used_; }
  /// None where more is kept than may be: what was saved under a larger bound.
  std::uint64_t room() const noexcept { return max_ - std::min(max_, used_); }

  /// Rows that lost their key or did not count, and values that did not, because there was no room.
  std::uint64_t rows_refused() const noexcept { return rows_refused_; }
  std::uint64_t values_refused() const noexcept { return values_refused_; }
  void refuse_row() noexcept { rows_refused_.fetch_add(1, std::memory_order_relaxed); }
  void refuse_value() noexcept { values_refused_.fetch_add(1, std::memory_order_relaxed); }

  /// What one owner of memory is charged; given back by its destructor. The budget outlives it.
  class Share {
   public:
    explicit Share(StateBudget* budget = nullptr) noexcept : budget_(budget) {}
    Share(Share&& other) noexcept
        : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Share& operator=(Share&& other) noexcept {
      std::swap(budget_, other.budget_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() { set(0); }

    void set(std::uint64_t bytes) noexcept {
      if (budget_ == nullptr) return;
      budget_->used_ += bytes - bytes_;
      bytes_ = bytes;
    }
    std::uint64_t bytes() const noexcept { return bytes_; }

   private:
    StateBudget* budget_;
    std::uint64_t bytes_ = 0;
  };

 private:
  const std::uint64_t max_;
  std::uint64_t used_ = 0;
  std::atomic<std::uint64_t> rows_refused_{0};
  std::atomic<std::uint64_t> values_refused_{0};
};

}  // namespace sluice::analytics
