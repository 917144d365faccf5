#include "core/config/topology.h"

#include <string>

#include "tests/catch.h"
#include "tests/config/helpers.h"
#include "tests/config/test_catalog.h"

using namespace sluice;

namespace {

/// netcat -> memory -> logger, 11 lines; `more` begins in line 12.
std::string tutorial(const std::string& more = "") {
  return R"(a1.sources = r1
a1.sinks = k1
a1.channels = c1
a1.sources.r1.type = netcat
a1.sources.r1.bind = localhost
a1.sources.r1.port = 44444
a1.sinks.k1.type = logger
a1.channels.c1.type = memory
a1.channels.c1.capacity = 1000
a1.sources.r1.channels = c1
a1.sinks.k1.channel = c1
)" + more;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("The tutorial runs whole, without a word") {
  const Plan plan = plan_text(tutorial());
  CHECK(plan.diagnostics.empty());
  CHECK(plan.verdict == Verdict::Runs);
  CHECK(plan.sources.at(0).channels == std::vector<std::string>{"c1"});
  CHECK(plan.sinks.at(0).channel == "c1");
  CHECK(plan.channels.at(0).settings.integer("capacity") == 1000);
}

TEST_CASE("Types are known by alias in any case and by class name") {
  for (const char* name : {"NetCat", "NETCAT", "org.apache.flume.source.NetcatSource"}) {
    CAPTURE(name);
    CHECK(plan_text(replaced(tutorial(), "= netcat", std::string("= ") + name)).verdict ==
          Verdict::Runs);
  }
  for (const char* name : {"timestamp", "org.apache.flume.interceptor.TimestampInterceptor$Builder",
                           "org.apache.flume.interceptor.TimestampInterceptor"}) {
    CAPTURE(name);
    const Plan plan =
        plan_text(tutorial("a1.sources.r1.interceptors = i1\n"
                           "a1.sources.r1.interceptors.i1.type = " +
                           std::string(name)));
    CHECK(plan.verdict == Verdict::Runs);
    CHECK(plan.sources.at(0).interceptors.size() == 1);
  }
}

TEST_CASE("An unknown key is a warning with the nearest name, its meaning and default") {
  const Plan plan = plan_text(tutorial("a1.channels.c1.capcity = 5\n"));
  CHECK(plan.verdict == Verdict::Runs);
  CHECK(told(plan.diagnostics, "capcity") ==
        "warning x.conf:12:16+7 unknown key 'capcity' of channel c1 (memory); it is ignored | did "
        "you mean 'capacity'? Largest number of events it holds. Default: 100.");
  const Plan far = plan_text(tutorial("a1.sinks.k1.zzz = 5\n"));
  CHECK(told(far.diagnostics, "zzz").find("| logger knows: maxBytesToLog") != std::string::npos);
}

TEST_CASE("A key that differs in case only, or lacks its prefix, finds its name") {
  CHECK(told(plan_text(tutorial("a1.sources.r1.Encoding = x\n")).diagnostics, "'Encoding'")
            .find("did you mean 'encoding'?") != std::string::npos);
  const std::string roll =
      replaced(tutorial("a1.sinks.k1.directory = /tmp\n"), "logger", "file_roll");
  CHECK(told(plan_text(roll).diagnostics, "'directory'").find("did you mean 'sink.directory'?") !=
        std::string::npos);
  CHECK(told(plan_text(tutorial("a1.sources.r1.intercepts.i1.type = host\n")).diagnostics,
             "intercepts")
            .find("did you mean 'interceptors.i1.type'?") != std::string::npos);
}

TEST_CASE("An unknown type leaves only its component out") {
  const Plan plan = plan_text(replaced(tutorial(), "= logger", "= looger"));
  CHECK(told(plan.diagnostics, "looger") ==
        "error x.conf:7:20+6 unknown sink type 'looger' of sink k1 | did you mean 'logger'? Logs "
        "events.");
  CHECK(plan.verdict == Verdict::RunsWithout);
  CHECK(left_out(plan) == "sink k1: its type 'looger' is not known");
  CHECK(plan.left_out.at(0).not_built == false);
  CHECK(
      told(plan.diagnostics, "no sink that runs reads channel c1").find("warning x.conf:8:23+6") ==
      0);
  const Plan java = plan_text(replaced(tutorial(), "= logger", "= com.example.MySink"));
  CHECK(told(java.diagnostics, "com.example").find("a Java class of your own") !=
        std::string::npos);
}

