// Where batches are made: bytes are read straight into a slab and marked in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/event/batch.h"

namespace sluice {

/// Whether events of a batch have headers of their own (16 bytes an event instead of 8).
enum class EventHeaders : unsigned char { Shared, Own };

/// Makes batches out of slabs. Mutable, one thread.
///
/// A reader asks space() for room, fills some of it and says so with written(), then marks the
/// events within what was written; or it calls append() for events that lie elsewhere. seal() turns
/// what is marked into a Batch and goes on in the same slab. The slab being filled is charged to
/// `window` (when given), so that a source holds at most that much; sealed batches are paid by who
/// keeps them.
class BatchBuilder {
 public:
  explicit BatchBuilder(SlabPool& pool, EventHeaders headers = EventHeaders::Shared,
                        MemoryAccount* window = nullptr) noexcept;
  ~BatchBuilder();
  BatchBuilder(const BatchBuilder&) = delete;
  BatchBuilder& operator=(const BatchBuilder&) = delete;

  /// Makes sure that `bytes` of bodies and index fit without another slab. REQUIRES: nothing
  /// marked.
  void reserve(std::size_t bytes);

  /// Free bytes to read into, less than what the expected index will need.
  ///
  /// May be smaller than wanted: seal() and call renew() when it is under what the caller can use.
  std::span<char> space() noexcept;
  /// Leaves the slab for a fresh one of at least `bytes_min`. REQUIRES: nothing marked.
  void renew(std::size_t bytes_min = 0);
  /// Leaves the slab for a fresh one whose space() has at least `bytes`, whatever the last events
  /// were like. REQUIRES: nothing marked.
  void renew_with_space(std::size_t bytes);

  /// The slab's bytes, and how many of them are taken. Offsets of mark() count from here.
  char* base() noexcept { return slab_->data(); }
  std::size_t position() const noexcept { return position_; }
  void written(std::size_t bytes) noexcept { position_ += bytes; }
  /// Gives written bytes behind `position` back. REQUIRES: no marked event lies there.
  void rewind(std::size_t position) noexcept;

  /// Index entries that still fit.
  std::size_t entries_left() const noexcept;
  /// Marks written bytes as an event; one that ends where the written bytes end gets a line feed
  /// put behind it. REQUIRES: entries_left() > 0, EventHeaders::Shared.
  void mark(std::size_t offset, std::size_t bytes) noexcept;
  /// For splitters: writes entries downwards from here, then reports them with marked(). The byte
  /// behind each body must be written.
  /// `lines`: every new event is followed by a line feed and begins where the last one's ends.
  IndexEntry* index_top() noexcept;
  void marked(std::size_t events, std::uint64_t body_bytes, bool lines) noexcept;

  /// Copies an event in. False when it does not fit (seal(), renew(), again).
  bool append(std::string_view body, std::string_view own_headers = {});
  /// Copies all events of a batch. REQUIRES: reserve(bytes_needed(batch)).
  void append_copy(const Batch& batch);
  /// Bytes of slab that append_copy() of this batch takes at most.
  static std::size_t bytes_needed(const Batch& batch);

  std::uint32_t marked_events() const noexcept { return count_; }
  std::uint64_t marked_bytes() const noexcept { return body_bytes_; }
  /// The marked events as a Batch (empty when there are none). Never fails; one allocation.
  Batch seal();
  /// Forgets what is marked but not sealed.
  void discard() noexcept;
  /// Lets go of the slab (its window is paid no more). REQUIRES: nothing marked.
  void reset() noexcept;

 private:
  void attach(SlabRef slab);
  void detach() noexcept;

  SlabPool& pool_;
  MemoryAccount* const window_;
  const std::uint32_t stride_;
  SlabRef slab_;
  std::size_t position_ = 0;   ///< First free body byte.
  std::size_t index_top_ = 0;  ///< Lowest index byte in use, as an offset.
  std::size_t index_end_ = 0;  ///< Where the unsealed batch's index ends.
  std::uint32_t count_ = 0;
  std::uint64_t body_bytes_ = 0;
  bool lines_ = true;
  std::size_t next_line_ = 0;  ///< Offset at which the next event must begin to keep lines_.
  /// Of recent events; decides how much index space() keeps free.
  std::uint64_t mean_bytes_ = mean_bytes_first;
  static constexpr std::uint64_t mean_bytes_first = 64;
};

}  // namespace sluice
