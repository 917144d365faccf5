#include "agent/command_line.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <utility>

#include "core/config/diagnostics.h"
#include "core/config/values.h"

namespace sluice {
namespace {

constexpr std::string_view kEnvironmentResolver = "org.apache.flume.node.EnvVarResolverProperties";

enum class Meaning : unsigned char {
  Name,
  ConfFile,
  ConfUri,
  ConfDir,
  PollInterval,
  Once,
  ResetState,
  Strict,
  Json,
  DryRun,
  NoReload,
  Help,
  Version,
  ZooKeeper,
  NoMeaning,
  Store,
  Count,
  From,
  To,
  Output,
  JsonLines,
  Host,
  Port,
  InputFile,
  InputDirectory,
  HeaderFile,
  RpcProperties,
  Size,
  AgeMin,
  Recursive,
};

struct Flag {
  std::string_view long_name;
  std::string_view short_name;  ///< Without its dash; may have several letters, as in Flume.
  Meaning meaning;
  bool takes_argument;
  std::string_view why = {};  ///< NoMeaning: what to tell.
};

constexpr std::array<Flag, 39> kFlags = {{
    {"name", "n", Meaning::Name, true},
    {"conf-file", "f", Meaning::ConfFile, true},
    {"conf-uri", "u", Meaning::ConfUri, true},
    {"conf", "c", Meaning::ConfDir, true},
    {"poll-interval", "i", Meaning::PollInterval, true},
    {"once", "", Meaning::Once, false},
    {"reset-state", "", Meaning::ResetState, true},
    {"strict", "", Meaning::Strict, false},
    {"json", "", Meaning::Json, false},
    {"dry-run", "", Meaning::DryRun, false},
    {"dryrun", "d", Meaning::DryRun, false},
    {"no-reload-conf", "", Meaning::NoReload, false},
    {"help", "h", Meaning::Help, false},
    {"version", "v", Meaning::Version, false},
    {"zkConnString", "z", Meaning::ZooKeeper, true},
    {"zkBasePath", "p", Meaning::ZooKeeper, true},
    {"store", "", Meaning::Store, true},
    {"count", "", Meaning::Count, true},
    {"from", "", Meaning::From, true},
    {"to", "", Meaning::To, true},
    {"output", "o", Meaning::Output, true},
    {"jsonl", "", Meaning::JsonLines, false},
    {"host", "H", Meaning::Host, true},
    {"port", "p", Meaning::Port, true},
    {"filename", "F", Meaning::InputFile, true},
    {"dirname", "", Meaning::InputDirectory, true},
    {"headerFile", "R", Meaning::HeaderFile, true},
    {"rpcProps", "P", Meaning::RpcProperties, true},
    {"size", "", Meaning::Size, true},
    {"min-age", "", Meaning::AgeMin, true},
    {"recursive", "r", Meaning::Recursive, false},
    {"classpath", "C", Meaning::NoMeaning, true, "there is no Java class path here"},
    {"plugins-path", "", Meaning::NoMeaning, true, "Java plug-ins cannot be loaded"},
    {"auth-provider", "a", Meaning::NoMeaning, true, "configuration over HTTP is not built yet"},
    {"conf-provider", "prov", Meaning::NoMeaning, true, "Java classes cannot be loaded"},
    {"conf-user", "user", Meaning::NoMeaning, true, "configuration over HTTP is not built yet"},
    {"conf-password", "pwd", Meaning::NoMeaning, true, "configuration over HTTP is not built yet"},
    {"backup-directory", "b", Meaning::NoMeaning, true, "reloading is not built yet"},
    {"ignore-flume-log", "", Meaning::NoMeaning, false,
     "logs of Flume's file channel are not read"},
}};

/// `channel`, `files` and `avro-client` have flags of their own and take few of the others.
bool belongs_to(Verb verb, Meaning meaning) {
  if (meaning >= Meaning::Size) return verb == Verb::Files;
  if (verb == Verb::Files) {
    return meaning == Meaning::Json || meaning == Meaning::DryRun || meaning == Meaning::Help ||
           meaning == Meaning::Version;
  }
  if (meaning >= Meaning::Host) return verb == Verb::AvroClient;
  if (verb == Verb::AvroClient) {
    return meaning == Meaning::ConfDir || meaning == Meaning::Help || meaning == Meaning::Version ||
           meaning == Meaning::NoMeaning;
  }
  if (meaning >= Meaning::Store) return verb == Verb::Channel;
  if (verb != Verb::Channel) return true;
  return meaning == Meaning::Name || meaning == Meaning::ConfFile || meaning == Meaning::ConfDir ||
         meaning == Meaning::Json || meaning == Meaning::DryRun || meaning == Meaning::Help ||
         meaning == Meaning::Version;
}

const Flag* find_flag(std::string_view name, bool two_dashes, Verb verb) {
  const auto same = [&](const Flag& flag) {
    if (!belongs_to(verb, flag.meaning)) return false;
    // commons-cli takes a long name behind one dash too; a short one needs exactly one.
    return name == flag.long_name || (!two_dashes && !name.empty() && name == flag.short_name);
  };
  const auto found = std::find_if(kFlags.begin(), kFlags.end(), same);
  return found == kFlags.end() ? nullptr : &*found;
}

std::optional<log::Level> level_of(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, log::Level>, 8> kLevels = {
      {{"ALL", log::Level::Trace},
       {"TRACE", log::Level::Trace},
       {"DEBUG", log::Level::Debug},
       {"INFO", log::Level::Info},
       {"WARN", log::Level::Warn},
       {"ERROR", log::Level::Error},
       {"FATAL", log::Level::Error},
       {"OFF", log::Level::Off}}};
  for (const auto& [name, level] : kLevels) {
    if (equal_ignoring_case(name, word)) return level;
  }
  return std::nullopt;
}

bool is_console(std::string_view word) { return equal_ignoring_case(word, "console"); }

bool is_log_file(std::string_view word) {
  return equal_ignoring_case(word, "LOGFILE") || equal_ignoring_case(word, "DAILY");
}

/// -Dflume.root.logger=LEVEL,target
std::vector<std::string> root_logger_words(const CommandLine& line) {
  std::string words = line.property("flume.root.logger");
  std::replace(words.begin(), words.end(), ',', ' ');
  return parse_list(words);
}

class Parser {
 public:
  explicit Parser(const std::vector<std::string>& arguments) : arguments_(arguments) {}

