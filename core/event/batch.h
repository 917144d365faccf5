// Events on their way through the agent: views into slabs, never copies.
//
// THE LIFETIME RULE. An Event, its body and its headers are views into the slabs of the Batch they
// came from; they are valid while that Batch (or any share, slice or selection of it) lives.
// Whoever keeps a view keeps a Batch. A small slice pins its whole slab: what is kept for long is
// compacted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/event/headers.h"
#include "core/event/provenance.h"
#include "core/event/receipt.h"
#include "core/event/slab.h"

namespace sluice {

/// One event. Two views; see the lifetime rule.
struct Event {
  std::string_view body;
  HeaderView headers;
};

/// Where a body lies in its slab. The index of a batch lies at its slab's end and grows downwards.
struct IndexEntry {
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
};

/// The entry of a batch whose events have headers of their own.
struct IndexEntryWithHeaders {
  IndexEntry body;
  IndexEntry headers;
};

/// An immutable row of events in one slab.
///
/// Copying a Batch shares it; slice() is O(1). Thread rule: a value; different copies may be used
/// by different threads at once. A default Batch is empty and has no slab.
class Batch {
 public:
  Batch() noexcept = default;
  Batch(const Batch&) = default;
  Batch(Batch&& other) noexcept;
  Batch& operator=(const Batch&) = default;
  Batch& operator=(Batch&& other) noexcept;
  ~Batch() = default;

  std::uint32_t size() const noexcept { return count_; }
  bool empty() const noexcept { return count_ == 0; }

  /// REQUIRES: i < size().
  std::string_view body(std::uint32_t i) const noexcept;
  HeaderView headers(std::uint32_t i) const noexcept;
  Event operator[](std::uint32_t i) const noexcept { return {body(i), headers(i)}; }
  /// True when no event has any header.
  bool without_headers() const noexcept;

  /// Sum of body bytes. O(1) for lines() and whole batches, otherwise O(size()).
  std::uint64_t body_bytes() const noexcept;

  /// True when the events are neighbours in memory, in order, with one line feed between each two
  /// and one behind the last: the whole batch can be written as text with text().
  bool lines() const noexcept;
  /// The bodies with their line feeds. REQUIRES: lines() and not empty().
  std::string_view text() const noexcept;

  /// Calls f(std::string_view) with the longest runs of text: bodies whose line feeds already stand
  /// behind them are joined, the others come alone and without one (second argument false).
  template <typename F>
  void for_each_text_run(F&& f) const;

  /// Events [first, first + count). REQUIRES: within size(). Keeps receipt and provenance.
  Batch slice(std::uint32_t first, std::uint32_t count) const;
  /// Only the events at `kept` (ascending). Copies their index entries (neighbours need not even
  /// that), not the bodies. The caller settles what it left out (see Receipt).
  Batch select(const std::vector<std::uint32_t>& kept) const;
  /// The same events, copied into a slab of their own, so that nothing else is pinned.
  Batch compact(SlabPool& pool) const;
  /// The events of several batches in one slab. Their receipts stay with the parts.
  static Batch concat(std::span<const Batch> parts, SlabPool& pool);

  /// The same events with other shared headers.
  Batch with_shared_headers(HeaderBlock imposed, HeaderBlock fallback) const;
  const HeaderBlock& imposed_headers() const noexcept;
  const HeaderBlock& fallback_headers() const noexcept;
  /// True when events have headers of their own, beside the shared ones.
  bool own_headers() const noexcept;
  /// The encoded block of event i's own headers. REQUIRES: i < size().
  std::string_view own_headers(std::uint32_t i) const noexcept;
  /// The same events with other headers of their own: event i has the block at `places[i]` of
  /// `blocks`. REQUIRES: a place an event.
  Batch with_own_headers(std::string blocks, std::span<const IndexEntry> places) const;

  const Receipt& receipt() const noexcept { return receipt_; }
  Batch with_receipt(Receipt receipt) const;
  const Provenance& provenance() const noexcept { return provenance_; }
  Batch with_provenance(Provenance provenance) const;

