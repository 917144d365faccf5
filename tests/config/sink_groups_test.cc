// What becomes of sink groups in a plan.

#include "core/config/sink_groups.h"

#include <sstream>
#include <string>
#include <variant>

#include "agent/check.h"
#include "tests/catch.h"
#include "tests/config/helpers.h"

using namespace sluice;

namespace {

using Names = std::vector<std::string>;

/// Sinks k1 k2 k3 on c1, k4 on c2, and a group g1 of these; `more` begins in line 19.
std::string group_of(const std::string& sinks, const std::string& more = "") {
  return R"(a1.sources = r1
a1.channels = c1 c2
a1.sinks = k1 k2 k3 k4
a1.sources.r1.type = seq
a1.sources.r1.channels = c1 c2
a1.channels.c1.type = memory
a1.channels.c2.type = memory
a1.sinks.k1.type = null
a1.sinks.k1.channel = c1
a1.sinks.k2.type = null
a1.sinks.k2.channel = c1
a1.sinks.k3.type = null
a1.sinks.k3.channel = c1
a1.sinks.k4.type = null
a1.sinks.k4.channel = c2
a1.sinkgroups = g1

a1.sinkgroups.g1.sinks = )" +
         sinks + "\n" + more;
}

std::string processor(const std::string& lines) {
  std::string text;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    text += "a1.sinkgroups.g1.processor." + line + "\n";
  }
  return text;
}

const FailoverPlan& failover(const Plan& plan, std::size_t group = 0) {
  return std::get<FailoverPlan>(plan.groups.at(group).processor);
}

const LoadBalancePlan& balance(const Plan& plan) {
  return std::get<LoadBalancePlan>(plan.groups.at(0).processor);
}

}  // namespace

TEST_CASE("failover: the sinks are sorted by their priorities") {
  const Plan plan = plan_text(group_of("k1 k2 k3", processor("type = failover\npriority.k1 = 5\n"
                                                             "priority.k2 = 10\npriority.k3 = -7\n"
                                                             "maxpenalty = 10000\n")));
  CHECK(plan.diagnostics.empty());
  CHECK(plan.verdict == Verdict::Runs);
  REQUIRE(plan.groups.size() == 1);
  CHECK(plan.groups[0].label == "sink group g1");
  CHECK(plan.groups[0].name == "g1");
  CHECK(plan.groups[0].channel == "c1");
  CHECK(plan.groups[0].sinks == Names{"k2", "k1", "k3"});
  CHECK(failover(plan).priorities == std::vector<std::int64_t>{10, 5, -7});
  CHECK(failover(plan).penalty_max == std::chrono::seconds(10));
  CHECK(plan.sinks.size() == 4);
}

TEST_CASE("failover: a missing or bad priority falls from -1 on, and maxpenalty has a default") {
  const Plan plan = plan_text(group_of("k3 k1 k2", processor("type = FailOver\npriority.k1 = x\n"
                                                             "maxpenalty = much\n")));
  REQUIRE(plan.groups.size() == 1);
  CHECK(plan.groups[0].sinks == Names{"k3", "k1", "k2"});
  CHECK(failover(plan).priorities == std::vector<std::int64_t>{-1, -2, -3});
  CHECK(failover(plan).penalty_max == std::chrono::seconds(30));
  CHECK(told(plan.diagnostics, "it counts as not set").find("warning x.conf:20:") == 0);
  CHECK(told(plan.diagnostics, "the default is used, as Flume does") != "");
  CHECK(plan.verdict == Verdict::Runs);
}

TEST_CASE("failover: of two sinks with the same priority the later is left out") {
  const Plan plan = plan_text(group_of("k1 k2 k3", processor("type = failover\npriority.k1 = 5\n"
                                                             "priority.k2 = 5\npriority.k3 = 1\n"
                                                             "priority.k9 = 3\n")));
  REQUIRE(plan.groups.size() == 1);
  CHECK(plan.groups[0].sinks == Names{"k1", "k3"});
  CHECK(left_out(plan) == "sink k2: its priority 5 in sink group g1 is that of sink k1");
  CHECK(told(plan.diagnostics, "sink k2 is left out").find("warning x.conf:21:") == 0);
  CHECK(told(plan.diagnostics, "there is no sink 'k9' in sink group g1") != "");
  CHECK(plan.verdict == Verdict::RunsWithout);
}

TEST_CASE("load_balance: its keys and their defaults") {
  const Plan plain = plan_text(
      group_of("k1 k2", processor("type = org.apache.flume.sink.LoadBalancingSinkProcessor\n")));
  CHECK(plain.diagnostics.empty());
  CHECK_FALSE(balance(plain).random);
  CHECK_FALSE(balance(plain).backoff);
  CHECK(balance(plain).out_max == std::chrono::seconds(30));
  const Plan plan = plan_text(
      group_of("k2 k1", processor("type = load_balance\nselector = RANDOM\nbackoff = true\n"
                                  "selector.maxTimeOut = 10000\n")));
  CHECK(plan.diagnostics.empty());
  CHECK(plan.groups[0].sinks == Names{"k2", "k1"});
  CHECK(balance(plan).random);
  CHECK(balance(plan).backoff);
  CHECK(balance(plan).out_max == std::chrono::seconds(10));
}

