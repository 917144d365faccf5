#include "agent/command_line.h"

#include <fstream>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/support/captured_log.h"

using namespace sluice;

namespace {

CommandLine parsed(const std::vector<std::string>& arguments) {
  Result<CommandLine> line = parse_command_line(arguments);
  if (!line.ok()) FAIL(line.status().message());
  return std::move(line).value();
}

std::string refused(const std::vector<std::string>& arguments) {
  const Result<CommandLine> line = parse_command_line(arguments);
  REQUIRE_FALSE(line.ok());
  CHECK(line.code() == Code::Invalid);
  return line.status().message();
}

}  // namespace

TEST_CASE("The tutorial's command line works as it is written") {
  const CommandLine line = parsed({"agent", "--name", "a1", "--conf", "conf", "--conf-file",
                                   "tutorial.conf", "-Dflume.root.logger=INFO,console"});
  CHECK(line.verb == Verb::Agent);
  CHECK(line.agent == "a1");
  CHECK(line.conf_dir == "conf");
  CHECK(line.conf_files == std::vector<std::string>{"tutorial.conf"});
  CHECK(line.warnings.empty());
  CHECK(line.log_options().console);
  CHECK(line.log_options().level == log::Level::Info);
}

TEST_CASE("Short flags, = and any order do as well") {
  const CommandLine line = parsed({"agent", "-Dx=y", "-f", "a.conf", "-n", "a1", "-c", "conf",
                                   "--conf-file=b.conf", "-Dempty", "-Dk=v=w"});
  CHECK(line.agent == "a1");
  CHECK(line.conf_files == std::vector<std::string>{"a.conf", "b.conf"});
  CHECK(line.property("x") == "y");
  CHECK(line.property("k") == "v=w");
  CHECK(line.properties.count("empty") == 1);
  CHECK(line.property("none") == "");
}

TEST_CASE("What only Java needs is taken with a warning") {
  const CommandLine line = parsed({"agent",
                                   "-n",
                                   "a1",
                                   "-f",
                                   "x",
                                   "-Xmx512m",
                                   "-XX:+UseG1GC",
                                   "-javaagent:x.jar",
                                   "-C",
                                   "lib",
                                   "--plugins-path",
                                   "p",
                                   "-prov",
                                   "P",
                                   "-user",
                                   "u",
                                   "-pwd",
                                   "w",
                                   "-a",
                                   "A",
                                   "-b",
                                   "dir"});
  CHECK(line.warnings.size() == 10);
  CHECK(line.warnings.at(0) ==
        "-Xmx512m has no meaning here: it is for a Java machine, and there is none here");
  CHECK(parsed({"node", "-n", "a", "-f", "x"}).warnings.at(0) ==
        "Warning: The \"node\" command is deprecated. Please use \"agent\" instead.");
}

TEST_CASE("What is not built yet is a warning that says so") {
  const CommandLine line =
      parsed({"agent", "-n", "a1", "-f", "x", "--ignore-flume-log", "--backup-directory", "d"});
  REQUIRE(line.warnings.size() == 2);
  CHECK(line.warnings[0].find("logs of Flume's file channel are not read") != std::string::npos);
  CHECK(line.warnings[1].find("not built yet") != std::string::npos);
  CHECK(usage_text().find("ignore-flume-log") == std::string::npos);
}

TEST_CASE("The -D words of Java's options count, and what is typed wins") {
  const auto line = parse_command_line({"agent", "-n", "a1", "-f", "x", "-Dtwice=typed"},
                                       "-Xmx1g -Dtwice=java\t-Dq=1 -D -D=x -Dq=2 word");
  REQUIRE(line.ok());
  CHECK(line->property("twice") == "typed");
  CHECK(line->property("q") == "2");
  CHECK(line->properties.size() == 2);
  CHECK(line->warnings.empty());
}

TEST_CASE("A flume-env.sh beneath --conf is not read, and told") {
  const testing::TempDirectory directory;
  const std::string conf = directory.path("");
  CHECK(parsed({"agent", "-n", "a", "-c", conf, "-f", "x"}).warnings.empty());
  std::ofstream(directory.path("flume-env.sh")) << "export JAVA_OPTS=-Dq=1\n";
  const CommandLine line = parsed({"agent", "-n", "a", "-c", conf, "-f", "x"});
  REQUIRE(line.warnings.size() == 1);
  CHECK(line.warnings[0].find("flume-env.sh is not read: ") != std::string::npos);
  CHECK(line.property("q") == "");
}

TEST_CASE("What a shell leaves of a tutorial's comments is a warning") {
  const CommandLine line = parsed({"agent", "--name", "a1", " #", "agent", "name", "-f", "x", " "});
  CHECK(line.agent == "a1");
  CHECK(line.warnings.size() == 4);
  CHECK(line.warnings.at(1) == "'agent' on the command line is ignored");
  CHECK(line.warnings.at(3).find("ends in a backslash") != std::string::npos);
}

