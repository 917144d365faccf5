#include "core/metrics/flume_json.h"

#include "tests/catch.h"

namespace sluice {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// A source's group as Flume's JSON.
std::string json_of(const SourceCounters& counters) {
  MetricsRegistry registry;
  registry.add(SourceMetrics{"r1", "netcat", &counters});
  return registry.flume_json();
}

std::string accepted_of(const SourceCounters& counters) {
  const std::string text = json_of(counters);
  const std::string key = "\"EventAcceptedCount\":\"";
  const std::size_t begin = text.find(key) + key.size();
  return text.substr(begin, text.find('"', begin) - begin);
}

}  // namespace

TEST_CASE("an agent without components is an empty object") {
  CHECK(MetricsRegistry().flume_json() == "{}");
}

TEST_CASE("a source has the attributes of a Flume source as strings") {
  SourceCounters c;
  c.made.add(9, 900);
  c.filtered.add(2, 200);
  c.put.add(7, 700);
  c.batches.set(3);
  c.connections_open.set(4);
  c.read_failures.set(5);
  c.rejected_lines.set(20);
  c.channel_failures.set(6);
  c.start_ms.set(1700000000123);
  c.stop_ms.set(1700000000456);
  CHECK(
      json_of(c) ==
      R"({"SOURCE.r1":{"Type":"SOURCE","StartTime":"1700000000123","StopTime":"1700000000456",)"
      R"("EventReceivedCount":"9","EventAcceptedCount":"9","AppendReceivedCount":"0",)"
      R"("AppendAcceptedCount":"0","AppendBatchReceivedCount":"3","AppendBatchAcceptedCount":"3",)"
      R"("OpenConnectionCount":"4","EventReadFail":"25","ChannelWriteFail":"6",)"
      R"("GenericProcessingFail":"0"}})");
}

TEST_CASE("a channel has the attributes of a Flume channel as strings") {
  ChannelCounters c;
  c.put.add(30, 300);
  c.put_attempts.set(35);
  c.stored.add(6, 60);
  c.in_flight.add(4, 40);
  c.committed.add(20, 200);
  c.start_ms.set(5);
  MetricsRegistry registry;
  registry.add(ChannelMetrics{"c1", "memory", &c, 80});
  CHECK(
      registry.flume_json() ==
      R"({"CHANNEL.c1":{"Type":"CHANNEL","StartTime":"5","StopTime":"0","ChannelCapacity":"80",)"
      R"("ChannelSize":"10","ChannelFillPercentage":"12.5","EventPutSuccessCount":"30",)"
      R"("EventPutAttemptCount":"35","EventTakeSuccessCount":"20","EventTakeAttemptCount":"24"}})");
}

TEST_CASE("a sink has the attributes of a Flume sink as strings") {
  SinkCounters c;
  c.connections_created.set(1);
  c.connections_closed.set(2);
  c.connections_failed.set(3);
  c.batches_empty.set(4);
  c.batches_underflow.set(5);
  c.batches_complete.set(6);
  c.attempts.set(7);
  c.delivered.add(8, 80);
  c.dead_lettered.add(100, 1000);
  c.failures.set(9);
  c.channel_failures.set(10);
  MetricsRegistry registry;
  registry.add(SinkMetrics{"k1", "logger", "c1", &c});
  CHECK(registry.flume_json() ==
        R"({"SINK.k1":{"Type":"SINK","StartTime":"0","StopTime":"0","ConnectionCreatedCount":"1",)"
        R"("ConnectionClosedCount":"2","ConnectionFailedCount":"3","BatchEmptyCount":"4",)"
        R"("BatchUnderflowCount":"5","BatchCompleteCount":"6","EventDrainSuccessCount":"8",)"
        R"("EventDrainAttemptCount":"7","EventWriteFail":"9","ChannelReadFail":"10"}})");
}

TEST_CASE("all components of an agent are groups of one object") {
  SourceCounters source;
  ChannelCounters channel;
  SinkCounters sink;
  MetricsRegistry registry;
  registry.add(SourceMetrics{"x", "netcat", &source});
  registry.add(SourceMetrics{"y", "exec", &source});
  registry.add(ChannelMetrics{"x", "memory", &channel, 1});
  registry.add(SinkMetrics{"x", "null", "x", &sink});
  const std::string text = registry.flume_json();
  CHECK(text.starts_with("{\"SOURCE.x\":{"));
  CHECK(contains(text, "},\"SOURCE.y\":{"));
  CHECK(contains(text, "},\"CHANNEL.x\":{"));
  CHECK(contains(text, "},\"SINK.x\":{"));
  CHECK(text.ends_with("\"}}"));
}

