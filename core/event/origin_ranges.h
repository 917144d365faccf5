// Which events something holds, by their origins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/event/provenance.h"

namespace sluice {

/// A set of origins, kept as ranges. A value; not thread-safe.
class OriginRanges {
 public:
  bool empty() const noexcept { return ids_.empty(); }
  /// Ranges that do not touch each other, over all ids.
  std::size_t size() const noexcept { return ranges_; }
  bool contains(const Origin& origin) const;
  bool intersects(const OriginRanges& others) const;
  bool operator==(const OriginRanges&) const = default;

  /// REQUIRES: range.begin < range.end.
  void add(const OriginRange& range);
  void add(const OriginRanges& others);
  /// What of it is not in here is passed over.
  void remove(const OriginRange& range);
  void remove(const OriginRanges& others);

  /// Calls f(range) for each, ordered by id and begin.
  template <typename F>
  void for_each(F&& f) const {
    for (const auto& [id, ranges] : ids_) {
      for (const auto& [begin, end] : ranges) f(OriginRange{id, begin, end});
    }
  }

  /// All that the row covers: its events, and what was dropped between them, which never comes.
  static OriginRanges of(const Provenance& row);

  /// As bytes; what holds them has a version and a checksum.
  std::string encode() const;
  /// Errors: Reject (damaged).
  static Result<OriginRanges> decode(std::string_view bytes);

 private:
  std::map<OriginId, std::map<std::uint64_t, std::uint64_t>> ids_;  ///< begin -> end, apart.
  std::size_t ranges_ = 0;
};

/// The events of a row (ascending indices) whose origin is not in the set.
std::vector<std::uint32_t> events_not_in(const OriginRanges& set, const Provenance& row,
                                         std::uint32_t events);

}  // namespace sluice