TEST_CASE("Our own flags") {
  const CommandLine line = parsed(
      {"agent", "-n", "a1", "-f", "x", "--once", "--strict", "-d", "--no-reload-conf", "-i", "5"});
  CHECK(line.once);
  CHECK(line.strict);
  CHECK(line.dry_run);
  CHECK(line.no_reload);
  CHECK(line.poll_interval == std::chrono::seconds(5));
  CHECK_FALSE(parsed({"agent", "-n", "a1", "-f", "x", "-i", "0"}).poll_interval.has_value());
}

TEST_CASE("check needs no agent, and takes a bare file name") {
  const CommandLine line = parsed({"check", "--json", "x.conf"});
  CHECK(line.verb == Verb::Check);
  CHECK(line.json);
  CHECK(line.agent == "");
  CHECK(line.conf_files == std::vector<std::string>{"x.conf"});
}

TEST_CASE("help and version in every spelling") {
  for (const char* word : {"help", "--help", "-h"}) CHECK(parsed({word}).verb == Verb::Help);
  for (const char* word : {"version", "--version"}) CHECK(parsed({word}).verb == Verb::Version);
  CHECK(parsed({"agent", "-h"}).verb == Verb::Help);
  CHECK(usage_text().find("--conf-file, -f") != std::string::npos);
}

TEST_CASE("Wrong usage is told in Flume's words") {
  CHECK(refused({}).find("Error: Unknown or unspecified command ''") == 0);
  CHECK(refused({"agnet"}).find("Error: Unknown or unspecified command 'agnet'") == 0);
  CHECK(refused({"agent", "-f", "x"}).find("Missing required option: n") == 0);
  CHECK(refused({"agent", "-n", "a1"}).find("No configuiration was provided") == 0);
  CHECK(refused({"agent", "-n"}) == "Error: Option -n requires an argument");
  CHECK(refused({"agent", "--bogus"}) == "Unrecognized option: --bogus");
  CHECK(refused({"agent", "--conffile", "x"}) ==
        "Unrecognized option: --conffile (did you mean --conf-file?)");
  CHECK(refused({"agent", "-n", "a", "-f", "x", "-i", "soon"}).find("--poll-interval") !=
        std::string::npos);
  CHECK(refused({"agent", "-D=x"}).find("-D needs a name") != std::string::npos);
}

TEST_CASE("What is not built yet is refused clearly") {
  CHECK(refused({"tool"}).find("not built yet") != std::string::npos);
  CHECK(refused({"agent", "-n", "a", "-z", "h:2181"}).find("ZooKeeper") != std::string::npos);
  CHECK(refused({"agent", "-n", "a", "-p", "/flume"}).find("ZooKeeper") != std::string::npos);
  CHECK(refused({"agent", "-n", "a", "-u", "http://h/x"}).find("only file:") != std::string::npos);
  CHECK(parsed({"agent", "-n", "a", "-u", "file:///etc/x.conf"}).conf_files.at(0) == "/etc/x.conf");
  CHECK(parsed({"agent", "-n", "a", "-u", "file:x.conf"}).conf_files.at(0) == "x.conf");
}

TEST_CASE("A file that only exists beneath --conf is pointed out") {
  CHECK(refused({"agent", "-n", "a", "-c", "tests", "-f", "catch.h"}) ==
        "The specified configuration file does not exist: catch.h\n--conf does not select the "
        "file; did you mean --conf-file tests/catch.h?");
}

TEST_CASE("The log follows flume.root.logger and flume.log.*") {
  const auto options = [](const std::vector<std::string>& properties) {
    std::vector<std::string> arguments = {"agent", "-n", "a", "-f", "x"};
    arguments.insert(arguments.end(), properties.begin(), properties.end());
    return parsed(arguments).log_options();
  };
  CHECK(options({}).console);
  const log::Options file = options({"-Dflume.root.logger=debug,LOGFILE"});
  CHECK(file.level == log::Level::Debug);
  CHECK_FALSE(file.console);
  CHECK(file.file_path == "./logs/flume.log");
  CHECK(options({"-Dflume.log.dir=/l", "-Dflume.log.file=n"}).file_path == "/l/n");
  CHECK_FALSE(options({"-Dflume.log.dir=/l"}).console);
  CHECK(options({"-Dflume.log.dir=/l", "-Dflume.root.logger=WARN,console"}).console);
  CHECK(options({"-Dflume.root.logger=OFF"}).level == log::Level::Off);
}

