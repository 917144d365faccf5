// What is said of librdkafka's errors, and what follows from them.

#include "core/kafka/error.h"

#include <algorithm>
#include <string>

#include "core/kafka/client_log.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

TEST_CASE("an error says to what it happened and what to do") {
  const Status status = kafka_status(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, "topic 'logs'");
  CHECK(status.code() == Code::Retry);
  CHECK(status.message().find("topic 'logs': ") == 0);
  CHECK(status.message().find("auto.create.topics.enable") != std::string::npos);
  CHECK(status.message().find("_UNKNOWN_TOPIC") != std::string::npos);
}

TEST_CASE("what is wrong with a record is rejected, what may pass is tried again") {
  CHECK(kafka_status(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "").code() == Code::Reject);
  CHECK(kafka_status(RD_KAFKA_RESP_ERR_INVALID_RECORD, "").code() == Code::Reject);
  for (const rd_kafka_resp_err_t passing :
       {RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
        RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_UNKNOWN, RD_KAFKA_RESP_ERR__FATAL}) {
    INFO(rd_kafka_err2name(passing));
    CHECK(kafka_status(passing, "").code() == Code::Retry);
  }
  CHECK(kafka_status(RD_KAFKA_RESP_ERR__PURGE_QUEUE, "").code() == Code::Closed);
  CHECK(kafka_status(RD_KAFKA_RESP_ERR_NO_ERROR, "x").ok());
}

TEST_CASE("an error without words of ours has librdkafka's") {
  const Status status = kafka_status(RD_KAFKA_RESP_ERR_STALE_CTRL_EPOCH, "", "from broker 3");
  CHECK(status.message().find(rd_kafka_err2str(RD_KAFKA_RESP_ERR_STALE_CTRL_EPOCH)) !=
        std::string::npos);
  CHECK(status.message().find("from broker 3") != std::string::npos);
}

TEST_CASE("every error of librdkafka is worded and none stops the agent") {
  const rd_kafka_err_desc* all = nullptr;
  std::size_t count = 0;
  rd_kafka_get_err_descs(&all, &count);
  for (std::size_t i = 0; i < count; ++i) {
    if (all[i].desc == nullptr || all[i].code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    const Status status = kafka_status(all[i].code, "");
    CHECK_FALSE(status.message().empty());
    CHECK(status.code() != Code::Fatal);
    CHECK_FALSE(status.ok());
  }
}

TEST_CASE("what goes wrong again and again is said ever more rarely, and anew when it had worked") {
  testing::CapturedLog captured(log::Level::Info);
  KafkaClientLog log("sink k1");
  const auto lines = [&] {
    const std::string text = captured.text();
    return std::count(text.begin(), text.end(), '\n');
  };
  for (int i = 0; i < 10; ++i) log.error(1, Retry("down"));
  CHECK(lines() == 4);
  log.error(2, Retry("another"));
  CHECK(lines() == 5);
  log.recovered();
  log.error(1, Retry("down"));
  CHECK(lines() == 6);
  for (int i = 0; i < 10; ++i) log.line(4, "REQTMOUT", "late");
  CHECK(lines() == 10);
  // Error events say these, and better.
  log.line(3, "FAIL", "refused");
  CHECK(lines() == 10);
}

TEST_CASE("the latest error is remembered until something works") {
  KafkaClientLog log("sink k1");
  CHECK(log.latest_error().empty());
  log.error(1, Retry("first"));
  log.error(2, Retry("second"));
  CHECK(log.latest_error() == "second");
  CHECK(log.troubled());
  log.recovered();
  CHECK_FALSE(log.troubled());
  CHECK(log.latest_error().empty());
}

}  // namespace
}  // namespace sluice