TEST_CASE("A type that is not built yet is said to be so, and its keys are not judged") {
  const Plan plan = plan_text(replaced(tutorial("a1.sinks.k1.hdfs.path = /x\n"), "logger", "hive"));
  CHECK(left_out(plan) == "sink k1: its type 'hive' is not built yet");
  CHECK(plan.left_out.at(0).not_built);
  CHECK(at(plan.left_out.at(0).where) == "x.conf:7:20+4");
  CHECK(told(plan.diagnostics, "hdfs.path") == "");
  CHECK(plan.verdict == Verdict::RunsWithout);
  const Plan file = plan_text(replaced(tutorial(), "= memory", "= jdbc"));
  CHECK(file.verdict == Verdict::NotBuiltYet);
  CHECK(left_out(file) ==
        "channel c1: its type 'jdbc' is not built yet; source r1: its channel c1 is left out; "
        "sink k1: its channel c1 is left out");
  CHECK(told(file.diagnostics, "Agent configuration invalid for agent 'a1'") != "");
}

TEST_CASE("A channel that does not exist is an error at its word") {
  const Plan sink = plan_text(replaced(tutorial(), "channel = c1", "channel = c2"));
  CHECK(told(sink.diagnostics, "no channel 'c2'") ==
        "error x.conf:11:23+2 there is no channel 'c2' for sink k1 | channels of this agent: c1");
  CHECK(left_out(sink) == "sink k1: there is no channel 'c2'");
  const Plan source = plan_text(
      replaced(tutorial(), "channels = c1\na1.sinks.k1", "channels = c1 c9\na1.sinks.k1"));
  CHECK(told(source.diagnostics, "no channel 'c9'").find("error x.conf:10:29+2 ") == 0);
  CHECK(source.sources.at(0).channels == std::vector<std::string>{"c1"});
  CHECK(source.verdict == Verdict::RunsWithout);
  CHECK(left_out(source) == "channel c9 of source r1: there is no channel 'c9'");
}

TEST_CASE("Sources and sinks without a channel are left out, with Flume's words") {
  const Plan plan = plan_text(replaced(replaced(tutorial(), "a1.sources.r1.channels = c1\n", ""),
                                       "k1.channel = c1", "k1.channels = c1"));
  CHECK(told(plan.diagnostics, "No Channels configured for r1").find("error x.conf:4:1+18 ") == 0);
  CHECK(
      told(plan.diagnostics, "No channel configured for sink: k1").find("error x.conf:10:13+8 ") ==
      0);
  CHECK(plan.verdict == Verdict::NothingToRun);
  CHECK(left_out(plan) ==
        "source r1: it has no channel; sink k1: it has no channel; channel c1: nothing uses it");
}

TEST_CASE("A sink has one channel, and a comment behind it is seen") {
  const Plan two = plan_text(replaced(tutorial(), "channel = c1", "channel = c1 c2"));
  CHECK(told(two.diagnostics, "exactly one").find("error x.conf:11:23+5 ") == 0);
  const Plan comment = plan_text(replaced(tutorial(), "channel = c1", "channel = c1 # in"));
  CHECK(told(comment.diagnostics, "a comment behind").find("error x.conf:11:23+7 ") == 0);
}

TEST_CASE("Channels that nobody reads or writes are told") {
  const Plan plan = plan_text(
      replaced(tutorial("a1.channels.c2.type = memory\n"), "channels = c1", "channels = c1 c2"));
  CHECK(told(plan.diagnostics, "c2 is used by no source").find("warning x.conf:12:23+6") == 0);
  CHECK(left_out(plan) == "channel c2: nothing uses it");
  const Plan unread = plan_text(replaced(tutorial(), "a1.sinks = k1\n", "a1.sinkz = k1\n"));
  CHECK(told(unread.diagnostics, "no sink that runs reads channel c1") != "");
  CHECK(told(unread.diagnostics, "sinkz").find("did you mean 'a1.sinks'?") != std::string::npos);
  CHECK(told(unread.diagnostics, "sink k1 is configured, but not listed")
            .find("warning x.conf:7:1+16") == 0);
}

