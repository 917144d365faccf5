#include "sinks/spool_content.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace sluice {
namespace {

constexpr std::size_t read_bytes = 1 << 20;

}  // namespace

Status SpoolContent::begin() {
  auto maker = FileMaker::make(booked_.making);
  if (!maker.ok()) return Retry(maker.status().message());
  maker_ = *std::move(maker);
  unused_.clear();
  offset_ = 0;
  begun_ = false;
  return {};
}

Status SpoolContent::more(std::string& out) {
  if (!maker_) return {};
  if (given_up_) return Retry("the agent ends");
  const std::size_t before = out.size();
  if (!std::exchange(begun_, true)) maker_->begin(out);
  while (out.size() == before) {
    if (offset_ == bytes_) {
      maker_->finish(out);
      maker_.reset();
      return {};
    }
    const auto bytes = std::min<std::uint64_t>(read_bytes, bytes_ - offset_);
    auto piece = files_.read(booked_.spool, offset_, static_cast<std::size_t>(bytes));
    if (!piece.ok()) return Retry(piece.status().message());
    if (piece->empty()) return Retry("cannot read " + booked_.spool + ": it ends too early");
    offset_ += piece->size();
    unused_ += *piece;
    std::string_view rest = unused_;
    if (Status status = maker_->add(rest, out); !status.ok()) return Retry(status.message());
    unused_.erase(0, unused_.size() - rest.size());
  }
  return {};
}

}  // namespace sluice
