#include "agent/run_agent.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "agent/check.h"
#include "agent/monitoring.h"
#include "agent/state_directory.h"
#include "agent/systemd_notify.h"
#include "core/base/cgroup.h"
#include "core/base/log.h"
#include "core/base/signals.h"
#include "core/config/values.h"

namespace sluice {
namespace {

constexpr int exit_failed = 1;

void log_diagnostics(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& d : diagnostics) {
    const std::string place = to_string(d.where);
    const std::string text = (place.empty() ? "" : place + ": ") + d.message +
                             (d.hint.empty() ? "" : " (" + d.hint + ")");
    switch (d.severity) {
      case Severity::Note: log::debug("{}", text); break;
      case Severity::Warning: log::warn("{}", text); break;
      case Severity::Error: log::error("{}", text); break;
    }
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

void log_plan(const Plan& plan) {
  for (const SourcePlan& s : plan.sources) {
    log::info(
        "agent {}: source {} ({}) -> {}", plan.agent, s.settings.name(), s.settings.info().alias,
        joined(s.channels) +
            (s.optional_channels.empty() ? "" : ", optional: " + joined(s.optional_channels)) +
            (s.multiplexing ? ", by header " + s.multiplexing->header : ""));
  }
  for (const SinkPlan& k : plan.sinks) {
    log::info("agent {}: {} -> sink {} ({}){}", plan.agent, k.channel, k.settings.name(),
              k.settings.info().alias,
              k.dead_letter_channel.empty() ? "" : ", dead letters -> " + k.dead_letter_channel);
  }
  for (const LeftOut& out : plan.left_out) {
    log::error("agent {}: {} is left out: {}", plan.agent, out.component, out.because);
  }
}

/// A channel that nothing empties; "" when every one has a sink, or other agents that may read it.
std::string unread_channel(const Plan& plan) {
  for (const ChannelPlan& channel : plan.channels) {
    const std::string& name = channel.settings.name();
    if (channel.settings.info().has_others) continue;
    if (std::none_of(plan.sinks.begin(), plan.sinks.end(),
                     [&](const SinkPlan& sink) { return sink.channel == name; })) {
      return name;
    }
  }
  return {};
}

/// True when other agents may have written what is to be drained.
bool has_shared_channel(const Plan& plan) {
  return std::any_of(plan.channels.begin(), plan.channels.end(),
                     [](const ChannelPlan& channel) { return channel.settings.info().has_others; });
}

/// Why what could run is not started all the same; "" when it is.
std::string refusal(const CommandLine& line, const Plan& plan, bool errors) {
  if (line.once && plan.sources.empty() && !has_shared_channel(plan)) {
    return "--once: there is no source that runs, so there is nothing to drain";
  }
  if ((line.once || line.strict) && !plan.left_out.empty()) {
    return fmt::format("{}: {} component(s) would be left out, so nothing is started",
                       line.strict ? "--strict" : "--once", plan.left_out.size());
  }
  if (line.strict && errors) return "--strict: the configuration has errors, so nothing is started";
  const std::string unread = unread_channel(plan);
  if (line.once && !unread.empty()) {
    return "--once: no sink reads channel " + unread + ", so it could never be drained";
  }
  return {};
}

/// Loads and plans; nothing when there is nothing to run.
std::optional<Plan> load_plan(const CommandLine& line) {
  const Loaded loaded = load_files(line.load_options());
  log_diagnostics(loaded.diagnostics);
  if (!loaded.readable) return std::nullopt;
  Plan plan = make_plan(loaded.tree, line.agent, built_catalog());
  log_diagnostics(plan.diagnostics);
  log_plan(plan);
  if (plan.verdict == Verdict::NothingToRun || plan.verdict == Verdict::NotBuiltYet) {
    log::error("agent {}: nothing can run ({}); sluice check --conf-file {} explains every problem",
               line.agent, to_string(plan.verdict), joined(line.conf_files));
    return std::nullopt;
  }
  const bool errors = has_errors(loaded.diagnostics) || has_errors(plan.diagnostics);
  if (const std::string why = refusal(line, plan, errors); !why.empty()) {
    log::error("agent {}: {}", line.agent, why);
    return std::nullopt;
  }
  return plan;
}

/// -Dkey=value, if it was given; what cannot be read is said and leaves `into` as it is.
template <typename Parse, typename Value>
void read_property(const CommandLine& line, std::string_view key, Parse parse, Value& into) {
  const std::string text = line.property(key);
  if (text.empty()) return;
  auto value = parse(text);
  if (value.ok() && *value >= Value{}) {
    into = *value;
  } else {
    log::warn("-D{}={} has no effect: {}", key, text,
              value.ok() ? "it is negative" : value.status().message());
  }
}

/// A container's own limit is shared with all that is not events.
std::uint64_t default_memory_limit() {
  const std::uint64_t most = Agent::Options().memory_limit_bytes;
  const auto limit = cgroup_memory_limit_bytes();
  return limit ? std::min(most, *limit / 4) : most;
}

/// The command line, then the file, then what the system lets us have.
Agent::Options agent_options(const CommandLine& line, const Plan& plan) {
  Agent::Options options;
  options.once = line.once;
  options.reset_state.insert(line.reset_state.begin(), line.reset_state.end());
  options.state_directory = state_directory(line);
  options.memory_limit_bytes = plan.memory_limit_bytes.value_or(default_memory_limit());
  read_property(line, "sluice.memory.limit", parse_bytes, options.memory_limit_bytes);
  read_property(line, "sluice.dead.letter.limit", parse_bytes, options.dead_letter_bytes_max);
  const auto in_ms = [](std::string_view text) { return parse_duration(text, milliseconds(1)); };
  read_property(line, "sluice.drain.ms", in_ms, options.drain_max);
  return options;
}

/// -Dflume.monitoring.*: nothing when it was not asked for.
std::optional<Monitoring::Options> monitoring_options(const CommandLine& line) {
  const auto choice = line.monitoring();
  if (!choice) return std::nullopt;
  if (!equal_ignoring_case(choice->type, "http") &&
      !equal_ignoring_case(choice->type, "prometheus")) {
    log::error(
        "flume.monitoring.type = {} is not built; http serves Flume's JSON at /metrics and "
        "Prometheus' text at /prometheus",
        choice->type);
    return std::nullopt;
  }
  Monitoring::Options options;
  options.port = choice->port;
  read_property(line, "flume.monitoring.port", parse_port, options.port);
  const std::string bind = line.property("flume.monitoring.bind");
  if (!bind.empty()) options.bind = bind;
  return options;
}

/// Everything between start and stop.
class Running {
 public:
  Running(const CommandLine& line, const Plan& plan)
      : line_(line),
        notify_(SystemdNotify::take_from_environment()),
        agent_(plan, agent_options(line, plan)),
        signals_({SIGTERM, SIGINT, SIGHUP}, [this](int signal) { on_signal(signal); }) {}

  int run() {
    if (Status status = agent_.start(); !status.ok()) {
      log::error("the agent cannot start: {}", status.message());
      return exit_failed;
    }
    serve();
    log::info("agent {} is running; memory accounts {}", line_.agent, agent_.memory_limit_text());
    tell([this] { return notify_.ready(); });
    const milliseconds beat = notify_.watchdog_interval().value_or(milliseconds(1000));
    bool over = false;
    while (!over && !stop_) {
      over = agent_.wait(Deadline::in(beat), line_.once);
      last_turn_ = Clock::system().steady().time_since_epoch().count();
      serve();
      tell([this] { return notify_.ping(); });
    }
    tell([this] { return notify_.stopping(); });
    const bool drain_all = line_.once && !stop_;
    log::info("agent {} is stopping{}", line_.agent,
              drain_all ? ": its sources are at their end" : "");
    const std::uint64_t lost = agent_.stop(drain_all);
    log::info("agent {} has stopped", line_.agent);
    return agent_.fatal().ok() && !(line_.once && (lost > 0 || some_failed())) ? 0 : exit_failed;
  }

 private:
  /// A batch job whose source or sink could not run has not done its work, unless the rest of its
  /// group did.
  bool some_failed() const {
    const auto states = agent_.states();
    return std::any_of(states.begin(), states.end(), [](const auto& each) {
      return each.state == UnitState::Failed && !each.ready;
    });
  }

  /// Starts the monitoring server, or tries again: a port may be taken for a while.
  void serve() {
    if (monitored_) return;
    if (!monitoring_) {
      const auto options = monitoring_options(line_);
      monitored_ = !options;
      if (!options) return;
      monitoring_.emplace(
          *options, agent_.metrics(), agent_.views(),
          Monitoring::Health{[this] { return health(); }, [this] { return alive(); }});
    }
    const Status status = monitoring_->start();
    monitored_ = status.ok();
    if (status.ok()) {
      log::info("monitoring: http on port {}", monitoring_->port());
    } else if (!monitoring_failed_) {
      monitoring_failed_ = true;
      log::error("monitoring: {}; it is tried again while the agent runs", status.message());
    }
  }

  /// The supervising loop turns about once a second; a drain takes as long as it takes.
  bool alive() const {
    constexpr std::chrono::seconds silence_max{30};
    const SteadyTime last{SteadyTime::duration(last_turn_.load())};
    return stop_ || line_.once || Clock::system().steady() - last < silence_max;
  }

  std::vector<ComponentHealth> health() const {
    std::vector<ComponentHealth> all;
    for (const auto& [component, state, ready] : agent_.states()) {
      all.push_back({component, ready, std::string(to_string(state))});
    }
    return all;
  }

  void on_signal(int signal) {
    if (signal == SIGHUP) return log::reopen();
    if (stop_.exchange(true)) {
      log::warn("asked to stop once more: what is not delivered by now is given up");
      agent_.hurry();
    } else {
      agent_.bound_stop();  // the drain of --once may be under way
    }
    agent_.wake();
  }

  template <typename Call>
  void tell(Call call) {
    if (const Status status = call(); !status.ok() && !notify_failed_) {
      notify_failed_ = true;
      log::warn("systemd cannot be told: {}", status.message());
    }
  }

  const CommandLine& line_;
  SystemdNotify notify_;
  std::atomic<bool> stop_{false};
  std::atomic<SteadyTime::rep> last_turn_{Clock::system().steady().time_since_epoch().count()};
  bool notify_failed_ = false;
  Agent agent_;
  std::optional<Monitoring> monitoring_;
  bool monitored_ = false;  ///< It serves, or is not wanted.
  bool monitoring_failed_ = false;
  SignalWatch signals_;  ///< Made behind the agent, which it calls, and before the first thread.
};

}  // namespace

int run_agent(const CommandLine& line) {
  if (Status status = log::configure(line.log_options()); !status.ok()) {
    log::error("{}", status.message());
    return exit_failed;
  }
  for (const std::string& warning : line.warnings) log::warn("{}", warning);
  const std::optional<Plan> plan = load_plan(line);
  if (!plan) return exit_failed;
  Running running(line, *plan);
  const int status = running.run();
  log::flush();
  return status;
}

}  // namespace sluice