TEST_CASE("Listed but not configured, and configured but not listed") {
  const Plan plan =
      plan_text(replaced(tutorial("a1.sinks.k2.type = null\na1.sinks.k2.channel = c1\n"),
                         "a1.sinks = k1", "a1.sinks = k1 k3"));
  CHECK(told(plan.diagnostics, "sink k3 is listed") ==
        "error x.conf:2:15+2 sink k3 is listed, but nothing is configured for it | ");
  CHECK(told(plan.diagnostics, "sink k2 is configured").find("warning x.conf:12:1+16") == 0);
  CHECK(left_out(plan) == "sink k3: nothing is configured for it");
  CHECK(plan.sinks.size() == 1);
  const Plan typo = plan_text(replaced(tutorial(), "a1.sinks = k1", "a1.sinks = sink1") +
                              "a1.sinks.sinc1.type = null\n");
  CHECK(told(typo.diagnostics, "did you mean 'sinc1'?").find("error x.conf:2:12+5") == 0);
}

TEST_CASE("Comments and commas in lists are explained") {
  const Plan comment = plan_text(replaced(tutorial(), "a1.sinks = k1", "a1.sinks = k1 #and more"));
  CHECK(told(comment.diagnostics, "a comment behind a value").find("warning x.conf:2:15+4") == 0);
  CHECK(comment.verdict == Verdict::Runs);
  const Plan comma =
      plan_text(replaced(tutorial("a1.sinks.k2.type = null\na1.sinks.k2.channel = c1\n"),
                         "a1.sinks = k1", "a1.sinks = k1, k2"));
  CHECK(told(comma.diagnostics, "separated by blanks").find("error x.conf:2:12+3") == 0);
  CHECK(comma.sinks.size() == 1);
  CHECK(comma.sinks.at(0).settings.name() == "k2");
}

TEST_CASE("transactionCapacity above capacity leaves the channel and its users out") {
  const Plan plan = plan_text(tutorial("a1.channels.c1.transactionCapacity = 2000\n"));
  CHECK(told(plan.diagnostics, "Transaction Capacity of Memory Channel cannot be higher than")
            .find("error x.conf:12:38+4") == 0);
  CHECK(plan.verdict == Verdict::NothingToRun);
  CHECK(plan.left_out.size() == 3);
  const Plan lone = plan_text(replaced(tutorial(), "capacity = 1000", "capacity = 10"));
  CHECK(told(lone.diagnostics, "its default is 100").find("error x.conf:9:27+2") == 0);
  // A type of our own has no such limit; who sets it all the same is taken at their word.
  const std::string ours = replaced(replaced(tutorial(), "capacity = 1000", "capacity = 10"),
                                    "c1.type = memory", "c1.type = disk");
  const Plan small = plan_text(ours);
  CHECK(small.verdict == Verdict::Runs);
  CHECK(small.diagnostics.empty());
  CHECK(plan_text(ours + "a1.channels.c1.transactionCapacity = 11\n").verdict ==
        Verdict::NothingToRun);
}

TEST_CASE("A batch above transactionCapacity runs here, with a warning") {
  const Plan plan =
      plan_text(replaced(tutorial("a1.sinks.k1.batchSize = 500\n"), "logger", "null"));
  CHECK(plan.verdict == Verdict::Runs);
  CHECK(told(plan.diagnostics, "batch size 500 is above").find("warning x.conf:12:25+3") == 0);
}

TEST_CASE("A bad value leaves its component out, but the memory channel's keys fall back") {
  const Plan source = plan_text(replaced(tutorial(), "port = 44444", "port = 4444x"));
  CHECK(told(source.diagnostics, "port of source r1").find("error x.conf:6:22+5") == 0);
  CHECK(source.sources.empty());
  const Plan channel = plan_text(replaced(tutorial(), "capacity = 1000", "capacity = many"));
  CHECK(told(channel.diagnostics, "the default is used").find("warning x.conf:9:27+4") == 0);
  CHECK(channel.channels.at(0).settings.integer("capacity") == 100);
  CHECK(channel.verdict == Verdict::Runs);
}

