#include "analytics/part_step.h"

#include <algorithm>
#include <numeric>
#include <sstream>

namespace sluice::analytics {
namespace {

std::vector<Schema::Field> session_columns() {
  return {{"window_start", ColumnType::Int}, {"window_end", ColumnType::Int}};
}

}  // namespace

PartStep::PartStep(const Schema& input, const Options& options, std::vector<Schema::Field> front,
                   std::vector<Aggregate> aggregates, std::vector<AggregateArgument> arguments)
    : Step(schema_of(input, options, std::move(front), aggregates)),
      inputs_(input.size()),
      keys_(options.keys.size()),
      budget_(options.state_bytes_max),
      aggregates_(std::move(aggregates)),
      reader_(options.keys, std::move(arguments)),
      parts_({.keys = types_of(input, options),
              .seed = options.seed,
              .keys_max = options.keys_max,
              .budget = &budget_},
             aggregates_),
      out_columns_(schema_.size()) {
  aggregates_.limit_to(budget_);
  for (Column& column : out_columns_) out_.columns.push_back(&column);
}

std::vector<LeftOut> PartStep::left_out() const {
  return {{LeftOut::overflowed, overflowed_},
          {LeftOut::oversized, budget_.rows_refused()},
          {LeftOut::valueless, budget_.values_refused()}};
}

std::vector<ColumnType> PartStep::types_of(const Schema& input, const Options& options) {
  std::vector<ColumnType> types;
  for (const std::size_t key : options.keys) types.push_back(input[key].type);
  return types;
}

Schema PartStep::schema_of(const Schema& input, const Options& options,
                           std::vector<Schema::Field> front,
                           const std::vector<Aggregate>& aggregates) {
  std::vector<Schema::Field> fields = std::move(front);
  for (const std::size_t key : options.keys) fields.push_back(input[key]);
  const Aggregates results(aggregates);
  for (const Schema::Field& result : results.fields().fields()) fields.push_back(result);
  return Schema(std::move(fields));
}

Used PartStep::use(const Used& /*used*/) {
  Used reads(inputs_ + 1, false);
  reader_.use(reads);
  return reads;
}

bool PartStep::load(const SavedState& state) {
  return std::all_of(state.begin(), state.end(),
                     [this](const auto& each) { return parts_.load(each.first, each.second); });
}

std::uint64_t PartStep::state_bytes() const noexcept {
  return parts_.bytes() + aggregates_.owned_bytes();
}

Aggregates::Group PartStep::spare() {
  if (spare_ == nullptr) spare_ = parts_.new_group();
  return spare_;
}

void PartStep::free_spare() noexcept {
  if (spare_ != nullptr) parts_.free_group(std::exchange(spare_, nullptr));
}

void PartStep::count_overflowed() {
  const std::uint64_t now = parts_.overflowed();
  if (now != diverted_) overflowed_.fetch_add(now - diverted_, std::memory_order_relaxed);
  diverted_ = now;
}

void PartStep::emit(std::span<const Cell> front, const PartTable::Key& key,
                    const std::uint64_t* group, std::chrono::milliseconds length) {
  const std::span<Column> columns(out_columns_);
  for (std::size_t i = 0; i < front.size(); ++i) columns[i].push_back(front[i]);
  parts_.append_key(key, columns.subspan(front.size(), keys_), out_texts_);
  aggregates_.finish(group, columns.subspan(front.size() + keys_), out_texts_, length);
  if (++out_.size == Rows::chunk) flush();
}

void PartStep::flush() {
  pass(out_);
  for (Column& column : out_columns_) column.clear();
  out_texts_.clear();
  out_.size = 0;
  for (const Aggregates::Group group : spent_) parts_.free_group(group);
  spent_.clear();
}

// ---- sessions

SessionStep::SessionStep(const Schema& input, const Options& options, Session session,
                         std::vector<Aggregate> aggregates,
                         std::vector<AggregateArgument> arguments)
    : PartStep(input, options, session_columns(), std::move(aggregates), std::move(arguments)),
      session_(std::move(session)),
      sessions_max_(options.keys_max),
      times_(session_.times),
      late_rows_(AsideRows::late, input) {}

Used SessionStep::use(const Used& used) {
  Used reads = PartStep::use(used);
  if (session_.time) use_expression(*session_.time, session_.time_reads_events, reads);
  return reads;
}

std::span<const std::int64_t> SessionStep::times_of(const Rows& rows) {
  arena_.clear();
  if (session_.time) return times_.read(*session_.time, rows, arena_);
  now_.assign(rows.size, times_.now_ms());
  return now_;
}

void SessionStep::push(const Rows& rows) {
  const auto times = times_of(rows);
  chosen_.clear();
  chosen_times_.clear();
  late_chosen_.clear();
  for (std::uint32_t row = 0; row < rows.size; ++row) {
    if (times[row] == RowTimes::none) continue;
    if (session_.time && times[row] + session_.gap_ms <= times_.watermark_ms()) {
      late_chosen_.push_back(row);
      continue;
    }
    chosen_.push_back(row);
    chosen_times_.push_back(times[row]);
  }
  if (!late_chosen_.empty()) {
    late_.fetch_add(late_chosen_.size(), std::memory_order_relaxed);
    late_rows_.pass_on(rows, late_chosen_);
  }
  if (chosen_.empty()) return;
  const Rows& wanted = chosen_.size() == rows.size ? rows : picker_.pick(rows, chosen_);
  reader_.read(wanted);
  const auto keys = parts_.find(reader_.keys(), wanted.size);
  groups_.clear();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    groups_.push_back(join(*keys[i], chosen_times_[i]));
  }
  aggregates_.fold(reader_.arguments(), groups_);
  // Only now: rows of this chunk may have gone to either.
  for (const auto& [into, from] : joined_) {
    aggregates_.merge(into, from);
    parts_.free_group(from);
  }
  joined_.clear();
  free_spare();
  count_overflowed();
}

