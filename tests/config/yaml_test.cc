#include "core/config/yaml.h"

#include <map>
#include <string>

#include "tests/catch.h"
#include "tests/config/helpers.h"
#include "tests/config/test_catalog.h"

using namespace sluice;

namespace {

std::map<std::string, std::string> flat(const std::string& text, const std::string& file) {
  const Loaded loaded = load_text(text, file);
  for (const Diagnostic& each : loaded.diagnostics) FAIL(told({each}, ""));
  std::map<std::string, std::string> result;
  for (const Entry& entry : loaded.tree.entries()) result[entry.key] = entry.value;
  return result;
}

}  // namespace

TEST_CASE("YAML and properties of one agent are the same keys") {
  const auto properties = flat(R"(a1.sources = r1
a1.channels = c1
a1.sinks = mb
a1.sources.r1.type = netcat
a1.sources.r1.bind = localhost
a1.sources.r1.port = 9999
a1.sources.r1.channels = c1
a1.sources.r1.interceptors = i1 i2
a1.sources.r1.interceptors.i1.type = timestamp
a1.sources.r1.interceptors.i2.type = static
a1.sources.r1.interceptors.i2.value = a b
a1.channels.c1.type = memory
a1.channels.c1.capacity = 1000
a1.sinks.mb.type = microbatch
a1.sinks.mb.channel = c1
a1.sinks.mb.steps = words count
a1.sinks.mb.steps.words.type = split
a1.sinks.mb.steps.words.on = space
a1.sinks.mb.steps.count.type = aggregate
a1.sinks.mb.steps.count.by = word
a1.sinks.mb.steps.count.agg.n = count()
)",
                               "x.conf");
  const auto yaml = flat(R"(a1:
  sources:
    r1:
      type: netcat
      bind: localhost
      port: 9999
      channels: [c1]
      interceptors:
        i1: { type: timestamp }
        i2: { type: static, value: a b }
  channels: { c1: { type: memory, capacity: 1000 } }
  sinks:
    mb:
      type: microbatch
      channel: c1
      steps:
        - { name: words, type: split, on: space }
        - { name: count, type: aggregate, by: [word], agg: { n: count() } }
)",
                         "x.yaml");
  CHECK(yaml == properties);
}

TEST_CASE("Dots in YAML keys and nesting mean the same") {
  CHECK(flat("a1.sources: r1\na1:\n  sources.r1.type: seq\n", "x.yml") ==
        flat("a1.sources = r1\na1.sources.r1.type = seq\n", "x.conf"));
}

TEST_CASE("The tutorial's agent in YAML runs as its properties do") {
  const Loaded loaded = load_text(R"(a1:
  sources:  { r1: { type: netcat, bind: localhost, port: 44444, channels: [c1] } }
  sinks:    { k1: { type: logger, channel: c1 } }
  channels: { c1: { type: memory, capacity: 1000, transactionCapacity: 100 } }
)",
                                  "x.yaml");
  const Plan plan = make_plan(loaded.tree, "a1", test_catalog());
  CHECK(plan.diagnostics.empty());
  CHECK(plan.verdict == Verdict::Runs);
  CHECK(plan.sources.at(0).settings.port("port") == 44444);
}

TEST_CASE("YAML scalars keep their spelling, null too") {
  const Loaded loaded =
      load_text("a: {t: null, b: True, n: 0x10, o: 010, e: , q: '#x', s: ~}", "x.yaml");
  CHECK(value_of(loaded.tree, "a.t") == "null");
  CHECK(value_of(loaded.tree, "a.b") == "True");
  CHECK(value_of(loaded.tree, "a.n") == "0x10");
  CHECK(value_of(loaded.tree, "a.o") == "010");
  CHECK(value_of(loaded.tree, "a.e") == "");
  CHECK(value_of(loaded.tree, "a.q") == "#x");
  CHECK(value_of(loaded.tree, "a.s") == "");
}

TEST_CASE("YAML keys and values have their places") {
  const Loaded loaded = load_text(
      "# \xC3\xA9\na1:\n  sources:\n    r1: { \xC3\xA9: x, type: \"seq\" }\n"
      "  sinks: [k1, k2]\n",
      "x.yaml");
  const Entry* type = loaded.tree.find("a1.sources.r1.type");
  REQUIRE(type != nullptr);
  CHECK(at(type->key_at) == "x.yaml:4:17+4");
  CHECK(at(type->value_at) == "x.yaml:4:23+5");
  const auto words = split_words(*loaded.tree.find("a1.sinks"));
  REQUIRE(words.size() == 2);
  CHECK(at(words[1].where) == "x.yaml:5:15+2");
  CHECK(at(split_words(*loaded.tree.find("a1.sources"))[0].where) == "x.yaml:4:5+2");
}

TEST_CASE("A duplicate YAML key is told with both places, and the later wins") {
  const Loaded loaded = load_text("a1:\n  x: 1\n  x: 2\n", "x.yaml");
  CHECK(value_of(loaded.tree, "a1.x") == "2");
  CHECK(told(loaded.diagnostics, "set twice") ==
        "warning x.yaml:3:3+1 'a1.x' is set twice; this later value wins | line 2 set it to '1'");
}

TEST_CASE("Broken YAML is one error at its place, and the file counts as unreadable") {
  const Loaded loaded = load_text("a1:\n  sources: [r1\n  sinks: k1\n", "x.yaml");
  CHECK(loaded.readable == false);
  CHECK(told(loaded.diagnostics, "YAML: ").find("error x.yaml:3:") == 0);
  CHECK(load_text("- a\n- b\n", "x.yaml").readable == false);
}

TEST_CASE("YAML bombs end early") {
  std::string bomb = "a0: &a0 {x: {}}\n";
  for (int i = 1; i < 30; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " {p: " + below +
            ", q: " + below + ", r: " + below + "}\n";
  }
  CHECK(told(load_text(bomb, "x.yaml").diagnostics, "unfolds to more") != "");
  CHECK(load_text(std::string(20'000, '['), "x.yaml").readable == false);
  std::string deep;
  for (int i = 0; i < 60; ++i) deep += "{a: ";
  deep += "b" + std::string(60, '}');
  CHECK(told(load_text(deep, "x.yaml").diagnostics, "nested deeper than 32") != "");
  CHECK(load_text(std::string(kYamlBytesMax + 1, ' '), "x.yaml").readable == false);
}
