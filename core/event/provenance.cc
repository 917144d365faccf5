#include "core/event/provenance.h"

#include <algorithm>
#include <cstring>
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

}  // namespace

// A run: id (16), begin, end (8 each), events (4), sequences that follow (4: 0 or events), each 8.
std::string Provenance::encode() const {
  std::string bytes;
  for (const Run& run : runs_of_view()) {
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
    if (!whole || run.range.begin > run.range.end || (listed != 0 && listed != run.events) ||
        bytes.size() / sizeof(std::uint64_t) < listed ||
        (listed == 0 && run.events > run.range.end - run.range.begin)) {
      return Reject("damaged origins");
    }
    run.sequences.resize(listed);
    for (std::uint64_t& sequence : run.sequences) get(bytes, sequence);
    events += run.events;
    runs.push_back(std::move(run));
  }
  if (events > UINT32_MAX) return Reject("damaged origins");
  return from_runs(std::move(runs), static_cast<std::uint32_t>(events));
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
