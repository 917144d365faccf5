// Names of topics with Flume's escapes in them.

#include "core/topics/topic_name.h"

#include "core/base/host_name.h"
#include "core/base/time_escapes.h"
#include "tests/catch.h"
#include "tests/support/batches.h"

namespace sluice {
namespace {

std::string name_for(std::string_view text, const TestHeaders& headers) {
  const auto name = KafkaTopicName::make(text, true);
  REQUIRE(name.status().message() == "");
  SlabPool pool(64 * 1024);
  const Batch batch = batch_of(pool, {"x"}, headers);
  std::string out = "before-";
  const Status status = name->append_for(batch.headers(0), out);
  return status.ok() ? out.substr(7) : "refused: " + status.message();
}

std::string problem_of(std::string_view text, bool may_have_escapes = true) {
  const auto name = KafkaTopicName::make(text, may_have_escapes);
  return name.ok() ? "" : name.status().message();
}

TEST_CASE("a topic's name without escapes is itself") {
  const auto name = KafkaTopicName::make("a.b-c_9", true);
  REQUIRE(name.ok());
  CHECK(name->fixed());
  CHECK(name->text() == "a.b-c_9");
}

TEST_CASE("headers stand where a topic's name says, and nothing where there is none") {
  CHECK(name_for("%{a}-%{b.c}", {{"a", "1"}, {"b.c", "2"}}) == "1-2");
  CHECK(name_for("x%{a}", {}) == "x");
  CHECK_FALSE(KafkaTopicName::make("%{a}", true)->fixed());
}

TEST_CASE("letters stand for parts of the event's time, in this machine's zone") {
  const TestHeaders headers{{"timestamp", "1600000000123"}};
  const CivilTime time = TimeZone::find("")->at(1'600'000'000);
  std::string day;
  for (const char letter : {'Y', 'm', 'd', 'H', 'j', 'b'}) {
    append_time(letter, time, 1'600'000'000, day);
    day += '.';
  }
  CHECK(day.starts_with("2020.09.1"));
  CHECK(name_for("%Y.%m.%d.%H.%j.%b.", headers) == day);
  CHECK(name_for("%t-%s", headers) == "1600000000123-1600000000");
  CHECK(name_for("%s", {{"timestamp", "-1"}}) == "-1");
}

TEST_CASE("an event without a time has no topic whose name tells the time") {
  CHECK(name_for("x%Y", {}).find("header timestamp, which it has not") != std::string::npos);
  CHECK(name_for("x%t", {{"timestamp", "now"}}).find("'now'") != std::string::npos);
  CHECK(name_for("x%Y", {{"timestamp", "999999999999999999"}}).find("no time") !=
        std::string::npos);
  CHECK(name_for("x%{timestamp}", {}) == "x");
}

TEST_CASE("a topic's name may tell the machine") {
  CHECK(name_for("x-%[localhost]", {}) == "x-" + own_host_name());
  CHECK(name_for("x-%[IP]", {}) == "x-" + local_address());
  CHECK(name_for("x-%[FQDN]", {}) == "x-" + local_host_name());
  CHECK(problem_of("x-%[os]").find("%[localhost], %[ip] and %[fqdn]") != std::string::npos);
}

TEST_CASE("what makes no topic's name is told") {
  CHECK(problem_of("a b").find("no topic can have this name") != std::string::npos);
  CHECK(problem_of("").find("no topic can have this name") != std::string::npos);
  CHECK(problem_of("a%D").find("no topic can have this name") != std::string::npos);  // slashes
  CHECK(problem_of("a%c").find("no topic can have this name") != std::string::npos);  // blanks
  CHECK(problem_of("a%%").find("'%'") != std::string::npos);
  CHECK(problem_of("a%").find("'%'") != std::string::npos);
  CHECK(problem_of("a%{b").find("without an end") != std::string::npos);
  CHECK(problem_of("a%{b}", false).find("allowTopicOverride") != std::string::npos);
}

TEST_CASE("a letter that Flume does not know is nothing, and a warning") {
  const auto name = KafkaTopicName::make("a-%q", true);
  REQUIRE(name.ok());
  REQUIRE(name->warnings().size() == 1);
  CHECK(name->warnings()[0].starts_with("%q"));
  CHECK(name_for("a-%q", {}) == "a-");
}

}  // namespace
}  // namespace sluice
