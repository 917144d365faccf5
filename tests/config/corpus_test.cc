// Real configurations of other people, read where they lie (they are no part of this project).
// test: timeout=300
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "agent/agent.h"
#include "agent/check.h"
#include "tests/catch.h"
#include "tests/config/corpus_table.h"
#include "tests/config/helpers.h"

using namespace sluice;

namespace {

std::string folder() {
  const char* shared = std::getenv("SLUICE_SHARED");
  const char* source = std::getenv("SLUICE_SOURCE");
  const std::string root = source == nullptr ? "." : source;
  return (shared == nullptr ? root + "/../shared" : std::string(shared)) + "/flume-configs";
}

/// False, after saying so, when the corpus is not on this machine.
bool is_here() {
  if (std::filesystem::exists(folder() + "/INDEX.tsv")) return true;
  const char* ci = std::getenv("CI");
  if (ci != nullptr && std::string(ci) == "true") FAIL("no configurations in " + folder());
  std::printf("skipped: no configurations in %s\n", folder().c_str());
  return false;
}

Report report_of(const std::string& file) {
  LoadOptions options;
  options.files = {folder() + "/" + file};
  options.sources.environment = [](const std::string&) { return std::optional<std::string>(); };
  return make_report(options, "", built_catalog());
}

struct Row {
  std::string file;
  std::set<std::string> components;  // "channel:memory", active ones
};

/// True when no path of its hdfs sinks lies in a file system that the sink does not know.
bool can_be_written(const std::string& file) {
  std::ifstream in(folder() + "/" + file);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  static const std::regex elsewhere(R"(hdfs\.path\s*=\s*(?!file:|s?w?e?b?hdfs:)\w+:/)");
  return !std::regex_search(text, elsewhere);
}

/// INDEX.tsv: the first column is the file, the last its active components.
std::vector<Row> index_rows() {
  std::ifstream in(folder() + "/INDEX.tsv");
  std::string line;
  std::getline(in, line);
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    Row row;
    row.file = line.substr(0, line.find('\t'));
    std::istringstream words(line.substr(line.rfind('\t') + 1));
    for (std::string word; words >> word;) row.components.insert(word);
    if (row.components.erase("sink:hdfs") > 0) {
      row.components.insert(can_be_written(row.file) ? "sink:hdfs" : "sink:custom:hdfs");
    }
    rows.push_back(row);
  }
  return rows;
}

enum class Known { Built, Later, Foreign };

/// What the issue says is built, what Flume has besides, and what is somebody's own class.
Known known(const std::string& component) {
  static const std::set<std::string> built = {"source:avro",
                                              "sink:avro",
                                              "sink:kafka",
                                              "source:netcat",
                                              "source:exec",
                                              "source:seq",
                                              "source:spooldir",
                                              "source:taildir",
                                              "source:kafka",
                                              "channel:file",
                                              "channel:kafka",
                                              "channel:spillablememory",
                                              "channel:memory",
                                              "sink:logger",
                                              "sink:file_roll",
                                              "sink:hdfs",
                                              "sink:null",
                                              "interceptor:timestamp",
                                              "interceptor:host",
                                              "interceptor:static",
                                              "interceptor:regex_filter",
                                              "interceptor:remove_header",
                                              "selector:replicating",
                                              "selector:multiplexing",
                                              "processor:failover",
                                              "processor:load_balance"};
  if (built.count(component) > 0) return Known::Built;
  return component.find(":custom:") == std::string::npos ? Known::Later : Known::Foreign;
}

struct Expectation {
  bool all_built = true;
  bool any_later = false;
  bool any_end_built = false;  // a source or a sink
  bool channel_built = false;
};

Expectation expectation_of(const Row& row) {
  Expectation result;
  for (const std::string& component : row.components) {
    const Known which = known(component);
    result.all_built = result.all_built && which == Known::Built;
    result.any_later = result.any_later || which == Known::Later;
    const bool end = component.find("source:") == 0 || component.find("sink:") == 0;
    result.any_end_built = result.any_end_built || (end && which == Known::Built);
    result.channel_built = result.channel_built || component == "channel:memory" ||
                           component == "channel:file" || component == "channel:kafka" ||
                           component == "channel:spillablememory";
  }
  return result;
}

