#include "core/hadoop/namenodes.h"

#include "tests/catch.h"

namespace sluice {
namespace {

using Words = std::vector<std::string>;

HadoopSite site_of(std::initializer_list<std::pair<const char*, const char*>> properties) {
  std::string text = "<configuration>";
  for (const auto& [name, value] : properties) {
    text +=
        std::string("<property><name>") + name + "</name><value>" + value + "</value></property>";
  }
  HadoopSite site;
  REQUIRE(site.add(text + "</configuration>", "test").ok());
  return site;
}

Namenodes found(const std::string& uri, const HadoopSite& site = {}, const Words& own = {}) {
  auto parsed = parse_hdfs_uri(uri);
  REQUIRE(parsed.ok());
  auto namenodes = find_namenodes(*parsed, own, site);
  INFO(uri << ": " << namenodes.status().message());
  REQUIRE(namenodes.ok());
  return *namenodes;
}

TEST_CASE("an address falls into its parts") {
  auto whole = parse_hdfs_uri("HDFS://nn:8020/events/%Y");
  REQUIRE(whole.ok());
  CHECK(whole.value().scheme == "hdfs");
  CHECK(whole.value().authority == "nn:8020");
  CHECK(whole.value().path == "/events/%Y");
  CHECK(parse_hdfs_uri("hdfs:///x").value().authority.empty());
  CHECK(parse_hdfs_uri("hdfs:/x").value().path == "/x");
  CHECK(parse_hdfs_uri("swebhdfs://h").value().path.empty());
  for (const char* const bad :
       {"file:///x", "/x", "", "hdfs", "hdfs://%{host}/x", "hdfs://a@b/x"}) {
    INFO(bad);
    CHECK(parse_hdfs_uri(bad).code() == Code::Invalid);
  }
}

TEST_CASE("without a word from anybody it is Hadoop's default ports, of both versions") {
  const Namenodes namenodes = found("hdfs://master:9000/x");
  CHECK(namenodes.servers == Words{"http://master:9870", "http://master:50070"});
  CHECK(namenodes.file_system == "hdfs://master:9000");
  CHECK(namenodes.guessed);
  CHECK(found("swebhdfs://master/x").servers ==
        Words{"https://master:9871", "https://master:50470"});
}

TEST_CASE("a webhdfs address with a port is meant") {
  CHECK(found("webhdfs://h:14000/x").servers == Words{"http://h:14000"});
  CHECK(found("swebhdfs://h:9871/x").servers == Words{"https://h:9871"});
  CHECK(found("webhdfs://[::1]:9870/x").servers == Words{"http://[::1]:9870"});
  CHECK_FALSE(found("webhdfs://h:14000/x").guessed);
}

TEST_CASE("a name service has its namenodes") {
  const HadoopSite site = site_of({{"dfs.nameservices", "other, ns"},
                                   {"dfs.ha.namenodes.ns", "a,b,c"},
                                   {"dfs.namenode.http-address.ns.a", "one:50070"},
                                   {"dfs.namenode.rpc-address.ns.b", "two:8020"},
                                   {"dfs.namenode.http-address.ns.b", "0.0.0.0:9870"},
                                   {"dfs.namenode.rpc-address.ns.c", "three:8020"},
                                   {"dfs.namenode.https-address.ns.a", "one:9871"}});
  CHECK(found("hdfs://ns/x", site).servers ==
        Words{"http://one:50070", "http://two:9870", "http://three:9870", "http://three:50070"});
  CHECK(found("webhdfs://ns/x", site).servers.size() == 4);
  CHECK(found("swebhdfs://ns/x", site).servers.front() == "https://one:9871");
  const HadoopSite empty = site_of({{"dfs.nameservices", "ns"}, {"dfs.ha.namenodes.ns", "a"}});
  CHECK(find_namenodes(*parse_hdfs_uri("hdfs://ns/x"), {}, empty).code() == Code::Invalid);
}

TEST_CASE("the default file system stands in for a missing host") {
  const HadoopSite site =
      site_of({{"fs.defaultFS", "hdfs://nn:8020"}, {"dfs.namenode.http-address", "0.0.0.0:5000"}});
  CHECK(found("hdfs:///x", site).servers == Words{"http://nn:5000"});
  CHECK(found("hdfs:///x", site).file_system == "hdfs://nn:8020");
  CHECK(found("hdfs://nn/x", site).servers == Words{"http://nn:5000"});
  // Another cluster's namenode is not at the address of this one's.
  CHECK(found("hdfs://elsewhere/x", site).servers.front() == "http://elsewhere:9870");
  CHECK(find_namenodes(*parse_hdfs_uri("hdfs:///x"), {}, {}).code() == Code::Invalid);
}

TEST_CASE("a cluster with nothing but TLS is asked over TLS") {
  const HadoopSite site = site_of({{"dfs.http.policy", "HTTPS_ONLY"},
                                   {"fs.defaultFS", "hdfs://nn"},
                                   {"dfs.namenode.https-address", "nn:9999"}});
  CHECK(found("hdfs://nn/x", site).servers == Words{"https://nn:9999"});
}

TEST_CASE("the user's addresses win") {
  const HadoopSite site = site_of({{"dfs.nameservices", "ns"}});
  CHECK(found("hdfs://ns/x", site, {"http://a:1/", "https://b:2", "c:3"}).servers ==
        Words{"http://a:1", "https://b:2", "http://c:3"});
  CHECK(found("hdfs:///x", {}, {"a:1"}).servers == Words{"http://a:1"});
  for (const char* const bad : {"ftp://a:1", "http://a:1/gateway/webhdfs"}) {
    CHECK(find_namenodes(*parse_hdfs_uri("hdfs://n/x"), {bad}, {}).code() == Code::Invalid);
  }
}

}  // namespace
}  // namespace sluice