TEST_CASE("What is not true is false, and told") {
  const Plan plan = plan_text(tutorial("a1.sources.r1.ack-every-event = no\n"));
  CHECK(plan.verdict == Verdict::Runs);
  CHECK_FALSE(plan.sources.at(0).settings.boolean("ack-every-event"));
  CHECK(told(plan.diagnostics, "it counts as false, as in Flume").find("warning x.conf:12:33+2") ==
        0);
}

TEST_CASE("A choice that only Flume has is not built yet, another is none") {
  const auto with = [](const std::string& serializer) {
    return plan_text(replaced(tutorial("a1.sinks.k1.sink.directory = /tmp\n"
                                       "a1.sinks.k1.sink.serializer = " +
                                       serializer + "\n"),
                              "logger", "file_roll"));
  };
  const Plan plan = with("AVRO_EVENT");
  CHECK(left_out(plan) == "sink k1: its sink.serializer 'AVRO_EVENT' is not built yet");
  CHECK(plan.left_out.at(0).not_built);
  CHECK(told(plan.diagnostics, "known from Flume, but not built").find("error x.conf:13:31+10") ==
        0);
  CHECK_FALSE(with("avro").left_out.at(0).not_built);
}

TEST_CASE("A required key that is missing, or has no value, is an error") {
  const Plan plan = plan_text(replaced(tutorial(), "port = 44444", "port ="));
  CHECK(told(plan.diagnostics, "Configuration property ignored").find("warning x.conf:6:15+4") ==
        0);
  CHECK(told(plan.diagnostics, "source r1 needs the key 'port'").find("error x.conf:4:1+18") == 0);
  CHECK(plan.sources.empty());
}

TEST_CASE("Old names work with a warning, and the new one wins") {
  const std::string roll = replaced(tutorial("a1.sinks.k1.sink.directory = /tmp\n"
                                             "a1.sinks.k1.rollInterval = 7\n"),
                                    "logger", "file_roll");
  const Plan old = plan_text(roll);
  CHECK(old.sinks.at(0).settings.duration("sink.rollInterval") == std::chrono::seconds(7));
  CHECK(told(old.diagnostics, "old name").find("warning x.conf:13:13+12") == 0);
  const Plan both = plan_text(roll + "a1.sinks.k1.sink.rollInterval = 8\n");
  CHECK(both.sinks.at(0).settings.duration("sink.rollInterval") == std::chrono::seconds(8));
}

TEST_CASE("Keys without meaning here are notes") {
  const std::string exec =
      replaced(replaced(tutorial("a1.sources.r1.charset = GBK\n"), "netcat", "exec"),
               "bind = localhost", "command = tail -F x");
  const Plan plan = plan_text(exec);
  CHECK(told(plan.diagnostics, "'charset' has no meaning").find("note x.conf:12:15+7") == 0);
}

TEST_CASE("Optional channels leave the required ones") {
  const std::string two =
      replaced(tutorial("a1.channels.c2.type = memory\na1.sinks.k2.type = null\n"
                        "a1.sinks.k2.channel = c2\n"),
               "channels = c1\n", "channels = c1 c2\n");
  const std::string both = replaced(replaced(two, "r1.channels = c1", "r1.channels = c1 c2"),
                                    "sinks = k1", "sinks = k1 k2");
  const Plan plan = plan_text(both + "a1.sources.r1.selector.optional = c2 c7\n");
  CHECK(plan.sources.at(0).channels == std::vector<std::string>{"c1"});
  CHECK(plan.sources.at(0).optional_channels == std::vector<std::string>{"c2"});
  CHECK(told(plan.diagnostics, "'c7' is not a channel of source r1") != "");
  const Plan lost = plan_text(replaced(both, "a1.channels.c2.type = memory", "") +
                              "a1.sources.r1.selector.optional = c2\n");
  CHECK(left_out(lost).find("channel c2 of source r1") != std::string::npos);
  CHECK(told(lost.diagnostics, "is not a channel of") == "");
}

