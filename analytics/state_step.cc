#include "analytics/state_step.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <utility>
#include <variant>

#include "analytics/record_parser.h"
#include "analytics/state_codec.h"

namespace sluice::analytics {
namespace {

std::vector<ColumnType> types_of(const Schema& input, const std::vector<std::size_t>& columns) {
  std::vector<ColumnType> types;
  for (const std::size_t column : columns) types.push_back(input[column].type);
  return types;
}

}  // namespace

StateStep::StateStep(const Schema& input, Options options, std::vector<Aggregate> aggregates)
    : Step(schema_of(input, options, aggregates)),
      options_(std::move(options)),
      input_(input),
      budget_(options_.state_bytes_max),
      functions_(functions_of(aggregates)),
      aggregates_(std::move(aggregates)),
      groups_({.keys = types_of(input, options_.keys),
               .seed = options_.seed,
               .keys_max = options_.keys_max,
               .budget = &budget_,
               .extra_words = Extra::Count},
              aggregates_),
      rows_(0, options_.keys.size(), options_.values.size()) {
  aggregates_.limit_to(budget_);
}

std::vector<AggregateFunction> StateStep::functions_of(const std::vector<Aggregate>& aggregates) {
  std::vector<AggregateFunction> functions;
  for (const Aggregate& each : aggregates) functions.push_back(each.call.function);
  return functions;
}

Schema StateStep::schema_of(const Schema& input, const Options& options,
                            const std::vector<Aggregate>& aggregates) {
  std::vector<Schema::Field> fields;
  for (const std::size_t key : options.keys) fields.push_back(input[key]);
  const Aggregates results(aggregates);
  for (const Schema::Field& result : results.fields().fields()) fields.push_back(result);
  return Schema(std::move(fields));
}

Used StateStep::use(const Used& /*used*/) {
  Used reads(input_.size() + 1, false);
  for (const std::size_t key : options_.keys) reads[key] = true;
  for (const std::size_t value : options_.values) reads[value] = true;
  return reads;
}

void StateStep::push(const Rows& rows) {
  key_columns_.clear();
  value_columns_.clear();
  for (const std::size_t key : options_.keys) key_columns_.push_back(rows.columns[key]);
  for (const std::size_t value : options_.values) value_columns_.push_back(rows.columns[value]);
  groups_.fold(key_columns_, value_columns_, rows.size);
  for (const Aggregates::Group group : groups_.groups()) {
    std::uint64_t& last = groups_.extra(group)[Extra::Last];
    last = Mark::with_batch(last, batch_);
  }
  overflowed_.store(groups_.overflowed(), std::memory_order_relaxed);
}

bool StateStep::takes_parts(std::span<const std::optional<AggregateFunction>> how) const noexcept {
  for (const std::size_t key : options_.keys) {
    if (how[key]) return false;
  }
  for (std::size_t i = 0; i < options_.values.size(); ++i) {
    if (how[options_.values[i]] != functions_[i]) return false;
  }
  return true;
}

Status StateStep::begin_with(std::string_view csv) {
  ParseOptions options;
  options.format = "csv";
  options.fields = input_.fields();
  auto made = RecordParser::make(std::move(options));
  if (const auto* problem = std::get_if<Problem>(&made)) return Invalid(problem->message);
  RecordParser& parser = *std::get<std::unique_ptr<RecordParser>>(made);
  std::vector<Column> columns(input_.size());
  Rows rows;
  for (const Column& each : columns) rows.columns.push_back(&each);
  TextArena arena;
  std::vector<std::uint8_t> bad;
  for (std::size_t line = 1; !csv.empty(); ++line) {
    const std::size_t end = std::min(csv.find('\n'), csv.size());
    std::string_view text = csv.substr(0, end);
    csv.remove_prefix(std::min(end + 1, csv.size()));
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (text.empty()) continue;
    Column record;
    record.push_back(Cell::of(text));
    parser.parse(record, 1, columns, arena, bad);
    if (bad[0] != 0) return Invalid("line " + std::to_string(line) + " is no such record");
    rows.size = 1;
    push(rows);
  }
  ++batch_;  // nothing of it came in the first batch
  has_begun_with_ = true;
  return {};
}

void StateStep::tick(const Tick& tick) {
  now_ms_ = tick.time_ms;
  if (!tick.due) {
    // For the state there was no batch; but what is saved is all that the next process begins with.
    if (std::exchange(has_begun_with_, false)) settle();
    return tick_next(tick);
  }
  has_begun_with_ = false;
  going_.assign(groups_.size(), 0);
  bool some_go = false;
  // What this batch changed is all that there is to be saved, if those before it are.
  has_chosen_ = saved_up_to_ == batch_;
  chosen_.clear();
  // One pass over them: where they are many, memory is what takes the time.
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    std::uint64_t* const extra = groups_.extra(groups_.group(i));
    const bool is_new = extra[Extra::Time] == 0;
    if (is_new) find_home(i);
    const bool came = Mark::batch(extra[Extra::Last]) == batch_;
    const std::size_t shard = Mark::shard(extra[Extra::Last]);
    if (is_new || came) {
      note_change(extra);
    } else if (options_.timeout_ms > 0 &&
               now_ms_ - static_cast<std::int64_t>(extra[Extra::Time]) >= options_.timeout_ms) {
      going_[i] = 1;
      some_go = true;
      saved_.shrink(shard);
    }
    if (has_chosen_ && (is_new || came || saved_.is_whole(shard))) {
      chosen_.push_back(static_cast<std::uint32_t>(i));
    }
    const bool goes = going_[i] != 0;
    if (options_.changes_only ? !came && !goes : goes) continue;
    if (rows_.add(i)) pass_chosen();
  }
  pass_chosen();
  if (some_go) take_out();
  ++batch_;
  tick_next(tick);
}

