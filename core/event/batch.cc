#include "core/event/batch.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <mutex>

#include "core/base/assert.h"
#include "core/event/batch_builder.h"

namespace sluice {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kept_blocks_max = 0;  // used again, a block would hide its misuse
#else
constexpr std::size_t kept_blocks_max = 256;
#endif

/// Blocks that batches are made of and gave back; shared by all threads.
struct KeptBlocks {
  std::mutex mutex;
  std::vector<void*> blocks;  // guarded by mutex; never grows beyond its reserved size
};

KeptBlocks& kept_blocks() {
  static KeptBlocks* const kept = [] {  // never destroyed: batches may outlive what is static
    auto* made = new KeptBlocks;
    made->blocks.reserve(kept_blocks_max);
    return made;
  }();
  return *kept;
}

}  // namespace

void* Batch::Rep::operator new(std::size_t bytes) {
  KeptBlocks& kept = kept_blocks();
  {
    const std::lock_guard lock(kept.mutex);
    if (!kept.blocks.empty()) {
      void* const block = kept.blocks.back();
      kept.blocks.pop_back();
      return block;
    }
  }
  return ::operator new(bytes);
}

void Batch::Rep::operator delete(void* block) noexcept {
  KeptBlocks& kept = kept_blocks();
  {
    const std::lock_guard lock(kept.mutex);
    if (kept.blocks.size() < kept_blocks_max) return kept.blocks.push_back(block);
  }
  ::operator delete(block);
}

Batch::Batch(Batch&& other) noexcept
    : rep_(std::move(other.rep_)),
      first_(std::exchange(other.first_, 0)),
      count_(std::exchange(other.count_, 0)),
      receipt_(std::move(other.receipt_)),
      provenance_(std::move(other.provenance_)) {}

Batch& Batch::operator=(Batch&& other) noexcept {
  if (this == &other) return *this;
  rep_ = std::move(other.rep_);
  first_ = std::exchange(other.first_, 0);
  count_ = std::exchange(other.count_, 0);
  receipt_ = std::move(other.receipt_);
  provenance_ = std::move(other.provenance_);
  return *this;
}

HeaderView Batch::headers(std::uint32_t i) const noexcept {
  return {rep_->imposed.bytes(), own_headers(i), rep_->fallback.bytes()};
}

std::string_view Batch::own_headers(std::uint32_t i) const noexcept {
  if (!own_headers()) return {};
  IndexEntryWithHeaders entry;
  std::memcpy(&entry, entry_at(i), sizeof entry);
  const char* const base = rep_->own_blocks ? rep_->own_blocks->data() : rep_->slab->data();
  return {base + entry.headers.offset, entry.headers.bytes};
}

bool Batch::own_headers() const noexcept {
  return rep_ && rep_->stride == sizeof(IndexEntryWithHeaders);
}

bool Batch::without_headers() const noexcept {
  return !rep_ || (!own_headers() && rep_->imposed.empty() && rep_->fallback.empty());
}

std::uint64_t Batch::body_bytes() const noexcept {
  if (empty()) return 0;
  if (count_ == rep_->count) return rep_->body_bytes;
  if (lines()) return text().size() - count_;
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count_; ++i) sum += body_entry(i).bytes;
  return sum;
}

std::string_view Batch::text() const noexcept {
  const IndexEntry first = body_entry(0);
  const IndexEntry last = body_entry(count_ - 1);
  const std::size_t end = std::size_t{last.offset} + last.bytes + 1;
  return {rep_->slab->data() + first.offset, end - first.offset};
}

Batch Batch::slice(std::uint32_t first, std::uint32_t count) const {
  SLUICE_ASSERT(std::uint64_t{first} + count <= count_, "a slice beyond its batch");
  Batch part = *this;
  part.first_ = first_ + first;
  part.count_ = count;
  if (provenance_.known()) part.provenance_ = provenance_.slice(first, count);
  return part;
}

Batch::Rep* Batch::sibling() const {
  auto* rep = new Rep;
  rep->stride = rep_->stride;
  rep->slab = rep_->slab;
  rep->own_blocks = rep_->own_blocks;
  rep->imposed = rep_->imposed;
  rep->fallback = rep_->fallback;
  return rep;
}

Batch Batch::select(const std::vector<std::uint32_t>& kept) const {
  Batch part;
  part.receipt_ = receipt_;
  if (provenance_.known()) part.provenance_ = provenance_.select(kept);
  if (kept.empty()) return part;
  const bool ascending =
      std::adjacent_find(kept.begin(), kept.end(), std::greater_equal<>()) == kept.end();
  SLUICE_ASSERT(ascending && kept.back() < count_, "a selection out of order");
  part.count_ = static_cast<std::uint32_t>(kept.size());
  if (kept.back() - kept.front() + 1 == part.count_) {
    part.rep_ = rep_;
    part.first_ = first_ + kept.front();
    return part;
  }
  auto* rep = sibling();
  part.rep_ = RepRef(rep);
  rep->count = part.count_;
  const std::size_t index_bytes = kept.size() * rep->stride;
  rep->own_index = std::make_unique_for_overwrite<char[]>(index_bytes);
  rep->index_end = rep->own_index.get() + index_bytes;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    std::memcpy(const_cast<char*>(part.entry_at(static_cast<std::uint32_t>(i))), entry_at(kept[i]),
                rep->stride);
    rep->body_bytes += body_entry(kept[i]).bytes;
  }
  return part;
}