  Result<CommandLine> run(std::string_view java_options) {
    // Of two values of a property the later wins, so what is typed comes behind.
    for (const std::string& word : parse_list(java_options)) {
      if (word.starts_with("-D")) static_cast<void>(define(word.substr(2)));
    }
    if (Status status = read_verb(); !status.ok()) return status;
    while (next_ < arguments_.size()) {
      if (Status status = read_argument(arguments_[next_++]); !status.ok()) return status;
    }
    if (Status status = finish(); !status.ok()) return status;
    return std::move(line_);
  }

 private:
  Status read_verb() {
    static constexpr std::array<std::pair<std::string_view, Verb>, 10> kVerbs = {
        {{"agent", Verb::Agent},
         {"node", Verb::Agent},
         {"check", Verb::Check},
         {"channel", Verb::Channel},
         {"files", Verb::Files},
         {"avro-client", Verb::AvroClient},
         {"version", Verb::Version},
         {"--version", Verb::Version},
         {"help", Verb::Help},
         {"--help", Verb::Help}}};
    const std::string word = arguments_.empty() ? "" : arguments_.front();
    if (word == "tool") return Invalid("Error: 'tool' is known from Flume, but not built yet");
    for (const auto& [name, verb] : kVerbs) {
      if (word != name) continue;
      line_.verb = verb;
      next_ = 1;
      if (word == "node") {
        line_.warnings.emplace_back(
            "Warning: The \"node\" command is deprecated. Please use \"agent\" instead.");
      }
      return {};
    }
    if (word == "-h") return {};  // Verb::Help; the rest is read as flags
    return Invalid("Error: Unknown or unspecified command '" + printable(word) +
                   "'\nknown: agent, check, channel, files, avro-client, version, help (sluice "
                   "help explains them)");
  }

