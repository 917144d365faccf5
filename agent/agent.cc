#include "agent/agent.h"

#include <algorithm>
#include <random>
#include <set>
#include <variant>

#include "agent/flume_types.h"
#include "agent/state_directory.h"
#include "agent/version.h"
#include "channels/catalog.h"
#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/nearest_name.h"
#include "core/base/wait.h"
#include "core/config/diagnostics.h"
#include "interceptors/catalog.h"
#include "sinks/catalog.h"
#include "sources/catalog.h"

namespace sluice {
namespace {

/// A limit that is none. Far above any memory, and a few sums of smaller ones stay below it.
constexpr std::uint64_t unlimited_bytes = std::uint64_t{1} << 60;

template <typename Type>
const Type& type_of(const Settings& settings, std::span<const Type* const> types) {
  const auto found = std::find_if(types.begin(), types.end(),
                                  [&](const Type* type) { return type->info == &settings.info(); });
  SLUICE_ASSERT(found != types.end(), "the plan names a type that is not in the catalogue");
  return **found;
}

std::string type_name(const Settings& settings) {
  const ComponentInfo& info = settings.info();
  return std::string(info.alias.empty() ? info.class_name : info.alias);
}

/// A source's commits go through the stores of its durable channels. True for one more.
bool join_store(ChannelProcessor::Options& processor, Channel& channel) {
  Committer* const store = channel.committer();
  auto& stores = processor.stores;
  if (store == nullptr || std::count(stores.begin(), stores.end(), store) > 0) return false;
  stores.push_back(store);
  return true;
}

/// Sources that let the user choose have a key for it.
OnFull on_full(const Settings& settings) {
  for (const Key& key : settings.info().keys) {
    if (key.name == "onFull") {
      return settings.text("onFull") == "reject" ? OnFull::Reject : OnFull::Wait;
    }
  }
  return OnFull::Wait;
}

const SinkPlan& find_sink(const Plan& plan, std::string_view name) {
  const auto found = std::find_if(plan.sinks.begin(), plan.sinks.end(), [&](const SinkPlan& sink) {
    return sink.settings.name() == name;
  });
  SLUICE_ASSERT(found != plan.sinks.end(), "a group refers to a sink that the plan does not hold");
  return *found;
}

std::unique_ptr<SinkProcessor> make_processor(const SinkGroupPlan& group) {
  const auto members = static_cast<std::uint32_t>(group.sinks.size());
  if (const auto* failover = std::get_if<FailoverPlan>(&group.processor)) {
    return make_failover_processor(members, failover->penalty_max);
  }
  const auto& balance = std::get<LoadBalancePlan>(group.processor);
  return make_load_balance_processor(members, {balance.random, balance.backoff, balance.out_max,
                                               balance.random ? std::random_device()() : 0});
}

std::string dead_letter_path(const std::string& state_directory, std::string agent) {
  std::replace(agent.begin(), agent.end(), '/', '_');
  return state_directory + "/dead-letters/" + agent + ".jsonl";
}

}  // namespace

Agent::Agent(const Plan& plan, Options options)
    : options_(std::move(options)),
      stores_(shared_store_directory(options_.state_directory)),
      dead_letter_file_({.path = dead_letter_path(options_.state_directory, plan.agent),
                         .bytes_max = options_.dead_letter_bytes_max},
                        *options_.files, *options_.clock) {
  metrics_.set_version(version_number());
  metrics_.set_results(&gauges_);
  add_channels(plan);
  add_sinks(plan);
  add_sources(plan);
  tell_unknown_resets(plan);
}

/// Whoever mistypes a sink goes on with the state that was to be forgotten.
void Agent::tell_unknown_resets(const Plan& plan) const {
  std::vector<std::string_view> names;
  for (const SinkPlan& each : plan.sinks) {
    if (each.settings.info().reads_long) names.push_back(each.settings.name());
  }
  for (const std::string& wanted : options_.reset_state) {
    if (std::find(names.begin(), names.end(), wanted) != names.end()) continue;
    const std::string_view near = nearest_name(wanted, names);
    log::warn(
        "--reset-state {}: no microbatch sink that runs is called so, so nothing is "
        "forgotten{}",
        printable(wanted, 100), near.empty() ? "" : "; did you mean '" + std::string(near) + "'?");
  }
}

Agent::~Agent() {
  hurry();
  stop();
}

ChannelUnit* Agent::find_channel(std::string_view name) const noexcept {
  const auto found = std::find_if(channels_.begin(), channels_.end(),
                                  [&](const auto& unit) { return unit->channel().name() == name; });
  SLUICE_ASSERT(found != channels_.end(), "the plan refers to a channel that it does not hold");
  return found->get();
}

void Agent::add_channels(const Plan& plan) {
  const std::uint64_t share =
      options_.memory_limit_bytes / std::max<std::size_t>(1, plan.channels.size());
  for (const ChannelPlan& planned : plan.channels) {
    const ChannelType& type = type_of(planned.settings, channel_types());
    channels_.push_back(std::make_unique<ChannelUnit>(
        type.make(planned.settings, {pool_, share, stores_, *options_.clock, abandon_.get_token(),
                                     &dead_letter_file_}),
        *options_.clock));
    const Channel& channel = channels_.back()->channel();
    metrics_.add(ChannelMetrics{channel.name(), type_name(planned.settings), &channel.counters(),
                                channel.capacity_events()});
    for (const MemoryAccount* account : channel.accounts()) metrics_.add(account);
  }
}

void Agent::add_sinks(const Plan& plan) {
  std::set<std::string_view> grouped;
  for (const SinkGroupPlan& group : plan.groups) {
    std::vector<const SinkPlan*> members;
    for (const std::string& name : group.sinks) {
      members.push_back(&find_sink(plan, name));
      grouped.insert(name);
    }
    add_sink_unit(group.label, group.name, members, make_processor(group));
  }
  for (const SinkPlan& planned : plan.sinks) {
    if (grouped.count(planned.settings.name()) > 0) continue;
    add_sink_unit(planned.settings.component(), planned.settings.name(), {&planned},
                  make_single_processor());
  }
}

/// One unit of sinks that read the same channel.
void Agent::add_sink_unit(std::string component, std::string name,
                          const std::vector<const SinkPlan*>& planned,
                          std::unique_ptr<SinkProcessor> processor) {
  std::vector<const SinkType*> types(sink_types().begin(), sink_types().end());
  types.insert(types.end(), options_.more_sinks.begin(), options_.more_sinks.end());
  SinkUnit::Parts parts{{}, std::move(processor), find_channel(planned.front()->channel), {}};
  parts.runner.name = std::move(component);
  parts.runner.sink = std::move(name);
  parts.runner.dead_letters = &dead_letter_file_;
  Channel& channel = parts.channel->channel();
  if (channel.stored() != nullptr) parts.runner.committer = channel.committer();
  parts.runner.clock = options_.clock;
  parts.state_directory = options_.state_directory;
  parts.views = &views_;
  parts.gauges = &gauges_;
  for (const SinkPlan* each : planned) {
    parts.members.push_back(
        {each->settings,
         &type_of<SinkType>(each->settings, types),
         each->dead_letter_channel.empty() ? nullptr : find_channel(each->dead_letter_channel),
         {}});
    for (const std::string& results : each->result_channels) {
      parts.members.back().result_channels.push_back(find_channel(results));
    }
    parts.reset_state = options_.reset_state.contains(each->settings.name());
  }
  sinks_.push_back(std::make_unique<SinkUnit>(std::move(parts), pool_, *options_.files,
                                              *options_.clock, unit_events()));
  const SinkUnit& unit = *sinks_.back();
  for (std::size_t i = 0; i < unit.size(); ++i) {
    metrics_.add(SinkMetrics{unit.settings(i).name(), type_name(unit.settings(i)),
                             planned[i]->channel, &unit.counters(i), unit.microbatch(i)});
  }
}

/// The ways that the source's selector has.
void Agent::wire_channels(const SourcePlan& planned, ChannelProcessor::Options& processor) const {
  const auto channels_of = [this](const std::vector<std::string>& names) {
    std::vector<Channel*> channels;
    for (const std::string& name : names) channels.push_back(&find_channel(name)->channel());
    return channels;
  };
  if (!planned.multiplexing) {
    processor.required = channels_of(planned.channels);
    processor.optional = channels_of(planned.optional_channels);
    return;
  }
  const MultiplexingPlan& ways = *planned.multiplexing;
  processor.required = channels_of(ways.otherwise.channels);
  processor.optional = channels_of(ways.otherwise.optional_channels);
  processor.header = ways.header;
  for (const MappingPlan& each : ways.mappings) {
    processor.mappings.push_back(
        {each.value,
         {channels_of(each.route.channels), channels_of(each.route.optional_channels)}});
  }
}

void Agent::add_sources(const Plan& plan) {
  for (const SourcePlan& planned : plan.sources) {
    const SourceType& type = type_of(planned.settings, source_types());
    ChannelProcessor::Options processor;
    processor.source_name = planned.settings.component();
    processor.abandon = abandon_.get_token();
    processor.on_full = on_full(planned.settings);
    wire_channels(planned, processor);
    ChannelUnits units;
    processor.keeps_notes = !planned.channels.empty();
    for (const std::string& name : planned.channels) {
      ChannelUnit* const unit = find_channel(name);
      units.push_back(unit);
      join_store(processor, unit->channel());
      processor.keeps_notes = processor.keeps_notes && unit->channel().stored() != nullptr;
    }
    for (const std::string& name : planned.optional_channels) {
      ChannelUnit* const unit = find_channel(name);
      units.push_back(unit);
      if (join_store(processor, unit->channel())) ++processor.optional_stores;
    }
    for (const InterceptorPlan& interceptor : planned.interceptors) {
      const InterceptorType& made = type_of(interceptor.settings, interceptor_types());
      processor.interceptors.push_back(made.make(interceptor.settings, *options_.clock));
    }
    SourceUnit::Parts parts{planned.settings, &type,         std::move(processor),
                            std::move(units), options_.once, options_.files};
    sources_.push_back(
        std::make_unique<SourceUnit>(std::move(parts), pool_, *options_.clock, unit_events()));
    metrics_.add(SourceMetrics{planned.settings.name(), type_name(planned.settings),
                               &sources_.back()->counters()});
    metrics_.add(&sources_.back()->account());
  }
}

Catalog built_catalog() {
  // The tables live as long as the program; the lists are put together once.
  struct Lists {
    std::vector<const ComponentInfo*> sources, channels, sinks, interceptors;
  };
  static const Lists lists = [] {
    Lists all;
    for (const auto* type : source_types()) all.sources.push_back(type->info);
    for (const auto* type : channel_types()) all.channels.push_back(type->info);
    for (const auto* type : sink_types()) all.sinks.push_back(type->info);
    for (const auto* type : interceptor_types()) all.interceptors.push_back(type->info);
    const Catalog others = flume_types_not_built();
    all.sources.insert(all.sources.end(), others.sources.begin(), others.sources.end());
    all.channels.insert(all.channels.end(), others.channels.begin(), others.channels.end());
    all.sinks.insert(all.sinks.end(), others.sinks.begin(), others.sinks.end());
    all.interceptors.insert(all.interceptors.end(), others.interceptors.begin(),
                            others.interceptors.end());
    return all;
  }();
  return {lists.sources, lists.channels, lists.sinks, lists.interceptors};
}

UnitEvents Agent::unit_events() {
  return {.changed = [this] { wake(); },
          .fatal =
              [this](const Status& status) {
                log::error("a promise of our own is broken: {}; the agent stops", status.message());
                {
                  const std::lock_guard lock(mutex_);
                  if (!fatal_) fatal_ = status;
                }
                wake();
              }};
}

std::uint64_t Agent::memory_limit_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const MemoryAccount* account : metrics_.accounts()) {
    if (account->limit_bytes() >= unlimited_bytes) return UINT64_MAX;
    sum += account->limit_bytes();
  }
  return sum;
}