TEST_CASE("An interceptor that cannot run takes its source with it") {
  const auto with = [](const std::string& type) {
    return plan_text(tutorial(
        "a1.sources.r1.interceptors = i1\na1.sources.r1.interceptors.i1.type = " + type + "\n"));
  };
  CHECK(left_out(with("nosuch")) == "source r1: interceptor i1: its type 'nosuch' is not known");
  CHECK(with("regex_extractor").left_out.at(0).not_built);
  CHECK(left_out(with("")) == "source r1: interceptor i1: it has no type");
  CHECK(told(with("hots").diagnostics, "'hots'").find("error x.conf:13:38+4") == 0);
  const Plan unlisted = plan_text(tutorial("a1.sources.r1.interceptors.i1.type = host\n"));
  CHECK(told(unlisted.diagnostics, "interceptor i1 of source r1 is configured") != "");
  const Plan ordered =
      plan_text(tutorial("a1.sources.r1.interceptors = z a\n"
                         "a1.sources.r1.interceptors.a.type = host\n"
                         "a1.sources.r1.interceptors.z.type = static\n"
                         "a1.sources.r1.interceptors.z.kee = static\n"));
  CHECK(ordered.sources.at(0).interceptors.at(0).settings.name() == "z");
  CHECK(told(ordered.diagnostics, "'kee'").find("warning x.conf:15:30+3") == 0);
}

TEST_CASE("Keys that belong to nothing are told with what was meant") {
  const Plan plan =
      plan_text(tutorial("a1.source = r2\na1.sink.k1.type = null\n"
                         "a1.channels.checkpointDir = /x\n"));
  CHECK(told(plan.diagnostics, "'a1.sources'")
            .find("warning x.conf:12:4+6 Invalid property specified: source") == 0);
  CHECK(told(plan.diagnostics, "'a1.sinks.k1.type'").find("warning x.conf:13:4+12") == 0);
  CHECK(told(plan.diagnostics, "channels.checkpointDir").find("warning x.conf:14:4+22") == 0);
  CHECK(plan.verdict == Verdict::Runs);
}

TEST_CASE("The agent's memoryLimit is a size, and a bad one is none") {
  CHECK_FALSE(plan_text(tutorial()).memory_limit_bytes.has_value());
  const Plan plan = plan_text(tutorial("a1.memoryLimit = 128MiB\n"));
  CHECK(plan.memory_limit_bytes == 128U << 20);
  CHECK(plan.diagnostics.empty());
  const Plan bad = plan_text(tutorial("a1.memoryLimit = much\n"));
  CHECK_FALSE(bad.memory_limit_bytes.has_value());
  CHECK(bad.verdict == Verdict::Runs);
  CHECK(told(bad.diagnostics, "memoryLimit: 'much'").find("warning x.conf:12:18+4 ") == 0);
}

TEST_CASE("An agent that is not there is an error that names those that are") {
  const Plan plan = plan_text(tutorial("b2.sinks = x\n"), "zz");
  CHECK(told(plan.diagnostics, "No configuration found for this host:zz") ==
        "error x.conf:0:0+0 No configuration found for this host:zz | agents that are configured: "
        "a1, b2");
  CHECK(plan.verdict == Verdict::NothingToRun);
}

TEST_CASE("Other agents of the file do not disturb") {
  CHECK(plan_text(tutorial("b2.sinks = x\nb2.sink.y = 1\n")).diagnostics.empty());
  CHECK(plan_text("a1.sinks = k\n").verdict == Verdict::NothingToRun);
}