TEST_CASE("tries to take are counted by the sinks of the channel") {
  ChannelCounters channel;
  channel.committed.add(10, 100);
  SinkCounters first, second, elsewhere;
  first.attempts.set(12);
  first.batches_empty.set(3);
  second.attempts.set(5);
  elsewhere.attempts.set(1000);
  MetricsRegistry registry;
  registry.add(ChannelMetrics{"c1", "memory", &channel, 100});
  registry.add(SinkMetrics{"k1", "null", "c1", &first});
  registry.add(SinkMetrics{"k2", "null", "c1", &second});
  registry.add(SinkMetrics{"k3", "null", "c2", &elsewhere});
  CHECK(contains(registry.flume_json(), "\"EventTakeAttemptCount\":\"20\""));
}

TEST_CASE("received equals accepted once everything is in the channels") {
  SourceCounters
      replicated;  // Ten events, one filtered, into two channels, one of which refused two.
  replicated.made.add(10, 0);
  replicated.filtered.add(1, 0);
  replicated.copied.add(9, 0);
  replicated.put.add(16, 0);
  replicated.refused.add(2, 0);
  CHECK(accepted_of(replicated) == "10");
}

TEST_CASE("what is on its way into a durable channel is received and not accepted") {
  SourceCounters c;
  c.made.add(10, 0);
  c.put.add(4, 0);
  CHECK(accepted_of(c) == "4");
  SourceCounters replicated;  // Six of ten events are in both channels.
  replicated.made.add(10, 0);
  replicated.copied.add(10, 0);
  replicated.put.add(12, 0);
  CHECK(accepted_of(replicated) == "6");
  SourceCounters torn;  // Read while another thread counts: never more than was received.
  torn.made.add(3, 0);
  torn.put.add(5, 0);
  CHECK(accepted_of(torn) == "3");
}

TEST_CASE("names are escaped as JSON wants it") {
  SourceCounters counters;
  MetricsRegistry registry;
  registry.add(SourceMetrics{"a\"b\\c\x01\xC3\xA9", "exec", &counters});
  CHECK(registry.flume_json().starts_with("{\"SOURCE.a\\\"b\\\\c\\u0001\xC3\xA9\":{"));
}

TEST_CASE("doubles look as Java prints them") {
  CHECK(java_double_text(0) == "0.0");
  CHECK(java_double_text(1) == "1.0");
  CHECK(java_double_text(100) == "100.0");
  CHECK(java_double_text(12.5) == "12.5");
  CHECK(java_double_text(1.0 / 3 * 100) == "33.33333333333333");
  CHECK(java_double_text(0.05) == "0.05");
  CHECK(java_double_text(0.001) == "0.001");
  CHECK(java_double_text(0.0001) == "1.0E-4");
  CHECK(java_double_text(0.00012) == "1.2E-4");
  CHECK(java_double_text(1234567) == "1234567.0");
  CHECK(java_double_text(12345678) == "1.2345678E7");
  CHECK(java_double_text(1e7) == "1.0E7");
  CHECK(java_double_text(1.7976931348623157e308) == "1.7976931348623157E308");
}

TEST_CASE("the fill percentage of a channel without capacity is Java's largest double") {
  CHECK(java_double_text(fill_percentage(0, 100)) == "0.0");
  CHECK(java_double_text(fill_percentage(1, 1000)) == "0.1");
  CHECK(java_double_text(fill_percentage(150, 100)) == "150.0");
  CHECK(java_double_text(fill_percentage(5, 0)) == "1.7976931348623157E308");
}

TEST_CASE("a sink that computes has names of its own behind those of all sinks") {
  SinkCounters sink;
  MicrobatchCounters computed;
  computed.batches.set(3);
  computed.batch_ms.set(1700000000000);
  computed.result_rows.set(40);
  computed.left_out.add("p", "bad records", 2);
  computed.left_out.add("count", "late rows", 5);
  computed.keys.set(6);
  computed.processing_us.set(8'999);
  computed.delay_ms.set(9);
  MetricsRegistry registry;
  registry.add(SinkMetrics{"mb", "microbatch", "c1", &sink, &computed});
  CHECK(registry.flume_json().ends_with(
      R"("ChannelReadFail":"0","MicrobatchCount":"3","MicrobatchTime":"1700000000000",)"
      R"("ResultRowCount":"40","LeftOutRowCount":"7","KeyCount":"6","ProcessingMillis":"8",)"
      R"("DelayMillis":"9"}})"));
}

}  // namespace sluice