std::string Agent::memory_limit_text() const {
  for (const MemoryAccount* account : metrics_.accounts()) {
    if (account->limit_bytes() < unlimited_bytes) continue;
    return "are unlimited (" + account->name() + " has byteCapacity = 0)";
  }
  return "sum up to " + std::to_string(memory_limit_bytes() >> 20) + " MiB";
}

Status Agent::start() {
  if (Status status = open_channels(); !status.ok()) return status;
  start_what_can();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] {
    const auto tried = [](const auto& unit) {
      return !unit->started() || unit->state() != UnitState::New;
    };
    return fatal_.has_value() || (std::all_of(sinks_.begin(), sinks_.end(), tried) &&
                                  std::all_of(sources_.begin(), sources_.end(), tried));
  });
  return fatal_.value_or(Status());
}

Status Agent::open_channels() {
  Status failed;
  bool hope = channels_.empty();
  for (const auto& unit : channels_) {
    Status status = unit->try_open();
    hope = hope || status.ok() || status.code() == Code::Retry;
    if (!status.ok()) failed = status.with_context("channel " + unit->channel().name());
  }
  return hope && !options_.once ? Status() : failed;
}

/// What hangs on channels that are open, sinks first.
void Agent::start_what_can() {
  const auto start_all = [](auto& units) {
    for (const auto& unit : units) {
      const auto& channels = unit->channels();
      const bool ready = std::all_of(channels.begin(), channels.end(),
                                     [](const ChannelUnit* each) { return each->is_open(); });
      if (ready && !unit->started()) unit->start();
    }
  };
  const std::lock_guard lock(mutex_);  // hurry() may come from another thread
  if (hurry_) return;
  start_all(sinks_);
  start_all(sources_);
}

