#include "core/event/batch_builder.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "core/base/assert.h"

namespace sluice {

BatchBuilder::BatchBuilder(SlabPool& pool, EventHeaders headers, MemoryAccount* window) noexcept
    : pool_(pool),
      window_(window),
      stride_(headers == EventHeaders::Own ? sizeof(IndexEntryWithHeaders) : sizeof(IndexEntry)) {}

BatchBuilder::~BatchBuilder() { detach(); }

void BatchBuilder::attach(SlabRef slab) {
  detach();
  slab_ = std::move(slab);
  if (window_) SLUICE_ASSERT(slab_->charge(*window_), "a fresh slab has no payers");
  position_ = 0;
  index_top_ = index_end_ = slab_->capacity();
  lines_ = true;
}

void BatchBuilder::detach() noexcept {
  if (slab_ && window_) slab_->release(*window_);
  slab_.reset();
}

void BatchBuilder::renew(std::size_t bytes_min) {
  SLUICE_ASSERT(count_ == 0, "marked events would be lost");
  attach(pool_.acquire(bytes_min));
}

void BatchBuilder::renew_with_space(std::size_t bytes) {
  renew(2 * bytes + 8 * stride_);
  // Very short events so far promise nothing about what comes next.
  if (space().size() < bytes) mean_bytes_ = mean_bytes_first;
  SLUICE_ASSERT(space().size() >= bytes, "half of a slab is enough for an index");
}

void BatchBuilder::reserve(std::size_t bytes) {
  if (!slab_ || index_top_ - position_ < bytes) renew(bytes);
}

std::span<char> BatchBuilder::space() noexcept {
  if (!slab_) return {};
  const std::size_t free = index_top_ - position_;
  // An event of m bytes and its line feed need m + 1 of body and a stride of index.
  const std::size_t usable = free * (mean_bytes_ + 1) / (mean_bytes_ + 1 + stride_);
  const std::size_t spare = 4 * stride_;
  return {slab_->data() + position_, usable > spare ? usable - spare : 0};
}

void BatchBuilder::rewind(std::size_t position) noexcept {
  SLUICE_ASSERT(position <= position_, "rewind goes back");
  position_ = position;
}

std::size_t BatchBuilder::entries_left() const noexcept {
  // One byte is kept for the line feed that mark() puts behind an unterminated body.
  return slab_ && index_top_ > position_ ? (index_top_ - position_ - 1) / stride_ : 0;
}

IndexEntry* BatchBuilder::index_top() noexcept {
  return reinterpret_cast<IndexEntry*>(slab_->data() + index_top_);
}

void BatchBuilder::marked(std::size_t events, std::uint64_t body_bytes, bool lines) noexcept {
  if (events == 0) return;
  const IndexEntry* const top = index_top();
  const IndexEntry& first = top[-1];
  const IndexEntry& last = top[-static_cast<std::ptrdiff_t>(events)];
  lines_ = lines && lines_ && (count_ == 0 || first.offset == next_line_);
  next_line_ = std::size_t{last.offset} + last.bytes + 1;
  index_top_ -= events * stride_;
  count_ += static_cast<std::uint32_t>(events);
  body_bytes_ += body_bytes;
  mean_bytes_ = (mean_bytes_ * 3 + body_bytes / events) / 4;
}

void BatchBuilder::mark(std::size_t offset, std::size_t bytes) noexcept {
  SLUICE_ASSERT(stride_ == sizeof(IndexEntry) && entries_left() > 0, "no room for an index entry");
  index_top()[-1] = {static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(bytes)};
  // The byte behind a body belongs to the batch, so that readers may look at it while this builder
  // goes on in the same slab.
  const std::size_t behind = offset + bytes;
  if (behind == position_) slab_->data()[position_++] = '\n';
  marked(1, bytes, slab_->data()[behind] == '\n');
}

bool BatchBuilder::append(std::string_view body, std::string_view own_headers) {
  const std::size_t needed = body.size() + 1 + own_headers.size() + stride_;
  if (!slab_ || index_top_ - position_ < needed) return false;
  SLUICE_ASSERT(own_headers.empty() || stride_ == sizeof(IndexEntryWithHeaders),
                "headers of its own need a builder for them");
  char* const data = slab_->data();
  const std::size_t offset = position_;
  // Empty views may have no address, which memcpy does not like.
  if (!body.empty()) std::memcpy(data + offset, body.data(), body.size());
  data[offset + body.size()] = '\n';
  position_ += body.size() + 1;
  const IndexEntry entry{static_cast<std::uint32_t>(offset),
                         static_cast<std::uint32_t>(body.size())};
  if (stride_ == sizeof(IndexEntry)) {
    index_top()[-1] = entry;
    marked(1, body.size(), true);
    return true;
  }
  IndexEntryWithHeaders both{
      entry,
      {static_cast<std::uint32_t>(position_), static_cast<std::uint32_t>(own_headers.size())}};
  if (!own_headers.empty()) std::memcpy(data + position_, own_headers.data(), own_headers.size());
  position_ += own_headers.size();
  lines_ = lines_ && (count_ == 0 || offset == next_line_);
  next_line_ = offset + body.size() + 1;
  index_top_ -= stride_;
  std::memcpy(data + index_top_, &both, sizeof both);
  ++count_;
  body_bytes_ += body.size();
  return true;
}

void BatchBuilder::append_copy(const Batch& batch) {
  const bool own = stride_ == sizeof(IndexEntryWithHeaders);
  std::string headers;
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    headers.clear();
    if (own) {
      batch.headers(i).for_each(
          [&](auto name, auto value) { append_header(headers, name, value); });
    }
    const bool fits = append(batch.body(i), headers);
    SLUICE_ASSERT(fits, "reserve() was asked for less than the copy needs");
  }
}

std::size_t BatchBuilder::bytes_needed(const Batch& batch) {
  std::size_t bytes =
      batch.body_bytes() + std::size_t{batch.size()} * (1 + sizeof(IndexEntryWithHeaders));
  if (batch.without_headers()) return bytes;
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    batch.headers(i).for_each([&](auto name, auto value) {
      bytes += 2 * sizeof(std::uint32_t) + name.size() + value.size();
    });
  }
  return bytes;
}

Batch BatchBuilder::seal() {
  Batch batch;
  if (count_ == 0) return batch;
  auto* rep = new Batch::Rep;
  rep->count = count_;
  rep->stride = stride_;
  rep->lines = lines_;
  rep->slab = slab_;
  rep->index_end = slab_->data() + index_end_;
  rep->body_bytes = body_bytes_;
  batch.rep_ = Batch::RepRef(rep);
  batch.count_ = count_;
  index_end_ = index_top_;
  count_ = 0;
  body_bytes_ = 0;
  lines_ = true;
  return batch;
}

void BatchBuilder::reset() noexcept {
  SLUICE_ASSERT(count_ == 0, "marked events would be lost");
  detach();
  position_ = index_top_ = index_end_ = 0;
}

void BatchBuilder::discard() noexcept {
  index_top_ = index_end_;
  count_ = 0;
  body_bytes_ = 0;
  lines_ = true;
}

}  // namespace sluice