/// The group of the session that a row of this time belongs to.
Aggregates::Group SessionStep::join(PartTable::Key& key, std::int64_t time) {
  auto& parts = key.parts;
  const std::int64_t gap = session_.gap_ms;
  const auto found = std::partition_point(parts.begin(), parts.end(),
                                          [&](const auto& part) { return part.last + gap < time; });
  const auto index = static_cast<std::size_t>(found - parts.begin());
  if (found == parts.end() || found->first > time + gap) {
    if (parts_.parts() < sessions_max_ && parts_.has_room())
      return parts_.add(key, index, time, time).group;
    roomless_.fetch_add(1, std::memory_order_relaxed);
    return spare();
  }
  PartTable::Part& part = *found;
  part.first = std::min(part.first, time);
  part.last = std::max(part.last, time);
  if (index + 1 < parts.size() && parts[index + 1].first <= part.last + gap) {
    part.last = parts[index + 1].last;
    joined_.emplace_back(part.group, parts_.take_off(key, index + 1));
  }
  return parts[index].group;
}

void SessionStep::tick(const Tick& tick) {
  times_.set_now(tick.time_ms);
  if (session_.time) {
    times_.tick();
    pass_on(times_.watermark_ms());
  } else {
    // The next rows have the time of this tick, and would still join what ends with it.
    pass_on(tick.time_ms - 1);
  }
  late_rows_.tick(tick);
  // Sessions end when they end, also behind a window that does not.
  tick_next({tick.time_ms, tick.interval_ms});
}

/// The sessions that end by then.
void SessionStep::pass_on(std::int64_t up_to) {
  if (up_to == RowTimes::none) return;
  for (const auto& key : parts_.keys()) {
    std::size_t over = 0;
    for (const PartTable::Part& part : key->parts) {
      const std::int64_t end = part.last + session_.gap_ms;
      if (end > up_to) break;
      const Cell front[] = {Cell::of(part.first), Cell::of(end)};
      emit(front, *key, part.group, std::chrono::milliseconds(end - part.first));
      ++over;
    }
    spend_front(*key, over);
  }
  flush();
  parts_.forget_empty();
}

