#include "core/kafka/client_settings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>

#include "core/base/nearest_name.h"
#include "core/kafka/handle.h"
#include "core/kafka/jaas.h"

namespace sluice {
namespace {

using Kind = KafkaRemark::Kind;

/// How a property is translated.
enum class How : unsigned char {
  Renamed,        ///< The same value under librdkafka's name.
  Kibibytes,      ///< Bytes there, KiB here.
  SystemDefault,  ///< -1 there is 0 here.
  AtLeast,        ///< What is below librdkafka's least is that.
  Ignored,        ///< `because` says why.
  Ours,           ///< The agent decides it; `because` says how.
  Tls,            ///< Looked at when all of them are known.
  Serializer,
  HostCheck,
  Jaas,
  Partitioner,
  Assignors,
  OffsetReset,
  MetadataAge,
};

struct Name {
  std::string_view java;
  How how;
  std::string_view rdkafka = {};
  std::string_view because = {};
};

constexpr std::string_view jvm = "it is about Java's own machinery, which is not here";
constexpr std::string_view tls_ours =
    "TLS is OpenSSL's here, which agrees on the newest version that both sides speak";
constexpr std::string_view old_scala =
    "it is a name of Kafka's client before 0.9, which is no more";
constexpr std::string_view login = "a login is renewed by librdkafka's own rules";

// Names that mean the same in both are not here: librdkafka knows many of Java's as its aliases.
constexpr Name both_names[] = {
    {"send.buffer.bytes", How::SystemDefault, "socket.send.buffer.bytes"},
    {"receive.buffer.bytes", How::SystemDefault, "socket.receive.buffer.bytes"},
    {"metadata.max.age.ms", How::MetadataAge},
    {"metadata.recovery.strategy", How::Ignored, {}, "brokers are looked up again by themselves"},
    {"client.dns.lookup", How::Ignored, {}, "all addresses of a host are tried anyway"},
    {"socket.connection.setup.timeout.max.ms",
     How::Ignored,
     {},
     "socket.connection.setup.timeout.ms holds for each try"},
    {"retry.backoff.max.ms", How::Ignored, {}, "the pause does not grow: retry.backoff.ms"},
    {"default.api.timeout.ms", How::Ignored, {}, "every call has a bound of its own"},
    {"interceptor.classes", How::Ignored, {}, jvm},
    {"metric.reporters", How::Ignored, {}, jvm},
    {"metrics.num.samples", How::Ignored, {}, jvm},
    {"metrics.recording.level", How::Ignored, {}, jvm},
    {"metrics.sample.window.ms", How::Ignored, {}, jvm},
    {"auto.include.jmx.reporter", How::Ignored, {}, jvm},
    {"enable.metrics.push", How::Ignored, {}, jvm},
    {"security.providers", How::Ignored, {}, jvm},
    {"ssl.truststore.location", How::Tls},
    {"ssl.truststore.type", How::Tls},
    {"ssl.truststore.password", How::Tls},
    {"ssl.truststore.certificates", How::Renamed, "ssl.ca.pem"},
    {"ssl.keystore.location", How::Tls},
    {"ssl.keystore.type", How::Tls},
    {"ssl.keystore.password", How::Tls},
    {"ssl.keystore.certificate.chain", How::Renamed, "ssl.certificate.pem"},
    {"ssl.keystore.key", How::Renamed, "ssl.key.pem"},
    {"ssl.key.password", How::Tls},
    {"ssl.endpoint.identification.algorithm", How::HostCheck},
    {"ssl.disableTLSHostnameVerification", How::HostCheck},
    {"ssl.protocol", How::Ignored, {}, tls_ours},
    {"ssl.enabled.protocols", How::Ignored, {}, tls_ours},
    {"ssl.provider", How::Ignored, {}, jvm},
    {"ssl.keymanager.algorithm", How::Ignored, {}, jvm},
    {"ssl.trustmanager.algorithm", How::Ignored, {}, jvm},
    {"ssl.secure.random.implementation", How::Ignored, {}, jvm},
    {"ssl.engine.factory.class", How::Ignored, {}, jvm},
    {"sasl.jaas.config", How::Jaas},
    {"sasl.client.callback.handler.class", How::Ignored, {}, jvm},
    {"sasl.login.callback.handler.class", How::Ignored, {}, jvm},
    {"sasl.login.class", How::Ignored, {}, jvm},
    {"sasl.login.refresh.buffer.seconds", How::Ignored, {}, login},
    {"sasl.login.refresh.min.period.seconds", How::Ignored, {}, login},
    {"sasl.login.refresh.window.factor", How::Ignored, {}, login},
    {"sasl.login.refresh.window.jitter", How::Ignored, {}, login},
    {"sasl.kerberos.min.time.before.relogin", How::Renamed,
     "sasl.kerberos.min.time.before.relogin"},
    {"sasl.kerberos.ticket.renew.jitter", How::Ignored, {}, login},
    {"sasl.kerberos.ticket.renew.window.factor", How::Ignored, {}, login},
};

constexpr Name producer_names[] = {
    {"buffer.memory", How::Kibibytes, "queue.buffering.max.kbytes"},
    {"max.request.size", How::AtLeast, "message.max.bytes", "1000"},
    {"max.block.ms",
     How::Ignored,
     {},
     "the sink waits for room without a limit, and stops when told"},
    {"compression.gzip.level", How::Renamed, "compression.level"},
    {"compression.lz4.level", How::Renamed, "compression.level"},
    {"compression.zstd.level", How::Renamed, "compression.level"},
    {"partitioner.class", How::Partitioner},
    {"partitioner.ignore.keys",
     How::Ignored,
     {},
     "an event with a key goes to the key's partition"},
    {"partitioner.adaptive.partitioning.enable",
     How::Ignored,
     {},
     "events without a key go to a partition drawn anew every 10 ms"},
    {"partitioner.availability.timeout.ms", How::Ignored, {}, "partitions are not left out"},
    {"metadata.max.idle.ms", How::Ignored, {}, "topics are not forgotten while the sink runs"},
    {"key.serializer", How::Serializer},
    {"value.serializer", How::Serializer},
    {"transactional.id", How::Ours, {}, "the sink names its transactions itself"},
    {"transaction.timeout.ms", How::Renamed, "transaction.timeout.ms"},
    {"delivery.report.only.error", How::Ours, {}, "events leave the channel by these reports"},
    {"type", How::Ignored, {}, old_scala},
    {"producer.type", How::Ignored, {}, old_scala},
    {"serializer.class", How::Ignored, {}, old_scala},
    {"key.serializer.class", How::Ignored, {}, old_scala},
};

constexpr Name consumer_names[] = {
    {"fetch.max.wait.ms", How::Renamed, "fetch.wait.max.ms"},
    {"auto.offset.reset", How::OffsetReset},
    {"partition.assignment.strategy", How::Assignors},
    {"enable.auto.commit", How::Ours, {}, "an offset is committed when its event is safe"},
    {"auto.commit.interval.ms", How::Ours, {}, "an offset is committed when its event is safe"},
    {"enable.auto.offset.store", How::Ours, {}, "an offset is committed when its event is safe"},
    {"max.poll.records", How::Ignored, {}, "batchSize bounds what is taken at once"},
    {"exclude.internal.topics", How::Ignored, {}, "no pattern matches an internal topic here"},
    {"key.deserializer", How::Serializer},
    {"value.deserializer", How::Serializer},
    {"timeout.ms", How::Ignored, {}, old_scala},
    {"consumer.timeout.ms", How::Ignored, {}, old_scala},
    {"zookeeper.connect", How::Ignored, {}, old_scala},
};

std::span<const Name> names_of(KafkaRole role) {
  if (role == KafkaRole::Producer) return producer_names;
  return consumer_names;
}

const Name* find_name(KafkaRole role, std::string_view java) {
  for (const std::span<const Name> names : {std::span<const Name>(both_names), names_of(role)}) {
    const auto found = std::find_if(names.begin(), names.end(),
                                    [&](const Name& each) { return each.java == java; });
    if (found != names.end()) return &*found;
  }
  return nullptr;
}

/// Both spellings of one thing, and librdkafka's aliases, under one name.
std::string canonical(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> aliases[] = {
      {"metadata.broker.list", "bootstrap.servers"},
      {"request.required.acks", "acks"},
      {"message.send.max.retries", "retries"},
      {"queue.buffering.max.ms", "linger.ms"},
      {"compression.codec", "compression.type"},
      {"message.timeout.ms", "delivery.timeout.ms"},
      {"max.in.flight", "max.in.flight.requests.per.connection"},
      {"sasl.mechanisms", "sasl.mechanism"},
      {"fetch.message.max.bytes", "max.partition.fetch.bytes"},
  };
  for (const auto& [alias, name_of_it] : aliases) {
    if (alias == name) return std::string(name_of_it);
  }
  return std::string(name);
}

bool is_secret(std::string_view name) {
  return name.find("password") != name.npos || name.find("jaas") != name.npos ||
         name.ends_with(".pem") || name.ends_with("keystore.key") || name.ends_with(".secret");
}

std::optional<std::int64_t> integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string last_part(std::string_view class_name) {
  return std::string(class_name.substr(class_name.rfind('.') + 1));
}

std::string lowered(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string part(text.substr(0, comma));
    std::erase(part, ' ');
    if (!part.empty()) parts.push_back(part);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

enum class StoreKind : unsigned char { Unreadable, Pem, Jks, Pkcs12 };

/// What a file of keys is, by what is in it.
StoreKind kind_of_file(InputFiles& files, const std::string& path) {
  auto file = files.open(path);
  std::array<char, 4096> start{};
  if (!file.ok()) return StoreKind::Unreadable;
  auto got = (*file)->read_at(0, start);
  if (!got.ok()) return StoreKind::Unreadable;
  const std::string_view text(start.data(), *got);
  if (text.starts_with("\xFE\xED\xFE\xED") || text.starts_with("\xCE\xCE\xCE\xCE")) {
    return StoreKind::Jks;
  }
  return text.starts_with("\x30") ? StoreKind::Pkcs12 : StoreKind::Pem;
}

/// Builds one KafkaClientSettings.
class Translation {
 public:
  Translation(KafkaRole role, InputFiles& files) : files_(files), check_(rd_kafka_conf_new()) {
    settings_.role = role;
  }

  void read(const std::string& name, const std::string& value);
  KafkaClientSettings finish() &&;

 private:
  void translate(const Name& known, const std::string& value);
  void pass_on(const std::string& name, const std::string& value);
  void unknown(const std::string& name);
  void jaas(const std::string& value);
  void host_check(const std::string& name, const std::string& value);
  void partitioner(const std::string& value);
  void assignors(const std::string& value);
  void offset_reset(const std::string& value);
  void metadata_age(const std::string& value);
  void serializer(const std::string& name, const std::string& value);
  void settle_truststore();
  void settle_keystore();
  void settle_login();
  void settle_producer();
  void settle_compression();
  void settle_consumer();

  /// Sets what librdkafka is told; `from` is the property that says so, empty: nobody.
  void set(const std::string& rdkafka, const std::string& value, const std::string& from);
  void set_default(const std::string& rdkafka, const std::string& value) {
    if (!has(rdkafka)) set(rdkafka, value, "");
  }
  bool has(std::string_view rdkafka) const { return !settings_.value(rdkafka).empty(); }
  std::string tls(const std::string& name) const {
    const auto found = tls_.find(name);
    return found == tls_.end() ? std::string() : found->second;
  }
  void remark(Kind kind, const std::string& property, std::string message, std::string hint = "") {
    settings_.remarks.push_back({kind, property, std::move(message), std::move(hint)});
  }

  InputFiles& files_;
  KafkaConf check_;  ///< librdkafka's opinion of each value.
  KafkaClientSettings settings_;
  std::map<std::string, std::string> tls_;
};

void Translation::read(const std::string& name, const std::string& value) {
  if (name.starts_with("test.")) return unknown(name);  // stand-ins for brokers would eat events
  if (const Name* known = find_name(settings_.role, name)) return translate(*known, value);
  pass_on(name, value);
}

void Translation::translate(const Name& known, const std::string& value) {
  const std::string name(known.java);
  const std::string rdkafka(known.rdkafka);
  switch (known.how) {
    case How::Renamed: return set(rdkafka, value, name);
    case How::Kibibytes: {
      const auto bytes = integer(value);
      if (!bytes) return set(rdkafka, value, name);
      return set(rdkafka, std::to_string(std::max<std::int64_t>(1, *bytes / 1024)), name);
    }
    case How::SystemDefault: return set(rdkafka, value == "-1" ? "0" : value, name);
    case How::AtLeast: {
      const auto given = integer(value);
      const auto least = integer(known.because);
      return set(rdkafka, given && *given >= 0 && *given < *least ? std::to_string(*least) : value,
                 name);
    }
    case How::Ignored:
      return remark(Kind::Note, name, name + " has no meaning here: " + std::string(known.because));
    case How::Ours:
      return remark(Kind::Warning, name,
                    name + " is not for a file to say: " + std::string(known.because));
    case How::Tls: tls_[name] = value; return;
    case How::Serializer: return serializer(name, value);
    case How::HostCheck: return host_check(name, value);
    case How::Jaas: return jaas(value);
    case How::Partitioner: return partitioner(value);
    case How::Assignors: return assignors(value);
    case How::OffsetReset: return offset_reset(value);
    case How::MetadataAge: return metadata_age(value);
  }
}

void Translation::pass_on(const std::string& name, const std::string& value) {
  // Asked with a value that it may not take: only an unknown name matters here.
  std::array<char, 512> why{};
  if (rd_kafka_conf_set(check_.get(), name.c_str(), value.c_str(), why.data(), why.size()) ==
      RD_KAFKA_CONF_UNKNOWN) {
    return unknown(name);
  }
  set(canonical(name), value, name);
}

void Translation::unknown(const std::string& name) {
  // Those that both clients know come first: of two that are as near the first is named.
  std::vector<std::string_view> known = {
      "acks",           "retries",         "linger.ms",          "batch.size",
      "client.id",      "client.rack",     "compression.type",   "delivery.timeout.ms",
      "group.id",       "isolation.level", "enable.idempotence", "bootstrap.servers",
      "sasl.mechanism", "fetch.min.bytes", "fetch.max.bytes",    "max.partition.fetch.bytes",
  };
  for (const std::span<const Name> names :
       {std::span<const Name>(both_names), names_of(settings_.role)}) {
    for (const Name& each : names) known.push_back(each.java);
  }
  std::string_view nearest = nearest_name(name, known);
  std::size_t count = 0;
  const char** dump = rd_kafka_conf_dump(check_.get(), &count);
  if (nearest.empty()) {
    known.clear();
    for (std::size_t i = 0; i < count; i += 2) known.push_back(dump[i]);
    nearest = nearest_name(name, known);
  }
  remark(Kind::Warning, name, name + " is no property of a Kafka client; it is ignored",
         nearest.empty() ? "" : "did you mean '" + std::string(nearest) + "'?");
  rd_kafka_conf_dump_free(dump, count);
}

void Translation::set(const std::string& rdkafka, const std::string& value,
                      const std::string& from) {
  std::array<char, 512> why{};
  if (rd_kafka_conf_set(check_.get(), rdkafka.c_str(), value.c_str(), why.data(), why.size()) !=
      RD_KAFKA_CONF_OK) {
    const std::string shown = is_secret(rdkafka) ? "its value" : "'" + value + "'";
    return remark(Kind::Error, from,
                  (from.empty() ? rdkafka : from) + " cannot be " + shown + ": " + why.data());
  }
  auto& all = settings_.properties;
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const KafkaProperty& each) { return each.first == rdkafka; });
  if (found == all.end()) {
    all.emplace_back(rdkafka, value);
  } else {
    found->second = value;
  }
}

// ---- single properties

void Translation::jaas(const std::string& value) {
  const std::string name = "sasl.jaas.config";
  auto entry = parse_jaas(value);
  if (!entry.ok()) return remark(Kind::Error, name, name + " " + entry.status().message());
  if (entry->module == "PlainLoginModule" || entry->module == "ScramLoginModule") {
    if (entry->option("username").empty() || entry->option("password").empty()) {
      return remark(Kind::Error, name, name + " has no username or no password");
    }
    set("sasl.username", entry->option("username"), name);
    return set("sasl.password", entry->option("password"), name);
  }
  if (entry->module == "Krb5LoginModule") {
    const auto take = [&](const char* option, const char* rdkafka) {
      if (const std::string text = entry->option(option); !text.empty()) set(rdkafka, text, name);
    };
    take("principal", "sasl.kerberos.principal");
    take("keyTab", "sasl.kerberos.keytab");
    return take("serviceName", "sasl.kerberos.service.name");
  }
  remark(Kind::Error, name, name + " names " + entry->module + ", which is not here",
         "PlainLoginModule, ScramLoginModule and Krb5LoginModule are");
}

void Translation::host_check(const std::string& name, const std::string& value) {
  constexpr const char* rdkafka = "ssl.endpoint.identification.algorithm";
  if (name == rdkafka) return set(rdkafka, value.empty() ? "none" : lowered(value), name);
  if (lowered(value) == "true") set(rdkafka, "none", name);
}

void Translation::partitioner(const std::string& value) {
  const std::string name = "partitioner.class";
  const std::string which = last_part(value);
  if (which == "DefaultPartitioner" || which == "UniformStickyPartitioner") {
    return set("partitioner", "murmur2_random", name);
  }
  if (which == "RoundRobinPartitioner") return set("partitioner", "random", name);
  remark(Kind::Error, name, name + " names " + which + ", and a Java class cannot be loaded",
         "librdkafka's own: partitioner = murmur2_random (as Java's default), random, consistent, "
         "consistent_random, fnv1a, fnv1a_random");
}

void Translation::assignors(const std::string& value) {
  const std::string name = "partition.assignment.strategy";
  std::string result;
  for (const std::string& each : split_at_commas(value)) {
    const std::string which = last_part(each);
    std::string ours = which;
    if (which == "RangeAssignor") ours = "range";
    if (which == "RoundRobinAssignor") ours = "roundrobin";
    if (which == "CooperativeStickyAssignor") ours = "cooperative-sticky";
    if (ours != "range" && ours != "roundrobin" && ours != "cooperative-sticky") {
      return remark(Kind::Error, name, name + " names " + which + ", which is not here",
                    "RangeAssignor, RoundRobinAssignor and CooperativeStickyAssignor are; all "
                    "members of a group need one in common");
    }
    // A group cannot use eager and cooperative ones at once, and librdkafka takes no such list.
    if (ours == "cooperative-sticky" && !result.empty()) {
      remark(Kind::Note, name, name + ": CooperativeStickyAssignor behind another one is left out");
      continue;
    }
    result += (result.empty() ? "" : ",") + ours;
    if (ours == "cooperative-sticky") break;
  }
  set(name, result, name);
}

void Translation::offset_reset(const std::string& value) {
  const std::string name = "auto.offset.reset";
  if (lowered(value) == "none") return set(name, "error", name);
  set(name, lowered(value), name);
}

void Translation::metadata_age(const std::string& value) {
  const std::string name = "metadata.max.age.ms";
  set(name, value, name);
  if (const auto age = integer(value)) {
    constexpr std::int64_t most = 3'600'000;
    set("topic.metadata.refresh.interval.ms", std::to_string(std::min(*age, most)), name);
  }
}

void Translation::serializer(const std::string& name, const std::string& value) {
  const std::string which = last_part(value);
  constexpr std::string_view bytes_as_they_are[] = {"StringSerializer",      "ByteArraySerializer",
                                                    "BytesSerializer",       "StringDeserializer",
                                                    "ByteArrayDeserializer", "BytesDeserializer"};
  if (std::find(std::begin(bytes_as_they_are), std::end(bytes_as_they_are), which) !=
      std::end(bytes_as_they_are)) {
    return remark(Kind::Note, name, name + " has no meaning here: bytes are taken as they are");
  }
  remark(Kind::Warning, name,
         name + " names " + which +
             ", and a Java class cannot be loaded; bytes are taken as they "
             "are");
}

// ---- what is known only when all of them were read

void Translation::settle_truststore() {
  const std::string name = "ssl.truststore.location";
  const std::string path = tls(name);
  if (path.empty()) return;
  const StoreKind kind = kind_of_file(files_, path);
  const std::string type = lowered(tls("ssl.truststore.type"));
  const bool pem = kind == StoreKind::Pem || (kind == StoreKind::Unreadable && type == "pem");
  if (pem || kind == StoreKind::Unreadable) {
    if (kind == StoreKind::Unreadable) {
      remark(Kind::Warning, name, name + ": " + path + " cannot be read");
    }
    return set("ssl.ca.location", path, name);
  }
  const std::string convert =
      kind == StoreKind::Jks
          ? "keytool -importkeystore -srckeystore " + path +
                " -destkeystore trust.p12 -deststoretype PKCS12 && openssl pkcs12 -in trust.p12 "
                "-nokeys -out trust.pem"
          : "openssl pkcs12 -in " + path + " -nokeys -out trust.pem";
  remark(Kind::Error, name,
         name + ": " + path + (kind == StoreKind::Jks ? " is a JKS" : " is a PKCS#12") +
             " truststore; librdkafka reads PEM",
         "make one of it: " + convert + "; and name trust.pem here");
}

void Translation::settle_keystore() {
  const std::string name = "ssl.keystore.location";
  const std::string path = tls(name);
  if (path.empty()) {
    if (!tls("ssl.key.password").empty()) {
      set("ssl.key.password", tls("ssl.key.password"), "ssl.key.password");
    }
    return;
  }
  StoreKind kind = kind_of_file(files_, path);
  if (kind == StoreKind::Unreadable) {
    remark(Kind::Warning, name, name + ": " + path + " cannot be read");
    kind = lowered(tls("ssl.keystore.type")) == "pem" ? StoreKind::Pem : StoreKind::Pkcs12;
  }
  if (kind == StoreKind::Jks) {
    return remark(Kind::Error, name,
                  name + ": " + path +
                      " is a JKS keystore; librdkafka reads "
                      "PKCS#12 and PEM",
                  "make one of it: keytool -importkeystore -srckeystore " + path +
                      " -destkeystore keys.p12 -deststoretype PKCS12; and name keys.p12 here");
  }
  const std::string key_password = tls("ssl.key.password");
  if (kind == StoreKind::Pem) {
    set("ssl.certificate.location", path, name);
    set("ssl.key.location", path, name);
    if (!key_password.empty()) set("ssl.key.password", key_password, "ssl.key.password");
    return;
  }
  set("ssl.keystore.location", path, name);
  const std::string password = tls("ssl.keystore.password");
  set("ssl.keystore.password", password.empty() ? key_password : password, "ssl.keystore.password");
}

void Translation::settle_login() {
  const std::string protocol = lowered(settings_.value("security.protocol"));
  if (!protocol.starts_with("sasl")) return;
  const std::string mechanism = settings_.value("sasl.mechanism");
  if (mechanism.empty() || mechanism == "GSSAPI") return;
  if (mechanism == "OAUTHBEARER") {
    return remark(Kind::Error, "sasl.mechanism",
                  "sasl.mechanism OAUTHBEARER cannot be used: Debian's librdkafka asks no server "
                  "for tokens",
                  "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and GSSAPI can");
  }
  constexpr int scram_mended = 0x020601FF;
  if (mechanism.starts_with("SCRAM") && rd_kafka_version() < scram_mended) {
    // It appends its own nonce to the server's a second time; fixed in 2.6.1.
    remark(Kind::Warning, "sasl.mechanism",
           "sasl.mechanism " + mechanism +
               ": brokers of Kafka 4 refuse SCRAM logins of librdkafka "
               "before 2.6.1; this one is " +
               rd_kafka_version_str(),
           "PLAIN over TLS and GSSAPI work, and SCRAM does with Kafka 3");
  }
  if (settings_.value("sasl.username").empty() || settings_.value("sasl.password").empty()) {
    remark(Kind::Error, "sasl.mechanism", "sasl.mechanism " + mechanism + " needs sasl.jaas.config",
           "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"...\" "
           "password=\"...\"; (a file of -Djava.security.auth.login.config is not read)");
  }
}

/// An idempotent producer needs acks = all and may have 5 requests in flight. Where a file wants
/// less safety it gets that, one request at a time, for more of them would change places when one
/// is sent again.
void Translation::settle_producer() {
  const std::string acks = settings_.value("acks");
  const auto in_flight = integer(settings_.value("max.in.flight.requests.per.connection"));
  const bool fits = (acks.empty() || acks == "all" || acks == "-1") &&
                    settings_.value("retries") != "0" && (!in_flight || *in_flight <= 5);
  const std::string asked = lowered(settings_.value("enable.idempotence"));
  if (asked == "true" && !fits) {
    remark(Kind::Error, "enable.idempotence",
           "enable.idempotence needs acks = all, retries above 0 and at most 5 "
           "max.in.flight.requests.per.connection");
  }
  set_default("enable.idempotence", fits ? "true" : "false");
  if (lowered(settings_.value("enable.idempotence")) == "true") {
    // What lies behind a record that failed is then not sent, rather than before it.
    set_default("enable.gapless.guarantee", "true");
  } else {
    set_default("max.in.flight.requests.per.connection", "1");
  }
  // What callers keep in flight is bounded by them, in batches; these must not be smaller.
  set_default("queue.buffering.max.messages", "10000000");
  set_default("queue.buffering.max.kbytes", "2097151");
  set_default("batch.num.messages", "100000");
  // A key goes to the partition that Java's clients choose for it; librdkafka's own hash is
  // another.
  set_default("partitioner", "murmur2_random");
  set_default("delivery.timeout.ms", "120000");  // as Java's; librdkafka: 300 s
  settle_compression();
}

/// Before 2.9 librdkafka gives gzip, snappy and lz4 up without a word where a broker has no longer
/// (or a proxy does not tell of) Produce 0. Only its debug lines of new connections show that, and
/// KafkaClientLog looks for it there.
void Translation::settle_compression() {
  constexpr int mended = 0x020900FF;
  const std::string type = lowered(settings_.value("compression.type"));
  if (rd_kafka_version() >= mended || (type != "gzip" && type != "snappy" && type != "lz4")) return;
  const std::string debug = settings_.value("debug");
  set("debug", debug.empty() ? "feature" : debug + ",feature", "");
  settings_.may_not_compress = true;
}

void Translation::settle_consumer() {
  set("enable.auto.commit", "false", "");
  set("enable.auto.offset.store", "false", "");
}

KafkaClientSettings Translation::finish() && {
  settle_truststore();
  settle_keystore();
  settle_login();
  set_default("reconnect.backoff.max.ms", "1000");  // as Java's; librdkafka: 10 s
  if (settings_.role == KafkaRole::Producer) {
    settle_producer();
  } else {
    settle_consumer();
  }
  constexpr std::size_t client_id_max = 100;  // librdkafka 2.0.2 does not survive very long ones
  if (settings_.value("client.id").size() > client_id_max) {
    remark(Kind::Error, "client.id", "client.id has more than 100 characters");
  }
  return std::move(settings_);
}

}  // namespace

bool KafkaClientSettings::usable() const noexcept {
  return std::none_of(remarks.begin(), remarks.end(),
                      [](const KafkaRemark& each) { return each.kind == Kind::Error; });
}

std::string KafkaClientSettings::problem() const {
  for (const KafkaRemark& each : remarks) {
    if (each.kind != Kind::Error) continue;
    return each.hint.empty() ? each.message : each.message + "; " + each.hint;
  }
  return {};
}

std::string KafkaClientSettings::value(std::string_view rdkafka_name) const {
  const std::string name = canonical(rdkafka_name);
  for (const auto& [each, value] : properties) {
    if (each == name) return value;
  }
  return {};
}

KafkaClientSettings kafka_client_settings(KafkaRole role, std::span<const KafkaProperty> properties,
                                          InputFiles& files) {
  Translation translation(role, files);
  for (const auto& [name, value] : properties) translation.read(name, value);
  return std::move(translation).finish();
}

}  // namespace sluice
