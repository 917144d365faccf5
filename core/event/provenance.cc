#include "core/event/provenance.h"

#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/base/assert.h"

namespace sluice {

OriginId part_of(OriginId id, std::string_view channel) {
  std::string text(reinterpret_cast<const char*>(&id), sizeof id);
  text += channel;
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return {hash.high64, hash.low64};
}

Provenance Provenance::of_runs(std::vector<Run> runs) {
  std::uint64_t count = 0;
  for (const Run& run : runs) count += run.events;
  SLUICE_ASSERT(count <= UINT32_MAX, "a row of more events than a batch can have");
  Provenance p;
  p.rep_ = std::make_shared<const std::vector<Run>>(std::move(runs));
  p.count_ = static_cast<std::uint32_t>(count);
  p.total_ = p.count_;
  return p;
}

Provenance Provenance::dense(OriginId id, std::uint64_t begin, std::uint32_t events) {
  return of_runs({Run{{id, begin, begin + events}, events, {}}});
}

Origin Provenance::origin(std::uint32_t index) const {
  SLUICE_ASSERT(index < count_, "an origin beyond the row");
  std::uint32_t at = first_ + index;
  for (const Run& run : *rep_) {
    if (at < run.events) return {run.range.id, run.sequence(at)};
    at -= run.events;
  }
  SLUICE_ASSERT(false, "the runs hold fewer events than the row says");
  return {};
}

std::vector<OriginRange> Provenance::covered() const {
  std::vector<OriginRange> ranges;
  for (const Run& run : runs()) {
    if (run.range.begin == run.range.end) continue;
    if (!ranges.empty() && ranges.back().id == run.range.id &&
        ranges.back().end == run.range.begin) {
      ranges.back().end = run.range.end;
    } else {
      ranges.push_back(run.range);
    }
  }
  return ranges;
}

std::vector<Provenance::Run> Provenance::runs() const {
  if (!rep_) return {};
  if (first_ == 0 && count_ == total_) return *rep_;
  std::vector<Run> out;
  std::uint32_t run_first = 0;  // index of the run's first event in the whole row
  const std::uint32_t last = first_ + count_;
  for (const Run& run : *rep_) {
    const std::uint32_t run_last = run_first + run.events;
    // A run without events (all of it dropped) goes with the event in front of it.
    const bool empty_run_inside = run.events == 0 && ((first_ == 0 && run_first == 0) ||
                                                      (run_first > first_ && run_first <= last));
    if (empty_run_inside) {
      out.push_back(run);
    } else if (run_last > first_ && run_first < last) {
      const std::uint32_t from = std::max(first_, run_first) - run_first;
      const std::uint32_t to = std::min(last, run_last) - run_first;
      Run cut;
      cut.range.id = run.range.id;
      cut.range.begin = from == 0 ? run.range.begin : run.sequence(from);
      cut.range.end = to == run.events ? run.range.end : run.sequence(to);
      cut.events = to - from;
      if (!run.sequences.empty()) {
        cut.sequences.assign(run.sequences.begin() + from, run.sequences.begin() + to);
      }
      out.push_back(std::move(cut));
    }
    run_first = run_last;
  }
  return out;
}

namespace {

template <typename T>
void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
bool get(std::string_view& from, T& value) {
  if (from.size() < sizeof value) return false;
  std::memcpy(&value, from.data(), sizeof value);
  from.remove_prefix(sizeof value);
  return true;
}

bool adds_up(const Provenance::Run& run) {
  const OriginRange& range = run.range;
  if (range.id.none()) return range.begin == 0 && range.end == 0 && run.sequences.empty();
  if (range.begin > range.end || run.events > range.end - range.begin) return false;
  if (run.sequences.empty()) return true;
  const auto out_of_order = std::adjacent_find(run.sequences.begin(), run.sequences.end(),
                                               [](auto a, auto b) { return a >= b; });
  return run.sequences.size() == run.events && out_of_order == run.sequences.end() &&
         run.sequences.front() >= range.begin && run.sequences.back() < range.end;
}

}  // namespace

// A run: id (16), begin, end (8 each), events (4), sequences that follow (4: 0 or events), each 8.
std::string Provenance::encode() const {
  std::string bytes;
  for (const Run& run : runs()) {
    put(bytes, run.range.id.high);
    put(bytes, run.range.id.low);
    put(bytes, run.range.begin);
    put(bytes, run.range.end);
    put(bytes, run.events);
    put(bytes, static_cast<std::uint32_t>(run.sequences.size()));
    for (const std::uint64_t sequence : run.sequences) put(bytes, sequence);
  }
  return bytes;
}

Result<Provenance> Provenance::decode(std::string_view bytes) {
  std::vector<Run> runs;
  std::uint64_t events = 0;
  while (!bytes.empty()) {
    Run run;
    std::uint32_t listed = 0;
    const bool whole = get(bytes, run.range.id.high) && get(bytes, run.range.id.low) &&
                       get(bytes, run.range.begin) && get(bytes, run.range.end) &&
                       get(bytes, run.events) && get(bytes, listed);
    if (!whole || bytes.size() / sizeof(std::uint64_t) < listed) return Reject("damaged origins");
    run.sequences.resize(listed);
    for (std::uint64_t& sequence : run.sequences) get(bytes, sequence);
    if (!adds_up(run)) return Reject("damaged origins");
    events += run.events;
    runs.push_back(std::move(run));
  }
  if (events > UINT32_MAX) return Reject("damaged origins");
  return of_runs(std::move(runs));
}

Provenance Provenance::slice(std::uint32_t first, std::uint32_t count) const {
  SLUICE_ASSERT(first + count <= count_, "a slice beyond the row");
  Provenance p = *this;
  p.first_ = first_ + first;
  p.count_ = count;
  return p;
}

Provenance Provenance::select(const std::vector<std::uint32_t>& kept) const {
  if (!rep_) return {};
  std::vector<Run> cut = runs();
  std::uint32_t run_first = 0;
  std::size_t next = 0;
  for (Run& run : cut) {
    std::vector<std::uint64_t> sequences;
    const std::size_t before = next;
    for (; next < kept.size() && kept[next] < run_first + run.events; ++next) {
      sequences.push_back(run.sequence(kept[next] - run_first));
    }
    run_first += run.events;
    if (next - before == run.events) continue;
    run.events = static_cast<std::uint32_t>(next - before);
    if (!run.range.id.none()) run.sequences = std::move(sequences);
  }
  return of_runs(std::move(cut));
}

/// Neighbours that go on where the last run ends are one run with it.
void Provenance::append(std::vector<Run>& runs, Run run) {
  if (!runs.empty()) {
    Run& last = runs.back();
    const bool dense = last.sequences.empty() && run.sequences.empty() &&
                       last.range.begin + last.events == last.range.end;
    if (last.range.id == run.range.id &&
        (run.range.id.none() || (dense && last.range.end == run.range.begin))) {
      last.events += run.events;
      last.range.end = run.range.end;
      return;
    }
  }
  runs.push_back(std::move(run));
}

Provenance Provenance::concat(const std::vector<Part>& parts) {
  std::vector<Run> runs;
  bool any_known = false;
  for (const auto& [provenance, events] : parts) {
    if (provenance.known()) {
      any_known = true;
      for (Run& run : provenance.runs()) append(runs, std::move(run));
    } else if (events > 0) {
      append(runs, Run{{}, events, {}});
    }
  }
  if (!any_known) return {};
  return of_runs(std::move(runs));
}

Provenance Provenance::numbered(OriginId id, std::uint64_t first_sequence,
                                std::uint32_t events) const {
  if (!known()) return dense(id, first_sequence, events);
  const auto nameless = [](const Run& run) { return run.range.id.none(); };
  if (std::none_of(rep_->begin(), rep_->end(), nameless)) return *this;
  std::vector<Run> named = runs();
  std::uint64_t sequence = first_sequence;
  for (Run& run : named) {
    if (nameless(run)) run.range = {id, sequence, sequence + run.events};
    sequence += run.events;
  }
  return of_runs(std::move(named));
}

Provenance Provenance::for_channel(std::string_view channel) const {
  if (!known()) return {};
  std::vector<Run> marked = runs();
  for (Run& run : marked) {
    if (!run.range.id.none()) run.range.id = part_of(run.range.id, channel);
  }
  return of_runs(std::move(marked));
}

}  // namespace sluice
