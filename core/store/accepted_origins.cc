#include "core/store/accepted_origins.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>

#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/store/store.h"

namespace sluice {
namespace {

constexpr std::size_t hex_digits = 16;
// Between two looks for ids that are silent.
constexpr std::int64_t sweep_ms = 60'000;

/// Of a row; the begin of the range is in its key.
struct RowValue {
  std::uint64_t version = 1;
  std::uint64_t end = 0;
  std::int64_t heard_ms = 0;
  std::uint64_t settled_below = 0;
};

std::string hex(std::uint64_t number) {
  std::array<char, hex_digits> digits;
  digits.fill('0');
  std::array<char, hex_digits> text{};
  const auto end = std::to_chars(text.begin(), text.end(), number, 16).ptr;
  std::copy_backward(text.begin(), end, digits.end());
  return {digits.begin(), digits.end()};
}

bool read_hex(std::string_view& text, std::uint64_t& number) {
  if (text.size() < hex_digits) return false;
  const auto read = std::from_chars(text.data(), text.data() + hex_digits, number, 16);
  text.remove_prefix(hex_digits);
  return read.ec == std::errc() && read.ptr == text.data();
}

/// The id and the begin in a key behind its prefix.
std::optional<std::pair<OriginId, std::uint64_t>> read_key(std::string_view text) {
  std::pair<OriginId, std::uint64_t> key;
  if (!read_hex(text, key.first.high) || !read_hex(text, key.first.low)) return std::nullopt;
  if (text.empty() || text.front() != '/') return std::nullopt;
  text.remove_prefix(1);
  if (!read_hex(text, key.second) || !text.empty()) return std::nullopt;
  return key;
}

}  // namespace

AcceptedOrigins::AcceptedOrigins(std::uint32_t channel, Limits limits)
    : prefix_("accepted/" + std::to_string(channel) + "/"), limits_(limits) {}

std::string AcceptedOrigins::row_key(OriginId id, std::uint64_t begin) const {
  return prefix_ + hex(id.high) + hex(id.low) + "/" + hex(begin);
}

std::string AcceptedOrigins::row_value(const Known& known, std::uint64_t end) {
  const RowValue value{1, end, known.heard_ms, known.settled_below};
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

Status AcceptedOrigins::read(const Store& store) {
  const std::lock_guard lock(mutex_);
  known_.clear();
  Status bad;
  const Status status =
      store.for_each_row(prefix_, [&](std::string_view key, std::string_view row) {
        const auto place = read_key(key.substr(prefix_.size()));
        RowValue value;
        if (row.size() == sizeof value) std::memcpy(&value, row.data(), sizeof value);
        if (!place || row.size() != sizeof value || value.version != 1) {
          bad = Reject("the row " + std::string(key) +
                       " of accepted origins is damaged, or was written by a newer release");
          return;
        }
        Known& known = known_[place->first];
        known.ranges.emplace(place->second, value.end);
        known.heard_ms = std::max(known.heard_ms, value.heard_ms);
        known.settled_below = std::max(known.settled_below, value.settled_below);
      });
  return status.ok() ? bad : status;
}

// ---- accepting

AcceptedOrigins::Verdict AcceptedOrigins::accept(const Provenance& row, std::int64_t now_ms,
                                                 StoreBatch& batch) {
  Verdict verdict;
  std::vector<Provenance::Run> left;
  Changed changed;
  const std::vector<Provenance::Run> runs = row.runs();
  const std::lock_guard lock(mutex_);
  const auto add = [&](const OriginRange& range) {
    Known& known = known_[range.id];
    known.heard_ms = now_ms;
    insert(range, changed);
    forget_beyond_limit(range.id, known, changed);
  };
  if (runs.size() == 1 && !runs.front().range.id.none() && !touches(runs.front().range)) {
    verdict.added.push_back(runs.front().range);  // as nearly always
    add(runs.front().range);
  } else {
    std::uint32_t first = 0;
    for (const Provenance::Run& run : runs) {
      // One run after the other: two of a row may be doubles of each other.
      const std::size_t added_before = verdict.added.size();
      judge(run, first, verdict, left);
      for (std::size_t i = added_before; i < verdict.added.size(); ++i) add(verdict.added[i]);
      first += run.events;
    }
    verdict.all = verdict.fresh.size() == row.size();
    verdict.left = Provenance::of_runs(std::move(left));
  }
  if (now_ms - swept_ms_ >= sweep_ms || now_ms < swept_ms_) forget_silent(now_ms, changed);
  write_rows(changed, batch);
  return verdict;
}

bool AcceptedOrigins::touches(const OriginRange& range) const {
  const auto found = known_.find(range.id);
  if (found == known_.end()) return false;
  const auto behind = found->second.ranges.lower_bound(range.end);
  return behind != found->second.ranges.begin() && std::prev(behind)->second > range.begin;
}

/// Which parts of a run were not accepted before, and which events are in them.
void AcceptedOrigins::judge(const Provenance::Run& run, std::uint32_t first, Verdict& verdict,
                            std::vector<Provenance::Run>& left) const {
  std::uint32_t event = 0;
  const auto take_events = [&](Provenance::Run part, auto&& inside) {
    while (event < run.events && inside(run.sequence(event))) {
      if (!run.sequences.empty()) part.sequences.push_back(run.sequence(event));
      verdict.fresh.push_back(first + event++);
      ++part.events;
    }
    left.push_back(std::move(part));
  };
  if (run.range.id.none()) return take_events({}, [](auto) { return true; });

  const auto take_part = [&](std::uint64_t begin, std::uint64_t end) {
    while (event < run.events && run.sequence(event) < begin) ++event;
    verdict.added.push_back({run.range.id, begin, end});
    take_events({{run.range.id, begin, end}, 0, {}},
                [end](std::uint64_t sequence) { return sequence < end; });
  };
  std::uint64_t at = run.range.begin;
  const auto found = known_.find(run.range.id);
  if (found != known_.end()) {
    const auto& ranges = found->second.ranges;
    auto next = ranges.upper_bound(at);
    if (next != ranges.begin() && std::prev(next)->second > at) at = std::prev(next)->second;
    for (; next != ranges.end() && next->first < run.range.end; ++next) {
      if (at < next->first) take_part(at, next->first);
      at = next->second;
    }
  }
  if (at < run.range.end) take_part(at, run.range.end);
}

void AcceptedOrigins::insert(const OriginRange& range, Changed& changed) {
  if (range.begin == range.end) return;
  auto& ranges = known_[range.id].ranges;
  auto next = ranges.upper_bound(range.begin);
  auto at = ranges.end();
  if (next != ranges.begin() && std::prev(next)->second == range.begin) {
    at = std::prev(next);
    at->second = range.end;
  } else {
    at = ranges.emplace_hint(next, range.begin, range.end);
  }
  if (next != ranges.end() && next->first == range.end) {
    at->second = next->second;
    changed.emplace(range.id, next->first);
    ranges.erase(next);
  }
  changed.emplace(range.id, at->first);
}

void AcceptedOrigins::undo(const std::vector<OriginRange>& added) {
  const std::lock_guard lock(mutex_);
  for (const OriginRange& gone : added) {
    const auto found = known_.find(gone.id);
    if (found == known_.end()) continue;  // forgotten meanwhile
    auto& ranges = found->second.ranges;
    const auto behind = ranges.upper_bound(gone.begin);
    if (behind == ranges.begin() || std::prev(behind)->second < gone.end) continue;
    const auto at = std::prev(behind);
    const std::uint64_t end = at->second;
    at->second = gone.begin;
    if (end > gone.end) ranges.emplace(gone.end, end);
    if (at->first == gone.begin) ranges.erase(at);
    if (ranges.empty()) known_.erase(found);
  }
}

// ---- forgetting

void AcceptedOrigins::settled_below(OriginId id, std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(id);
  if (found == known_.end()) return;
  std::uint64_t& mark = found->second.settled_below;
  mark = std::max(mark, sequence);
}

void AcceptedOrigins::forget_beyond_limit(OriginId id, Known& known, Changed& changed) {
  while (known.ranges.size() > limits_.ranges_max) {
    const auto lowest = known.ranges.begin();
    if (lowest->second > known.settled_below && worth_saying(++forgotten_early_)) {
      log::warn(
          "more than {} ranges were accepted from one sender with gaps between them; the oldest "
          "are "
          "forgotten, and would be taken again if they came again ({} since the start)",
          limits_.ranges_max, forgotten_early_);
    }
    changed.emplace(id, lowest->first);
    known.ranges.erase(lowest);
  }
}

void AcceptedOrigins::forget_silent(std::int64_t now_ms, Changed& changed) {
  swept_ms_ = now_ms;
  for (auto id = known_.begin(); id != known_.end();) {
    auto& ranges = id->second.ranges;
    const std::int64_t silent_ms = now_ms - id->second.heard_ms;
    for (auto range = ranges.begin(); range != ranges.end();) {
      const bool settled = range->second <= id->second.settled_below;
      const bool keep =
          silent_ms < limits_.silent.count() || (!settled && silent_ms < limits_.gone.count());
      if (keep) break;  // those behind it are not settled either
      changed.emplace(id->first, range->first);
      range = ranges.erase(range);
    }
    id = ranges.empty() ? known_.erase(id) : std::next(id);
  }
}

// ---- rows

void AcceptedOrigins::write_rows(const Changed& changed, StoreBatch& batch) const {
  for (const auto& [id, begin] : changed) {
    const auto known = known_.find(id);
    const bool there = known != known_.end() && known->second.ranges.contains(begin);
    if (there) {
      batch.put_row(row_key(id, begin), row_value(known->second, known->second.ranges.at(begin)));
    } else {
      batch.remove_row(row_key(id, begin));
    }
  }
}

Status AcceptedOrigins::repair(const Store& store, StoreBatch& batch) {
  const std::lock_guard lock(mutex_);
  Changed changed;
  Status status = store.for_each_row(prefix_, [&](std::string_view key, std::string_view) {
    if (const auto place = read_key(key.substr(prefix_.size()))) changed.insert(*place);
  });
  if (!status.ok()) return status;
  for (const auto& [id, known] : known_) {
    for (const auto& [begin, end] : known.ranges) changed.emplace(id, begin);
  }
  write_rows(changed, batch);
  return {};
}

bool AcceptedOrigins::accepted(const Origin& origin) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(origin.id);
  if (found == known_.end()) return false;
  const auto behind = found->second.ranges.upper_bound(origin.sequence);
  return behind != found->second.ranges.begin() && std::prev(behind)->second > origin.sequence;
}

std::vector<OriginRange> AcceptedOrigins::ranges() const {
  const std::lock_guard lock(mutex_);
  std::vector<OriginRange> all;
  for (const auto& [id, known] : known_) {
    for (const auto& [begin, end] : known.ranges) all.push_back({id, begin, end});
  }
  return all;
}

std::uint64_t AcceptedOrigins::forgotten_early() const {
  const std::lock_guard lock(mutex_);
  return forgotten_early_;
}

}  // namespace sluice
