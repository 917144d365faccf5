#include "sinks/microbatch_reader.h"

#include <algorithm>
#include <charconv>
#include <random>
#include <set>

#include "core/base/assert.h"
#include "core/base/fail_point.h"
#include "core/base/log.h"
#include "core/base/wait.h"
#include "core/config/diagnostics.h"
#include "sinks/batch_query.h"

namespace sluice {
namespace {

constexpr std::size_t piece_bytes = 48 * 1024;
constexpr milliseconds patience_at_stop{3000};
constexpr std::string_view plan_note = "plan";
constexpr std::string_view clock_note = "batch";
constexpr std::string_view origin_note = "origin";
constexpr std::string_view state_prefix = "state/";
constexpr std::string_view outbox_prefix = "outbox/";

std::uint64_t random_seed() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

/// Pieces of the outbox sort as they follow each other.
std::string outbox_key(std::size_t piece) {
  std::string number = std::to_string(piece);
  return std::string(outbox_prefix) +
         std::string(8 - std::min<std::size_t>(8, number.size()), '0') + number;
}

void append_sized(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += '\n';
  out += text;
}

/// Reads what append_sized() wrote off the front. False: it is not that.
bool read_sized(std::string_view& in, std::string& text) {
  std::size_t bytes = 0;
  const auto read = std::from_chars(in.data(), in.data() + in.size(), bytes);
  if (read.ec != std::errc() || read.ptr == in.data() + in.size() || *read.ptr != '\n')
    return false;
  in.remove_prefix(static_cast<std::size_t>(read.ptr - in.data()) + 1);
  if (in.size() < bytes) return false;
  text = in.substr(0, bytes);
  in.remove_prefix(bytes);
  return true;
}

void pause(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
}

/// What to do where a bound is reached; empty: nothing that a file could say.
std::string_view remedy(std::string_view reason) {
  using analytics::LeftOut;
  if (reason == LeftOut::overflowed)
    return ": raise maxKeys, or count by something that differs less";
  if (reason == LeftOut::oversized || reason == LeftOut::valueless) {
    return ": raise maxStateBytes, shorten the keys or the texts, or let a timeout or a shorter "
           "window forget";
  }
  return {};
}

}  // namespace

/// What the steps save becomes notes of a commit.
class MicrobatchReader::State final : public analytics::StateWriter {
 public:
  State(Commit& commit, std::string prefix) : commit_(commit), prefix_(std::move(prefix)) {}
  void put(std::string_view key, std::string value) override {
    commit_.note({prefix_ + std::string(key), std::move(value)});
  }

