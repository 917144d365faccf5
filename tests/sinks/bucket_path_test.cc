// Flume's escapes, with the vectors of its own tests and of its guide.

#include "sinks/bucket_path.h"

#include <optional>

#include "core/base/host_name.h"
#include "tests/catch.h"
#include "tests/support/batches.h"

namespace sluice {
namespace {

using Unit = RoundDown::Unit;

struct Setup {
  std::string zone = "GMT-7";
  RoundDown round = {};
  bool local_time = false;
  std::string prefix = "p";
};

std::unique_ptr<BucketPath> path_of(const std::string& text, const Setup& setup = {}) {
  auto zone = TimeZone::find(setup.zone);
  REQUIRE(zone.ok());
  auto made = BucketPath::make({.path = text,
                                .prefix = setup.prefix,
                                .zone = *zone,
                                .round = setup.round,
                                .local_time = setup.local_time});
  INFO(made.status().message());
  REQUIRE(made.ok());
  return *std::move(made);
}

constexpr std::int64_t june = 1'340'484'393'234;  // 23 June 2012 13:46:33.234 GMT-7, a Saturday

/// The directory of one event; "refused: why" when it belongs nowhere.
std::string expand(const std::unique_ptr<BucketPath>& path, const TestHeaders& headers,
                   std::int64_t now = 0) {
  const std::string own = encoded(headers);
  const auto answer = path->find(HeaderView({}, own, {}), now);
  return answer == BucketPath::Answer::Refuse ? "refused: " + path->why() : path->directory();
}
std::string at(const std::string& text, std::int64_t ms, const Setup& setup = {}) {
  const auto path = path_of(text, setup);
  return expand(path, {{"timestamp", std::to_string(ms)}});
}

TEST_CASE("the vectors of Flume's TestBucketPath") {
  CHECK(at("%c", june) == "Sat Jun 23 13:46:33 2012");
  CHECK(at("%c", june, {.round = {Unit::Hour, 12}}) == "Sat Jun 23 12:00:00 2012");
  CHECK(at("%c", june, {.round = {Unit::Minute, 5}}) == "Sat Jun 23 13:45:00 2012");
  CHECK(at("%c", june, {.round = {Unit::Second, 5}}) == "Sat Jun 23 13:46:30 2012");
  CHECK(at("%e-%n", 1'234'567'890'000, {.zone = "UTC"}) == "13-2");
  CHECK(at("%e-%n", 1'268'870'400'000, {.zone = "UTC"}) == "18-3");
  const auto host = path_of("%[localhost]/%[IP]/%[FQDN]");
  CHECK(expand(host, {}) == own_host_name() + "/" + local_address() + "/" + local_host_name());
  CHECK(host->constant());
}

TEST_CASE("the example of Flume's guide: 10 minutes") {
  // 11:54:34 AM, June 12, 2012.
  CHECK(at("/flume/events/%y-%m-%d/%H%M/%S", 1'339'502'074'000,
           {.zone = "UTC", .round = {Unit::Minute, 10}}) == "/flume/events/12-06-12/1150/00");
}

TEST_CASE("every letter") {
  const std::string all = "%a %A %b %B %d %e %H %I %j %k %l %m %M %n %p %s %S %t %y %Y %z %D %%";
  CHECK(at(all, june) ==
        "Sat Saturday Jun June 23 23 13 01 175 13 1 06 46 6 PM 1340484393 33 1340484393234 12 2012 "
        "-0700 06/23/12 %");
  // Midnight and noon, and numbers of one digit.
  const std::int64_t midnight = 1'330'560'000'000;  // 1 March 2012 00:00 UTC
  CHECK(at("%I %k %l %p %d %e %j", midnight, {.zone = "UTC"}) == "12 0 12 AM 01 1 061");
  CHECK(at("%I %k %l %p", midnight + 12 * 3'600'000, {.zone = "UTC"}) == "12 12 12 PM");
  CHECK(at("%z", june, {.zone = "Asia/Kolkata"}) == "+0530");
  CHECK(at("%s", -1, {.zone = "UTC"}) == "-1");
  CHECK(at("%Y-%m-%d %H:%M:%S", -1, {.zone = "UTC"}) == "1969-12-31 23:59:59");
}

TEST_CASE("rounding leaves the text of the timestamp alone, and cuts seconds since 1970") {
  CHECK(at("%t/%s", june, {.round = {Unit::Hour, 1}}) == "1340484393234/1340481600");
  // Half an hour beside the others: an hour begins when the place says so.
  CHECK(at("%H:%M", june, {.zone = "Asia/Kolkata", .round = {Unit::Hour, 1}}) == "02:00");
  CHECK(at("%H", june, {.zone = "Asia/Kolkata", .round = {Unit::Hour, 24}}) == "00");
  CHECK(at("%d %H%M%S", june, {.zone = "UTC", .round = {Unit::Hour, 24}}) == "23 000000");
}

TEST_CASE("the second two o'clock of a night in October stays the second") {
  const std::int64_t second_two = 1'698'542'100'000;  // 29 October 2023 02:15 CET
  CHECK(at("%H %z", second_two, {.zone = "Europe/Berlin", .round = {Unit::Hour, 1}}) == "02 +0100");
  CHECK(at("%H %z", second_two - 3'600'000, {.zone = "Europe/Berlin", .round = {Unit::Hour, 1}}) ==
        "02 +0200");
}

TEST_CASE("headers stand where they are named, and nothing where there is none") {
  const auto path = path_of("/logs/%{host}/%{type.of-it_1}x%{none}y", {.prefix = "%{host}-f"});
  CHECK(expand(path, {{"host", "web1"}, {"type.of-it_1", "a/b"}}) == "/logs/web1/a/bxy");
  CHECK(path->prefix() == "web1-f");
  CHECK(path->key() == "/logs/web1/a/bxy/web1-f");
  CHECK_FALSE(path->needs_timestamp());
  CHECK_FALSE(path->constant());
  CHECK(expand(path, {{"host", "a/b"}}) == "/logs/a/b/xy/a");  // its slash moves it
  CHECK(path->prefix() == "b-f");
}

TEST_CASE("an event is looked at again only when its bucket may be another") {
  const auto path = path_of("/%{host}/%H%M");
  const auto find = [&](const std::string& host, std::int64_t ms) {
    const std::string own = encoded({{"host", host}, {"timestamp", std::to_string(ms)}});
    return path->find(HeaderView({}, own, {}), 0);
  };
  CHECK(find("a", june) == BucketPath::Answer::Other);
  CHECK(find("a", june + 26'000) == BucketPath::Answer::Same);  // 13:46:59
  CHECK(path->directory() == "/a/1346");
  CHECK(find("a", june + 27'000) == BucketPath::Answer::Other);
  CHECK(path->directory() == "/a/1347");
  CHECK(find("a", june) == BucketPath::Answer::Other);
  CHECK(path->directory() == "/a/1346");
  CHECK(find("b", june) == BucketPath::Answer::Other);
  CHECK(path->directory() == "/b/1346");
  CHECK(find("b", june) == BucketPath::Answer::Same);
}

TEST_CASE("now is the time where the file says so") {
  const auto path = path_of("%H%M%S %t", {.zone = "UTC", .local_time = true});
  CHECK_FALSE(path->needs_timestamp());
  CHECK(expand(path, {{"timestamp", "77"}}, june) == "204633 1340484393234");
  CHECK(expand(path, {}, june + 1) == "204633 1340484393235");
}

TEST_CASE("an event without a time is refused, and the next one is not") {
  const auto path = path_of("/%H/%{h}");
  CHECK(path->needs_timestamp());
  CHECK(expand(path, {{"timestamp", std::to_string(june)}, {"h", "a"}}) == "/13/a");
  CHECK(expand(path, {{"h", "b"}}).starts_with("refused: the path needs"));
  CHECK(expand(path, {{"h", "b"}, {"timestamp", "soon"}}).starts_with("refused: the event's"));
  CHECK(expand(path, {{"h", "b"}, {"timestamp", "12 "}}).starts_with("refused: the event's"));
  CHECK(expand(path, {{"h", "b"}, {"timestamp", ""}}).starts_with("refused: the event's"));
  CHECK(expand(path, {{"h", "b"}, {"timestamp", "9223372036854775807"}}).find("bounds") !=
        std::string::npos);
  CHECK(expand(path, {{"timestamp", std::to_string(june)}, {"h", "b"}}) == "/13/b");
  // A literal percent sign tells no time.
  const auto percent = path_of("/100%%/%-");
  CHECK(expand(percent, {}) == "/100%/%-");
  CHECK(percent->constant());
}

TEST_CASE("no header leads out of its directory, or to a name that cannot be") {
  const auto path = path_of("/logs/%{a}%{b}/x");
  const auto refused = [&](const TestHeaders& headers) {
    return expand(path, headers).starts_with("refused: ");
  };
  CHECK(refused({{"a", ".."}}));
  CHECK(refused({{"a", "."}, {"b", "."}}));
  CHECK(refused({{"a", "x/../../etc"}}));
  CHECK(refused({{"a", "x/.."}}));
  CHECK(refused({{"a", std::string("x\0y", 3)}}));
  CHECK(refused({{"a", std::string(256, 'x')}}));
  CHECK_FALSE(refused({{"a", std::string(255, 'x')}}));
  CHECK_FALSE(refused({{"a", "..."}}));
  CHECK_FALSE(refused({{"a", "x..y"}}));
  const auto deep = path_of("/logs/%{a}");
  std::string far;
  for (int i = 0; i < 2500; ++i) far += "d/";
  CHECK(expand(deep, {{"a", far}}).starts_with("refused: "));
  const auto named = path_of("/logs", {.prefix = "%{a}"});
  CHECK(expand(named, {{"a", std::string(156, 'x')}}).starts_with("refused: "));
  CHECK(expand(named, {{"a", std::string(155, 'x')}}) == "/logs");
  CHECK(expand(named, {{"a", "../x"}}).starts_with("refused: "));
  // What the author of the file has written is the author's affair.
  const auto own = path_of("/logs/../%{a}");
  CHECK(expand(own, {{"a", "x"}}) == "/logs/../x");
}

TEST_CASE("what cannot be read is named") {
  const auto why = [](const std::string& text) {
    auto zone = TimeZone::find("UTC");
    auto made = BucketPath::make({.path = text, .prefix = "p", .zone = *zone});
    return made.ok() ? std::string("ok") : made.status().message();
  };
  CHECK(why("/%[host]").find("%[host]") != std::string::npos);
  CHECK(why("/%[]").find("%[fqdn]") != std::string::npos);
  CHECK(why("/%{a b}").find("%{a b}") != std::string::npos);
  CHECK(why("/%{}").find("no header") != std::string::npos);
  CHECK(why("/%{host/x").find("without an end") != std::string::npos);
  CHECK(why("/100%") == "ok");
  const auto odd = path_of("/%q/%E");
  CHECK(odd->warnings().size() == 2);
  CHECK(odd->warnings()[0].find("%q") != std::string::npos);
  CHECK(expand(odd, {}) == "//");
}

}  // namespace
}  // namespace sluice
