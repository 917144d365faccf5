#include "agent/units.h"

#include <algorithm>
#include <condition_variable>
#include <iostream>
#include <mutex>

#include "core/base/assert.h"
#include "core/base/backoff.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/base/thread.h"
#include "core/base/wait.h"

namespace sluice {
namespace {

constexpr milliseconds restart_first{250};
// Flume tries every 3 s.
constexpr milliseconds restart_most{3000};

constexpr std::string_view goes_on_without_it = "the rest of the agent goes on without it";

std::uint64_t window_limit(const SourceType& type, const Settings& settings) {
  return type.window_bytes ? type.window_bytes(settings) : window_bytes_default;
}

void pause(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  wait_until(never, lock, Deadline::in(time), stop, [] { return false; });
}

}  // namespace

std::string_view to_string(UnitState state) noexcept {
  switch (state) {
    case UnitState::New: return "starting";
    case UnitState::Running: return "running";
    case UnitState::Retrying: return "retrying";
    case UnitState::Finished: return "finished";
    case UnitState::Failed: return "failed";
  }
  return "?";
}

// ---- ChannelUnit

ChannelUnit::ChannelUnit(std::unique_ptr<Channel> channel, const Clock& clock)
    : channel_(std::move(channel)), clock_(clock), backoff_(restart_first, restart_most) {}

Status ChannelUnit::try_open() {
  const UnitState state = state_.load(std::memory_order_relaxed);
  const bool due =
      state == UnitState::New || (state == UnitState::Retrying && clock_.steady() >= next_attempt_);
  if (!due) return {};
  Status status = channel_->open();
  if (status.ok()) {
    if (failures_ > 0) log::info("channel {} is open", channel_->name());
    state_.store(UnitState::Running, std::memory_order_release);
    return {};
  }
  if (status.code() != Code::Retry) {
    log::error("channel {}: cannot open: {}; {}", channel_->name(), status.message(),
               goes_on_without_it);
    state_.store(UnitState::Failed, std::memory_order_release);
    return status;
  }
  if (worth_saying(++failures_)) {
    log::error("channel {}: {}; it is tried again while the rest runs (failure {})",
               channel_->name(), status.message(), failures_);
  }
  next_attempt_ = clock_.steady() + backoff_.next();
  state_.store(UnitState::Retrying, std::memory_order_release);
  return failures_ == 1 ? status : Status();
}

UnitState ChannelUnit::state() const {
  const UnitState state = state_.load(std::memory_order_acquire);
  return state == UnitState::Running && !channel_->health().ok() ? UnitState::Retrying : state;
}

// ---- SourceUnit

SourceUnit::SourceUnit(Parts parts, SlabPool& pool, const Clock& clock, UnitEvents events)
    : settings_(std::move(parts.settings)),
      channels_(std::move(parts.channels)),
      events_(std::move(events)),
      clock_(clock),
      window_(settings_.component(), window_limit(*parts.type, settings_)),
      processor_(std::move(parts.processor), counters_),
      source_(parts.type->make(settings_, {processor_, counters_, pool, window_, clock, parts.once,
                                           InputFiles::real(), *parts.files})) {}

SourceUnit::~SourceUnit() { join(); }

void SourceUnit::start() {
  thread_ = std::jthread([this](std::stop_token stop) { supervise(std::move(stop)); });
}

void SourceUnit::join() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void SourceUnit::enter(UnitState state) {
  state_.store(state, std::memory_order_release);
  events_.changed();
}

void SourceUnit::supervise(std::stop_token stop) {
  name_this_thread(settings_.name());
  Backoff backoff(restart_first, restart_most);
  std::uint64_t failures = 0;
  while (!stop.stop_requested()) {
    const Status status = run_once(stop);
    if (status.ok()) return enter(UnitState::Finished);
    if (status.code() == Code::Fatal) {
      events_.fatal(status);
      return enter(UnitState::Failed);
    }
    if (status.code() != Code::Retry) {
      log::error("{}: cannot run: {}; {}", settings_.component(), status.message(),
                 goes_on_without_it);
      return enter(UnitState::Failed);
    }
    // What ran well for a while fails anew, however often it failed last month.
    if (ran_for_ > restart_most) {
      failures = 0;
      backoff.reset();
    }
    // Said at once, then rarely: a port may stay taken for days.
    ++failures;
    if (worth_saying(failures)) {
      log::error("{}: {}; it is tried again while the rest runs (failure {})",
                 settings_.component(), status.message(), failures);
    }
    enter(UnitState::Retrying);
    pause(backoff.next(), stop);
  }
  enter(UnitState::Finished);
}

Status SourceUnit::run_once(const std::stop_token& stop) {
  ran_for_ = {};
  if (Status status = source_->open(); !status.ok()) {
    source_->close();
    return status;
  }
  counters_.start_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  enter(UnitState::Running);
  const SteadyTime began = clock_.steady();
  Status status = source_->run(stop);
  ran_for_ = clock_.steady() - began;
  processor_.finish(stop);
  source_->close();
  counters_.stop_ms.set(static_cast<std::uint64_t>(Clock::system().wall_ms()));
  return status;
}

// ---- SinkUnit

namespace {

ChannelUnits channels_of(const SinkUnit::Parts& parts) {
  ChannelUnits channels{parts.channel};
  for (const SinkUnit::Member& member : parts.members) {
    if (member.dead_letter_channel != nullptr) channels.push_back(member.dead_letter_channel);
    channels.insert(channels.end(), member.result_channels.begin(), member.result_channels.end());
  }
  return channels;
}

}  // namespace

SinkUnit::SinkUnit(Parts parts, SlabPool& pool, FileSystem& files, const Clock& clock,
                   UnitEvents events)
    : name_(parts.runner.name),
      thread_name_(parts.runner.sink),
      channels_(channels_of(parts)),
      events_(std::move(events)),
      channel_(parts.channel->channel()),
      members_(make(parts, pool, files, clock)) {
  if (members_.front()->reader) return;
  runner_ = std::make_unique<SinkRunner>(parts.runner, parts.channel->channel(),
                                         runner_members(members_, parts.runner.dead_letters),
                                         std::move(parts.processor));
}

SinkUnit::AllMade SinkUnit::make(Parts& parts, SlabPool& pool, FileSystem& files,
                                 const Clock& clock) {
  AllMade all;
  for (Member& member : parts.members) {
    auto& made = *all.emplace_back(std::make_unique<Made>(std::move(member.settings)));
    if (member.dead_letter_channel != nullptr) {
      made.dead_letters = std::make_unique<DeadLetterChannel>(member.dead_letter_channel->channel(),
                                                              pool, made.counters, clock);
    }
    if (member.type->make_reader != nullptr) {
      SLUICE_ASSERT(parts.views != nullptr && parts.gauges != nullptr, "nowhere to show results");
      made.reader = member.type->make_reader(
          made.settings,
          {made.counters, made.microbatch, *parts.views, *parts.gauges, files, clock, pool,
           parts.runner.committer, std::cout,
           [channels = member.result_channels](const std::string& name) {
             const auto found =
                 std::find_if(channels.begin(), channels.end(),
                              [&](ChannelUnit* unit) { return unit->channel().name() == name; });
             SLUICE_ASSERT(found != channels.end(), "a channel that the plan does not know");
             return &(*found)->channel();
           },
           parts.reset_state});
      continue;
    }
    made.sink = member.type->make(made.settings, {made.counters, files, clock,
                                                  parts.runner.committer, parts.state_directory});
  }
  return all;
}

std::vector<SinkRunner::Member> SinkUnit::runner_members(const AllMade& members,
                                                         DeadLetters* otherwise) {
  std::vector<SinkRunner::Member> all;
  for (const auto& made : members) {
    DeadLetters* const own = made->dead_letters.get();
    all.push_back({made->settings.component(), made->settings.name(), made->sink.get(),
                   &made->counters, own == nullptr ? otherwise : own});
  }
  return all;
}

SinkUnit::~SinkUnit() { join(); }

void SinkUnit::start() {
  thread_ = std::jthread([this](std::stop_token stop) {
    name_this_thread(thread_name_);
    enter(UnitState::Running);
    const Status status = run(std::move(stop));
    if (status.code() == Code::Fatal) {
      events_.fatal(status);
    } else if (!status.ok()) {
      log::error("{}: cannot run: {}; {}", name_, status.message(), goes_on_without_it);
    }
    enter(status.ok() ? UnitState::Finished : UnitState::Failed);
  });
}

Status SinkUnit::run(std::stop_token stop) {
  if (runner_) return runner_->run(std::move(stop));
  return members_.front()->reader->run(channel_, std::move(stop));
}

bool SinkUnit::healthy() const noexcept {
  return runner_ ? runner_->healthy() : members_.front()->reader->healthy();
}

void SinkUnit::join() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void SinkUnit::enter(UnitState state) {
  state_.store(state, std::memory_order_release);
  events_.changed();
}

bool SinkUnit::ended() const noexcept {
  const UnitState state = state_.load(std::memory_order_acquire);
  return !started() || state == UnitState::Finished || state == UnitState::Failed;
}

UnitState SinkUnit::state() const noexcept {
  const UnitState state = state_.load(std::memory_order_acquire);
  return state == UnitState::Running && !healthy() ? UnitState::Retrying : state;
}

UnitState SinkUnit::state(std::size_t member) const noexcept {
  const UnitState state = state_.load(std::memory_order_acquire);
  if (!runner_) return this->state();
  if (runner_->left_out(member)) return UnitState::Failed;
  return state == UnitState::Running && !runner_->healthy(member) ? UnitState::Retrying : state;
}

}  // namespace sluice
