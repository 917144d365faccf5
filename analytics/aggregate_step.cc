#include "analytics/aggregate_step.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <sstream>
#include <utility>

namespace sluice::analytics {
namespace {

constexpr std::int64_t never = RowTimes::none;
/// The pane that rows come into, where the time of rows is when they come.
constexpr std::int64_t open_pane = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t piece_bytes = 48 * 1024;
/// What the keys that are never forgotten are saved under: no pane ends then.
constexpr std::int64_t zeros_end = 0;

std::string pane_key(std::int64_t end, std::size_t piece) {
  return "p/" + std::to_string(end) + "/" + std::to_string(piece);
}

/// "p/END/PIECE"
bool read_pane_key(std::string_view key, std::int64_t& end, std::size_t& piece) {
  if (!key.starts_with("p/")) return false;
  key.remove_prefix(2);
  const char* const last = key.data() + key.size();
  const auto first = std::from_chars(key.data(), last, end);
  if (first.ec != std::errc() || first.ptr == last || *first.ptr != '/') return false;
  const auto second = std::from_chars(first.ptr + 1, last, piece);
  return second.ec == std::errc() && second.ptr == last;
}

}  // namespace

AggregateStep::AggregateStep(const Schema& input, Options options,
                             std::vector<Aggregate> aggregates,
                             std::vector<AggregateArgument> arguments)
    : Step(schema_of(input, options, aggregates)),
      options_(std::move(options)),
      budget_(options_.state_bytes_max),
      inputs_(input.size()),
      pane_ms_(options_.window.is_batch() ? 0 : options_.window.pane_ms()),
      functions_(std::move(aggregates)),
      aggregates_(functions_),
      reader_(options_.keys, std::move(arguments)),
      times_({.delay_ms = options_.window.delay_ms,
              .future_ms = options_.window.future_ms,
              .interval_ms = options_.interval_ms}),
      late_rows_(AsideRows::late, input),
      rows_(options_.window.event_time ? 2 : 0, options_.keys.size(), functions_.size()) {
  aggregates_.limit_to(budget_);
  for (const std::size_t key : options_.keys) key_types_.push_back(input[key].type);
  if (options_.window.keep_zero && !options_.keys.empty()) zeros_.emplace(make_table(&budget_));
}

Schema AggregateStep::schema_of(const Schema& input, const Options& options,
                                const std::vector<Aggregate>& aggregates) {
  std::vector<Schema::Field> fields;
  if (options.window.event_time) {
    fields.push_back({"window_start", ColumnType::Int});
    fields.push_back({"window_end", ColumnType::Int});
  }
  for (const std::size_t key : options.keys) fields.push_back(input[key]);
  const Aggregates results(aggregates);
  for (const Schema::Field& result : results.fields().fields()) fields.push_back(result);
  return Schema(std::move(fields));
}

Used AggregateStep::use(const Used& /*used*/) {
  // Which groups there are depends on all keys; a function nobody reads is not worth a case.
  Used reads(inputs_ + 1, false);
  reader_.use(reads);
  in_parts_ = goes_in_parts();
  if (options_.time) use_expression(*options_.time, options_.time_reads_events, reads);
  return reads;
}

/// Whether groups of a batch may be passed on as parts of what they will have come to. Sums of
/// doubles would depend on how many there were.
bool AggregateStep::goes_in_parts() const {
  if (!options_.window.is_batch() || next().size() != 1) return false;
  std::vector<std::optional<AggregateFunction>> how(options_.keys.size());
  for (const Aggregate& each : functions_) {
    switch (each.call.function) {
      case AggregateFunction::Count: how.emplace_back(AggregateFunction::Sum); break;
      case AggregateFunction::Sum:
        if (each.argument != ColumnType::Int) return false;
        [[fallthrough]];
      case AggregateFunction::Min:
      case AggregateFunction::Max:
      case AggregateFunction::First:
      case AggregateFunction::Last: how.emplace_back(each.call.function); break;
      default: return false;
    }
  }
  return next().front()->takes_parts(how);
}

GroupTable AggregateStep::make_table(StateBudget* budget) {
  const Window& window = options_.window;
  const bool is_only_pane =
      window.is_batch() || (!window.event_time && window.length_ms == window.pane_ms());
  return {{.keys = key_types_,
           .seed = options_.seed,
           .keys_max = options_.keys_max,
           .budget = budget,
           .leaves_half = !is_only_pane},
          aggregates_};
}

AggregateStep::Pane& AggregateStep::pane_at(std::int64_t end) {
  const auto found = panes_.find(end);
  if (found != panes_.end()) return found->second;
  return panes_.emplace(end, Pane(make_table(&budget_))).first->second;
}

/// Whether there is a pane, or room for one more. Rows may be of any time, so there may be many.
bool AggregateStep::has_room_at(std::int64_t end, std::size_t rows) {
  if (panes_.contains(end) || budget_.room() >= GroupTable::base_bytes(aggregates_.words()))
    return true;
  for (std::size_t row = 0; row < rows; ++row) budget_.refuse_row();
  return false;
}

// ---- rows come

void AggregateStep::push(const Rows& rows) {
  if (options_.window.event_time) return fold_by_time(rows);
  fold(rows, pane_at(open_pane));
}

void AggregateStep::fold(const Rows& rows, Pane& pane) {
  reader_.read(rows);
  const std::uint64_t before = pane.groups.overflowed();
  pane.groups.fold(reader_.keys(), reader_.arguments(), rows.size);
  pane.changed = true;
  if (pane.groups.overflowed() != before) {
    overflowed_.fetch_add(pane.groups.overflowed() - before, std::memory_order_relaxed);
  }
}

/// Where a row of this time goes; `never`: nowhere.
std::int64_t AggregateStep::pane_of(std::int64_t time, bool& is_late) {
  const std::int64_t end = align_down(time, pane_ms_, options_.window.offset_ms) + pane_ms_;
  const std::int64_t last = last_window_end(end);
  if (last < end) return never;  // between two windows
  if (passed_on_ms_ == never || last > passed_on_ms_) {
    if (passed_on_ms_ != never && first_window_end(end) <= passed_on_ms_ &&
        options_.window.update_ms > 0) {
      updated_.insert(end);
    }
    return end;
  }
  if (options_.window.update_ms > 0 && last + options_.window.update_ms > times_.watermark_ms()) {
    updated_.insert(end);
    return end;
  }
  is_late = true;
  return never;
}

void AggregateStep::fold_by_time(const Rows& rows) {
  arena_.clear();
  pane_ends_.clear();
  late_chosen_.clear();
  bool same = true;
  for (const std::int64_t time : times_.read(*options_.time, rows, arena_)) {
    bool is_late = false;
    const std::int64_t end = time == never ? never : pane_of(time, is_late);
    if (is_late) late_chosen_.push_back(static_cast<std::uint32_t>(pane_ends_.size()));
    pane_ends_.push_back(end);
    same = same && end == pane_ends_.front();
  }
  if (!late_chosen_.empty()) {
    late_.fetch_add(late_chosen_.size(), std::memory_order_relaxed);
    late_rows_.pass_on(rows, late_chosen_);
  }
  if (same) {
    if (rows.size == 0 || pane_ends_.front() == never) return;
    if (has_room_at(pane_ends_.front(), rows.size)) fold(rows, pane_at(pane_ends_.front()));
    return;
  }
  const std::set<std::int64_t> ends(pane_ends_.begin(), pane_ends_.end());
  std::vector<std::uint32_t> chosen;
  for (const std::int64_t end : ends) {
    if (end == never) continue;
    chosen.clear();
    for (std::uint32_t row = 0; row < rows.size; ++row) {
      if (pane_ends_[row] == end) chosen.push_back(row);
    }
    if (has_room_at(end, chosen.size())) fold(picker_.pick(rows, chosen), pane_at(end));
  }
}

// ---- time passes

std::int64_t AggregateStep::first_window_end(std::int64_t pane_end) const noexcept {
  const Window& window = options_.window;
  const std::int64_t below = align_down(pane_end, window.slide_ms, window.offset_ms);
  return below == pane_end ? below : below + window.slide_ms;
}

/// Before pane_end, if the pane lies in no window.
std::int64_t AggregateStep::last_window_end(std::int64_t pane_end) const noexcept {
  const Window& window = options_.window;
  return align_down(pane_end + window.length_ms - 1, window.slide_ms, window.offset_ms);
}

void AggregateStep::tick(const Tick& tick) {
  times_.set_now(tick.time_ms);
  Tick passed = tick;
  if (options_.window.is_batch()) {
    // Without a key there would be a result of nothing.
    if (tick.due) tick_batch(tick);
  } else if (options_.window.event_time) {
    tick_event_time(tick);
  } else {
    passed.due = tick_windows(tick);
  }
  late_rows_.tick(tick);
  tick_next(passed);
}

/// A running total takes its parts one cache miss a key: better now than when a result is due.
void AggregateStep::rest() {
  constexpr std::size_t worth_it = 4 * Rows::chunk;
  if (!in_parts_) return;
  GroupTable& groups = pane_at(open_pane).groups;
  if (groups.size() < worth_it) return;
  emit(groups, 0, 0);
  groups.clear();
}

void AggregateStep::tick_batch(const Tick& tick) {
  GroupTable& groups = pane_at(open_pane).groups;
  emit(groups, tick.time_ms, tick.interval_ms);
  groups.clear();
}

/// The pane that was open is closed; its end is not before `end`.
void AggregateStep::close_pane(std::int64_t end) {
  auto open = panes_.extract(open_pane);
  if (!open.empty()) {
    const std::size_t pieces = std::exchange(open.mapped().pieces, 0);
    if (pieces > 0) gone_.emplace_back(open_pane, pieces);
    open.key() = end;
    open.mapped().changed = true;
    panes_.insert(std::move(open));
  }
  open_end_ = 0;
}

void AggregateStep::start(std::int64_t now_ms) {
  times_.set_now(now_ms);
  if (open_end_ != 0 && now_ms >= open_end_) close_pane(open_end_);
}

/// True when a window ended in this batch.
bool AggregateStep::tick_windows(const Tick& tick) {
  const Window& window = options_.window;
  const std::int64_t end = align_down(tick.time_ms - 1, pane_ms_, window.offset_ms) + pane_ms_;
  if (open_end_ == 0) open_end_ = end;
  // When batches were skipped, what came since belongs to the time that has passed.
  if (tick.time_ms >= open_end_) {
    close_pane(std::max(open_end_, align_down(tick.time_ms, pane_ms_, window.offset_ms)));
  }
  const std::int64_t last = align_down(tick.time_ms, window.slide_ms, window.offset_ms);
  bool ended = last > (passed_on_ms_ == never ? tick.time_ms - tick.interval_ms : passed_on_ms_);
  if (passed_on_ms_ == never || last > passed_on_ms_) {
    for (const std::int64_t each : missed_windows(last)) {
      emit_window(each);
      ended = true;
    }
    // Of no key at all, and of all that there ever were, there is a result also when nothing came.
    const bool any = panes_.upper_bound(last - window.length_ms) != panes_.upper_bound(last);
    const bool always = options_.keys.empty() || (zeros_ && zeros_->groups.size() > 0);
    if (any || (always && last == tick.time_ms)) emit_window(last);
    ended = ended || any;
    passed_on_ms_ = last;
  }
  drop_panes(tick.time_ms);
  return ended;
}

/// Windows before the one that ends now are passed on only for panes that were in none: after a
/// time without batches there would be one for each slide.
std::set<std::int64_t> AggregateStep::missed_windows(std::int64_t now) const {
  std::set<std::int64_t> ends;
  for (const auto& [pane, groups] : panes_) {
    if (pane == open_pane || pane > now) break;
    const std::int64_t last = last_window_end(pane);
    const bool shown = passed_on_ms_ != never && first_window_end(pane) <= passed_on_ms_;
    if (!shown && last >= pane && last < now) ends.insert(last);
  }
  return ends;
}

void AggregateStep::tick_event_time(const Tick& /*tick*/) {
  // Of a window whose time is over panes are gone: it would be passed on with less than it had.
  std::set<std::int64_t> again;
  for (const std::int64_t pane : std::exchange(updated_, {})) {
    const std::int64_t over =
        std::max(passed_on_ms_, times_.watermark_ms()) - options_.window.update_ms;
    for (std::int64_t end = first_window_end(pane);
         end <= std::min(passed_on_ms_, last_window_end(pane)); end += options_.window.slide_ms) {
      if (end > over) again.insert(end);
    }
  }
  for (const std::int64_t end : again) emit_window(end);
  times_.tick();
  const std::int64_t watermark = times_.watermark_ms();
  if (watermark == never) return;
  pass_on_windows(watermark);
  // Windows that had nothing in them are over as well: whether a row is late does not depend on
  // what else there was.
  passed_on_ms_ = std::max(
      passed_on_ms_, align_down(watermark, options_.window.slide_ms, options_.window.offset_ms));
  drop_panes(std::max(passed_on_ms_, watermark) - options_.window.update_ms);
}

/// Of event time: the windows that end by then and have anything in them, in order.
void AggregateStep::pass_on_windows(std::int64_t up_to) {
  std::set<std::int64_t> ends;
  for (const auto& [pane, groups] : panes_) {
    if (pane == open_pane || pane > up_to) break;
    const std::int64_t last = std::min(up_to, last_window_end(pane));
    std::int64_t end = first_window_end(pane);
    if (passed_on_ms_ != never) end = std::max(end, passed_on_ms_ + options_.window.slide_ms);
    for (; end <= last; end += options_.window.slide_ms) ends.insert(end);
  }
  for (const std::int64_t end : ends) {
    emit_window(end);
    passed_on_ms_ = end;
  }
}

void AggregateStep::emit_window(std::int64_t end) {
  const std::int64_t length = options_.window.length_ms;
  const auto first = panes_.upper_bound(end - length);
  const auto last = panes_.upper_bound(end);
  const bool is_one = first != last && std::next(first) == last;
  if (is_one && !zeros_) return emit(first->second.groups, end, length);
  GroupTable sum = make_table(nullptr);  // of what is there, and soon gone
  if (zeros_) {
    for (auto pane = first; pane != last; ++pane) {
      if (zeros_->groups.add_keys(pane->second.groups)) zeros_->changed = true;
    }
    sum.add_keys(zeros_->groups);
  }
  for (auto pane = first; pane != last; ++pane) sum.merge(pane->second.groups);
  emit(sum, end, length);
}

void AggregateStep::emit(GroupTable& groups, std::int64_t window_end, std::int64_t length_ms) {
  const std::chrono::milliseconds length(length_ms);
  if (options_.window.event_time) rows_.share({{window_end - length_ms, window_end}});
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (rows_.add(i)) pass(rows_.make(groups, length, next_bound()));
  }
  pass(rows_.make(groups, length, next_bound()));
}