/// They are for the operator: an agent without them does its work all the same.
void Agent::open_replay_doors() {
  for (const SharedStore* store : stores_.open_ones()) {
    const auto [place, is_new] = replay_doors_.try_emplace(store);
    if (place->second != nullptr) continue;
    const auto find = [this, store](std::string_view name) -> Channel* {
      for (const auto& unit : channels_) {
        Channel& channel = unit->channel();
        if (channel.name() != name || !unit->is_open()) continue;
        return channel.committer() == store ? &channel : nullptr;
      }
      return nullptr;
    };
    auto door = ReplayDoor::open(store->path(), find, pool_);
    if (door.ok()) {
      place->second = *std::move(door);
    } else if (is_new) {
      log::warn("nothing can be replayed into the store {} while this agent runs: {}",
                store->path(), door.status().message());
    }
  }
}

void Agent::wake() {
  {
    const std::lock_guard lock(mutex_);
    ++changes_;
  }
  changed_.notify_all();
}

bool Agent::wait(Deadline deadline, bool until_finished) {
  for (const auto& unit : channels_) static_cast<void>(unit->try_open());
  if (!options_.once) open_replay_doors();
  start_what_can();
  std::unique_lock lock(mutex_);
  const auto over = [&] {
    const bool finished =
        until_finished && std::all_of(sources_.begin(), sources_.end(), [](const auto& source) {
          return source->state() == UnitState::Finished || source->state() == UnitState::Failed;
        });
    return fatal_.has_value() || finished;
  };
  wait_until(changed_, lock, deadline, {}, [&] { return over() || changes_ != seen_; });
  seen_ = changes_;
  return over();
}