TEST_CASE("A hostile file of thousands of faults ends soon") {
  std::string text = "a1.channels =";
  for (int i = 0; i < 9'000; ++i) text += " c" + std::to_string(i);
  text += "\na1.sources =";
  for (int i = 0; i < 9'000; ++i) text += " r" + std::to_string(i);
  text += "\na1.sources.r1.channels =";
  for (int i = 0; i < 9'000; ++i) text += " x" + std::to_string(i);
  for (int i = 0; i < 9'000; ++i) text += "\na1.sinks.k" + std::to_string(i) + ".tipe = looger";
  for (int i = 0; i < 9'000; ++i) text += "\na1.sources.r1.key" + std::to_string(i) + " = looger";
  CHECK(plan_text(text).verdict == Verdict::NothingToRun);
}

TEST_CASE("A sink's dead letters go into a channel that has a sink") {
  const Plan plan = plan_text(replaced(tutorial(R"(a1.sinks.k1.deadLetterChannel = c2
a1.channels.c2.type = memory
a1.sinks.k2.type = logger
a1.sinks.k2.channel = c2
)"),
                                       "= c1\na1.sources", "= c1 c2\na1.sources"));
  const Plan whole = plan_text(R"(a1.sources = r1
a1.sinks = k1 k2
a1.channels = c1 c2
a1.sources.r1.type = seq
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.channels.c2.type = memory
a1.sinks.k1.type = logger
a1.sinks.k1.channel = c1
a1.sinks.k1.deadLetterChannel = c2
a1.sinks.k2.type = logger
a1.sinks.k2.channel = c2
)");
  CHECK(whole.diagnostics.empty());
  CHECK(whole.verdict == Verdict::Runs);
  CHECK(whole.sinks.at(0).dead_letter_channel == "c2");
  CHECK(whole.sinks.at(1).dead_letter_channel.empty());
  CHECK(plan.sinks.at(0).dead_letter_channel == "c2");
  CHECK(told(plan.diagnostics, "no sink that runs reads channel c2")
            .find("then the sinks keep their dead letters") != std::string::npos);
}

TEST_CASE("A dead-letter channel that is none is said with its place") {
  const Plan plan = plan_text(tutorial("a1.sinks.k1.deadLetterChannel = c11\n"));
  CHECK(told(plan.diagnostics, "c11") ==
        "error x.conf:12:33+3 there is no channel 'c11' for sink k1 | channels of this agent: c1");
  CHECK(left_out(plan) == "sink k1: there is no channel 'c11'");
  const Plan two = plan_text(tutorial("a1.sinks.k1.deadLetterChannel = c1 c2\n"));
  CHECK(told(two.diagnostics, "exactly one channel").find("error x.conf:12:33+5") == 0);
  const Plan comment = plan_text(tutorial("a1.sinks.k1.deadLetterChannel = c1 # x\n"));
  CHECK(told(comment.diagnostics, "needs its own line") != "");
  const Plan misspelt = plan_text(tutorial("a1.sinks.k1.deadLeterChannel = c1\n"));
  CHECK(told(misspelt.diagnostics, "deadLeterChannel").find("did you mean 'deadLetterChannel'?") !=
        std::string::npos);
  CHECK(misspelt.verdict == Verdict::Runs);
}

TEST_CASE("Dead letters that would come back to their sink are refused") {
  const Plan own = plan_text(tutorial("a1.sinks.k1.deadLetterChannel = c1\n"));
  CHECK(told(own.diagnostics, "come back") ==
        "error x.conf:12:33+2 dead letters of sink k1 would come back to it: c1 -> c1 | the sinks "
        "that empty a dead-letter channel need another one for their own, or none: then those go "
        "to the agent's dead-letter file");
  CHECK(left_out(own) == "sink k1: its dead letters would come back to it");
  const Plan circle = plan_text(R"(a1.sources = r1
a1.sinks = k1 k2 k3 k4
a1.channels = c1 c2 c3
a1.sources.r1.type = seq
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.channels.c2.type = memory
a1.channels.c3.type = memory
a1.sinks.k1.type = logger
a1.sinks.k1.channel = c1
a1.sinks.k1.deadLetterChannel = c2
a1.sinks.k2.type = logger
a1.sinks.k2.channel = c2
a1.sinks.k2.deadLetterChannel = c3
a1.sinks.k3.type = logger
a1.sinks.k3.channel = c3
a1.sinks.k3.deadLetterChannel = c1
a1.sinks.k4.type = logger
a1.sinks.k4.channel = c1
a1.sinks.k4.deadLetterChannel = c3
)");
  CHECK(told(circle.diagnostics, "come back")
            .find("error x.conf:17:33+2 dead letters of sink k3 "
                  "would come back to it: c3 -> c1 -> c2 -> c3") == 0);
  CHECK(left_out(circle) == "sink k3: its dead letters would come back to it");
  CHECK(circle.sinks.size() == 3);
}
