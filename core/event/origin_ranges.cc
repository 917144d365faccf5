#include "core/event/origin_ranges.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace sluice {
namespace {

void put(std::string& bytes, std::uint64_t value) {
  while (value >= 0x80) {
    bytes += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes += static_cast<char>(value);
}

bool get(std::string_view& bytes, std::uint64_t& value) {
  constexpr unsigned bits = 64;
  value = 0;
  for (unsigned shift = 0; shift < bits && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool get(std::string_view& bytes, OriginId& id) {
  if (bytes.size() < sizeof id) return false;
  std::memcpy(&id, bytes.data(), sizeof id);
  bytes.remove_prefix(sizeof id);
  return true;
}

}  // namespace

bool OriginRanges::contains(const Origin& origin) const {
  const auto id = ids_.find(origin.id);
  if (id == ids_.end()) return false;
  const auto behind = id->second.upper_bound(origin.sequence);
  return behind != id->second.begin() && origin.sequence < std::prev(behind)->second;
}

bool OriginRanges::intersects(const OriginRanges& others) const {
  for (const auto& [id, ranges] : others.ids_) {
    const auto ours = ids_.find(id);
    if (ours == ids_.end()) continue;
    for (const auto& [begin, end] : ranges) {
      const auto behind = ours->second.lower_bound(end);
      if (behind != ours->second.begin() && std::prev(behind)->second > begin) return true;
    }
  }
  return false;
}

void OriginRanges::add(const OriginRange& range) {
  auto& ranges = ids_[range.id];
  std::uint64_t begin = range.begin;
  std::uint64_t end = range.end;
  auto at = ranges.upper_bound(begin);
  if (at != ranges.begin() && std::prev(at)->second >= begin) --at;
  while (at != ranges.end() && at->first <= end) {
    begin = std::min(begin, at->first);
    end = std::max(end, at->second);
    at = ranges.erase(at);
    --ranges_;
  }
  ranges.emplace_hint(at, begin, end);
  ++ranges_;
}

void OriginRanges::add(const OriginRanges& others) {
  others.for_each([this](const OriginRange& range) { add(range); });
}

void OriginRanges::remove(const OriginRange& range) {
  const auto id = ids_.find(range.id);
  if (id == ids_.end()) return;
  auto& ranges = id->second;
  auto at = ranges.upper_bound(range.begin);
  if (at != ranges.begin() && std::prev(at)->second > range.begin) --at;
  while (at != ranges.end() && at->first < range.end) {
    const auto [begin, end] = *at;
    at = ranges.erase(at);
    --ranges_;
    if (begin < range.begin) {
      ranges.emplace(begin, range.begin);
      ++ranges_;
    }
    if (end > range.end) {
      ranges.emplace(range.end, end);
      ++ranges_;
    }
  }
  if (ranges.empty()) ids_.erase(id);
}

void OriginRanges::remove(const OriginRanges& others) {
  others.for_each([this](const OriginRange& range) { remove(range); });
}

OriginRanges OriginRanges::of(const Provenance& row) {
  OriginRanges origins;
  for (const Provenance::Run& run : row.runs()) {
    if (!run.range.id.none() && run.range.begin < run.range.end) origins.add(run.range);
  }
  return origins;
}

/// Of each id how many ranges; of each range how far it lies behind the last, and how long it is.
std::string OriginRanges::encode() const {
  std::string bytes;
  for (const auto& [id, ranges] : ids_) {
    bytes.append(reinterpret_cast<const char*>(&id), sizeof id);
    put(bytes, ranges.size());
    std::uint64_t last = 0;
    for (const auto& [begin, end] : ranges) {
      put(bytes, begin - last);
      put(bytes, end - begin);
      last = end;
    }
  }
  return bytes;
}

Result<OriginRanges> OriginRanges::decode(std::string_view bytes) {
  OriginRanges origins;
  while (!bytes.empty()) {
    OriginId id;
    std::uint64_t ranges = 0;
    if (!get(bytes, id) || !get(bytes, ranges)) return Reject("damaged ranges of origins");
    std::uint64_t last = 0;
    for (; ranges > 0; --ranges) {
      std::uint64_t gap = 0;
      std::uint64_t length = 0;
      const bool whole = get(bytes, gap) && get(bytes, length) && length > 0 &&
                         gap <= UINT64_MAX - last && length <= UINT64_MAX - last - gap;
      if (!whole) return Reject("damaged ranges of origins");
      origins.add({id, last + gap, last + gap + length});
      last += gap + length;
    }
  }
  return origins;
}

std::vector<std::uint32_t> events_not_in(const OriginRanges& set, const Provenance& row,
                                         std::uint32_t events) {
  std::vector<std::uint32_t> fresh;
  fresh.reserve(events);
  std::uint32_t event = 0;
  for (const Provenance::Run& run : row.runs()) {
    for (std::uint32_t i = 0; i < run.events; ++i, ++event) {
      const bool known = !run.range.id.none() && set.contains({run.range.id, run.sequence(i)});
      if (!known) fresh.push_back(event);
    }
  }
  for (; event < events; ++event) fresh.push_back(event);
  return fresh;
}

}  // namespace sluice
