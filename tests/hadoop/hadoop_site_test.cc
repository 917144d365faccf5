#include "core/hadoop/hadoop_site.h"

#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

std::string property(const std::string& name, const std::string& value) {
  return "<property><name>" + name + "</name><value>" + value + "</value></property>\n";
}

std::string file_of(const std::string& properties) {
  return "<?xml version=\"1.0\"?>\n<!-- <a> -->\n<configuration>\n" + properties +
         "</configuration>\n";
}

TEST_CASE("properties have their values, without blanks around them") {
  HadoopSite site;
  REQUIRE(site.add(file_of(property("fs.defaultFS", "\n  hdfs://ns \n") +
                           "<property><description>x</description><name> a.b </name>"
                           "<value>1 &amp; 2</value><final>true</final></property>" +
                           property("empty", "")),
                   "core-site.xml")
              .ok());
  CHECK(site.value("fs.defaultFS") == "hdfs://ns");
  CHECK(site.value("a.b") == "1 & 2");
  CHECK(site.value("empty").empty());
  CHECK(site.value("unknown").empty());
}

TEST_CASE("the last of equal names counts, over files as well") {
  HadoopSite site;
  REQUIRE(site.add(file_of(property("a", "1") + property("a", "2")), "core-site.xml").ok());
  CHECK(site.value("a") == "2");
  REQUIRE(site.add(file_of(property("a", "3")), "hdfs-site.xml").ok());
  CHECK(site.value("a") == "3");
}

TEST_CASE("other properties stand for their values, and what is unknown stays") {
  HadoopSite site;
  REQUIRE(site.add(file_of(property("host", "nn1") + property("a", "${host}:${port}/${host}") +
                           property("loop", "x${loop}") + property("open", "${host")),
                   "x")
              .ok());
  CHECK(site.value("a") == "nn1:${port}/nn1");
  CHECK(site.value("open") == "${host");
  CHECK(site.value("loop").size() < 100);  // it ends
}

TEST_CASE("lists are cut at commas") {
  HadoopSite site;
  REQUIRE(site.add(file_of(property("l", " a, b ,,c ")), "x").ok());
  CHECK(site.values("l") == std::vector<std::string>{"a", "b", "c"});
  CHECK(site.values("none").empty());
}

TEST_CASE("a file that cannot be read is named with its line") {
  HadoopSite site;
  const Status torn = site.add("<configuration>\n<property><name>a</name>", "/etc/core-site.xml");
  CHECK(torn.code() == Code::Invalid);
  CHECK(torn.message().find("/etc/core-site.xml:") == 0);
  CHECK(site.add("<other/>", "x").message().find("no <configuration>") != std::string::npos);
  CHECK_FALSE(site.add("", "x").ok());
}

TEST_CASE("files of a directory are read as far as they are there") {
  testing::TempDirectory directory;
  HadoopSite site;
  CHECK(site.add_directory(directory.path("")).ok());
  CHECK(site.add_directory("").ok());
  REQUIRE(write_whole_file(directory.path("hdfs-site.xml"), file_of(property("a", "1"))).ok());
  CHECK(site.add_directory(directory.path("")).ok());
  CHECK(site.value("a") == "1");
  REQUIRE(write_whole_file(directory.path("core-site.xml"), "<configuration").ok());
  CHECK(site.add_directory(directory.path("")).code() == Code::Invalid);
}

}  // namespace
}  // namespace sluice