void AggregateStep::drop_panes(std::int64_t passed) {
  for (auto pane = panes_.begin(); pane != panes_.end() && pane->first != open_pane;) {
    if (last_window_end(pane->first) > passed) {
      ++pane;
      continue;
    }
    if (pane->second.pieces > 0) gone_.emplace_back(pane->first, pane->second.pieces);
    pane = panes_.erase(pane);
  }
}

// ---- state

void AggregateStep::forget_pane(StateWriter& state, std::int64_t end, std::size_t from,
                                std::size_t to) {
  for (std::size_t piece = from; piece < to; ++piece) state.put(pane_key(end, piece), "");
}

void AggregateStep::save_pane(StateWriter& state, std::int64_t end, Pane& pane) {
  std::string piece;
  std::size_t pieces = 0;
  for (std::size_t i = 0; i < pane.groups.size(); ++i) {
    pane.groups.encode(i, piece);
    if (piece.size() < piece_bytes && i + 1 < pane.groups.size()) continue;
    state.put(pane_key(end, pieces++), std::exchange(piece, {}));
  }
  forget_pane(state, end, pieces, pane.pieces);
  pane.pieces = pieces;
  pane.changed = false;
}

void AggregateStep::save(StateWriter& state) {
  if (options_.window.is_batch()) return;
  for (const auto& [end, pieces] : std::exchange(gone_, {})) forget_pane(state, end, 0, pieces);
  for (auto& [end, pane] : panes_) {
    if (pane.changed) save_pane(state, end, pane);
  }
  if (zeros_ && zeros_->changed) save_pane(state, zeros_end, *zeros_);
  std::ostringstream times;
  times << times_.seen_ms() << ' ' << times_.watermark_ms() << ' ' << passed_on_ms_ << ' '
        << open_end_;
  state.put("times", times.str());
}