/// It came in the batch that ends now, or was there before the first one.
void StateStep::note_change(std::uint64_t* extra) noexcept {
  extra[Extra::Time] = static_cast<std::uint64_t>(now_ms_);
  const bool has_place = Mark::place(extra[Extra::Last]) < Mark::no_place;
  const std::size_t shard = Mark::shard(extra[Extra::Last]);
  has_place ? saved_.touch(shard) : saved_.shrink(shard);
  has_chosen_ = has_chosen_ && has_place;
}

/// What it begins with is there to be saved, before it has a batch.
void StateStep::settle() {
  has_chosen_ = false;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    std::uint64_t* const extra = groups_.extra(groups_.group(i));
    if (extra[Extra::Time] != 0) continue;
    find_home(i);
    note_change(extra);
  }
}

void StateStep::pass_chosen() {
  pass(rows_.make(groups_, std::chrono::milliseconds(0), next_bound()));
}

/// The next place in the shard of its key.
void StateStep::find_home(std::size_t i) noexcept {
  const std::size_t shard = ShardedState::shard_of(groups_.key_hash(i));
  last_of(i) = Mark::with_home(last_of(i), shard, homes_[shard]++);
}

/// Where some have gone the places of the others are other ones: such shards are saved whole.
void StateStep::take_out() {
  std::vector<std::uint8_t> keep(going_.size());
  std::transform(going_.begin(), going_.end(), keep.begin(),
                 [](std::uint8_t goes) { return static_cast<std::uint8_t>(goes == 0); });
  groups_.retain(keep);
  has_chosen_ = false;
  homes_ = {};
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    const std::size_t shard = Mark::shard(last_of(i));
    last_of(i) = Mark::with_home(last_of(i), shard, homes_[shard]++);
  }
}

void StateStep::save(StateWriter& state) {
  const auto changed = [this](std::size_t i) { return Mark::batch(last_of(i)) >= saved_up_to_; };
  saved_.save(state, {.count = groups_.size(),
                      .chosen = has_chosen_ ? &chosen_ : nullptr,
                      .shard = [this](std::size_t i) { return Mark::shard(last_of(i)); },
                      .changed = changed,
                      .expect = [this](std::size_t i) { groups_.expect(i); },
                      .encode = [this](std::size_t i, ShardedState::Piece piece,
                                       std::string& out) { encode(i, piece, out); }});
  saved_up_to_ = batch_;
  saved_homes_ = homes_;
  has_chosen_ = false;
}

/// A key that is saved already is its place, so that nobody has to look at it. The time is there to
/// forget keys by, where any are forgotten.
void StateStep::encode(std::size_t i, ShardedState::Piece piece, std::string& out) {
  const std::uint64_t last = last_of(i);
  const bool is_change = piece == ShardedState::Piece::Change;
  if (is_change && Mark::place(last) < saved_homes_[Mark::shard(last)]) {
    put_number(Mark::place(last) + 1, out);
    groups_.encode_results(i, out);
  } else {
    if (is_change) put_number(0, out);
    groups_.encode(i, out);
  }
  if (options_.timeout_ms > 0) put_number(groups_.extra(groups_.group(i))[Extra::Time], out);
}

bool StateStep::load(const SavedState& state) {
  loaded_.resize(ShardedState::shards);
  const bool sound = std::all_of(state.begin(), state.end(), [this](const auto& each) {
    const auto [piece, shard] = saved_.load(each.first, each.second.size());
    if (piece == ShardedState::Piece::None) return false;
    const auto decode =
        piece == ShardedState::Piece::Whole ? &StateStep::decode_whole : &StateStep::decode_change;
    for (std::string_view text = each.second; !text.empty();) {
      if (!(this->*decode)(text, shard)) return false;
    }
    return true;
  });
  loaded_ = {};
  saved_homes_ = homes_;
  return sound;
}

/// False, here and below: the text is anything else.
bool StateStep::decode_whole(std::string_view& text, std::size_t shard) {
  // The one group of a table without keys is there from the start.
  const std::size_t i = options_.keys.empty() ? 0 : groups_.size();
  if (!groups_.decode_group(text)) return false;
  find_home(i);
  loaded_[shard].push_back(static_cast<std::uint32_t>(i));
  return Mark::shard(last_of(i)) == shard && decode_time(text, i);
}

bool StateStep::decode_change(std::string_view& text, std::size_t shard) {
  std::uint64_t place = 0;
  if (!take_number(text, place)) return false;
  if (place == 0) return decode_whole(text, shard);
  if (place > loaded_[shard].size()) return false;
  const std::size_t i = loaded_[shard][place - 1];
  return groups_.decode_results(i, text) && decode_time(text, i);
}

/// Batches are counted anew; a time of 0 would say that it has come since.
bool StateStep::decode_time(std::string_view& text, std::size_t i) {
  std::uint64_t time = 1;
  if (options_.timeout_ms > 0 && !take_number(text, time)) return false;
  groups_.extra(groups_.group(i))[Extra::Time] = time;
  return true;
}

std::uint64_t StateStep::state_bytes() const noexcept {
  return groups_.bytes() + aggregates_.owned_bytes();
}

}  // namespace sluice::analytics
