#include "core/event/provenance.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"

namespace sluice {

Provenance Provenance::from_runs(std::vector<Run> runs, std::uint32_t count) {
  Provenance p;
  p.rep_ = std::make_shared<const std::vector<Run>>(std::move(runs));
  p.count_ = count;
  p.total_ = count;
  return p;
}

Provenance Provenance::dense(OriginId id, std::uint64_t begin, std::uint32_t events) {
  return from_runs({Run{{id, begin, begin + events}, events, {}}}, events);
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
  if (!rep_) return ranges;
  for (const Run& run : runs_of_view()) {
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

std::vector<Provenance::Run> Provenance::runs_of_view() const {
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
      for (std::uint32_t i = from; i < to; ++i) cut.sequences.push_back(run.sequence(i));
      out.push_back(std::move(cut));
    }
    run_first = run_last;
  }
  return out;
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
  std::vector<Run> runs = runs_of_view();
  std::uint32_t run_first = 0;
  std::size_t next = 0;
  for (Run& run : runs) {
    std::vector<std::uint64_t> sequences;
    for (; next < kept.size() && kept[next] < run_first + run.events; ++next) {
      sequences.push_back(run.sequence(kept[next] - run_first));
    }
    run_first += run.events;
    run.events = static_cast<std::uint32_t>(sequences.size());
    run.sequences = std::move(sequences);
  }
  return from_runs(std::move(runs), static_cast<std::uint32_t>(kept.size()));
}

Provenance Provenance::concat(const std::vector<Provenance>& parts) {
  std::vector<Run> runs;
  std::uint32_t count = 0;
  for (const Provenance& part : parts) {
    if (!part.known()) return {};
    for (Run& run : part.runs_of_view()) runs.push_back(std::move(run));
    count += part.count_;
  }
  return from_runs(std::move(runs), count);
}

}  // namespace sluice