TEST_CASE("A target too many and a word that is none are told") {
  const auto warnings = [](const std::string& words) {
    return parsed({"agent", "-n", "a", "-f", "x", "-Dflume.root.logger=" + words}).warnings;
  };
  CHECK(warnings("DEBUG,LOGFILE").empty());
  REQUIRE(warnings("INFO,console,LOGFILE").size() == 1);
  CHECK(warnings("INFO,console,LOGFILE")[0].find("the console only") != std::string::npos);
  REQUIRE(warnings("VERBOSE,console").size() == 1);
  CHECK(warnings("VERBOSE,console")[0].find("'VERBOSE' in -Dflume.root.logger") == 0);
}

TEST_CASE("Monitoring is asked for by its type") {
  CHECK_FALSE(parsed({"agent", "-n", "a", "-f", "x"}).monitoring().has_value());
  const auto choice = parsed({"agent", "-n", "a", "-f", "x", "-Dflume.monitoring.type=http",
                              "-Dflume.monitoring.port=3"})
                          .monitoring();
  REQUIRE(choice.has_value());
  CHECK(choice->type == "http");
  CHECK(choice->port == 3);
}

TEST_CASE("Substitution gets the properties and Flume's resolver from the command line") {
  const LoadOptions options =
      parsed({"agent", "-n", "a", "-f", "x", "-Dq=1",
              "-DpropertiesImplementation=org.apache.flume.node.EnvVarResolverProperties"})
          .load_options();
  CHECK(options.sources.system_properties.at("q") == "1");
  CHECK(options.sources.bare_environment);
  CHECK(options.files == std::vector<std::string>{"x"});
}

TEST_CASE("channel takes an action, a channel and its own flags") {
  const CommandLine line = parsed({"channel", "export", "c1", "--jsonl", "--from", "5", "--to=9",
                                   "--store", "/s", "--output", "x.jsonl"});
  CHECK(line.verb == Verb::Channel);
  CHECK(line.on_channel.action == "export");
  CHECK(line.on_channel.channel == "c1");
  CHECK(line.on_channel.from == 5);
  CHECK(line.on_channel.to == 9);
  CHECK(line.on_channel.store == "/s");
  CHECK(line.on_channel.output == "x.jsonl");
  CHECK(parsed({"channel", "peek", "c1", "-n", "a1", "--count", "3"}).on_channel.count == 3);
  CHECK(parsed({"channel", "ls", "--json"}).json);
  CHECK(parsed({"channel", "--help"}).verb == Verb::Help);
}

TEST_CASE("a replay has a channel behind --to, and a sequence or a time behind --from") {
  const CommandLine line = parsed(
      {"channel", "replay", "c1", "--from", "7", "--to", "c2", "--store", "/s", "--dry-run"});
  CHECK(line.on_channel.action == "replay");
  CHECK(std::get<FromSequence>(line.on_channel.replay_from).sequence == 7);
  CHECK(line.on_channel.replay_to == "c2");
  CHECK(line.dry_run);
  const CommandLine ago =
      parsed({"channel", "replay", "c1", "--from", "-1h", "--to", "c1", "--store", "/s"});
  CHECK(std::holds_alternative<FromTime>(ago.on_channel.replay_from));
}

TEST_CASE("files compact takes a directory and its own flags") {
  const CommandLine line = parsed({"files", "compact", "/data/out", "--size", "64MB", "--min-age",
                                   "30", "--recursive", "--dry-run", "--json"});
  CHECK(line.verb == Verb::Files);
  CHECK(line.on_files.action == "compact");
  CHECK(line.on_files.directory == "/data/out");
  CHECK(line.on_files.size_bytes == 64'000'000);
  CHECK(line.on_files.age_min == std::chrono::seconds(30));
  CHECK(line.on_files.recursive);
  CHECK(line.dry_run);
  CHECK(line.json);
  CHECK(line.warnings.empty());
  const FilesArguments plain = parsed({"files", "compact", "a:b"}).on_files;
  CHECK(plain.directory == "a:b");
  CHECK(plain.size_bytes == 128 << 20);
  CHECK(plain.age_min == std::chrono::seconds(600));
  CHECK_FALSE(plain.recursive);
  CHECK(parsed({"files", "compact", "-r", "x", "--size=1Mi", "--min-age=2h"}).on_files.age_min ==
        std::chrono::hours(2));
  CHECK(parsed({"files", "compact", "file:///data/out"}).on_files.directory == "/data/out");
  CHECK(parsed({"files", "--help"}).verb == Verb::Help);
}

