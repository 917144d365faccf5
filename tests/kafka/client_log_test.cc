#include "core/kafka/client_log.h"

#include "core/kafka/client_settings.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

using testing::CapturedLog;

TEST_CASE("brokers for which this librdkafka does not compress are told of, now and then") {
  const CapturedLog said;
  KafkaClientLog log("sink k1");
  log.line(7, "APIVERSION", "localhost:9092/1:   ApiKey Produce (0) Versions 3..13");
  CHECK(said.text().find("uncompressed") == std::string::npos);
  log.look_for_produce();
  log.line(7, "APIVERSION", "localhost:9092/1:   ApiKey Produce (0) Versions 0..13");
  log.line(7, "APIVERSION", "localhost:9092/1:   ApiKey Fetch (1) Versions 4..17");
  CHECK(said.text().find("uncompressed") == std::string::npos);
  log.line(7, "APIVERSION", "localhost:9092/1:   ApiKey Produce (0) Versions 3..13");
  CHECK(said.has("sink k1: records go out uncompressed"));
  CHECK(said.has("one takes 3..13; compression.type = zstd works"));
  const std::size_t length = said.text().size();
  log.line(7, "APIVERSION", "localhost:9092/2:   ApiKey Produce (0) Versions 3..13");
  log.line(7, "APIVERSION", "localhost:9092/3:   ApiKey Produce (0) Versions 3..13");
  CHECK(said.text().find("uncompressed", length) != std::string::npos);
  const std::size_t longer = said.text().size();
  log.line(7, "APIVERSION", "localhost:9092/1:   ApiKey Produce (0) Versions 3..13");
  log.line(7, "APIVERSION", "localhost:9092/1:   ApiKey Produce (0) Versions 3..13");
  CHECK(said.text().find("uncompressed", longer) != std::string::npos);
}

}  // namespace
}  // namespace sluice
