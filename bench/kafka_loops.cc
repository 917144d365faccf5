// The plain loops of librdkafka: what a Kafka client can do here that does nothing else.
//
//   kafka_loops produce       BOOTSTRAP TOPIC EVENTS BYTES HEADERS [KEY=VALUE...]
//   kafka_loops produce_batch BOOTSTRAP TOPIC EVENTS BYTES HEADERS [KEY=VALUE...]
//   kafka_loops consume       BOOTSTRAP TOPIC EVENTS [KEY=VALUE...]
//
// The pairs are settings of librdkafka. Prints one line of JSON: events, bytes, seconds from the
// first call (consuming: the first message) to the last delivery report, and the CPU time of all of
// it.

#include <librdkafka/rdkafka.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace sluice::bench {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "kafka_loops: %s\n", what);
  std::exit(1);
}

double cpu_s() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

struct Run {
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;
  Clock::time_point begin = Clock::now();
  double cpu_at_begin_s = cpu_s();

  void print() const {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    std::printf("{\"events\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"cpu_s\": %.6f}\n",
                static_cast<unsigned long long>(events), static_cast<unsigned long long>(bytes),
                seconds, cpu_s() - cpu_at_begin_s);
  }
};

void set(rd_kafka_conf_t* conf, const std::string& key, const std::string& value) {
  char why[512];
  if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), why, sizeof why) != RD_KAFKA_CONF_OK) {
    die(why);
  }
}

rd_kafka_t* client(rd_kafka_type_t type, rd_kafka_conf_t* conf, const char* bootstrap,
                   const std::vector<std::string>& settings) {
  set(conf, "bootstrap.servers", bootstrap);
  for (const std::string& pair : settings) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos) die("a setting is KEY=VALUE");
    set(conf, pair.substr(0, equals), pair.substr(equals + 1));
  }
  char why[512];
  rd_kafka_t* kafka = rd_kafka_new(type, conf, why, sizeof why);
  if (kafka == nullptr) die(why);
  return kafka;
}

// --- Producing
// ------------------------------------------------------------------------------------

std::uint64_t reported = 0;  // Touched only within rd_kafka_poll().

void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) die(rd_kafka_err2str(message->err));
  ++reported;
}

struct Load {
  std::uint64_t events;
  std::size_t event_bytes;
  int headers;
};

/// One header costs an object of its own each, so only the call with headers makes them.
void produce_one(rd_kafka_t* kafka, rd_kafka_topic_t* topic, char* body, const Load& load) {
  for (;;) {
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (load.headers == 0) {
      if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, 0, body, load.event_bytes, nullptr, 0,
                           nullptr) != 0) {
        error = rd_kafka_last_error();
      }
    } else {
      error =
          rd_kafka_producev(kafka, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_VALUE(body, load.event_bytes),
                            RD_KAFKA_V_HEADER("host", "host-1.example", -1),
                            RD_KAFKA_V_HEADER("kind", "access-log", -1), RD_KAFKA_V_END);
    }
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) die(rd_kafka_err2str(error));
    rd_kafka_poll(kafka, 10);
  }
}

void produce_singly(rd_kafka_t* kafka, rd_kafka_topic_t* topic, char* body, const Load& load) {
  for (std::uint64_t i = 0; i < load.events; ++i) {
    produce_one(kafka, topic, body, load);
    if (i % 512 == 0) rd_kafka_poll(kafka, 0);
  }
}

void produce_in_batches(rd_kafka_t* kafka, rd_kafka_topic_t* topic, char* body, const Load& load) {
  std::vector<rd_kafka_message_t> messages(1000);
  for (std::uint64_t sent = 0; sent < load.events;) {
    const std::uint64_t count = std::min<std::uint64_t>(messages.size(), load.events - sent);
    for (rd_kafka_message_t& each : messages) {
      each = {};
      each.payload = body;
      each.len = load.event_bytes;
    }
    const int taken = rd_kafka_produce_batch(topic, RD_KAFKA_PARTITION_UA, 0, messages.data(),
                                             static_cast<int>(count));
    // Those refused carry their error; as the bodies are alike, it does not matter which they are.
    for (std::uint64_t i = 0; i < count; ++i) {
      const rd_kafka_resp_err_t error = messages[i].err;
      if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        die(rd_kafka_err2str(error));
      }
    }
    sent += static_cast<std::uint64_t>(taken);
    rd_kafka_poll(kafka, taken < static_cast<int>(count) ? 10 : 0);
  }
}

