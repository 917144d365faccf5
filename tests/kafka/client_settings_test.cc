// Java's properties in librdkafka's words, and what is said of those that have none.
// test: no-tsan
// (librdkafka's threads are those of C11, of which TSan knows nothing)

#include "core/kafka/client_settings.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/kafka/handle.h"
#include "core/kafka/jaas.h"
#include "tests/catch.h"

namespace sluice {
namespace {

using Kind = KafkaRemark::Kind;

KafkaClientSettings producer(std::vector<KafkaProperty> properties) {
  return kafka_client_settings(KafkaRole::Producer, properties);
}
KafkaClientSettings consumer(std::vector<KafkaProperty> properties) {
  return kafka_client_settings(KafkaRole::Consumer, properties);
}

/// The only remark about a property.
KafkaRemark remark(const KafkaClientSettings& settings, const std::string& property) {
  const auto is_it = [&](const KafkaRemark& each) { return each.property == property; };
  REQUIRE(std::count_if(settings.remarks.begin(), settings.remarks.end(), is_it) == 1);
  return *std::find_if(settings.remarks.begin(), settings.remarks.end(), is_it);
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

/// What librdkafka itself makes of it.
std::string in_rdkafka(const KafkaClientSettings& settings, const char* name) {
  KafkaClientLog log("sink k1");
  auto conf = make_kafka_conf(settings, log);
  REQUIRE(conf.ok());
  char value[512];
  std::size_t size = sizeof value;
  REQUIRE(rd_kafka_conf_get(conf->get(), name, value, &size) == RD_KAFKA_CONF_OK);
  return value;
}

class StoreFile {
 public:
  explicit StoreFile(std::string_view content)
      : path_((std::filesystem::temp_directory_path() /
               ("sluice-kafka-store-" + std::to_string(reinterpret_cast<std::uintptr_t>(this))))
                  .string()) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~StoreFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("a producer that is told nothing is idempotent and waits for all replicas") {
  const KafkaClientSettings settings = producer({{"bootstrap.servers", "a:9092"}});
  CHECK(settings.remarks.empty());
  CHECK(in_rdkafka(settings, "enable.idempotence") == "true");
  CHECK(in_rdkafka(settings, "metadata.broker.list") == "a:9092");
  CHECK(in_rdkafka(settings, "queue.buffering.max.messages") == "10000000");
  CHECK(in_rdkafka(settings, "partitioner") == "murmur2_random");
  CHECK(in_rdkafka(settings, "enable.gapless.guarantee") == "true");
}

TEST_CASE("less safety than idempotence needs is given, and the order is kept") {
  const std::vector<KafkaProperty> weaker[] = {{{"acks", "1"}},
                                               {{"acks", "0"}},
                                               {{"retries", "0"}},
                                               {{"enable.idempotence", "false"}},
                                               {{"request.required.acks", "1"}}};
  for (const auto& each : weaker) {
    const KafkaClientSettings settings = producer(each);
    INFO(each[0].first << " = " << each[0].second);
    CHECK(settings.usable());
    CHECK(in_rdkafka(settings, "enable.idempotence") == "false");
    CHECK(in_rdkafka(settings, "max.in.flight.requests.per.connection") == "1");
  }
  const KafkaClientSettings asked =
      producer({{"acks", "1"}, {"max.in.flight.requests.per.connection", "9"}});
  CHECK(in_rdkafka(asked, "max.in.flight.requests.per.connection") == "9");
  for (const char* acks : {"all", "-1"}) {
    CHECK(in_rdkafka(producer({{"acks", acks}}), "enable.idempotence") == "true");
  }
}

TEST_CASE("idempotence with what contradicts it is an error") {
  const KafkaClientSettings settings = producer({{"acks", "1"}, {"enable.idempotence", "true"}});
  CHECK_FALSE(settings.usable());
  CHECK(remark(settings, "enable.idempotence").kind == Kind::Error);
  KafkaClientLog log("sink k1");
  CHECK(make_kafka_conf(settings, log).code() == Code::Invalid);
}

TEST_CASE("Java's names are librdkafka's, where they differ") {
  const KafkaClientSettings settings = producer({{"linger.ms", "7"},
                                                 {"batch.size", "16384"},
                                                 {"buffer.memory", "33554432"},
                                                 {"compression.type", "snappy"},
                                                 {"max.request.size", "2000000"},
                                                 {"request.timeout.ms", "15000"},
                                                 {"delivery.timeout.ms", "60000"},
                                                 {"retries", "3"},
                                                 {"send.buffer.bytes", "-1"},
                                                 {"metadata.max.age.ms", "60000"},
                                                 {"partitioner.class", "a.b.DefaultPartitioner"}});
  CHECK(settings.remarks.empty());
  CHECK(in_rdkafka(settings, "queue.buffering.max.ms") == "7");
  CHECK(in_rdkafka(settings, "batch.size") == "16384");
  CHECK(in_rdkafka(settings, "queue.buffering.max.kbytes") == "32768");
  CHECK(in_rdkafka(settings, "compression.codec") == "snappy");
  CHECK(in_rdkafka(settings, "message.max.bytes") == "2000000");
  CHECK(in_rdkafka(settings, "request.timeout.ms") == "15000");
  CHECK(in_rdkafka(settings, "message.timeout.ms") == "60000");
  CHECK(in_rdkafka(settings, "message.send.max.retries") == "3");
  CHECK(in_rdkafka(settings, "socket.send.buffer.bytes") == "0");
  CHECK(in_rdkafka(settings, "topic.metadata.refresh.interval.ms") == "60000");
  CHECK(in_rdkafka(settings, "partitioner") == "murmur2_random");
  CHECK(in_rdkafka(settings, "enable.gapless.guarantee") == "true");
  CHECK(in_rdkafka(producer({{"max.request.size", "10"}}), "message.max.bytes") == "1000");
}

TEST_CASE("the later of two names for one thing wins") {
  const KafkaClientSettings settings =
      producer({{"queue.buffering.max.ms", "7"}, {"linger.ms", "9"}});
  CHECK(in_rdkafka(settings, "linger.ms") == "9");
  CHECK(settings.value("queue.buffering.max.ms") == "9");
}

TEST_CASE("a value that librdkafka does not take is an error without a broker") {
  for (const KafkaProperty& bad : std::vector<KafkaProperty>{{"compression.type", "zip"},
                                                             {"acks", "some"},
                                                             {"linger.ms", "soon"},
                                                             {"buffer.memory", "much"},
                                                             {"delivery.timeout.ms", "-1"},
                                                             {"security.protocol", "TLS"},
                                                             {"partitioner.class", "my.Own"}}) {
    INFO(bad.first);
    const KafkaClientSettings settings = producer({bad});
    CHECK_FALSE(settings.usable());
    CHECK(remark(settings, bad.first).kind == Kind::Error);
    CHECK(says(settings.problem(), bad.first));
  }
}

TEST_CASE("what Java's client has for itself is ignored with a reason") {
  const KafkaClientSettings settings =
      producer({{"key.serializer", "org.apache.kafka.common.serialization.StringSerializer"},
                {"value.serializer", "io.confluent.kafka.serializers.KafkaAvroSerializer"},
                {"max.block.ms", "60000"},
                {"type", "sync"},
                {"transactional.id", "t1"}});
  CHECK(settings.usable());
  CHECK(remark(settings, "key.serializer").kind == Kind::Note);
  CHECK(remark(settings, "value.serializer").kind == Kind::Warning);
  CHECK(remark(settings, "max.block.ms").kind == Kind::Note);
  CHECK(remark(settings, "type").kind == Kind::Note);
  CHECK(remark(settings, "transactional.id").kind == Kind::Warning);
  CHECK(settings.value("transactional.id").empty());
}

TEST_CASE("a misspelt name is a warning with the name that was meant") {
  const KafkaClientSettings settings =
      producer({{"compresion.type", "gzip"}, {"socket.keepalive.enabel", "true"}});
  CHECK(settings.usable());
  INFO(remark(settings, "compresion.type").hint);
  CHECK(says(remark(settings, "compresion.type").hint, "compression.type"));
  CHECK(says(remark(settings, "socket.keepalive.enabel").hint, "socket.keepalive.enable"));
  CHECK(remark(producer({{"test.mock.num.brokers", "3"}}), "test.mock.num.brokers").kind ==
        Kind::Warning);
}

TEST_CASE("librdkafka's own names work too") {
  const KafkaClientSettings settings =
      producer({{"socket.keepalive.enable", "true"}, {"batch.num.messages", "50"}});
  CHECK(settings.remarks.empty());
  CHECK(in_rdkafka(settings, "socket.keepalive.enable") == "true");
  CHECK(in_rdkafka(settings, "batch.num.messages") == "50");
}

TEST_CASE("a login of PLAIN or SCRAM is read from sasl.jaas.config") {
  const std::string jaas =
      "org.apache.kafka.common.security.scram.ScramLoginModule required\n"
      "  username=\"al\\\"ice\" password='s;e c=ret' ;";
  const KafkaClientSettings settings = producer({{"security.protocol", "SASL_SSL"},
                                                 {"sasl.mechanism", "SCRAM-SHA-256"},
                                                 {"sasl.jaas.config", jaas}});
  CHECK(settings.usable());
  CHECK(settings.value("sasl.username") == "al\"ice");
  CHECK(settings.value("sasl.password") == "s;e c=ret");
  CHECK(in_rdkafka(settings, "sasl.mechanisms") == "SCRAM-SHA-256");
}

TEST_CASE("a login that is not there, or cannot be, is an error that tells no password") {
  const auto with = [](const std::string& mechanism, const std::string& jaas) {
    std::vector<KafkaProperty> all{{"security.protocol", "SASL_PLAINTEXT"},
                                   {"sasl.mechanism", mechanism}};
    if (!jaas.empty()) all.emplace_back("sasl.jaas.config", jaas);
    return producer(all);
  };
  CHECK(says(with("PLAIN", "").problem(), "needs sasl.jaas.config"));
  CHECK(says(with("OAUTHBEARER", "").problem(), "OAUTHBEARER"));
  const std::string module = "org.apache.kafka.common.security.plain.PlainLoginModule ";
  CHECK(says(with("PLAIN", module + "required username=\"a\";").problem(), "no password"));
  for (const std::string& broken :
       {module + "required username=\"a\" password=\"s3cret;", module + "username=a s3cret",
        std::string("x.OAuthBearerLoginModule required p=\"s3cret\";")}) {
    const std::string problem = with("PLAIN", broken).problem();
    CHECK_FALSE(problem.empty());
    CHECK(problem.find("s3cret") == std::string::npos);
  }
  CHECK(with("GSSAPI", "").usable());
}

TEST_CASE("Kerberos is told by a keytab") {
  const KafkaClientSettings settings =
      producer({{"security.protocol", "SASL_PLAINTEXT"},
                {"sasl.mechanism", "GSSAPI"},
                {"sasl.kerberos.service.name", "kafka"},
                {"sasl.jaas.config",
                 "com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true "
                 "keyTab=\"/etc/k.keytab\" principal=\"flume/h@R\";"}});
  CHECK(settings.remarks.empty());
  CHECK(settings.value("sasl.kerberos.keytab") == "/etc/k.keytab");
  CHECK(settings.value("sasl.kerberos.principal") == "flume/h@R");
}

TEST_CASE("a truststore of PEM is taken and another kind is answered with how to make one") {
  const StoreFile pem("-----BEGIN CERTIFICATE-----\n");
  const StoreFile jks("\xFE\xED\xFE\xED\x00\x00");
  const StoreFile p12("\x30\x82\x01");
  const auto with = [](const std::string& path) {
    return producer({{"security.protocol", "SSL"},
                     {"ssl.truststore.location", path},
                     {"ssl.truststore.password", "s3cret"}});
  };
  CHECK(with(pem.path()).value("ssl.ca.location") == pem.path());
  CHECK(with(pem.path()).remarks.empty());
  CHECK(says(remark(with(jks.path()), "ssl.truststore.location").hint, "keytool"));
  CHECK_FALSE(with(jks.path()).usable());
  CHECK(says(remark(with(p12.path()), "ssl.truststore.location").hint, "openssl pkcs12"));
  CHECK_FALSE(with(p12.path()).usable());
  CHECK(remark(with("/nowhere/t.pem"), "ssl.truststore.location").kind == Kind::Warning);
}

TEST_CASE("a keystore is PKCS#12 or PEM") {
  const StoreFile pem("-----BEGIN PRIVATE KEY-----\n");
  const StoreFile jks("\xFE\xED\xFE\xED\x00\x00");
  const StoreFile p12("\x30\x82\x01");
  const auto with = [](const std::string& path) {
    return producer({{"security.protocol", "SSL"},
                     {"ssl.keystore.location", path},
                     {"ssl.keystore.password", "s3cret"},
                     {"ssl.key.password", "k3y"}});
  };
  CHECK(with(p12.path()).value("ssl.keystore.location") == p12.path());
  CHECK(with(p12.path()).value("ssl.keystore.password") == "s3cret");
  CHECK(with(pem.path()).value("ssl.certificate.location") == pem.path());
  CHECK(with(pem.path()).value("ssl.key.location") == pem.path());
  CHECK(with(pem.path()).value("ssl.key.password") == "k3y");
  CHECK(says(remark(with(jks.path()), "ssl.keystore.location").hint, "PKCS12"));
  CHECK_FALSE(with(jks.path()).usable());
}

TEST_CASE("the broker's host is checked unless a file says otherwise") {
  constexpr const char* name = "ssl.endpoint.identification.algorithm";
  CHECK(in_rdkafka(producer({}), name) == "https");
  CHECK(in_rdkafka(producer({{name, ""}}), name) == "none");
  CHECK(in_rdkafka(producer({{name, "HTTPS"}}), name) == "https");
  CHECK(in_rdkafka(producer({{"ssl.disableTLSHostnameVerification", "true"}}), name) == "none");
  CHECK(in_rdkafka(producer({{"ssl.disableTLSHostnameVerification", "false"}}), name) == "https");
}

TEST_CASE("a consumer commits nothing by itself, whatever a file says") {
  const KafkaClientSettings settings = consumer({{"enable.auto.commit", "true"},
                                                 {"auto.offset.reset", "EARLIEST"},
                                                 {"max.poll.records", "10"},
                                                 {"fetch.max.wait.ms", "70"},
                                                 {"isolation.level", "read_uncommitted"}});
  CHECK(in_rdkafka(settings, "enable.auto.commit") == "false");
  CHECK(in_rdkafka(settings, "enable.auto.offset.store") == "false");
  CHECK(in_rdkafka(settings, "fetch.wait.max.ms") == "70");
  CHECK(in_rdkafka(settings, "isolation.level") == "read_uncommitted");
  CHECK(settings.value("auto.offset.reset") == "earliest");
  CHECK(remark(settings, "enable.auto.commit").kind == Kind::Warning);
  CHECK(remark(settings, "max.poll.records").kind == Kind::Note);
  CHECK(consumer({{"auto.offset.reset", "none"}}).value("auto.offset.reset") == "error");
  CHECK_FALSE(consumer({{"auto.offset.reset", "tomorrow"}}).usable());
}

TEST_CASE("assignors are told by their classes") {
  const auto strategy = [](const std::string& value) {
    return consumer({{"partition.assignment.strategy", value}})
        .value("partition.assignment.strategy");
  };
  const std::string package = "org.apache.kafka.clients.consumer.";
  CHECK(strategy(package + "RoundRobinAssignor") == "roundrobin");
  CHECK(strategy(package + "CooperativeStickyAssignor") == "cooperative-sticky");
  CHECK(strategy(package + "RangeAssignor, " + package + "CooperativeStickyAssignor") == "range");
  CHECK_FALSE(consumer({{"partition.assignment.strategy", package + "StickyAssignor"}}).usable());
}

TEST_CASE("a client can be made of it, and contradictions that only librdkafka sees are Invalid") {
  KafkaClientLog log("sink k1");
  auto conf = make_kafka_conf(producer({{"bootstrap.servers", "127.0.0.1:1"}}), log);
  REQUIRE(conf.ok());
  CHECK(make_kafka_handle(RD_KAFKA_PRODUCER, *std::move(conf)).ok());
  const auto fails = [&](std::vector<KafkaProperty> properties) {
    auto bad = make_kafka_conf(producer(std::move(properties)), log);
    REQUIRE(bad.ok());
    return make_kafka_handle(RD_KAFKA_PRODUCER, *std::move(bad)).status();
  };
  CHECK(fails({{"queue.buffering.max.ms", "5000"}, {"delivery.timeout.ms", "10"}}).code() ==
        Code::Invalid);
  const Status gone =
      fails({{"security.protocol", "SSL"}, {"ssl.truststore.location", "/nowhere/t.pem"}});
  INFO(gone.message());
  CHECK(gone.code() == Code::Retry);
}

TEST_CASE("what old librdkafkas do not compress is looked for where it matters") {
  if (rd_kafka_version() >= 0x020900FF) return;
  CHECK(producer({{"compression.type", "gzip"}}).value("debug") == "feature");
  CHECK(producer({{"compression.type", "gzip"}}).may_not_compress);
  CHECK_FALSE(producer({{"compression.type", "zstd"}, {"debug", "feature"}}).may_not_compress);
  CHECK(producer({{"compression.type", "LZ4"}, {"debug", "msg"}}).value("debug") == "msg,feature");
  CHECK(producer({{"compression.type", "zstd"}}).value("debug").empty());
  CHECK(producer({}).value("debug").empty());
}

}  // namespace
}  // namespace sluice