  Status read_argument(const std::string& argument) {
    if (argument.size() < 2 || argument.front() != '-') return positional(argument);
    if (argument.starts_with("-D")) return define(argument.substr(2));
    for (std::string_view java : {"-X", "-agentlib", "-agentpath", "-javaagent"}) {
      if (!argument.starts_with(java)) continue;
      warn(argument, "it is for a Java machine, and there is none here");
      return {};
    }
    const bool two_dashes = argument.starts_with("--");
    std::string name = argument.substr(two_dashes ? 2 : 1);
    std::optional<std::string> value;
    if (const std::size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    const Flag* flag = find_flag(name, two_dashes, line_.verb);
    if (flag == nullptr) return unknown(argument, name);
    if (flag->takes_argument && !value) {
      if (next_ == arguments_.size()) {
        return Invalid("Error: Option " + printable(argument) + " requires an argument");
      }
      value = arguments_[next_++];
    }
    return apply(*flag, argument, value.value_or(""));
  }

  Status unknown(const std::string& argument, const std::string& name) const {
    std::vector<std::string_view> names;
    for (const Flag& flag : kFlags) {
      if (belongs_to(line_.verb, flag.meaning)) names.push_back(flag.long_name);
    }
    const std::string_view nearest = nearest_name(name, names);
    std::string message = "Unrecognized option: " + printable(argument);
    if (!nearest.empty()) message += " (did you mean --" + std::string(nearest) + "?)";
    return Invalid(std::move(message));
  }

  /// What a shell leaves of "\ # comment" in a tutorial, or a file name behind check.
  Status positional(const std::string& argument) {
    const bool blank = trim(argument).empty();
    if (line_.verb == Verb::Channel) return channel_word(argument);
    if (line_.verb == Verb::Files && !blank) return files_word(argument);
    if (line_.verb == Verb::Check && !blank) {
      line_.conf_files.push_back(argument);
    } else {
      const std::string why = blank ? ": a line ends in a backslash with a blank behind it" : "";
      line_.warnings.push_back(in_quotes(argument) + " on the command line is ignored" + why);
    }
    return {};
  }

  Status channel_word(const std::string& word) {
    ChannelArguments& arguments = line_.on_channel;
    if (arguments.action.empty()) {
      static constexpr std::array<std::string_view, 6> kActions = {"ls",     "peek",   "stat",
                                                                   "verify", "export", "replay"};
      if (std::find(kActions.begin(), kActions.end(), word) == kActions.end()) {
        return Invalid("Error: Unknown action '" + printable(word) +
                       "'\nknown: channel ls, peek, stat, verify, export, replay");
      }
      arguments.action = word;
      return {};
    }
    if (!arguments.channel.empty()) {
      return Invalid("Error: one channel at a time: " + in_quotes(arguments.channel) + " or " +
                     in_quotes(word) + "?");
    }
    arguments.channel = word;
    return {};
  }

  Status files_word(const std::string& word) {
    FilesArguments& arguments = line_.on_files;
    if (arguments.action.empty()) {
      if (word != "compact") {
        return Invalid("Error: Unknown action '" + printable(word) + "'\nknown: files compact");
      }
      arguments.action = word;
      return {};
    }
    if (!arguments.directory.empty()) {
      return Invalid("Error: one directory at a time: " + in_quotes(arguments.directory) + " or " +
                     in_quotes(word) + "?");
    }
    arguments.directory = word;
    return {};
  }

  Status define(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (text.empty() || equals == 0) {
      return Invalid("Error: -D needs a name: -Dname=value");
    }
    // Java takes -Dname for an empty value.
    line_.properties[text.substr(0, equals)] =
        equals == std::string::npos ? "" : text.substr(equals + 1);
    return {};
  }

  Status apply(const Flag& flag, const std::string& typed, std::string value) {
    switch (flag.meaning) {
      case Meaning::Name: line_.agent = std::move(value); break;
      case Meaning::ConfFile: line_.conf_files.push_back(std::move(value)); break;
      case Meaning::ConfUri: return add_uri(value);
      case Meaning::ConfDir: line_.conf_dir = std::move(value); break;
      case Meaning::PollInterval: return poll_interval(value);
      case Meaning::Once: line_.once = true; break;
      case Meaning::ResetState: line_.reset_state.push_back(std::move(value)); break;
      case Meaning::Strict: line_.strict = true; break;
      case Meaning::Json: line_.json = true; break;
      case Meaning::DryRun: line_.dry_run = true; break;
      case Meaning::NoReload: line_.no_reload = true; break;
      case Meaning::Help: line_.verb = Verb::Help; break;
      case Meaning::Version: line_.verb = Verb::Version; break;
      case Meaning::ZooKeeper:
        return Invalid("Error: " + printable(typed) +
                       ": configuration from ZooKeeper is not built; give a file with --conf-file");
      case Meaning::NoMeaning: warn(typed, std::string(flag.why)); break;
      case Meaning::Store: line_.on_channel.store = std::move(value); break;
      case Meaning::Output: line_.on_channel.output = std::move(value); break;
      case Meaning::Count: return number(typed, value, line_.on_channel.count);
      case Meaning::From: from_ = std::move(value); break;
      case Meaning::To: to_ = std::move(value); break;
      case Meaning::JsonLines: json_lines_ = true; break;
      case Meaning::Host: line_.on_avro_client.host = std::move(value); break;
      case Meaning::Port: return client_port(typed, value);
      case Meaning::InputFile: line_.on_avro_client.file = std::move(value); break;
      case Meaning::InputDirectory: line_.on_avro_client.directory = std::move(value); break;
      case Meaning::HeaderFile: line_.on_avro_client.header_file = std::move(value); break;
      case Meaning::RpcProperties: line_.on_avro_client.rpc_properties = std::move(value); break;
      case Meaning::Size: return merged_size(value);
      case Meaning::AgeMin: return age_min(value);
      case Meaning::Recursive: line_.on_files.recursive = true; break;
    }
    return {};
  }

  Status merged_size(const std::string& text) {
    const auto bytes = parse_bytes(text);
    if (!bytes.ok() || bytes.value() == 0) {
      return Invalid("Error: --size: " + in_quotes(text) + " is not a size, such as 128MiB");
    }
    line_.on_files.size_bytes = bytes.value();
    return {};
  }

  Status age_min(const std::string& text) {
    const auto age = parse_duration(text, std::chrono::seconds(1));
    if (!age.ok() || age.value().count() < 0) {
      return Invalid("Error: --min-age: " + in_quotes(text) + " is not a number of seconds");
    }
    line_.on_files.age_min = std::chrono::duration_cast<std::chrono::seconds>(age.value());
    return {};
  }

  Status add_uri(const std::string& uri) {
    constexpr std::string_view kFile = "file:";
    if (uri.starts_with("http:") || uri.starts_with("https:") || uri.starts_with("classpath:")) {
      return Invalid("Error: --conf-uri " + printable(uri) +
                     ": only file: is built yet; fetch it and give it with --conf-file");
    }
    std::string path = uri.starts_with(kFile) ? uri.substr(kFile.size()) : uri;
    if (path.starts_with("//")) path.erase(0, 2);
    line_.conf_files.push_back(std::move(path));
    return {};
  }

  Status poll_interval(const std::string& text) {
    Result<std::int64_t> seconds = parse_integer(text);
    if (!seconds.ok() || *seconds < 0) {
      return Invalid("Error: --poll-interval: " + in_quotes(text) + " is not a number of seconds");
    }
    if (*seconds > 0) line_.poll_interval = std::chrono::seconds(*seconds);
    return {};
  }

  static Status number(const std::string& typed, const std::string& text, std::uint64_t& into) {
    const Result<std::int64_t> value = parse_integer(text);
    if (!value.ok() || value.value() < 0) {
      return Invalid("Error: " + printable(typed) + ": " + in_quotes(text) + " is not a number");
    }
    into = static_cast<std::uint64_t>(value.value());
    return {};
  }

  Status client_port(const std::string& typed, const std::string& text) {
    auto port = parse_port(text);
    if (!port.ok() || *port == 0) {
      return Invalid("Error: " + printable(typed) + ": " + in_quotes(text) + " is not a port");
    }
    line_.on_avro_client.port = *port;
    return {};
  }

  void warn(const std::string& what, const std::string& why) {
    line_.warnings.push_back(printable(what) + " has no meaning here: " + why);
  }

  Status finish() {
    if (line_.verb == Verb::Help || line_.verb == Verb::Version) return {};
    if (line_.verb == Verb::Channel) return finish_channel();
    if (line_.verb == Verb::Files) return finish_files();
    if (line_.verb == Verb::AvroClient) return finish_avro_client();
    // Flume's words, sic, and in its order.
    if (line_.verb == Verb::Agent && line_.agent.empty()) {
      return Invalid("Missing required option: n (--name <agent>)");
    }
    if (line_.conf_files.empty()) {
      return Invalid("No configuiration was provided (--conf-file <file>)");
    }
    check_environment_script();
    check_root_logger();
    return check_files();
  }

  Status finish_channel() {
    const ChannelArguments& arguments = line_.on_channel;
    if (arguments.action.empty()) {
      return Invalid("Error: channel needs an action: ls, peek, stat, verify, export or replay");
    }
    const bool all_is_meant = arguments.action == "ls" || arguments.action == "verify";
    if (arguments.channel.empty() && !all_is_meant) {
      return Invalid("Error: channel " + arguments.action +
                     " needs the name of a channel (sluice channel ls shows them)");
    }
    Status where = arguments.action == "replay" ? replay_arguments() : sequence_arguments();
    if (!where.ok()) return where;
    if (arguments.action == "export" && !json_lines_) {
      return Invalid("Error: channel export needs --jsonl, the one form there is");
    }
    if (!line_.conf_files.empty() && line_.agent.empty()) {
      return Invalid("Missing required option: n (--name <agent>), for --conf-file");
    }
    return check_files();
  }

  Status finish_files() {
    FilesArguments& arguments = line_.on_files;
    if (arguments.action.empty()) return Invalid("Error: files needs an action: compact");
    if (arguments.directory.empty()) return Invalid("Error: files compact needs a directory");
    const std::string typed = arguments.directory;
    constexpr std::string_view kFile = "file:";
    if (typed.starts_with(kFile)) {
      arguments.directory.erase(0, kFile.size());
      if (arguments.directory.starts_with("//")) arguments.directory.erase(0, 2);
      if (arguments.directory.starts_with("/")) return {};
      return Invalid("Error: " + in_quotes(typed) + " names no directory: file:///DIRECTORY");
    }
    if (!is_elsewhere(typed)) return {};
    return Invalid("Error: " + in_quotes(typed) +
                   " is not on this machine: only local and mounted directories can be compacted "
                   "yet");
  }

  /// hdfs://..., and hdfs:/... as Hadoop takes it too; a plain path may hold a colon.
  static bool is_elsewhere(std::string_view typed) {
    const std::size_t colon = typed.find(':');
    if (typed.find("://") == colon && colon != std::string_view::npos) return true;
    return typed.starts_with("hdfs:/") || typed.starts_with("webhdfs:/") ||
           typed.starts_with("swebhdfs:/");
  }

  Status finish_avro_client() {
    const AvroClientArguments& arguments = line_.on_avro_client;
    if (!arguments.file.empty() && !arguments.directory.empty()) {
      return Invalid("Error: --filename and --dirname: give one of them");
    }
    if (arguments.host.empty() != (arguments.port == 0)) {
      return Invalid(arguments.host.empty() ? "Error: You must specify a hostname with --host"
                                            : "Error: You must specify a port with --port");
    }
    if (arguments.host.empty() && arguments.rpc_properties.empty()) {
      return Invalid("Error: avro-client needs --host and --port, or --rpcProps <file>");
    }
    return {};
  }

  Status sequence_arguments() {
    ChannelArguments& arguments = line_.on_channel;
    if (line_.dry_run) return Invalid("Error: --dry-run is for channel replay");
    Status from = from_ ? number("--from", *from_, arguments.from) : Status();
    return from.ok() && to_ ? number("--to", *to_, arguments.to) : from;
  }

  Status replay_arguments() {
    ChannelArguments& arguments = line_.on_channel;
    if (!from_ || !to_) {
      return Invalid(
          "Error: channel replay needs --from SEQUENCE|TIME and --to CHANNEL, which may be the "
          "same channel");
    }
    if (line_.json)
      return Invalid("Error: channel replay has no --json; its exit status says how it went");
    auto from = parse_replay_from(*from_, Clock::system().wall_ms());
    if (!from.ok()) return Invalid("Error: --from: " + from.status().message());
    arguments.replay_from = *from;
    arguments.replay_to = *to_;
    return {};
  }

  /// Flume's script runs this file; a person who moves an agent may not know that we do not.
  void check_environment_script() {
    if (line_.conf_dir.empty()) return;
    const std::filesystem::path script = std::filesystem::path(line_.conf_dir) / "flume-env.sh";
    std::error_code error;
    if (!std::filesystem::exists(script, error)) return;
    line_.warnings.push_back(printable(script.string()) +
                             " is not read: put the -D words of its JAVA_OPTS on the command line, "
                             "and its other exports "
                             "into the environment");
  }

  void check_root_logger() {
    bool console = false;
    bool file = false;
    for (const std::string& word : root_logger_words(line_)) {
      console = console || is_console(word);
      file = file || is_log_file(word);
      if (level_of(word) || is_console(word) || is_log_file(word)) continue;
      line_.warnings.push_back(
          in_quotes(word) +
          " in -Dflume.root.logger is passed over: it is no level (TRACE, DEBUG, "
          "INFO, WARN, ERROR, OFF) and no target (console, LOGFILE)");
    }
    if (console && file) {
      line_.warnings.emplace_back(
          "-Dflume.root.logger names console and LOGFILE: the log goes to the console only");
    }
  }

  /// A relative file is not looked for below --conf, as in Flume; but that is often what was meant.
  Status check_files() const {
    for (const std::string& file : line_.conf_files) {
      std::error_code error;
      if (std::filesystem::exists(file, error) || line_.conf_dir.empty()) continue;
      const std::filesystem::path beneath = std::filesystem::path(line_.conf_dir) / file;
      if (!std::filesystem::path(file).is_relative() || !std::filesystem::exists(beneath, error)) {
        continue;
      }
      return Invalid("The specified configuration file does not exist: " + printable(file) +
                     "\n--conf does not select the file; did you mean --conf-file " +
                     printable(beneath.string()) + "?");
    }
    return {};
  }

  const std::vector<std::string>& arguments_;
  std::size_t next_ = 0;
  bool json_lines_ = false;
  std::optional<std::string> from_;  ///< --from and --to of channel, as typed.
  std::optional<std::string> to_;
  CommandLine line_;
};

}  // namespace

std::string CommandLine::property(std::string_view key) const {
  const auto found = properties.find(key);
  return found == properties.end() ? std::string() : found->second;
}

log::Options CommandLine::log_options() const {
  log::Options options;
  const bool file_named =
      properties.count("flume.log.dir") > 0 || properties.count("flume.log.file") > 0;
  bool console = false;
  bool file = false;
  for (const std::string& word : root_logger_words(*this)) {
    if (const auto level = level_of(word)) options.level = *level;
    console = console || is_console(word);
    file = file || is_log_file(word);
  }
  options.console = console || !(file || file_named);
  const std::string dir = property("flume.log.dir");
  const std::string name = property("flume.log.file");
  options.file_path =
      (std::filesystem::path(dir.empty() ? "./logs" : dir) / (name.empty() ? "flume.log" : name))
          .string();
  return options;
}

std::optional<MonitoringChoice> CommandLine::monitoring() const {
  const auto type = properties.find("flume.monitoring.type");
  if (type == properties.end()) return std::nullopt;
  MonitoringChoice choice;
  choice.type = type->second;
  if (Result<std::uint16_t> port = parse_port(property("flume.monitoring.port")); port.ok()) {
    choice.port = *port;
  }
  return choice;
}

LoadOptions CommandLine::load_options() const {
  LoadOptions options;
  options.files = conf_files;
  options.sources.system_properties = properties;
  options.sources.bare_environment = property("propertiesImplementation") == kEnvironmentResolver;
  return options;
}

std::string usage_text() {
  return R"(Usage: sluice <command> [options]      (flume-ng is a second name of the same program)

commands:
  agent      run an agent
  check      explain a configuration: every problem, what runs, what is left out
  channel    look at what waits in durable channels, also while the agent runs
  files      merge small files that sinks have written
  avro-client  send lines to an avro source
  version    show the version
  help       show this text

agent and check:
  --conf-file, -f <file>    the configuration, Flume properties or YAML; several: later wins
  --name, -n <agent>        the agent in it (check: every agent when absent)
  --conf, -c <dir>          taken as Flume does; does not select the file
  -Dproperty=value          a property: ${sys:property} in the file, and those below

agent:
  --once                    end with status 0 when finite sources are drained; all must run
  --strict                  refuse to start when anything would be left out, or is an error
  --dryrun, -d              check and print, but do not run
  --reset-state SINK        forget what a microbatch sink has kept, at this start; may be repeated
  --no-reload-conf          read the file only once
  --poll-interval, -i <s>   seconds between looks at the file;  --conf-uri, -u <uri>  file: only

check:
  --json                    the report as JSON

channel ls                  the channels of a store; --json
channel stat <channel>      the account of one, its frames, positions of sources; --json
channel peek <channel>      its next events, which stay; --count <n> --from <sequence> --json
channel verify [<channel>]  read and check everything; status 1 when something is damaged; --json
channel export <channel> --jsonl    each waiting event as a line of JSON;
                            --from <sequence> --to <sequence> --output <file>
channel replay <channel> --from <sequence|time> --to <channel>    put delivered events that the
                            channel kept (its key retention) into a channel; --dry-run counts them;
                            a time is 2026-11-21T10:30:00Z, -1h, or @ and milliseconds
  --store <dir>             the store, or that of the agent:
  --name, -n <agent>        (and -Dsluice.state.dir=<dir>, --conf-file <file>) as it was started

files compact <directory>   merge its small complete files into large ones of the same format;
                            --dry-run only tells which; --recursive, -r: below it too; --json
  --size <bytes>            a merged file is complete from here on: 64MB, 1Gi; default 128Mi
  --min-age <seconds>       leave alone what was modified later than so long ago; default 600

avro-client:
  --host, -H <host>  --port, -p <port>    of the avro source
  --filename, -F <file>     its lines; otherwise those of standard input
  --dirname <dir>           every file in it, the oldest first; each is renamed to .COMPLETED
  --headerFile, -R <file>   properties that become headers of every event
  --rpcProps, -P <file>     hosts, client.type, batch-size, connect-timeout, request-timeout,
                            retry-time, max-attempts

properties:
  -Dflume.root.logger=LEVEL,console|LOGFILE    -Dflume.log.dir=<dir>    -Dflume.log.file=<name>
  -Dflume.monitoring.type=http                 -Dflume.monitoring.port=<port>
  -Dsluice.memory.limit=64Mi   budget of the memory channels without a byteCapacity, together
  -Dsluice.state.dir=<dir>     where durable channels keep their events; else ~/.sluice/NAME
  -Dsluice.dead.letter.limit=64Mi   bound of the file for what sinks can never deliver
  -Dsluice.drain.ms=5s         how long a stop lets sinks empty their channels
  -DpropertiesImplementation=org.apache.flume.node.EnvVarResolverProperties   ${VAR} is $VAR
  The -D words of $JAVA_OPTS and $FLUME_JAVA_OPTS count too; what is typed wins.

Flume's -X..., --classpath, --plugins-path, --conf-provider and the like are taken and have no
effect. Exit status: 0 all well; check: 1 something is left out or an error; channel: 1 something is
damaged or cannot be read; files: 1 something is damaged or failed; avro-client: 1 not all was
acknowledged; 2 unreadable file or wrong usage.
)";
}

Result<CommandLine> parse_command_line(const std::vector<std::string>& arguments,
                                       std::string_view java_options) {
  return Parser(arguments).run(java_options);
}

}  // namespace sluice