int produce(bool in_batches, char** arguments, const std::vector<std::string>& settings) {
  const Load load{std::strtoull(arguments[2], nullptr, 10),
                  std::strtoull(arguments[3], nullptr, 10), std::atoi(arguments[4])};
  if (load.headers != 0 && (load.headers != 2 || in_batches)) die("0 headers, or 2 one by one");
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set_dr_msg_cb(conf, on_report);
  rd_kafka_t* kafka = client(RD_KAFKA_PRODUCER, conf, arguments[0], settings);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(kafka, arguments[1], nullptr);
  if (topic == nullptr) die("no such topic");
  std::string body(load.event_bytes, 'x');

  Run run;
  (in_batches ? produce_in_batches : produce_singly)(kafka, topic, body.data(), load);
  while (reported < load.events) rd_kafka_poll(kafka, 100);
  run.events = reported;
  run.bytes = reported * load.event_bytes;
  run.print();
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(kafka);
  return 0;
}

// --- Consuming
// ------------------------------------------------------------------------------------

/// All partitions of the topic from their beginning, without a group's waiting.
void assign_all(rd_kafka_t* kafka, const char* name) {
  rd_kafka_topic_t* topic = rd_kafka_topic_new(kafka, name, nullptr);
  const struct rd_kafka_metadata* metadata = nullptr;
  if (rd_kafka_metadata(kafka, 0, topic, &metadata, 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR ||
      metadata->topic_cnt != 1) {
    die("no metadata");
  }
  const int count = metadata->topics[0].partition_cnt;
  rd_kafka_topic_partition_list_t* partitions = rd_kafka_topic_partition_list_new(count);
  for (int i = 0; i < count; ++i) {
    rd_kafka_topic_partition_list_add(partitions, name, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(topic);
  if (rd_kafka_assign(kafka, partitions) != RD_KAFKA_RESP_ERR_NO_ERROR) die("cannot assign");
  rd_kafka_topic_partition_list_destroy(partitions);
}

int consume(char** arguments, const std::vector<std::string>& settings) {
  const std::uint64_t events = std::strtoull(arguments[2], nullptr, 10);
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  set(conf, "group.id", "kafka-loops");
  set(conf, "enable.auto.commit", "false");
  set(conf, "enable.auto.offset.store", "false");
  rd_kafka_t* kafka = client(RD_KAFKA_CONSUMER, conf, arguments[0], settings);
  rd_kafka_poll_set_consumer(kafka);
  const double cpu_before_s = cpu_s();
  assign_all(kafka, arguments[1]);

  Run run;
  run.cpu_at_begin_s = cpu_before_s;
  while (run.events < events) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(kafka, 10'000);
    if (message == nullptr) die("nothing came for 10 s");
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) die(rd_kafka_message_errstr(message));
    if (run.events++ == 0) run.begin = Clock::now();
    run.bytes += message->len;
    rd_kafka_message_destroy(message);
  }
  run.print();
  rd_kafka_consumer_close(kafka);
  rd_kafka_destroy(kafka);
  return 0;
}

}  // namespace
}  // namespace sluice::bench

int main(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  const int own = what == "consume" ? 5 : 7;
  if (count < own || (what != "consume" && what != "produce" && what != "produce_batch")) {
    std::fprintf(stderr,
                 "usage: kafka_loops produce|produce_batch|consume BOOTSTRAP TOPIC EVENTS ...\n");
    return 2;
  }
  const std::vector<std::string> settings(arguments + own, arguments + count);
  if (what == "consume") return sluice::bench::consume(arguments + 2, settings);
  return sluice::bench::produce(what == "produce_batch", arguments + 2, settings);
}
