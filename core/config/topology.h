// What an agent will run: its components, wired, and everything that is left out and why.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/config/component.h"
#include "core/config/diagnostics.h"
#include "core/config/settings.h"
#include "core/config/tree.h"

namespace sluice {

struct ChannelPlan {
  Settings settings;
};

struct InterceptorPlan {
  Settings settings;
};

/// The channels of events that go the same way. Both empty: nowhere.
struct RoutePlan {
  std::vector<std::string> channels;           ///< Required ones.
  std::vector<std::string> optional_channels;  ///< Not in `channels` too.
};

struct MappingPlan {
  std::string value;  ///< Of the header.
  RoutePlan route;
};

/// The selector multiplexing.
struct MultiplexingPlan {
  std::string header;
  std::vector<MappingPlan> mappings;  ///< No value twice.
  RoutePlan otherwise;                ///< selector.default.
};

struct SourcePlan {
  Settings settings;
  /// Those that an event may have to reach; when the selector replicates, that every event has to.
  std::vector<std::string> channels;
  std::vector<std::string> optional_channels;  ///< That events may reach besides.
  std::vector<InterceptorPlan> interceptors;
  std::optional<MultiplexingPlan> multiplexing;  ///< None: the selector replicates.
};

struct SinkPlan {
  Settings settings;
  std::string channel;
  std::string dead_letter_channel;                ///< Empty: the agent's dead-letter file.
  std::vector<std::string> result_channels = {};  ///< That parts of it write to.
};

/// The processor failover.
struct FailoverPlan {
  std::vector<std::int64_t> priorities;  ///< Of the group's sinks, falling.
  std::chrono::milliseconds penalty_max{};
};

/// The processor load_balance.
struct LoadBalancePlan {
  bool random = false;   ///< Else in turn.
  bool backoff = false;  ///< One that fails is left out for a while.
  std::chrono::milliseconds out_max{};
};

/// At least two sinks that share a channel and a thread. No sink is in two of them.
struct SinkGroupPlan {
  std::string label;               ///< "sink group g1"
  std::string name;                ///< "g1"; a group on several channels is a plan for each.
  std::string channel;             ///< Of all its sinks.
  std::vector<std::string> sinks;  ///< For failover those of higher priority first.
  std::variant<FailoverPlan, LoadBalancePlan> processor;
};

/// "failover", "load_balance".
std::string_view processor_name(const SinkGroupPlan& group) noexcept;

/// A component that the file wants and the agent runs without.
struct LeftOut {
  std::string component;   ///< "sink k1"
  std::string because;     ///< "its channel c1 is left out"
  Position where;          ///< Of the cause.
  bool not_built = false;  ///< The cause is ours: Flume has it, Sluice does not have it yet.
};

enum class Verdict : unsigned char {
  Runs,         ///< Everything that is listed runs.
  RunsWithout,  ///< Some of it runs; `left_out` says what does not.
  NotBuiltYet,  ///< Nothing runs, because of components that are not built yet.
  NothingToRun  ///< Nothing runs, because of what is in the file.
};

/// "runs", "runs without", "not built yet", "nothing to run".
std::string_view to_string(Verdict verdict) noexcept;

/// What one agent of the files amounts to. Every channel, source and sink in it is complete: its
/// settings are checked and what it refers to is in the plan too.
struct Plan {
  std::string agent;
  std::vector<ChannelPlan> channels;
  std::vector<SourcePlan> sources;
  std::vector<SinkPlan> sinks;
  std::vector<SinkGroupPlan> groups;  ///< Of some of the sinks.
  std::vector<LeftOut> left_out;
  std::optional<std::uint64_t> memory_limit_bytes;  ///< The key memoryLimit, when it is set.
  std::vector<Diagnostic> diagnostics;
  Verdict verdict = Verdict::NothingToRun;
};

/// Validates in Flume's order with Flume's consequences: what is broken is left out, with all that
/// cannot live without it, and the rest runs. Never fails: an agent that is not in the tree is an
/// error in the plan. `catalog` must outlive the plan.
Plan make_plan(const Tree& tree, const std::string& agent, const Catalog& catalog);

}  // namespace sluice
