// What a person typed: Flume's command line, and ours.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/replay_from.h"
#include "core/base/log.h"
#include "core/base/status.h"
#include "core/config/tree.h"

namespace sluice {

enum class Verb : unsigned char { Agent, Check, Channel, Files, AvroClient, Version, Help };

/// `sluice channel ACTION [CHANNEL]`, as typed.
struct ChannelArguments {
  std::string action;   ///< ls, peek, stat, verify, export, replay.
  std::string channel;  ///< Empty: all of them, where the action allows it.
  std::string store;    ///< --store; empty: that of the agent.
  std::string output;   ///< --output; empty: standard output.
  std::uint64_t count = 10;
  std::uint64_t from = 0;
  std::uint64_t to = UINT64_MAX;  ///< The last sequence.
  ReplayFrom replay_from;         ///< replay: --from; what was said in time is a moment.
  std::string replay_to;          ///< replay: --to, a channel.
};

/// `sluice files ACTION DIRECTORY`, as typed.
struct FilesArguments {
  std::string action;  ///< compact.
  std::string directory;
  std::uint64_t size_bytes = 128 << 20;
  std::chrono::seconds age_min{600};
  bool recursive = false;
};

/// `sluice avro-client`, as typed.
struct AvroClientArguments {
  std::string host;  ///< Empty: the file of RPC properties names receivers.
  std::uint16_t port = 0;
  std::string rpc_properties;  ///< A file; empty: none.
  std::string header_file;     ///< Empty: none.
  std::string file;
  std::string directory;  ///< Without both: standard input.
};

/// -Dflume.monitoring.*
struct MonitoringChoice {
  std::string type;  ///< As typed: "http", "ganglia", a class name.
  std::uint16_t port = 41414;
};

/// A parsed command line. Plain data.
struct CommandLine {
  Verb verb = Verb::Help;
  std::string agent;  ///< --name; empty for check means every agent.
  std::string conf_dir;
  std::vector<std::string> conf_files;
  std::map<std::string, std::string, std::less<>> properties;  ///< -Dkey=value
  std::optional<std::chrono::seconds> poll_interval;
  bool once = false;
  std::vector<std::string> reset_state;  ///< Sinks whose state is forgotten at the start.
  bool strict = false;
  bool json = false;
  bool dry_run = false;
  bool no_reload = false;
  ChannelArguments on_channel;         ///< Verb::Channel
  FilesArguments on_files;             ///< Verb::Files
  AvroClientArguments on_avro_client;  ///< Verb::AvroClient
  /// What was given and has no meaning here, a sentence each.
  std::vector<std::string> warnings;

  /// "" when -Dkey was not given.
  std::string property(std::string_view key) const;
  /// Where the log goes: -Dflume.root.logger=LEVEL,console|LOGFILE, -Dflume.log.dir, .file.
  /// Without them: INFO on the console. Of console and LOGFILE together the console is taken, and
  /// words that are no level or target are passed over; `warnings` has said so.
  log::Options log_options() const;
  /// Nothing when no -Dflume.monitoring.type was given.
  std::optional<MonitoringChoice> monitoring() const;
  /// The files and where ${...} finds its values.
  LoadOptions load_options() const;
};

/// Reads the arguments behind the program's name.
///
/// Takes every flag that Flume takes, long, short and -single; what has no meaning here is a
/// warning. Of `java_options`, words that Flume's script would hand to Java, the -D ones count as
/// if they were typed first. Errors: Invalid, with what to print on stderr before exiting with
/// status 2.
Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                       std::string_view java_options = {});

/// What `help` prints.
std::string usage_text();

}  // namespace sluice