void Agent::hurry() {
  abandon_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    hurry_ = true;
    for (const auto& sink : sinks_) sink->request_stop();
  }
  changed_.notify_all();
}

void Agent::bound_stop() {
  {
    const std::lock_guard lock(mutex_);
    bounded_ = true;
  }
  changed_.notify_all();
}

std::uint64_t Agent::stop(bool without_bound) {
  if (!without_bound) bound_stop();
  // The watch ends the drain at its deadline, whoever is being waited for.
  std::jthread watch([this](std::stop_token done) {
    std::unique_lock lock(mutex_);
    wait_until(changed_, lock, Deadline::never(), done, [this] { return hurry_ || bounded_; });
    wait_until(changed_, lock, Deadline::in(options_.drain_max), done, [this] { return hurry_; });
    lock.unlock();
    if (!done.stop_requested()) hurry();
  });
  for (const auto& source : sources_) source->request_stop();
  replay_doors_.clear();
  for (const auto& source : sources_) source->join();
  if (!without_bound) stop_sinks_of_durable_channels();
  const std::vector<ChannelUnit*> still_open = drain_channels();
  for (const auto& sink : sinks_) sink->join();
  for (ChannelUnit* unit : still_open) unit->channel().close();
  watch.request_stop();
  watch.join();
  return report_lost();
}