void hold_against(const Row& row, const Report& report) {
  const Expectation expected = expectation_of(row);
  bool any_runs = false;
  bool all_whole = true;
  bool any_not_built = false;
  for (const Plan& plan : report.plans) {
    any_runs = any_runs || plan.verdict == Verdict::Runs || plan.verdict == Verdict::RunsWithout;
    all_whole = all_whole && plan.verdict == Verdict::Runs;
    for (const LeftOut& each : plan.left_out) any_not_built = any_not_built || each.not_built;
    // A plan is whole in itself, whatever was left out.
    std::set<std::string> channels;
    for (const ChannelPlan& channel : plan.channels) channels.insert(channel.settings.name());
    for (const SinkPlan& sink : plan.sinks) CHECK(channels.count(sink.channel) == 1);
    for (const SourcePlan& source : plan.sources) {
      CHECK_FALSE(source.channels.empty());
      for (const std::string& channel : source.channels) CHECK(channels.count(channel) == 1);
    }
    for (const LeftOut& each : plan.left_out) CHECK(each.where.line > 0);
  }
  if (expected.all_built) {
    CHECK_FALSE(any_not_built);
    CHECK(any_runs);
  } else {
    CHECK_FALSE(all_whole);
  }
  if (!expected.any_later) CHECK_FALSE(any_not_built);
  if (!expected.any_end_built || !expected.channel_built) CHECK_FALSE(any_runs);
}

std::string verdicts(const Report& report) {
  std::string text;
  for (const Plan& plan : report.plans) {
    text += (text.empty() ? "" : ", ") + plan.agent + " " + std::string(to_string(plan.verdict));
    if (!plan.left_out.empty()) text += " (" + left_out(plan) + ")";
  }
  return text;
}

}  // namespace

TEST_CASE("Every real configuration gets its verdict, soon, and in line with its components") {
  if (!is_here()) return;
  const auto start = std::chrono::steady_clock::now();
  std::map<std::string, int> counts;
  const std::vector<Row> rows = index_rows();
  CHECK(rows.size() == 223);
  for (const Row& row : rows) {
    CAPTURE(row.file);
    const Report report = report_of(row.file);
    CHECK(report.loaded.readable);
    REQUIRE_FALSE(report.plans.empty());
    hold_against(row, report);
    for (const Plan& plan : report.plans) ++counts[std::string(to_string(plan.verdict))];
    std::ostringstream out;
    print_report(report, out, false);
    print_report_json(report, out);
    CHECK(out.str().size() > 100);
    std::printf("%s: %s\n", row.file.c_str(), verdicts(report).c_str());
  }
  for (const auto& [verdict, count] : counts) std::printf("%4d %s\n", count, verdict.c_str());
  CHECK(counts.size() == 4);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
}

TEST_CASE("Forty real configurations were checked by hand, with a place each") {
  if (!is_here()) return;
  CHECK(std::size(kCheckedByHand) >= 40);
  for (const CheckedByHand& expected : kCheckedByHand) {
    CAPTURE(expected.file, expected.line, expected.column, expected.message);
    const Report report = report_of(expected.file);
    REQUIRE_FALSE(report.plans.empty());
    CHECK(to_string(report.plans.front().verdict) == expected.verdict);
    bool found = std::string(expected.message).empty();
    std::vector<Diagnostic> all = report.loaded.diagnostics;
    for (const Plan& plan : report.plans) {
      all.insert(all.end(), plan.diagnostics.begin(), plan.diagnostics.end());
    }
    for (const Diagnostic& each : all) {
      found = found || (each.where.line == expected.line && each.where.column == expected.column &&
                        each.message.find(expected.message) != std::string::npos);
    }
    CHECK(found);
    if (std::string(expected.message).empty()) {
      // Runs whole: the place is that of the first source's type.
      const Settings& source = report.plans.front().sources.at(0).settings;
      CHECK(source.where("type").line == expected.line);
      CHECK(source.where("type").column == expected.column);
    }
  }
}

TEST_CASE("The sink groups of real configurations load as Flume loads them") {
  if (!is_here()) return;
  int groups = 0;
  for (const Row& row : index_rows()) {
    if (row.components.count("processor:failover") +
            row.components.count("processor:load_balance") ==
        0) {
      continue;
    }
    CAPTURE(row.file);
    std::ifstream in(folder() + "/" + row.file);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    // What the sinks are does not matter here, and null needs no keys.
    static const std::regex sink_type(R"((\.sinks\.\w+\.type\s*=\s*)\w+)");
    text = std::regex_replace(text, sink_type, "$1null");
    const Loaded loaded = load_text(text, row.file);
    for (const std::string& agent : loaded.tree.agents()) {
      const Plan plan = make_plan(loaded.tree, agent, built_catalog());
      for (const SinkGroupPlan& group : plan.groups) {
        ++groups;
        CHECK(group.sinks.size() == 2);
        for (const SinkPlan& sink : plan.sinks) CHECK(sink.channel == group.channel);
      }
      if (row.components.count("processor:failover") == 0 || plan.groups.empty()) continue;
      CHECK(plan.groups[0].sinks == std::vector<std::string>{"k2", "k1"});
      const auto& failover = std::get<FailoverPlan>(plan.groups[0].processor);
      CHECK(failover.priorities == std::vector<std::int64_t>{10, 5});
      CHECK(failover.penalty_max == std::chrono::seconds(10));
    }
  }
  CHECK(groups >= 30);
}