bool AggregateStep::load(const SavedState& state) {
  if (options_.window.is_batch()) return state.empty();
  for (const auto& [key, value] : state) {
    std::int64_t end = 0;
    std::size_t piece = 0;
    if (key == "times") {
      std::istringstream times(value);
      std::int64_t seen = never;
      std::int64_t watermark = never;
      if (!(times >> seen >> watermark >> passed_on_ms_ >> open_end_)) return false;
      times_.restore(seen, watermark);
      continue;
    }
    if (!read_pane_key(key, end, piece)) return false;
    // A table without keys has its one group from the start, and would have it twice.
    if (end == zeros_end && !zeros_) return false;
    Pane& pane = end == zeros_end ? *zeros_ : pane_at(end);
    if (!pane.groups.decode(value)) return false;
    pane.changed = false;
    pane.pieces = std::max(pane.pieces, piece + 1);
  }
  return true;
}

std::uint64_t AggregateStep::state_bytes() const noexcept {
  std::uint64_t sum = aggregates_.owned_bytes();
  for (const auto& [end, pane] : panes_) sum += pane.groups.bytes();
  if (zeros_) sum += zeros_->groups.bytes();
  return sum;
}

std::vector<LeftOut> AggregateStep::left_out() const {
  return {{LeftOut::late, late_},
          {LeftOut::future, times_.future()},
          {LeftOut::timeless, times_.timeless()},
          {LeftOut::overflowed, overflowed_},
          {LeftOut::oversized, budget_.rows_refused()},
          {LeftOut::valueless, budget_.values_refused()}};
}

std::uint64_t AggregateStep::keys() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [end, pane] : panes_) sum += pane.groups.size();
  return sum;
}

}  // namespace sluice::analytics