/// Channels are closed, so that their sinks end when all is out; those for dead letters only once
/// nobody can put any more of them. There is always one to close next: dead letters go in no
/// circle. Returns those that are open when all sinks have ended, or when it hurries.
std::vector<ChannelUnit*> Agent::drain_channels() {
  std::vector<ChannelUnit*> open;
  for (const auto& unit : channels_) open.push_back(unit.get());
  for (;;) {
    std::erase_if(open, [this](ChannelUnit* unit) {
      if (awaits_dead_letters(*unit)) return false;
      unit->channel().close();
      return true;
    });
    const auto over = [this] {
      return hurry_ || std::all_of(sinks_.begin(), sinks_.end(),
                                   [](const auto& sink) { return sink->ended(); });
    };
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return over() || std::any_of(open.begin(), open.end(), [this](const ChannelUnit* unit) {
               return !awaits_dead_letters(*unit);
             });
    });
    if (over()) return open;
  }
}

bool Agent::awaits_dead_letters(const ChannelUnit& unit) const noexcept {
  return std::any_of(sinks_.begin(), sinks_.end(), [&](const auto& sink) {
    const ChannelUnits& channels = sink->channels();
    return !sink->ended() &&
           std::find(channels.begin() + 1, channels.end(), &unit) != channels.end();
  });
}

/// What waits there is delivered after the next start: no reason to stop later for it.
void Agent::stop_sinks_of_durable_channels() {
  for (const auto& sink : sinks_) {
    if (sink->channels().front()->channel().keeps_beyond_process()) sink->request_stop();
  }
}

std::uint64_t Agent::report_lost() {
  std::uint64_t sum = 0;
  for (const auto& unit : channels_) {
    Channel& channel = unit->channel();
    if (const std::uint64_t lost = channel.abandon(); lost > 0) {
      log::error(
          "channel {}: {} events were still in memory and are lost; its sinks did not take "
          "them in time",
          channel.name(), lost);
      sum += lost;
    }
  }
  return sum;
}

Status Agent::fatal() const {
  const std::lock_guard lock(mutex_);
  return fatal_.value_or(Status());
}

std::vector<Agent::ComponentState> Agent::states() const {
  const auto is_ready = [](UnitState state) {
    return state == UnitState::Running || state == UnitState::Finished;
  };
  std::vector<ComponentState> states;
  const auto add = [&](std::string component, UnitState state) {
    states.push_back({std::move(component), state, is_ready(state)});
  };
  for (const auto& source : sources_) add(source->settings().component(), source->state());
  for (const auto& channel : channels_) {
    add("channel " + channel->channel().name(), channel->state());
  }
  for (const auto& sink : sinks_) {
    const UnitState whole = sink->state();
    add(sink->component(), whole);
    for (std::size_t i = 0; sink->size() > 1 && i < sink->size(); ++i) {
      states.push_back({sink->settings(i).component(), sink->state(i), is_ready(whole)});
    }
  }
  return states;
}

}  // namespace sluice