 private:
  Commit& commit_;
  const std::string prefix_;
};

MicrobatchReader::MicrobatchReader(const Settings& settings, LongReaderContext context)
    : settings_(settings),
      context_(std::move(context)),
      prefix_("microbatch/" + settings.name() + "/"),
      interval_(settings.duration("batchInterval")),
      limit_{.events_max = static_cast<std::uint32_t>(settings.integer("takeBatch")),
             .bytes_at_least = 256 * 1024},
      seed_(random_seed()),
      from_start_(settings.text("align") == "start"),
      clock_(interval_, context_.clock),
      backoff_(milliseconds(100), milliseconds(5000)) {
  for (const Settings& output : settings.parts("outputs")) {
    if (!output.knows("port") || !output.has("port")) continue;
    view_servers_.push_back(
        std::make_unique<ViewServer>(ViewServer::Options{settings.name(), output.name(),
                                                         output.text("bind"), output.port("port")},
                                     context_.views, context_.clock));
  }
}

MicrobatchReader::~MicrobatchReader() = default;

std::unique_ptr<analytics::Pipeline> MicrobatchReader::make_pipeline(const Settings& settings,
                                                                     std::uint64_t seed,
                                                                     std::vector<Finding>& findings,
                                                                     std::int64_t origin_ms) {
  return analytics::Pipeline::make(
      settings.parts("steps"),
      {.interval = settings.duration("batchInterval"), .seed = seed, .origin_ms = origin_ms},
      findings);
}

// ---- at the start, and behind a refused commit

void MicrobatchReader::tell_query() const {
  if (!settings_.has("query")) return;
  std::vector<Finding> findings;
  std::string all;
  for (const LongForm& each : write_out_query(settings_.text("query"), findings)) {
    all += (all.empty() ? "" : "; ") + each.key + " = " + each.value;
  }
  log::info("{}: its query stands for {}", settings_.component(), printable(all, 4000));
}

Status MicrobatchReader::open(const std::stop_token& stop) {
  tell_query();
  if (Status status = restore(); !status.ok()) return status;
  if (Status status = check_channels(); !status.ok()) return status;
  if (context_.committer == nullptr && pipeline_->keeps_state()) {
    log::warn("{}: its channel is in memory: state of its steps ends with the process",
              settings_.component());
  }
  if (!outbox_.empty()) {
    log::info("{}: results of batch {} were not delivered for sure; they are delivered now",
              settings_.component(), last_);
    deliver(stop);
  }
  return {};
}

/// State, outbox and clock as the last commit left them.
Status MicrobatchReader::restore() {
  std::vector<Finding> findings;
  find_origin();
  pipeline_ = make_pipeline(settings_, seed_, findings, origin_ms_);
  left_out_.clear();
  SLUICE_ASSERT(pipeline_ != nullptr, "judge() let a bad analysis through");
  attach_outputs();
  outbox_.clear();
  outbox_notes_ = 0;
  pending_ = {};
  pending_events_ = pending_bytes_ = 0;
  if (context_.committer == nullptr) {
    pipeline_->start(context_.clock.wall_ms());
    return begin_anew();
  }
  const auto notes = context_.committer->notes(prefix_);
  analytics::SavedState state;
  std::string plan;
  begun_ = false;
  for (const auto& [name, value] : notes) {
    const std::string rest = name.substr(prefix_.size());
    if (rest == plan_note) {
      plan = value;
      begun_ = true;
    } else if (rest == clock_note) {
      std::from_chars(value.data(), value.data() + value.size(), last_);
    } else if (rest.starts_with(state_prefix)) {
      state.emplace(rest.substr(state_prefix.size()), value);
    }
  }
  if (Status status = read_outbox(notes); !status.ok()) return status;
  if (delivered_ == last_) outbox_.clear();
  if (!begun_) {
    pipeline_->start(context_.clock.wall_ms());
    return begin_anew();
  }
  if (plan != this->plan()) {
    return Invalid("the steps that keep state are not those whose state is there (" +
                   std::to_string(state.size()) +
                   " pieces): put the old ones back, or start the agent once with --reset-state " +
                   settings_.name() + ", which forgets that state");
  }
  if (Status status = pipeline_->load(state); !status.ok()) return status;
  pipeline_->start(context_.clock.wall_ms());
  return {};
}

/// Where batches are counted from the start: the first one that the store tells of, or now.
void MicrobatchReader::find_origin() {
  if (!from_start_) return;
  const auto noted =
      context_.committer == nullptr ? std::nullopt : context_.committer->note(key(origin_note));
  origin_is_noted_ = noted.has_value();
  if (noted) std::from_chars(noted->data(), noted->data() + noted->size(), origin_ms_);
  if (origin_ms_ == 0) origin_ms_ = context_.clock.wall_ms();
  clock_.count_from(origin_ms_);
}

/// What the state depends on: the steps, and where windows begin.
std::string MicrobatchReader::plan() const {
  std::string plan = pipeline_->fingerprint();
  if (from_start_ && !plan.empty()) plan += "align=start\n";
  return plan;
}

/// Without a state: the files that steps begin with.
Status MicrobatchReader::begin_anew() {
  constexpr std::size_t bytes_max = 256 << 20;
  for (const Settings& step : settings_.parts("steps")) {
    if (step.info().alias != "state" || !step.has("initial")) continue;
    const std::string path = step.text("initial");
    auto content = context_.files.read(path, 0, bytes_max);
    if (!content.ok())
      return Invalid("initial of " + step.component() + ": " + content.status().message());
    const Status begun = pipeline_->begin_with(step.name(), *content);
    if (!begun.ok()) return begun.with_context("initial of " + step.component() + ": " + path);
  }
  return {};
}

Status MicrobatchReader::read_outbox(
    const std::vector<std::pair<std::string, std::string>>& notes) {
  std::map<std::string, std::string_view> pieces;
  for (const auto& [name, value] : notes) {
    const std::string rest = name.substr(prefix_.size());
    if (rest.starts_with(outbox_prefix)) pieces.emplace(rest, value);
  }
  std::string all;
  for (const auto& [name, piece] : pieces) all += piece;
  outbox_notes_ = pieces.size();
  std::string_view rest = all;
  while (!rest.empty()) {
    Parcel parcel;
    if (!read_sized(rest, parcel.label) || !read_sized(rest, parcel.text)) {
      return Invalid("the results that were kept cannot be read");
    }
    outbox_.push_back(std::move(parcel));
  }
  return {};
}

void MicrobatchReader::attach_outputs() {
  outputs_.clear();
  for (const Settings& output : settings_.parts("outputs")) {
    const bool says = output.has("input");
    const auto inputs = says ? std::vector{output.text("input")} : pipeline_->ends();
    for (const std::string& input : inputs) {
      std::string label = settings_.name() + "." + output.name();
      if (inputs.size() > 1) label += "." + input;
      const analytics::Step* const step = pipeline_->step(input);
      SLUICE_ASSERT(step != nullptr, "judge() let an unknown input through");
      outputs_.push_back(make_batch_output(
          output, std::move(label),
          {settings_.name(), inputs.size() > 1 ? input : "", step->schema(), interval_}, context_));
      pipeline_->attach(input, *outputs_.back());
    }
  }
}

Status MicrobatchReader::check_channels() const {
  for (const auto& output : outputs_) {
    if (output->channel() == nullptr) continue;
    Commit trial(context_.committer);
    Committer* const theirs =
        output->channel()->stored() == nullptr ? nullptr : output->channel()->committer();
    if (!trial.join(theirs)) {
      return Invalid("channel " + output->channel()->name() +
                     ", which results go to, lies in another store than its own channel: give "
                     "both the same directory");
    }
  }
  return {};
}

// ---- running

Status MicrobatchReader::run(Channel& channel, std::stop_token stop) {
  if (context_.reset_state && context_.committer != nullptr) {
    Commit forget(context_.committer);
    std::size_t count = 0;
    for (const auto& [name, value] : context_.committer->notes(prefix_)) {
      if (!name.starts_with(key(state_prefix)) && name != key(plan_note) &&
          name != key(origin_note)) {
        continue;
      }
      forget.note({name, ""});
      ++count;
    }
    if (Status status = std::move(forget).wait(); !status.ok()) return Invalid(status.message());
    log::warn("{}: its state is forgotten, as --reset-state says ({} pieces)",
              settings_.component(), count);
  }
  if (Status status = open(stop); !status.ok()) return status;
  const Status status = run_batches(channel, stop);
  for (const auto& server : view_servers_) server->stop();
  return status;
}

Status MicrobatchReader::run_batches(Channel& channel, const std::stop_token& stop) {
  healthy_ = true;
  for (const auto& server : view_servers_) server->start();
  context_.counters.start_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  clock_.begin(last_);
  for (;;) {
    const Status status = go_round(channel, stop);
    if (status.code() == Code::Closed || status.code() == Code::Fatal) {
      let_pending_go();
      forget_outbox();
      return status.code() == Code::Fatal ? status : Status();
    }
    if (status.ok()) continue;
    if (Status failed = fail(status, stop); !failed.ok()) return failed;
  }
}

/// The open batch is not committed any more.
void MicrobatchReader::let_pending_go() {
  pending_ = {};
  if (pending_events_ > 0 && context_.committer != nullptr) {
    log::warn("{}: its last batch is not committed; its {} events are there at the next start",
              settings_.component(), pending_events_);
  } else if (pending_events_ > 0) {
    log::error(
        "{}: its last batch is not committed; its {} events are lost, for its channel is "
        "in memory",
        settings_.component(), pending_events_);
  }
  pending_events_ = pending_bytes_ = 0;
}

/// Closed: there is nothing more to do.
Status MicrobatchReader::go_round(Channel& channel, const std::stop_token& stop) {
  if (!outbox_.empty()) return Closed("the agent stops before all results are delivered");
  TakeLimit limit = limit_;
  limit.until_closed = pending_events_ > 0;
  limit.wait_max = milliseconds(0);
  Taken taken = channel.take(limit, stop);
  if (taken.empty() && !clock_.over()) {
    pipeline_->rest();
    limit.wait_max = std::clamp(clock_.left(), milliseconds(1), milliseconds(1000));
    taken = channel.take(limit, stop);
  }
  const bool nothing = taken.empty();
  if (!nothing) {
    const Batch& events = taken.batch();
    pending_events_ += events.size();
    pending_bytes_ += events.body_bytes();
    context_.counters.attempts.add(events.size());
    pipeline_->push(events, context_.clock.wall_ms());
    taken.let_go();
    pending_.append(std::move(taken));
  }
  if (stop.stop_requested() || (nothing && channel.closed())) {
    // What is there is a batch, if a short one; where everything stops, nobody waits for an empty
    // one.
    const Status status = pending_events_ > 0 ? end_batch(clock_.end_early(), stop) : Status();
    if (!status.ok()) return status;
    if (stop.stop_requested() || channel.drained()) return Closed("the end");
    return {};
  }
  if (clock_.over()) return end_batch(clock_.end(), stop);
  return {};
}

Status MicrobatchReader::end_batch(std::int64_t name, const std::stop_token& stop) {
  const analytics::Tick tick{name, interval_.count()};
  const SteadyTime began = context_.clock.steady();
  const std::int64_t delay = std::max<std::int64_t>(0, context_.clock.wall_ms() - name);
  const std::uint64_t keys = pipeline_->keys();
  pipeline_->tick(tick);
  for (const auto& output : outputs_) output->end(tick, number_);
  const bool leftover = outbox_notes_ > 0;
  SLUICE_ASSERT(outbox_.empty(), "a batch ends before the results of the last one are delivered");
  for (const auto& output : outputs_) {
    std::string text = output->take_text();
    if (!text.empty()) outbox_.push_back({output->label(), std::move(text)});
  }
  const bool changed = pending_events_ > 0 || pipeline_->keeps_state() || leftover ||
                       (from_start_ && !origin_is_noted_);
  last_ = name;
  if (Status status = commit(changed, stop); !status.ok()) return status;
  ++number_;
  MicrobatchCounters& counters = context_.microbatch;
  counters.batches.add();
  counters.batch_ms.set(static_cast<std::uint64_t>(name));
  counters.delay_ms.set(static_cast<std::uint64_t>(delay));
  counters.keys.set(keys);
  counters.state_bytes.set(pipeline_->state_bytes());
  count_left_out();
  for (const auto& output : outputs_) {
    counters.result_rows.add(output->take_row_count());
    output->show();
  }
  for (const auto& server : view_servers_) server->start();
  backoff_.reset();
  healthy_ = true;
  clock_.begin(last_);
  // What cannot be delivered before a stop lies in the store, if there is one.
  if (!deliver(stop) && context_.committer == nullptr) {
    log::error("{}: results of batch {} are lost: the agent stops, and its channel is in memory",
               settings_.component(), name);
  }
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(context_.clock.steady() - began);
  counters.processing_us.set(static_cast<std::uint64_t>(took.count()));
  return {};
}

Status MicrobatchReader::commit(bool changed, const std::stop_token& stop) {
  const Results results = take_results();
  if (context_.committer == nullptr) return commit_in_memory(results, stop);
  if (!changed && results.empty()) {
    pending_ = {};
    return {};
  }
  Commit commit(context_.committer);
  if (Status status = put_results(results, commit, stop); !status.ok()) return status;
  State state(commit, key(state_prefix));
  pipeline_->save(state);
  if (!begun_) commit.note({key(plan_note), plan()});
  if (from_start_ && !origin_is_noted_) {
    commit.note({key(origin_note), std::to_string(origin_ms_)});
  }
  commit.note({key(clock_note), std::to_string(last_)});
  note_outbox(commit);
  return finish(std::move(commit));
}

/// There is nothing to go back to, so what is refused is tried again.
Status MicrobatchReader::commit_in_memory(const Results& results, const std::stop_token& stop) {
  while (!results.empty()) {
    Commit puts;
    Status status = put_results(results, puts, stop);
    if (status.ok()) status = std::move(puts).wait();
    if (status.ok()) break;
    if (status.code() != Code::Retry || stop.stop_requested()) return status;
    healthy_ = false;
    log::error("{}: results are not put: {}; it is tried again", settings_.component(),
               status.message());
    pause(backoff_.next(), stop);
  }
  return finish(Commit());
}

Status MicrobatchReader::finish(Commit commit) {
  commit.take(std::exchange(pending_, {}));
  const std::uint64_t events = std::exchange(pending_events_, 0);
  const std::uint64_t bytes = std::exchange(pending_bytes_, 0);
  fail_point(FailPoint::BatchBeforeCommit);
  if (Status status = std::move(commit).wait(); !status.ok()) return status;
  fail_point(FailPoint::BatchAfterCommit);
  begun_ = begun_ || context_.committer != nullptr;
  origin_is_noted_ = origin_is_noted_ || context_.committer != nullptr;
  context_.counters.delivered.add(events, bytes);
  context_.counters.batches_complete.add();
  return {};
}

/// Reserves once in each channel: a second batch would wait for room that the first one has. In
/// the order of their names, so that two sinks do not wait for each other.
Status MicrobatchReader::put_results(const Results& results, Commit& commit,
                                     const std::stop_token& stop) {
  for (const auto& [name, result] : results) {
    // The last batch may wait a little, too.
    const bool last = stop.stop_requested();
    auto room = result.first->reserve(result.second,
                                      last ? Deadline::in(patience_at_stop) : Deadline::never(),
                                      last ? std::stop_token() : stop);
    if (!room.ok() && last) return Closed(room.status().message());
    if (!room.ok()) return room.status();
    Channel& channel = *result.first;
    const bool joined = commit.join(channel.stored() == nullptr ? nullptr : channel.committer());
    SLUICE_ASSERT(joined, "channels of two stores in one commit");
    commit.put(*std::move(room));
  }
  return {};
}

MicrobatchReader::Results MicrobatchReader::take_results() {
  std::map<std::string, std::pair<Channel*, std::vector<Batch>>> batches;
  for (const auto& output : outputs_) {
    if (output->channel() == nullptr) continue;
    auto& [channel, all] = batches[output->channel()->name()];
    channel = output->channel();
    for (Batch& batch : output->take_events()) all.push_back(std::move(batch));
  }
  Results results;
  for (auto& [name, of] : batches) {
    if (of.second.empty()) continue;
    results.emplace(
        name, std::pair(of.first, of.second.size() == 1 ? std::move(of.second.front())
                                                        : Batch::concat(of.second, context_.pool)));
  }
  return results;
}

void MicrobatchReader::note_outbox(Commit& commit) {
  std::string all;
  for (const Parcel& parcel : outbox_) {
    append_sized(all, parcel.label);
    append_sized(all, parcel.text);
  }
  std::size_t pieces = 0;
  for (std::size_t at = 0; at < all.size(); at += piece_bytes) {
    commit.note({key(outbox_key(pieces++)), all.substr(at, piece_bytes)});
  }
  for (std::size_t gone = pieces; gone < outbox_notes_; ++gone) {
    commit.note({key(outbox_key(gone)), ""});
  }
  outbox_notes_ = pieces;
}

void MicrobatchReader::count_left_out() {
  auto now = pipeline_->left_out();
  for (const auto& [what, count] : now) {
    const std::size_t blank = what.find(' ');
    context_.microbatch.left_out.add(what.substr(0, blank), what.substr(blank + 1),
                                     count - left_out_[what]);
  }
  left_out_ = std::move(now);
  report_left_out();
}

/// What does not count in the results, every now and then.
void MicrobatchReader::report_left_out() {
  constexpr milliseconds every{10'000};
  if (context_.clock.steady() - reported_at_ < every) return;
  auto now = context_.microbatch.left_out.counts();
  for (const auto& [what, count] : now) {
    const std::uint64_t before = reported_[what];
    if (count <= before) continue;
    reported_at_ = context_.clock.steady();
    log::warn("{}: step {}: {} more {}, {} since it was started{}", settings_.component(),
              what.first, count - before, what.second, count, remedy(what.second));
  }
  reported_ = std::move(now);
}

/// False: the agent stops before all of it is out.
bool MicrobatchReader::deliver(const std::stop_token& stop) {
  Backoff backoff(milliseconds(100), milliseconds(5000));
  while (!outbox_.empty()) {
    const Parcel& parcel = outbox_.front();
    const auto output = std::find_if(outputs_.begin(), outputs_.end(), [&](const auto& each) {
      return each->label() == parcel.label;
    });
    Status status;
    if (output == outputs_.end()) {
      log::warn("{}: results of an output {}, which is no more, are dropped", settings_.component(),
                parcel.label);
    } else {
      status = (*output)->deliver(parcel.text);
    }
    if (status.ok()) {
      fail_point(FailPoint::BatchAfterDelivery);
      outbox_.erase(outbox_.begin());
      healthy_ = true;
      continue;
    }
    healthy_ = false;
    context_.counters.failures.add();
    log::error("{}: {}: {}; it is tried again", settings_.component(), parcel.label,
               status.message());
    if (stop.stop_requested()) break;
    pause(backoff.next(), stop);
  }
  if (!outbox_.empty()) return false;
  delivered_ = last_;
  return true;
}

/// All is delivered, so the next start need not do it again.
void MicrobatchReader::forget_outbox() {
  if (context_.committer == nullptr || outbox_notes_ == 0 || delivered_ != last_) return;
  Commit commit(context_.committer);
  note_outbox(commit);
  const Status status = std::move(commit).wait();
  if (!status.ok()) {
    log::warn("{}: results of batch {} will be delivered again: {}", settings_.component(), last_,
              status.message());
  }
}

/// As if the process had died: the state of the last commit, and the events come again. Errors:
/// Invalid (the state cannot be read back; nothing may be written over it).
Status MicrobatchReader::fail(const Status& status, const std::stop_token& stop) {
  healthy_ = false;
  context_.counters.channel_failures.add();
  log::error("{}: a batch is not committed: {}; its events are taken again", settings_.component(),
             status.message());
  pause(backoff_.next(), stop);
  if (Status restored = restore(); !restored.ok()) return restored;
  deliver(stop);
  clock_.begin(last_);
  return {};
}

}  // namespace sluice
