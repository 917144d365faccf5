// The keys selector.* of a source, and what check says of them.

#include "core/config/selector.h"

#include <sstream>
#include <string>

#include "agent/agent.h"
#include "agent/check.h"
#include "tests/catch.h"
#include "tests/config/helpers.h"
#include "tests/config/test_catalog.h"

using namespace sluice;

namespace {

/// netcat into c1, c2 and c3, a null sink each; `more` begins in line 17.
std::string three(const std::string& more, const std::string& channels = "c1 c2 c3") {
  std::string text =
      "a1.sources = r1\na1.channels = c1 c2 c3\na1.sinks = k1 k2 k3\n"
      "a1.sources.r1.type = netcat\na1.sources.r1.bind = localhost\na1.sources.r1.port = 44444\n";
  for (const std::string n : {"1", "2", "3"}) {
    text += "a1.channels.c" + n + ".type = memory\na1.sinks.k" + n + ".type = null\na1.sinks.k" +
            n + ".channel = c" + n + "\n";
  }
  return text + "a1.sources.r1.channels = " + channels + "\n" + more;
}

std::string selector(const std::string& keys) {
  std::string text = "a1.sources.r1.selector.type = multiplexing\n";
  std::istringstream lines(keys);
  for (std::string line; std::getline(lines, line);)
    text += "a1.sources.r1.selector." + line + "\n";
  return text;
}

using Names = std::vector<std::string>;

TEST_CASE("multiplexing: every key of Flume's is read, without a word") {
  const Plan plan = plan_text(three(
      selector("header = State\nmapping.CZ = c1\nmapping.US = c2 c3\nmapping.New\\ York = c2\n"
               "default = c1\noptional.US = c1\noptional.other = c3 c1")));
  CHECK(plan.diagnostics.empty());
  CHECK(plan.verdict == Verdict::Runs);
  const SourcePlan& source = plan.sources.at(0);
  REQUIRE(source.multiplexing);
  const MultiplexingPlan& ways = *source.multiplexing;
  CHECK(ways.header == "State");
  CHECK(ways.otherwise.channels == Names{"c1"});
  REQUIRE(ways.mappings.size() == 4);
  CHECK(ways.mappings[0].value == "CZ");
  CHECK(ways.mappings[1].route.channels == Names{"c2", "c3"});
  CHECK(ways.mappings[1].route.optional_channels == Names{"c1"});
  CHECK(ways.mappings[2].value == "New York");
  // Optional channels of a value without a mapping come on top of the default, less what is there.
  CHECK(ways.mappings[3].value == "other");
  CHECK(ways.mappings[3].route.channels == Names{"c1"});
  CHECK(ways.mappings[3].route.optional_channels == Names{"c3"});
  CHECK(source.channels == Names{"c1", "c2", "c3"});
  CHECK(source.optional_channels.empty());
}

TEST_CASE("multiplexing: by class name too, and with Flume's own header by default") {
  const Plan plan = plan_text(
      three("a1.sources.r1.selector.type = org.apache.flume.channel.MultiplexingChannelSelector\n"
            "a1.sources.r1.selector.default = c1 c2\na1.sources.r1.selector.optional.x = c3\n"));
  REQUIRE(plan.sources.size() == 1);
  REQUIRE(plan.sources[0].multiplexing);
  CHECK(plan.sources[0].multiplexing->header == "flume.selector.header");
  CHECK(plan.sources[0].channels == Names{"c1", "c2"});
  CHECK(plan.sources[0].optional_channels == Names{"c3"});
}

TEST_CASE("multiplexing: a mapping to what is no channel of the source costs the source") {
  const Plan plan = plan_text(
      three(selector("header = h\nmapping.a = c1 c2x\ndefault = c3\nmapping.b = c2"), "c1 c2 c3"));
  CHECK(told(plan.diagnostics, "Selector channel not found: 'c2x'")
            .starts_with("error x.conf:19:39+3"));
  CHECK(told(plan.diagnostics, "among the source's own 'channels'").find("'c2x'") !=
        std::string::npos);
  CHECK(left_out(plan).find("source r1: its selector names 'c2x'") == 0);
  // One that the agent has, but not this source.
  const Plan other =
      plan_text(three(selector("header = h\nmapping.a = c3\ndefault = c1"), "c1 c2"));
  CHECK(told(other.diagnostics, "'c3' is not a channel of source r1") != "");
  CHECK(other.sources.empty());
  const Plan optional = plan_text(three(selector("default = c1\noptional.a = nope")));
  CHECK(optional.sources.empty());
}

TEST_CASE("multiplexing: a mapping to a channel that is left out costs the source") {
  std::string text = three(selector("header = h\nmapping.a = c1\nmapping.b = c2\ndefault = c3"));
  const std::string type = "a1.channels.c2.type = ";
  text.replace(text.find(type) + type.size(), 6, "jdbc");
  const Plan plan = plan_text(text);
  CHECK(plan.sources.empty());
  REQUIRE(left_out(plan).find("source r1: its selector needs channel c2") != std::string::npos);
  for (const LeftOut& each : plan.left_out) {
    if (each.component == "source r1") CHECK(each.not_built);
  }
  CHECK(told(plan.diagnostics, "Selector channel not found") == "");
}

TEST_CASE("multiplexing: check says where events go nowhere, and which channel gets nothing") {
  const Plan plan = plan_text(three(selector("header = h\nmapping.a = c1\nmapping.b = c2 c2")));
  CHECK(plan.verdict == Verdict::Runs);
  CHECK(told(plan.diagnostics,
             "events of source r1 whose header 'h' is missing, blank, or none of a, b go to no "
             "channel: dropped, and counted as unrouted")
            .starts_with("warning x.conf:17:31+12"));
  CHECK(
      told(plan.diagnostics, "sends nothing to channel c3").starts_with("warning x.conf:16:32+2"));
  CHECK(plan.sources.at(0).multiplexing->mappings[1].route.channels == Names{"c2"});
  const Plan none = plan_text(three(selector("header = h")));
  CHECK(told(none.diagnostics, "every event of source r1 goes to no channel") != "");
}

TEST_CASE("selector keys that nobody reads are told, whichever selector it is") {
  const Plan plan =
      plan_text(three(selector("heder = h\nmappings.a = c1\ndefault = c1 c2 c3\noptional = c2")));
  CHECK(told(plan.diagnostics, "'heder'").find("did you mean 'header'?") != std::string::npos);
  CHECK(told(plan.diagnostics, "'mappings.a'").find("did you mean 'mapping.a'?") !=
        std::string::npos);
  CHECK(told(plan.diagnostics, "unknown key 'optional' of selector of source r1") != "");
  CHECK(plan.sources.size() == 1);
  // The type forgotten: the rest of the selector is not silently without effect.
  const Plan untyped = plan_text(
      three("a1.sources.r1.selector.header = h\na1.sources.r1.selector.mapping.a = c1\n"));
  CHECK(told(untyped.diagnostics, "unknown key 'mapping.a'") != "");
  CHECK_FALSE(untyped.sources.at(0).multiplexing);
}

TEST_CASE("load_balancing is known and not built, and another class is somebody's own") {
  const Plan plan = plan_text(three("a1.sources.r1.selector.type = load_balancing\n"));
  CHECK(plan.left_out.at(0).not_built);
  CHECK(told(plan.diagnostics, "not built yet").starts_with("error x.conf:17:31+14"));
  CHECK(plan_text(three("a1.sources.r1.selector.type = x.Y\n")).left_out.at(0).because ==
        "its selector 'x.Y' is not known");
}

TEST_CASE("check prints the ways of a source, in text and in JSON") {
  Report report;
  report.loaded =
      load_text(three(selector("header = h\nmapping.a = c1 c2\noptional.a = c3\nmapping.b = c3")));
  report.plans.push_back(
      plan_text(three(selector("header = h\nmapping.a = c1 c2\noptional.a = c3\nmapping.b = c3"))));
  std::ostringstream text;
  print_report(report, text, false);
  CHECK(text.str().find("  source r1 (netcat), by header h\n"
                        "    a -> c1 c2 c3 (optional)\n"
                        "    b -> c3\n"
                        "    otherwise -> nowhere\n") != std::string::npos);
  std::ostringstream json;
  print_report_json(report, json);
  CHECK(json.str().find("\"type\": \"multiplexing\"") != std::string::npos);
  CHECK(json.str().find("\"value\": \"b\"") != std::string::npos);
}

TEST_CASE("a regular expression that cannot be compiled is an error with its place") {
  const std::string text = three(
      "a1.sources.r1.interceptors = i1\na1.sources.r1.interceptors.i1.type = regex_filter\n"
      "a1.sources.r1.interceptors.i1.regex = a(b\n");
  Loaded loaded = load_text(text);
  const Plan plan = make_plan(loaded.tree, "a1", built_catalog());
  CHECK(told(plan.diagnostics, "regex of interceptor i1 of source r1: 'a(b' is no regular")
            .starts_with("error x.conf:19:39+3"));
  CHECK(plan.sources.empty());
}

}  // namespace