Batch Batch::with_own_headers(std::string blocks, std::span<const IndexEntry> places) const {
  SLUICE_ASSERT(places.size() == count_, "one block of own headers an event");
  auto* rep = sibling();
  rep->stride = sizeof(IndexEntryWithHeaders);
  Batch other;
  other.rep_ = RepRef(rep);
  other.count_ = count_;
  other.receipt_ = receipt_;
  other.provenance_ = provenance_;
  rep->count = count_;
  rep->lines = rep_->lines;
  rep->body_bytes = body_bytes();
  rep->own_blocks = std::make_shared<const std::string>(std::move(blocks));
  const std::size_t index_bytes = std::size_t{count_} * rep->stride;
  rep->own_index = std::make_unique_for_overwrite<char[]>(index_bytes);
  rep->index_end = rep->own_index.get() + index_bytes;
  for (std::uint32_t i = 0; i < count_; ++i) {
    const IndexEntryWithHeaders entry{body_entry(i), places[i]};
    SLUICE_ASSERT(std::uint64_t{places[i].offset} + places[i].bytes <= rep->own_blocks->size(),
                  "a block of headers beyond its text");
    std::memcpy(const_cast<char*>(other.entry_at(i)), &entry, sizeof entry);
  }
  return other;
}

Batch Batch::compact(SlabPool& pool) const {
  Batch copy = concat({this, 1}, pool);
  copy.receipt_ = receipt_;
  return copy;
}

Batch Batch::concat(std::span<const Batch> parts, SlabPool& pool) {
  std::size_t slab_bytes = 0;
  bool headers = false;
  for (const Batch& part : parts) {
    slab_bytes += BatchBuilder::bytes_needed(part);
    headers = headers || !part.without_headers();
  }
  // A row with one set of shared headers keeps it shared; a mixed row gives each event its own.
  const Batch& front = parts.front();
  const bool shared = parts.size() == 1 && !front.own_headers();
  BatchBuilder builder(pool, headers && !shared ? EventHeaders::Own : EventHeaders::Shared);
  builder.reserve(slab_bytes);
  for (const Batch& part : parts) builder.append_copy(part);
  Batch whole = builder.seal();
  if (shared && headers) {
    whole = whole.with_shared_headers(front.rep_->imposed, front.rep_->fallback);
  }
  if (std::any_of(parts.begin(), parts.end(),
                  [](const Batch& p) { return p.provenance_.known(); })) {
    std::vector<Provenance::Part> origins;
    origins.reserve(parts.size());
    for (const Batch& part : parts) origins.push_back({part.provenance_, part.size()});
    whole.provenance_ = Provenance::concat(origins);
  }
  return whole;
}

Batch Batch::with_shared_headers(HeaderBlock imposed, HeaderBlock fallback) const {
  SLUICE_ASSERT(rep_, "a batch without events has no headers");
  auto* rep = sibling();
  rep->count = rep_->count;
  rep->lines = rep_->lines;
  rep->body_bytes = rep_->body_bytes;
  rep->index_end = rep_->index_end;
  if (rep_->own_index) {
    const std::size_t index_bytes = std::size_t{rep_->count} * rep_->stride;
    rep->own_index = std::make_unique<char[]>(index_bytes);
    std::memcpy(rep->own_index.get(), rep_->own_index.get(), index_bytes);
    rep->index_end = rep->own_index.get() + index_bytes;
  }
  rep->imposed = std::move(imposed);
  rep->fallback = std::move(fallback);
  Batch other = *this;
  other.rep_ = RepRef(rep);
  return other;
}

const HeaderBlock& Batch::imposed_headers() const noexcept {
  static const HeaderBlock none;
  return rep_ ? rep_->imposed : none;
}

const HeaderBlock& Batch::fallback_headers() const noexcept {
  static const HeaderBlock none;
  return rep_ ? rep_->fallback : none;
}

Batch Batch::with_receipt(Receipt receipt) const {
  Batch other = *this;
  other.receipt_ = std::move(receipt);
  return other;
}

Batch Batch::with_provenance(Provenance provenance) const {
  SLUICE_ASSERT(!provenance.known() || provenance.size() == count_, "one origin an event");
  Batch other = *this;
  other.provenance_ = std::move(provenance);
  return other;
}

Slab* Batch::slab() const noexcept { return rep_ ? rep_->slab.get() : nullptr; }

std::size_t Batch::beside_bytes() const noexcept {
  std::size_t bytes = overhead_bytes;
  if (rep_ && rep_->own_index) bytes += std::size_t{rep_->count} * rep_->stride;
  if (rep_ && rep_->own_blocks) bytes += rep_->own_blocks->size();
  return bytes;
}

}  // namespace sluice
