#include "sources/content_file.h"

#include <algorithm>
#include <utility>

namespace sluice {

ContentFile::ContentFile(std::unique_ptr<InputFile> file) : file_(std::move(file)) {}

Result<std::size_t> ContentFile::read_at(std::uint64_t offset, std::span<char> into) {
  if (offset < begin_) {
    begin_again();
    kept_.clear();
    front_ = 0;
    begin_ = 0;
    over_ = false;
    damage_ = {};
  }
  while (!over_ && begin_ + kept_bytes() < offset + into.size()) {
    forget_before(offset);
    auto more = make_some(kept_, damage_);
    if (!more.ok()) return more.status();
    over_ = !*more;
  }
  forget_before(offset);
  const std::size_t bytes = begin_ == offset ? std::min(into.size(), kept_bytes()) : 0;
  if (bytes == 0 && !into.empty() && !damage_.ok()) return damage_;
  std::copy_n(kept_.begin() + static_cast<std::ptrdiff_t>(front_), bytes, into.begin());
  return bytes;
}

/// A read that follows begins no earlier, as a rule.
void ContentFile::forget_before(std::uint64_t offset) {
  const auto bytes = std::min<std::uint64_t>(offset - begin_, kept_bytes());
  begin_ += bytes;
  front_ += bytes;
  if (2 * front_ < kept_.size()) return;
  kept_.erase(0, front_);
  front_ = 0;
}

}  // namespace sluice