  /// The slab that is pinned; none for a default Batch.
  Slab* slab() const noexcept;
  /// Bytes that this batch uses beside its slab, which its slices share: overhead_bytes, and what
  /// selections and rewritten headers take.
  std::size_t beside_bytes() const noexcept;
  static constexpr std::size_t overhead_bytes = 192;

 private:
  friend class BatchBuilder;

  struct Rep {
    std::atomic<std::uint32_t> refs{1};
    std::uint32_t count = 0;
    std::uint32_t stride = sizeof(IndexEntry);  ///< Bytes from one entry to the next.
    bool lines = false;
    SlabRef slab;
    const char* index_end = nullptr;    ///< Entry i lies at index_end - (i + 1) * stride.
    std::unique_ptr<char[]> own_index;  ///< Selections have their index here.
    /// Where own headers lie that are not in the slab any more: some were taken away.
    std::shared_ptr<const std::string> own_blocks;
    HeaderBlock imposed;
    HeaderBlock fallback;
    std::uint64_t body_bytes = 0;

    // One a batch, so a bounded number of blocks is kept for the next ones.
    static void* operator new(std::size_t bytes);
    static void operator delete(void* block) noexcept;
  };
  class RepRef {
   public:
    RepRef() noexcept = default;
    explicit RepRef(Rep* rep) noexcept : rep_(rep) {}
    RepRef(const RepRef& other) noexcept : rep_(other.rep_) {
      if (rep_) rep_->refs.fetch_add(1, std::memory_order_relaxed);
    }
    RepRef(RepRef&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
    RepRef& operator=(RepRef other) noexcept {
      std::swap(rep_, other.rep_);
      return *this;
    }
    ~RepRef() {
      if (rep_ && rep_->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete rep_;
    }
    Rep* operator->() const noexcept { return rep_; }
    explicit operator bool() const noexcept { return rep_ != nullptr; }

   private:
    Rep* rep_ = nullptr;
  };

  const char* entry_at(std::uint32_t i) const noexcept {
    return rep_->index_end - (static_cast<std::size_t>(first_) + i + 1) * rep_->stride;
  }
  IndexEntry body_entry(std::uint32_t i) const noexcept;
  /// A Rep of the same slab and headers, without an index.
  Rep* sibling() const;

  RepRef rep_;
  std::uint32_t first_ = 0;
  std::uint32_t count_ = 0;
  Receipt receipt_;
  Provenance provenance_;
};

// ---- the hot parts, inline

inline IndexEntry Batch::body_entry(std::uint32_t i) const noexcept {
  IndexEntry entry;
  __builtin_memcpy(&entry, entry_at(i), sizeof entry);
  return entry;
}

inline std::string_view Batch::body(std::uint32_t i) const noexcept {
  const IndexEntry entry = body_entry(i);
  return {rep_->slab->data() + entry.offset, entry.bytes};
}

inline bool Batch::lines() const noexcept { return rep_ && rep_->lines; }

template <typename F>
void Batch::for_each_text_run(F&& f) const {
  if (empty()) return;
  if (lines()) {
    f(text(), true);
    return;
  }
  // A newline behind a body belongs to the batch only when the slab holds it: look, don't assume.
  const char* const data = rep_->slab->data();
  const std::size_t end = rep_->slab->capacity();
  std::uint64_t run_begin = 0;
  std::uint64_t run_end = 0;
  const auto flush = [&] {
    if (run_end > run_begin) f(std::string_view(data + run_begin, run_end - run_begin), true);
  };
  for (std::uint32_t i = 0; i < count_; ++i) {
    const IndexEntry entry = body_entry(i);
    const std::uint64_t behind = std::uint64_t{entry.offset} + entry.bytes;
    if (behind < end && data[behind] == '\n') {
      if (entry.offset != run_end) {
        flush();
        run_begin = entry.offset;
      }
      run_end = behind + 1;
    } else {
      flush();
      run_begin = run_end = 0;
      f(std::string_view(data + entry.offset, entry.bytes), false);
    }
  }
  flush();
}

}  // namespace sluice
