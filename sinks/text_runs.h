// A batch as text for writev(2) and its kin: neighbours are joined, nothing is copied.
#pragma once

#include <sys/uio.h>

#include <span>
#include <vector>

#include "core/event/batch.h"

namespace sluice {

/// The bodies of a batch, each followed by a line feed. Keeps its memory between batches.
class TextRuns {
 public:
  /// Views into the batch (see its lifetime rule).
  std::span<const iovec> assign_lines(const Batch& batch) {
    runs_.clear();
    bytes_ = 0;
    batch.for_each_text_run([this](std::string_view run, bool line_feed_inside) {
      add(run);
      if (!line_feed_inside) add("\n");
    });
    return runs_;
  }
  /// Bytes of all runs together.
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  void add(std::string_view run) {
    if (run.empty()) return;
    runs_.push_back({const_cast<char*>(run.data()), run.size()});
    bytes_ += run.size();
  }
  std::vector<iovec> runs_;
  std::uint64_t bytes_ = 0;
};

}  // namespace sluice
