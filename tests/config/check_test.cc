#include "agent/check.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "tests/catch.h"
#include "tests/config/helpers.h"
#include "tests/config/test_catalog.h"

using namespace sluice;

namespace {

Report report_of(const std::string& text) {
  Report report;
  report.loaded = load_text(text);
  for (const std::string& agent : report.loaded.tree.agents()) {
    report.plans.push_back(make_plan(report.loaded.tree, agent, test_catalog()));
  }
  return report;
}

std::string printed(const Report& report, bool colour = false) {
  std::ostringstream out;
  print_report(report, out, colour);
  return out.str();
}

constexpr const char* kSmall =
    "a1.sources = r1\na1.channels = c1\na1.sinks = k1\na1.sources.r1.type = seq\n"
    "a1.sources.r1.channels = c1\na1.channels.c1.type = memory\na1.sinks.k1.channel = c1\n";

}  // namespace

TEST_CASE("A problem is shown with its place, its line underlined, and a hint") {
  const std::string text = printed(report_of(kSmall + std::string("a1.sinks.k1.type = looger\n")));
  CHECK(text.find("x.conf:8:20: error: unknown sink type 'looger' of sink k1\n"
                  "  a1.sinks.k1.type = looger\n"
                  "                     ^~~~~~\n"
                  "  = did you mean 'logger'? Logs events.\n") != std::string::npos);
  CHECK(text.find("agent a1: runs without\n"
                  "  source r1 (seq) -> c1\n"
                  "  channel c1 (memory)\n"
                  "  left out: sink k1, because its type 'looger' is not known (x.conf:8:20)\n") !=
        std::string::npos);
}

TEST_CASE("Problems come in the order of the file") {
  const std::string text = printed(
      report_of(kSmall + std::string("a1.sinks.k1.type = x\na1.sinks.k1.y = 1\na1.z = 2\n")));
  CHECK(text.find("x.conf:6:") < text.find("x.conf:8:"));
  CHECK(text.find("x.conf:8:") < text.find("x.conf:10:"));
}

TEST_CASE("The underline fits tabs, wide characters and control characters") {
  const std::string text = printed(report_of("a1.sinks\t=\t\xE4\xB8\xAD\x1b[31m k\n"));
  CHECK(text.find("  a1.sinks\t=\t\xE4\xB8\xAD\\x1B[31m k\n"
                  "          \t \t^~~~~~~~~~\n") != std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("A long line is shown around the problem") {
  const std::string text = printed(report_of("a1.sinks = " + std::string(5000, 'x') + " k\n"));
  CHECK(text.size() < 3000);
  CHECK(text.find("x.conf:1:5013: error: sink k is listed") != std::string::npos);
  CHECK(text.find("  ...x") != std::string::npos);
}

TEST_CASE("Colour is only there when asked for") {
  const Report report = report_of(kSmall);
  CHECK(printed(report).find('\x1b') == std::string::npos);
  CHECK(printed(report, true).find("\x1b[1;31merror: ") != std::string::npos);
}

TEST_CASE("The exit status tells whole, partly and not at all") {
  CHECK(exit_status(report_of(kSmall + std::string("a1.sinks.k1.type = null\n"))) == 0);
  CHECK(exit_status(report_of(kSmall)) == 1);
  const Report misread = report_of(kSmall + std::string("a1.sinks.k1.type = null\nx = \\uZZ\n"));
  CHECK(misread.plans.at(0).verdict == Verdict::Runs);
  CHECK(exit_status(misread) == 1);
  CHECK(exit_status(report_of("a1.sinks = k\n")) == 1);
  CHECK(exit_status(report_of("")) == 2);
  CHECK(exit_status(report_of("x = y\n")) == 2);
  Report unknown = report_of(kSmall);
  unknown.plans = {make_plan(unknown.loaded.tree, "zz", test_catalog())};
  CHECK(exit_status(unknown) == 2);
}

TEST_CASE("JSON says the same") {
  std::ostringstream out;
  print_report_json(report_of(kSmall + std::string("a1.sinks.k1.type = hive\n")), out);
  const auto json = nlohmann::json::parse(out.str());
  CHECK(json["readable"] == true);
  CHECK(json["status"] == 1);
  CHECK(json["agents"][0]["name"] == "a1");
  CHECK(json["agents"][0]["verdict"] == "runs without");
  CHECK(json["agents"][0]["sources"][0]["channels"][0] == "c1");
  CHECK(json["agents"][0]["left_out"][0]["component"] == "sink k1");
  CHECK(json["agents"][0]["left_out"][0]["not_built"] == true);
  CHECK(json["agents"][0]["left_out"][0]["line"] == 8);
  bool found = false;
  for (const auto& each : json["diagnostics"]) {
    found = found || (each["line"] == 8 && each["column"] == 20 && each["severity"] == "error");
  }
  CHECK(found);
}

TEST_CASE("The verb check reports on files and repeats the command line's warnings") {
  CommandLine line;
  line.verb = Verb::Check;
  line.conf_files = {"no/such/file.conf"};
  line.warnings = {"-Xmx1g has no meaning here"};
  std::ostringstream out;
  std::ostringstream err;
  CHECK(run_check(line, test_catalog(), out, err, false) == 2);
  CHECK(out.str() ==
        "no/such/file.conf: error: The specified configuration file does not exist: "
        "no/such/file.conf\n");
  CHECK(err.str() == "-Xmx1g has no meaning here\n");
}

TEST_CASE("A sink is shown with the channel of its dead letters") {
  const Report report = report_of(
      kSmall + std::string("a1.sinks.k1.type = logger\na1.sinks.k1.deadLetterChannel = dead\n") +
      "a1.sinks.k2.type = logger\na1.sinks.k2.channel = dead\na1.channels.dead.type = memory\n");
  const std::string small = printed(report);
  CHECK(small.find("there is no channel 'dead' for sink k1") != std::string::npos);
  std::string text = kSmall;
  text.replace(text.find("channels = c1"), 13, "channels = c1 dead");
  text.replace(text.find("sinks = k1"), 10, "sinks = k1 k2");
  const Report whole = report_of(
      text +
      "a1.sinks.k1.type = logger\na1.sinks.k1.deadLetterChannel = dead\n"
      "a1.sinks.k2.type = logger\na1.sinks.k2.channel = dead\na1.channels.dead.type = memory\n");
  CHECK(printed(whole).find("  sink k1 (logger) <- c1, dead letters -> dead\n"
                            "  sink k2 (logger) <- dead\n") != std::string::npos);
  std::ostringstream out;
  print_report_json(whole, out);
  const auto json = nlohmann::json::parse(out.str());
  CHECK(json["agents"][0]["sinks"][0]["dead_letter_channel"] == "dead");
  CHECK_FALSE(json["agents"][0]["sinks"][1].contains("dead_letter_channel"));
}
