#include "core/metrics/prometheus_text.h"

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>

#include "tests/catch.h"
#include "tests/metrics/exposition.h"

namespace sluice {
namespace {

/// One of each kind, every counter with a number of its own.
struct OneOfEach {
  SourceCounters source;
  ChannelCounters channel;
  SinkCounters sink;
  MemoryAccount account{"channel c1", 1000};
  MetricsRegistry registry;

  OneOfEach() {
    source.made.add(11, 110);
    source.copied.add(12, 120);
    source.filtered.add(13, 130);
    source.unrouted.add(14, 140);
    source.doubles.add(145, 1450);
    source.refused.add(15, 150);
    source.put.add(16, 160);
    source.batches.set(17);
    source.rejected_lines.set(18);
    source.connections_opened.set(19);
    source.connections_open.set(20);
    source.read_failures.set(21);
    source.channel_failures.set(22);
    source.start_ms.set(1'700'000'000'123);
    channel.put.add(31, 310);
    channel.committed.add(32, 320);
    channel.in_flight.add(33, 330);
    channel.stored.add(34, 340);
    channel.lost.add(35, 350);
    channel.put_attempts.set(36);
    channel.take_attempts.set(37);
    channel.put_waits.set(38);
    sink.delivered.add(51, 510);
    sink.dead_lettered.add(52, 520);
    sink.dead_letters_put.add(64, 640);
    sink.attempts.set(53);
    sink.batches_complete.set(54);
    sink.batches_underflow.set(55);
    sink.batches_empty.set(56);
    sink.failures.set(57);
    sink.channel_failures.set(58);
    sink.connections_created.set(59);
    sink.connections_closed.set(60);
    sink.connections_failed.set(61);
    sink.stop_ms.set(2500);
    account.charge(700);
    account.release(100);
    registry.add(SourceMetrics{"r1", "netcat", &source});
    registry.add(ChannelMetrics{"c1", "memory", &channel, 1000});
    registry.add(SinkMetrics{"k1", "logger", "c1", &sink});
    registry.add(&account);
    registry.set_version("1.2.3");
  }
};

const Exposition::Labels r1{{"component", "r1"}, {"type", "netcat"}};
const Exposition::Labels c1{{"component", "c1"}, {"type", "memory"}};
const Exposition::Labels k1{{"component", "k1"}, {"type", "logger"}, {"channel", "c1"}};

}  // namespace

TEST_CASE("every counter of a source is shown under its own name") {
  const OneOfEach agent;
  const Exposition shown(agent.registry.prometheus());
  const std::map<std::string, double> expected = {{"made_events_total", 11},
                                                  {"made_bytes_total", 110},
                                                  {"copied_events_total", 12},
                                                  {"copied_bytes_total", 120},
                                                  {"filtered_events_total", 13},
                                                  {"filtered_bytes_total", 130},
                                                  {"unrouted_events_total", 14},
                                                  {"unrouted_bytes_total", 140},
                                                  {"doubles_events_total", 145},
                                                  {"doubles_bytes_total", 1450},
                                                  {"refused_events_total", 15},
                                                  {"refused_bytes_total", 150},
                                                  {"put_events_total", 16},
                                                  {"put_bytes_total", 160},
                                                  {"put_batches_total", 17},
                                                  {"rejected_lines_total", 18},
                                                  {"opened_connections_total", 19},
                                                  {"open_connections", 20},
                                                  {"failed_reads_total", 21},
                                                  {"failed_puts_total", 22},
                                                  {"start_time_seconds", 1'700'000'000.123},
                                                  {"stop_time_seconds", 0}};
  for (const auto& [name, value] : expected) {
    INFO(name);
    CHECK(shown.at("sluice_source_" + name, r1) == value);
  }
}

TEST_CASE("every counter of a channel is shown under its own name") {
  const OneOfEach agent;
  const Exposition shown(agent.registry.prometheus());
  const std::map<std::string, double> expected = {
      {"put_events_total", 31},       {"put_bytes_total", 310},     {"committed_events_total", 32},
      {"committed_bytes_total", 320}, {"in_flight_events", 33},     {"in_flight_bytes", 330},
      {"stored_events", 34},          {"stored_bytes", 340},        {"lost_events_total", 35},
      {"lost_bytes_total", 350},      {"offered_events_total", 36}, {"take_calls_total", 37},
      {"put_waits_total", 38},        {"capacity_events", 1000}};
  for (const auto& [name, value] : expected) {
    INFO(name);
    CHECK(shown.at("sluice_channel_" + name, c1) == value);
  }
}

TEST_CASE("every counter of a sink is shown under its own name with its channel") {
  const OneOfEach agent;
  const Exposition shown(agent.registry.prometheus());
  const std::map<std::string, double> expected = {
      {"delivered_events_total", 51},        {"delivered_bytes_total", 510},
      {"dead_lettered_events_total", 52},    {"dead_lettered_bytes_total", 520},
      {"dead_letters_put_events_total", 64}, {"dead_letters_put_bytes_total", 640},
      {"offered_events_total", 53},          {"complete_batches_total", 54},
      {"underflow_batches_total", 55},       {"empty_takes_total", 56},
      {"failed_deliveries_total", 57},       {"failed_commits_total", 58},
      {"created_connections_total", 59},     {"closed_connections_total", 60},
      {"failed_connections_total", 61},      {"stop_time_seconds", 2.5}};
  for (const auto& [name, value] : expected) {
    INFO(name);
    CHECK(shown.at("sluice_sink_" + name, k1) == value);
  }
}

TEST_CASE("a sink that computes shows its batches and what it left out by step and reason") {
  SinkCounters sink;
  MicrobatchCounters computed;
  computed.batches.set(71);
  computed.result_rows.set(72);
  computed.keys.set(73);
  computed.state_bytes.set(74);
  computed.processing_us.set(75'000);
  computed.delay_ms.set(76);
  computed.batch_ms.set(1'700'000'000'500);
  computed.left_out.add("p", "bad records", 7);
  computed.left_out.add("p", "bad records", 1);
  computed.left_out.add("count", "late rows", 9);
  MetricsRegistry registry;
  registry.add(SinkMetrics{"mb", "microbatch", "c1", &sink, &computed});
  registry.add(SinkMetrics{"k1", "logger", "c1", &sink});
  const Exposition shown(registry.prometheus());
  const Exposition::Labels mb{{"component", "mb"}, {"type", "microbatch"}, {"channel", "c1"}};
  const std::map<std::string, double> expected = {{"batches_total", 71},
                                                  {"result_rows_total", 72},
                                                  {"keys", 73},
                                                  {"state_bytes", 74},
                                                  {"processing_seconds", 0.075},
                                                  {"delay_seconds", 0.076},
                                                  {"batch_time_seconds", 1'700'000'000.5}};
  for (const auto& [name, value] : expected) {
    INFO(name);
    CHECK(shown.at("sluice_microbatch_" + name, mb) == value);
    CHECK(shown.families().at("sluice_microbatch_" + name).samples.size() == 1);
  }
  auto left = mb;
  left["step"] = "p";
  left["reason"] = "bad records";
  CHECK(shown.at("sluice_microbatch_left_out_rows_total", left) == 8);
  CHECK(shown.sum("sluice_microbatch_left_out_rows_total", mb) == 17);
}

TEST_CASE("results are gauges, one family a column, over all outputs") {
  ResultGauges results;
  MetricsRegistry registry;
  registry.set_results(&results);
  CHECK(registry.prometheus().find("sluice_result") == std::string::npos);
  ResultFigures first{.sink = "mb", .output = "g", .label_names = {"word"}, .value_names = {"n"}};
  first.rows = {{{"hello"}, {std::int64_t{9007199254740993}}},
                {{"a \"b\"\n\\c"}, {0.5}},
                {{"none"}, {std::monostate()}}};
  first.left_out = 4;
  results.show(first);
  ResultFigures second{
      .sink = "mb", .output = "h", .step = "s", .label_names = {}, .value_names = {"m", "n"}};
  second.rows = {{{}, {std::int64_t{-1}, std::int64_t{2}}}};
  results.show(second);
  const std::string text = registry.prometheus();
  // Not by way of a double.
  CHECK(text.find("sluice_result_n{sink=\"mb\",output=\"g\",word=\"hello\"} 9007199254740993\n") !=
        std::string::npos);
  CHECK(text.find("sluice_result_m{sink=\"mb\",output=\"h\",step=\"s\"} -1\n") !=
        std::string::npos);
  results.show({.sink = "mb", .output = "h", .step = "s", .label_names = {}, .value_names = {}});
  const Exposition shown(registry.prometheus());
  const Exposition::Labels odd{{"sink", "mb"}, {"output", "g"}, {"word", "a \"b\"\n\\c"}};
  CHECK(shown.at("sluice_result_n", odd) == 0.5);
  CHECK(shown.families().at("sluice_result_n").samples.size() == 2);
  CHECK_FALSE(shown.families().contains("sluice_result_m"));
  CHECK(shown.at("sluice_microbatch_unshown_rows", {{"sink", "mb"}, {"output", "g"}}) == 4);
}

TEST_CASE("rows of an earlier batch are gone with the next") {
  ResultGauges results;
  MetricsRegistry registry;
  registry.set_results(&results);
  ResultFigures figures{.sink = "mb", .output = "g", .label_names = {"k"}, .value_names = {"n"}};
  figures.rows = {{{"old"}, {std::int64_t{1}}}};
  results.show(figures);
  figures.rows = {{{"new"}, {std::int64_t{2}}}};
  results.show(figures);
  const Exposition shown(registry.prometheus());
  CHECK(shown.families().at("sluice_result_n").samples.size() == 1);
  CHECK(shown.at("sluice_result_n", {{"sink", "mb"}, {"output", "g"}, {"k", "new"}}) == 2);
}

TEST_CASE("figures that are no numbers are written as Prometheus reads them") {
  ResultGauges results;
  MetricsRegistry registry;
  registry.set_results(&results);
  ResultFigures figures{
      .sink = "s", .output = "o", .label_names = {}, .value_names = {"a", "b", "c"}};
  const double infinity = std::numeric_limits<double>::infinity();
  figures.rows = {{{}, {std::nan(""), infinity, -infinity}}};
  results.show(figures);
  const std::string text = registry.prometheus();
  CHECK(text.find("sluice_result_a{sink=\"s\",output=\"o\"} NaN\n") != std::string::npos);
  CHECK(text.find("sluice_result_b{sink=\"s\",output=\"o\"} +Inf\n") != std::string::npos);
  CHECK(text.find("sluice_result_c{sink=\"s\",output=\"o\"} -Inf\n") != std::string::npos);
}

TEST_CASE("columns get names that Prometheus allows, each its own") {
  using Names = std::vector<std::string>;
  CHECK(metric_names({"word", "Größe", "a.b", "a_b", "2x", "__x", ""}, {}) ==
        Names{"word", "Gr____e", "a_b", "a_b_2", "column_2x", "column___x", "column_"});
  CHECK(metric_names({"sink", "output", "sink_2"}, {"sink", "output", "step"}) ==
        Names{"sink_2", "output_2", "sink_2_2"});
}

TEST_CASE("memory accounts show what is used, the peak and the limit") {
  const OneOfEach agent;
  const Exposition shown(agent.registry.prometheus());
  const Exposition::Labels account{{"account", "channel c1"}};
  CHECK(shown.at("sluice_memory_used_bytes", account) == 600);
  CHECK(shown.at("sluice_memory_peak_bytes", account) == 700);
  CHECK(shown.at("sluice_memory_limit_bytes", account) == 1000);
}

TEST_CASE("the build and the process are shown") {
  const OneOfEach agent;
  const Exposition shown(agent.registry.prometheus());
  CHECK(shown.at("sluice_build_info", {{"version", "1.2.3"}}) == 1);
  CHECK(shown.at("process_start_time_seconds") > 1'500'000'000);
  CHECK(shown.at("process_resident_memory_bytes") > 100'000);
  CHECK(shown.at("process_virtual_memory_bytes") >= shown.at("process_resident_memory_bytes"));
  CHECK(shown.at("process_threads") >= 1);
  CHECK(shown.at("process_open_fds") >= 3);
  CHECK(shown.at("process_max_fds") >= shown.at("process_open_fds"));
  CHECK(shown.families().contains("process_cpu_seconds_total"));
}

TEST_CASE("without figures of the process the rest is shown") {
  const OneOfEach agent;
  const Exposition shown(prometheus_text(agent.registry, std::nullopt));
  CHECK(shown.sum("sluice_source_put_events_total") == 16);
  CHECK_FALSE(shown.families().contains("process_threads"));
}

TEST_CASE("an agent without components has a valid exposition") {
  const Exposition shown(MetricsRegistry().prometheus());
  CHECK(shown.at("sluice_build_info", {{"version", "unknown"}}) == 1);
  CHECK(shown.families().at("sluice_sink_delivered_events_total").samples.empty());
}

TEST_CASE("two components of a kind are two samples of one family") {
  OneOfEach agent;
  SourceCounters other;
  other.put.add(4, 40);
  agent.registry.add(SourceMetrics{"r2", "exec", &other});
  const Exposition shown(agent.registry.prometheus());
  CHECK(shown.at("sluice_source_put_events_total", r1) == 16);
  CHECK(shown.sum("sluice_source_put_events_total") == 20);
}

TEST_CASE("names that need it are escaped in labels") {
  CHECK(escape_label_value("plain \xC3\xA9") == "plain \xC3\xA9");
  CHECK(escape_label_value("a\"b\\c\nd") == "a\\\"b\\\\c\\nd");
  SourceCounters counters;
  MetricsRegistry registry;
  const std::string name = "odd\"},name\\\n{";
  registry.add(SourceMetrics{name, "exec", &counters});
  const Exposition shown(registry.prometheus());
  CHECK(shown.at("sluice_source_put_events_total", {{"component", name}, {"type", "exec"}}) == 0);
}

TEST_CASE("every family of ours is named by its kind") {
  const OneOfEach agent;
  const Exposition shown(agent.registry.prometheus());
  for (const auto& [name, family] : shown.families()) {
    INFO(name);
    const bool of_a_kind = name.starts_with("sluice_source_") ||
                           name.starts_with("sluice_channel_") ||
                           name.starts_with("sluice_sink_") || name.starts_with("sluice_memory_") ||
                           name == "sluice_build_info" || name.starts_with("process_");
    CHECK(of_a_kind);
    CHECK(family.help.back() == '.');
  }
}

TEST_CASE("every family is described in docs/guide/monitoring.md") {
  const char* const tree = std::getenv("SLUICE_SOURCE");
  std::ifstream page(std::string(tree == nullptr ? "." : tree) + "/docs/guide/monitoring.md");
  REQUIRE(page);
  std::ostringstream text;
  text << page.rdbuf();
  const OneOfEach agent;
  const Exposition shown(agent.registry.prometheus());
  for (const auto& [name, family] : shown.families()) {
    INFO(name);
    CHECK(text.str().find("`" + name + "`") != std::string::npos);
  }
}

}  // namespace sluice
