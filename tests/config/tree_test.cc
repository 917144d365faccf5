#include "core/config/tree.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "core/config/read_file.h"
#include "tests/catch.h"
#include "tests/config/helpers.h"

using namespace sluice;

namespace {

SubstitutionSources sources_with(const std::string& name, const std::string& value) {
  SubstitutionSources sources;
  sources.environment = [=](const std::string& asked) {
    return asked == name ? std::optional(value) : std::nullopt;
  };
  return sources;
}

std::string resolved(const std::string& value, const SubstitutionSources& sources = {}) {
  return value_of(load_text("k.v = " + value + "\np.q = other\n", "x.conf", sources).tree, "k.v");
}

/// A directory of its own that goes away with the test.
class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = (path_ / name).string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("The environment, -D properties and other keys are put into values") {
  CHECK(resolved("a ${env:X} b", sources_with("X", "1")) == "a 1 b");
  SubstitutionSources sources;
  sources.system_properties["dir"] = "/tmp";
  CHECK(resolved("${sys:dir}/x", sources) == "/tmp/x");
  CHECK(resolved("<${p.q}>") == "<other>");
  CHECK(resolved("${no:-default}") == "default");
  CHECK(resolved("${env:NO:-d}") == "d");
  CHECK(resolved("${${no:-p}.q}") == "other");
  CHECK(resolved("$${p.q}") == "${p.q}");
  CHECK(resolved("${p.q") == "${p.q");
  CHECK(resolved("${a ${p.q}") == "${a other");
}

TEST_CASE("Dates follow the injected clock in local time") {
  setenv("TZ", "UTC", 1);
  tzset();
  ManualClock clock;
  clock.set_wall_ms(1'700'000'000'123);  // 2023-11-14 22:13:20 UTC
  SubstitutionSources sources;
  sources.clock = &clock;
  CHECK(resolved("${date:yyyy-MM-dd'T'HH:mm:ss.SSS}", sources) == "2023-11-14T22:13:20.123");
  CHECK(resolved("${date:yy}", sources) == "23");
  CHECK(resolved("${date:MMM}", sources) == "${date:MMM}");
}

TEST_CASE("Bare names come from the environment only when Flume's resolver is asked for") {
  SubstitutionSources sources = sources_with("X", "1");
  CHECK(resolved("${X}", sources) == "${X}");
  sources.bare_environment = true;
  CHECK(resolved("${X}", sources) == "1");
  CHECK(resolved("${Y}", sources) == "${Y}");
}

TEST_CASE("What is not known stays literal, with a warning at the value") {
  const Loaded loaded =
      load_text("a.sinks = x ${env:NO} y\na.d = ${java:version}\ne.f = ${f1['k']}\n");
  CHECK(value_of(loaded.tree, "a.sinks") == "x ${env:NO} y");
  CHECK(told(loaded.diagnostics, "${env:NO}").find("warning x.conf:1:11+13 ") == 0);
  CHECK(told(loaded.diagnostics, "no Java here").find("warning x.conf:2:7+15 ") == 0);
  CHECK(told(loaded.diagnostics, "config filters are not built yet") != "");
}

TEST_CASE(
    "A value can never become a key, and what the environment brings is not looked at again") {
  const Loaded loaded =
      load_text("a.b = ${env:X}\n", "x.conf", sources_with("X", "1\nc.d = ${env:X}"));
  CHECK(loaded.tree.entries().size() == 1);
  CHECK(value_of(loaded.tree, "a.b") == "1\nc.d = ${env:X}");
  CHECK(value_of(loaded.tree, "c.d") == "(none)");
  CHECK(load_text("a.${env:X} = 1\n", "x.conf", sources_with("X", "b")).tree.find("a.b") ==
        nullptr);
}

TEST_CASE("References that go round or explode end") {
  const Loaded round = load_text("a.a = ${a.b}\na.b = ${a.a}\n");
  CHECK(told(round.diagnostics, "refers to itself") != "");
  std::string bomb = "k.0 = 0123456789\n";
  for (int i = 1; i < 12; ++i) {
    bomb += "k." + std::to_string(i) + " = ";
    for (int j = 0; j < 10; ++j) bomb += "${k." + std::to_string(i - 1) + "}";
    bomb += "\n";
  }
  const Loaded exploded = load_text(bomb);
  CHECK(told(exploded.diagnostics, "expands to too much") != "");
  CHECK(value_of(exploded.tree, "k.11").size() < kExpandedBytesTotalMax);
  std::string open = "k.v = ";
  for (int i = 0; i < 500'000; ++i) open += "${";
  CHECK(load_text(open).tree.entries().size() == 1);
  std::string nested = "k.v = ";
  for (int i = 0; i < 10'000; ++i) nested += "${";
  CHECK(told(load_text(nested + std::string(10'000, '}')).diagnostics, "nest deeper") != "");
}

TEST_CASE("The later of two values of a key wins and is told, equal ones are silent") {
  const Loaded loaded = load_text("a.sinks = 1\na.sinks = 2\na.d = 3\na.d = 3\n");
  CHECK(value_of(loaded.tree, "a.sinks") == "2");
  CHECK(loaded.diagnostics.size() == 1);
  CHECK(
      told(loaded.diagnostics, "twice") ==
      "warning x.conf:2:1+7 'a.sinks' is set twice; this later value wins | line 1 set it to '1'");
}

TEST_CASE("Of several files the later wins, silently, in either language") {
  std::vector<SourceText> texts;
  texts.emplace_back("x.conf", "a.sinks = 1\na.c = 1\n");
  texts.emplace_back("y.yaml", "a: {sinks: 2}\n");
  const Loaded loaded = load_texts(std::move(texts), {});
  CHECK(value_of(loaded.tree, "a.sinks") == "2");
  CHECK(value_of(loaded.tree, "a.c") == "1");
  CHECK(at(loaded.tree.find("a.sinks")->value_at) == "y.yaml:1:12+1");
  CHECK(loaded.diagnostics.empty());
}

TEST_CASE("The language is told from the name or the first sign") {
  CHECK(value_of(load_text("{a: {b: 1}}").tree, "a.b") == "1");
  CHECK(value_of(load_text("---\na: {b: 1}").tree, "a.b") == "1");
  CHECK(value_of(load_text("# comment\n\na1:\n  b: 1\n").tree, "a1.b") == "1");
  CHECK(value_of(load_text("a1:   # agent\n  b: 1\n").tree, "a1.b") == "1");
  CHECK(value_of(load_text("--- # agents\na1:\n  b: 1\n").tree, "a1.b") == "1");
  CHECK(value_of(load_text("a1: b\n").tree, "a1") == "b");
}

TEST_CASE("A file of XML gets one line that says so") {
  const Loaded loaded = load_text("\n  <?xml version='1.0'?>\n<configuration/>\n");
  REQUIRE(loaded.diagnostics.size() == 1);
  CHECK(told(loaded.diagnostics, "XML").find("error x.conf:2:3+1 this is XML") == 0);
  CHECK(loaded.readable == false);
  CHECK(told(load_text("# <site>\n <configuration/>\n").diagnostics, "XML")
            .find("error x.conf:2:2+1 ") == 0);
}

TEST_CASE("Missing, empty, UTF-16 and huge files and directories each get a clear error") {
  const TempDir dir;
  const auto error_of = [](const std::string& path) {
    LoadOptions options;
    options.files = {path};
    const Loaded loaded = load_files(options);
    CHECK(loaded.readable == false);
    REQUIRE(loaded.diagnostics.size() == 1);
    return loaded.diagnostics[0].message;
  };
  CHECK(error_of(dir.path() + "/no.conf") ==
        "The specified configuration file does not exist: " + dir.path() + "/no.conf");
  CHECK(error_of(dir.path()).find("it is a directory") != std::string::npos);
  CHECK(error_of(dir.write("empty", "")).find("No configuration could be found") == 0);
  CHECK(error_of(dir.write("comment", "# nothing\n")).find("No configuration could be found") == 0);
  CHECK(error_of(dir.write("utf16", std::string("\xFF\xFE"
                                                "a\0=\0",
                                                6)))
            .find("UTF-16") != std::string::npos);
  CHECK(error_of(dir.write("huge", std::string(kConfigBytesMax + 1, ' '))).find("larger than") !=
        std::string::npos);
  CHECK(read_file("/dev/zero", 1000).status().message().find("larger than 1000") !=
        std::string::npos);
}

TEST_CASE("Keys that no agent owns are told once an agent, unless a value refers to them") {
  const Loaded loaded = load_text(
      "a1.sinks = k\nal.sinks.k.type = null\nal.sinks.k.x = ${port}\n"
      "// note\nport = 5\nname = x\n");
  CHECK(loaded.diagnostics.size() == 3);
  CHECK(told(loaded.diagnostics, "agent 'al' has no list").find("warning x.conf:2:1+15 ") == 0);
  CHECK(told(loaded.diagnostics, "a comment begins with # or !").find("warning x.conf:4:1+2 ") ==
        0);
  CHECK(told(loaded.diagnostics, "ignored: 'name'").find("warning x.conf:6:1+4 ") == 0);
}

TEST_CASE("Agents are those with a list line, in the order of the file") {
  const Loaded loaded = load_text("b2.sinks = k\na1.sources = r\nb2.channels = c\nx.y = z\n");
  CHECK(loaded.tree.agents() == std::vector<std::string>{"b2", "a1"});
}
