// Many pieces for calls like writev(2), which take some of them at once and maybe only a part.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace sluice {

/// Walks over pieces: offer what next() shows to a call and tell written() how much it took.
class PieceWindow {
 public:
  explicit PieceWindow(std::span<const iovec> pieces) noexcept : rest_(pieces) { skip_empty(); }

  /// What is to be written next, at most pieces_max of it; empty once all is written.
  std::span<iovec> next() noexcept { return {window_.data() + begin_, end_ - begin_}; }

  /// REQUIRES: no more than next() shows.
  void written(std::size_t bytes) noexcept {
    while (bytes > 0) {
      iovec& piece = window_[begin_];
      const std::size_t of_piece = std::min(bytes, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + of_piece;
      piece.iov_len -= of_piece;
      bytes -= of_piece;
      if (piece.iov_len == 0) ++begin_;
    }
    skip_empty();
  }

 private:
  static constexpr std::size_t pieces_max = 128;

  /// Empty pieces are passed over, so that a call for which there is nothing left is not made.
  void skip_empty() noexcept {
    for (;;) {
      while (begin_ < end_ && window_[begin_].iov_len == 0) ++begin_;
      if (begin_ < end_ || rest_.empty()) return;
      begin_ = 0;
      end_ = std::min(pieces_max, rest_.size());
      std::copy_n(rest_.begin(), end_, window_.begin());
      rest_ = rest_.subspan(end_);
    }
  }

  std::span<const iovec> rest_;  ///< Not yet in the window.
  std::array<iovec, pieces_max> window_;
  std::size_t begin_ = 0;  ///< First piece of the window with bytes left.
  std::size_t end_ = 0;
};

}  // namespace sluice