void SessionStep::save(StateWriter& state) {
  PartStep::save(state);
  std::ostringstream times;
  times << times_.seen_ms() << ' ' << times_.watermark_ms();
  state.put("times", times.str());
}

bool SessionStep::load(const SavedState& state) {
  SavedState others = state;
  const auto found = others.find("times");
  if (found != others.end()) {
    std::istringstream text(found->second);
    std::int64_t seen = 0;
    std::int64_t watermark = 0;
    if (!(text >> seen >> watermark)) return false;
    times_.restore(seen, watermark);
    others.erase(found);
  }
  return PartStep::load(others);
}

std::vector<LeftOut> SessionStep::left_out() const {
  auto all = PartStep::left_out();
  all.push_back({LeftOut::late, late_});
  all.push_back({LeftOut::roomless, roomless_});
  all.push_back({LeftOut::future, times_.future()});
  all.push_back({LeftOut::timeless, times_.timeless()});
  return all;
}

// ---- windows of rows

CountStep::CountStep(const Schema& input, const Options& options, std::uint64_t length,
                     std::uint64_t slide, std::vector<Aggregate> aggregates,
                     std::vector<AggregateArgument> arguments)
    : PartStep(input, options, {}, std::move(aggregates), std::move(arguments)),
      length_(length),
      slide_(slide),
      part_rows_(std::gcd(length, slide)) {}

void CountStep::push(const Rows& rows) {
  reader_.read(rows);
  const auto keys = parts_.find(reader_.keys(), rows.size);
  groups_.clear();
  full_.clear();
  for (PartTable::Key* const key : keys) {
    const std::uint64_t end = (key->rows / slide_ + 1) * slide_;
    if (end - key->rows > length_) {  // between two windows
      groups_.push_back(spare());
      ++key->rows;
      continue;
    }
    const auto number = static_cast<std::int64_t>(key->rows / part_rows_);
    if (key->parts.empty() || key->parts.back().first != number) {
      if (!parts_.has_room()) {
        groups_.push_back(spare());
        budget_.refuse_row();
        continue;
      }
      parts_.add(*key, key->parts.size(), number, number);
    }
    groups_.push_back(key->parts.back().group);
    if (++key->rows % slide_ == 0) full_.emplace_back(key, key->rows);
  }
  aggregates_.fold(reader_.arguments(), groups_);
  for (const auto& [key, end] : full_) pass_on(*key, end);
  flush();
  for (const auto& [key, end] : full_) drop_parts(*key);
  flush();
  free_spare();
  count_overflowed();
}

/// The window that ends behind so many rows of the key.
void CountStep::pass_on(PartTable::Key& key, std::uint64_t end) {
  const std::uint64_t begin = end - std::min(length_, end);
  const auto first = static_cast<std::int64_t>(begin / part_rows_);
  const auto last = static_cast<std::int64_t>(end / part_rows_);
  const auto from = std::partition_point(key.parts.begin(), key.parts.end(),
                                         [&](const auto& part) { return part.first < first; });
  const auto to = std::partition_point(from, key.parts.end(),
                                       [&](const auto& part) { return part.first < last; });
  if (from == to) return;
  if (to - from == 1) return emit({}, key, from->group, std::chrono::milliseconds(0));
  const Aggregates::Group sum = parts_.new_group();
  for (auto part = from; part != to; ++part) aggregates_.merge(sum, part->group);
  emit({}, key, sum, std::chrono::milliseconds(0));
  free_behind(sum);
}

/// Those that no window to come has.
void CountStep::drop_parts(PartTable::Key& key) {
  const std::uint64_t end = (key.rows / slide_ + 1) * slide_;
  const auto needed = static_cast<std::int64_t>((end - std::min(length_, end)) / part_rows_);
  const auto end_of_old = std::partition_point(
      key.parts.begin(), key.parts.end(), [&](const auto& part) { return part.first < needed; });
  spend_front(key, static_cast<std::size_t>(end_of_old - key.parts.begin()));
}

}  // namespace sluice::analytics
