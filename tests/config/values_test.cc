#include "core/config/values.h"

#include <limits>
#include <string>

#include "core/config/settings.h"
#include "tests/catch.h"
#include "tests/config/helpers.h"

using namespace sluice;
using namespace std::chrono_literals;

TEST_CASE("Integers take k, M and G, and nothing else") {
  CHECK(parse_integer("1000").value() == 1000);
  CHECK(parse_integer(" -1 ").value() == -1);
  CHECK(parse_integer("+5").value() == 5);
  CHECK(parse_integer("10k").value() == 10'000);
  CHECK(parse_integer("2M").value() == 2'000'000);
  CHECK(parse_integer("1 G").value() == 1'000'000'000);
  CHECK(parse_integer("9223372036854775807").value() == std::numeric_limits<std::int64_t>::max());
  for (const char* bad : {"", "x", "1_000", "0x10", "1.5", "10m", "10kk", "--1", "1 2",
                          "9223372036854775808", "99999999999999999999", "10000000000G"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_integer(bad).ok());
  }
}

TEST_CASE("A comment behind a number is recognised") {
  CHECK(parse_port("41414  # the port").status().message() ==
        "'41414  # the port' is not a port, 0 to 65535; a comment behind a value is part of the "
        "value, it needs a line of its own");
  CHECK(parse_integer("${X}").status().message().find("could not be resolved") !=
        std::string::npos);
}

TEST_CASE("Booleans are true and false in any case") {
  CHECK(parse_boolean("TRUE").value());
  CHECK_FALSE(parse_boolean("False").value());
  CHECK_FALSE(parse_boolean("yes").ok());
  CHECK_FALSE(parse_boolean("1").ok());
}

TEST_CASE("A bare duration counts in its own unit, others say theirs") {
  CHECK(parse_duration("500", 1ms).value() == 500ms);
  CHECK(parse_duration("3", 1000ms).value() == 3s);
  CHECK(parse_duration("500ms", 1000ms).value() == 500ms);
  CHECK(parse_duration("10 s", 1ms).value() == 10s);
  CHECK(parse_duration("5m", 1ms).value() == 5min);
  CHECK(parse_duration("1h", 1ms).value() == 1h);
  CHECK(parse_duration("7d", 1ms).value() == 168h);
  CHECK(parse_duration("-1", 1ms).value() == -1ms);
  CHECK_FALSE(parse_duration("5 minutes", 1ms).ok());
  CHECK_FALSE(parse_duration("9223372036854775807d", 1ms).ok());
  CHECK(parse_duration("36500d", 1ms).ok());
  for (const char* text : {"36501d", "-36501d", "9223372036854775807"}) {
    CHECK(parse_duration(text, 1ms).status().message().find("is too long a duration") !=
          std::string::npos);
  }
}

TEST_CASE("Sizes take powers of 1000 and of 1024") {
  CHECK(parse_bytes("1024").value() == 1024);
  CHECK(parse_bytes("64k").value() == 64'000);
  CHECK(parse_bytes("64KB").value() == 64'000);
  CHECK(parse_bytes("1Ki").value() == 1024);
  CHECK(parse_bytes("1 MiB").value() == 1'048'576);
  CHECK(parse_bytes("2G").value() == 2'000'000'000);
  CHECK(parse_bytes("10B").value() == 10);
  CHECK_FALSE(parse_bytes("-1").ok());
  CHECK_FALSE(parse_bytes("1Q").ok());
}

TEST_CASE("A time, a size or both need their units") {
  CHECK(parse_time_or_size("24h").value().time == std::chrono::hours(24));
  CHECK(parse_time_or_size("24h").value().bytes == 0);
  CHECK(parse_time_or_size("10GB").value().bytes == 10'000'000'000);
  CHECK(parse_time_or_size("10M").value().bytes == 10'000'000);
  CHECK(parse_time_or_size("10m").value().time == std::chrono::minutes(10));
  CHECK(parse_time_or_size(" 1Gi  7d ").value().time == std::chrono::hours(168));
  CHECK(parse_time_or_size(" 1Gi  7d ").value().bytes == 1 << 30);
  CHECK(parse_time_or_size("0").value().bytes == 0);
  for (const char* bad : {"", "24", "24h 1d", "1k 1k", "soon", "-1h", "0h", "0GB", "24h 10"}) {
    INFO(bad);
    CHECK(parse_time_or_size(bad).code() == Code::Invalid);
    CHECK(check_value({.name = "r", .type = KeyType::TimeOrSize}, bad).code() == Code::Invalid);
  }
}

TEST_CASE("Ports, choices and lists") {
  CHECK(parse_port("0").value() == 0);
  CHECK(parse_port("65535").value() == 65535);
  CHECK_FALSE(parse_port("65536").ok());
  CHECK_FALSE(parse_port("-1").ok());
  CHECK_FALSE(parse_port("80k").ok());
  CHECK(parse_choice("WAIT", "wait reject").value() == "wait");
  CHECK_FALSE(parse_choice("wai", "wait reject").ok());
  CHECK(parse_list(" a\tb  c ") == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("Bounds are part of the check, in the key's own unit") {
  const Key seconds{.name = "t", .type = KeyType::Seconds, .min = 1, .max = 60};
  CHECK(check_value(seconds, "60").ok());
  CHECK(check_value(seconds, "1m").ok());
  CHECK_FALSE(check_value(seconds, "0").ok());
  CHECK_FALSE(check_value(seconds, "2m").ok());
  const Key count{.name = "n", .type = KeyType::Integer, .min = 1};
  CHECK(check_value(count, "0").message() == "'0' is below the smallest value, 1");
}

TEST_CASE("Settings give typed values, defaults, families and places") {
  const Plan plan = plan_text(R"(a1.sources = r1
a1.sinks = k1
a1.channels = c1
a1.sources.r1.type = netcat
a1.sources.r1.bind = localhost
a1.sources.r1.port = 44444
a1.sources.r1.channels = c1
a1.channels.c1.type = memory
a1.channels.c1.keep-alive = 2m
a1.channels.c1.byteCapacity = 1MB
a1.channels.c1.onFull = REJECT
a1.sinks.k1.type = tcp
a1.sinks.k1.hostname = h
a1.sinks.k1.port = 1
a1.sinks.k1.headers.z = 1
a1.sinks.k1.headers.a.b = 2
a1.sinks.k1.channel = c1
)");
  REQUIRE(plan.verdict == Verdict::Runs);
  const Settings& source = plan.sources.at(0).settings;
  CHECK(source.component() == "source r1");
  CHECK(source.name() == "r1");
  CHECK(source.port("port") == 44444);
  CHECK(source.text("bind") == "localhost");
  CHECK(source.boolean("ack-every-event"));
  CHECK(source.integer("max-line-length") == 512);
  CHECK(source.has("port"));
  CHECK_FALSE(source.has("encoding"));
  CHECK(at(source.where("port")) == "x.conf:6:22+5");
  CHECK(at(source.where("encoding")) == "x.conf:4:22+6");
  const Settings& channel = plan.channels.at(0).settings;
  CHECK(channel.duration("keep-alive") == 2min);
  CHECK(channel.bytes("byteCapacity") == 1'000'000);
  CHECK(channel.text("onFull") == "reject");
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  CHECK(plan.sinks.at(0).settings.below("headers") == Pairs{{"z", "1"}, {"a.b", "2"}});
}