TEST_CASE("files compact says what is wrong with its words") {
  CHECK(refused({"files"}) == "Error: files needs an action: compact");
  CHECK(refused({"files", "compact"}) == "Error: files compact needs a directory");
  CHECK(refused({"files", "merge", "x"}).find("known: files compact") != std::string::npos);
  CHECK(refused({"files", "compact", "x", "y"}).find("one directory at a time") !=
        std::string::npos);
  for (const char* const elsewhere :
       {"hdfs://nn:8020/x", "hdfs:/x", "webhdfs://nn/x", "swebhdfs://nn/x", "s3a://bucket/x"}) {
    CHECK(refused({"files", "compact", elsewhere})
              .find("only local and mounted directories can be compacted yet") !=
          std::string::npos);
  }
  CHECK(refused({"files", "compact", "file://host"}).find("file:///DIRECTORY") !=
        std::string::npos);
  for (const char* const size : {"0", "-1", "much", "5 parsecs"}) {
    CHECK(refused({"files", "compact", "x", "--size", size}).find("--size") != std::string::npos);
  }
  for (const char* const age : {"-1", "old"}) {
    CHECK(refused({"files", "compact", "x", "--min-age", age}).find("--min-age") !=
          std::string::npos);
  }
  CHECK(refused({"files", "compact", "x", "--name", "a1"}).find("Unrecognized option") == 0);
  CHECK(refused({"channel", "ls", "--recursive"}).find("Unrecognized option") == 0);
}

TEST_CASE("avro-client takes Flume's options as tutorials write them") {
  const CommandLine line = parsed({"avro-client", "--conf", "conf", "-H", "localhost", "-p",
                                   "41414", "-F", "/usr/logs/log.10", "-Dflume.root.logger=DEBUG"});
  CHECK(line.verb == Verb::AvroClient);
  CHECK(line.on_avro_client.host == "localhost");
  CHECK(line.on_avro_client.port == 41414);
  CHECK(line.on_avro_client.file == "/usr/logs/log.10");
  CHECK(line.warnings.empty());
  const AvroClientArguments all =
      parsed({"avro-client", "--host=h", "--port", "1", "--dirname", "/d", "-R", "h.properties",
              "--rpcProps", "rpc.properties"})
          .on_avro_client;
  CHECK(all.directory == "/d");
  CHECK(all.header_file == "h.properties");
  CHECK(all.rpc_properties == "rpc.properties");
  CHECK(parsed({"avro-client", "-h"}).verb == Verb::Help);
}

TEST_CASE("what avro-client cannot do is refused") {
  CHECK(refused({"avro-client"}).find("needs --host and --port, or --rpcProps") !=
        std::string::npos);
  CHECK(refused({"avro-client", "-H", "h"}).find("a port with --port") != std::string::npos);
  CHECK(refused({"avro-client", "-p", "1"}).find("a hostname with --host") != std::string::npos);
  for (const char* port : {"0", "65536", "x", ""}) {
    CHECK(refused({"avro-client", "-H", "h", "-p", port}).find("is not a port") !=
          std::string::npos);
  }
  CHECK(refused({"avro-client", "-P", "x", "-F", "f", "--dirname", "d"}).find("one of them") !=
        std::string::npos);
  CHECK(refused({"avro-client", "-H", "h", "-p", "1", "--once"}).find("Unrecognized option") == 0);
  CHECK(refused({"agent", "-n", "a", "-f", "x", "-H", "h"}).find("Unrecognized option") == 0);
}

TEST_CASE("what channel cannot do is refused with what it can") {
  CHECK(refused({"channel"}).find("ls, peek, stat, verify, export or replay") != std::string::npos);
  CHECK(refused({"channel", "eat"}).find("known: channel ls") != std::string::npos);
  CHECK(refused({"channel", "replay", "c1"}).find("needs --from") != std::string::npos);
  CHECK(refused({"channel", "replay", "c1", "--from", "noon", "--to", "c1"}).find("noon") !=
        std::string::npos);
  CHECK(refused({"channel", "peek", "c1", "--dry-run"}).find("--dry-run") != std::string::npos);
  CHECK(refused({"channel", "peek"}).find("needs the name of a channel") != std::string::npos);
  CHECK(refused({"channel", "peek", "c1", "c2"}).find("one channel") != std::string::npos);
  CHECK(refused({"channel", "export", "c1"}).find("--jsonl") != std::string::npos);
  CHECK(refused({"channel", "replay", "c1", "--from", "3", "--to", "c1", "--json"})
            .find("exit status") != std::string::npos);
  CHECK(refused({"channel", "peek", "c1", "--from", "x"}).find("'x' is not a number") !=
        std::string::npos);
  CHECK(refused({"channel", "ls", "--once"}).find("Unrecognized option: --once") == 0);
  CHECK(refused({"channel", "ls", "-f", "x.conf"}).find("--name") != std::string::npos);
  CHECK(refused({"agent", "-n", "a1", "-f", "x", "--from", "3"}).find("Unrecognized option") == 0);
}