TEST_CASE("load_balance: a selector of one's own names the two that exist") {
  const Plan plan =
      plan_text(group_of("k1 k2", processor("type = load_balance\nselector = com.example.Mine\n")));
  const std::string error = told(plan.diagnostics, "com.example.Mine");
  CHECK(error.find("error x.conf:20:39+16") == 0);
  CHECK(error.find("round_robin random") != std::string::npos);
  CHECK(plan.groups.empty());
  CHECK(plan.sinks.size() == 2);
  CHECK(left_out(plan).find("sink k1: its sink group g1 cannot run: its selector") == 0);
  CHECK(plan.verdict == Verdict::RunsWithout);
}

TEST_CASE("an unknown processor takes its sinks with it") {
  const Plan plan = plan_text(group_of("k1 k2", processor("type = failovr\n")));
  CHECK(told(plan.diagnostics, "unknown processor type 'failovr' of sink group g1")
            .find("did you mean 'failover'?") != std::string::npos);
  CHECK(plan.sinks.size() == 2);
  CHECK(plan.left_out.size() == 2);
}

TEST_CASE("a group without a processor, or with the default one, leaves its sinks alone") {
  const Plan none = plan_text(group_of("k1 k2"));
  CHECK(none.groups.empty());
  CHECK(none.sinks.size() == 4);
  CHECK(none.verdict == Verdict::Runs);
  CHECK(told(none.diagnostics, "Flume removes such a group").find("note ") == 0);
  const Plan several = plan_text(group_of("k1 k2", processor("type = default\n")));
  CHECK(several.groups.empty());
  CHECK(several.sinks.size() == 4);
  CHECK(told(several.diagnostics, "takes a single sink").find("note x.conf:19:") == 0);
  CHECK(plan_text(group_of("k1", processor("type = default\n"))).diagnostics.empty());
}

TEST_CASE("a group of one sink runs it, where Flume removes both") {
  const Plan plan = plan_text(group_of("k1", processor("type = load_balance\n")));
  CHECK(plan.groups.empty());
  CHECK(plan.verdict == Verdict::Runs);
  CHECK(told(plan.diagnostics, "has only sink k1").find("warning x.conf:19:") == 0);
}

TEST_CASE("sinks of different channels are a group for each channel") {
  const Plan plan =
      plan_text(group_of("k1 k4 k2", processor("type = failover\npriority.k2 = 9\n")));
  REQUIRE(plan.groups.size() == 1);
  CHECK(plan.groups[0].label == "sink group g1 on channel c1");
  CHECK(plan.groups[0].sinks == Names{"k2", "k1"});
  CHECK(failover(plan).priorities == std::vector<std::int64_t>{9, -1});
  CHECK(plan.sinks.size() == 4);
  CHECK(told(plan.diagnostics, "read different channels: c1, c2").find("warning x.conf:19:") == 0);
}

TEST_CASE("sinks that are unknown, left out, or in a group already") {
  const Plan plan =
      plan_text(group_of("k1 k9 k3 k2", processor("type = failover\n") +
                                            "a1.sinks.k3.type = nosuch\n"
                                            "a1.sinkgroups = g1 g2\n"
                                            "a1.sinkgroups.g2.sinks = k1 k2\n"
                                            "a1.sinkgroups.g2.processor.type = nosuch\n"));
  CHECK(told(plan.diagnostics, "there is no sink 'k9' for sink group g1") != "");
  CHECK(told(plan.diagnostics, "there is no sink 'k3'") == "");
  CHECK(told(plan.diagnostics, "sink k1 is in sink group g1 already").find("warning ") == 0);
  REQUIRE(plan.groups.size() == 1);
  CHECK(plan.groups[0].sinks == Names{"k1", "k2"});
  CHECK(plan.sinks.size() == 3);
}

TEST_CASE("keys of a group that nobody knows are told with what was meant") {
  const Plan plan = plan_text(group_of(
      "k1 k2", processor("type = load_balance\nbackof = true\n") + "a1.sinkgroups.g1.sink = k3\n"));
  CHECK(told(plan.diagnostics, "'backof'").find("did you mean 'backoff'?") != std::string::npos);
  CHECK(told(plan.diagnostics, "'sink'").find("did you mean 'sinks'?") != std::string::npos);
  CHECK(plan.verdict == Verdict::Runs);
}

TEST_CASE("check tells what a group does") {
  const auto shown = [](const std::string& lines, bool json) {
    Report report;
    report.loaded = load_text(group_of("k1 k2", processor(lines)));
    report.plans = {plan_text(group_of("k1 k2", processor(lines)))};
    std::ostringstream out;
    json ? print_report_json(report, out) : print_report(report, out, false);
    return out.str();
  };
  CHECK(shown("type = failover\npriority.k2 = 3\nmaxpenalty = 1500", false)
            .find("  sink group g1 (failover): k2 (priority 3), k1 (priority -1) <- c1\n"
                  "    the first that works gets every batch; one that fails is out for 1.5 s, and "
                  "then tried first\n") != std::string::npos);
  CHECK(shown("type = load_balance\nbackoff = true", false)
            .find("  sink group g1 (load_balance): k1, k2 <- c1\n"
                  "    each batch goes to the next of them; when it fails, to another one at once, "
                  "and it is out for 2 s, doubling up to 30 s\n") != std::string::npos);
  CHECK(shown("type = load_balance\nselector = random", false)
            .find("each batch goes to any of them; when it fails, to another one at once\n") !=
        std::string::npos);
  const std::string json = shown("type = failover", true);
  CHECK(json.find("\"sink_groups\"") != std::string::npos);
  CHECK(json.find("\"penalty_max_ms\": 30000") != std::string::npos);
  CHECK(shown("type = load_balance", true).find("\"selector\": \"round_robin\"") !=
        std::string::npos);
}
