// The ssl keys, and where they come from when a component does not set them.

#include "core/config/tls_keys.h"

#include <cstdlib>

#include "core/base/system_properties.h"
#include "core/config/key_tables.h"
#include "tests/catch.h"
#include "tests/support/settings.h"

namespace sluice {
namespace {

using Words = std::vector<std::string>;

constexpr Key own_keys[] = {{.name = "bind"}, {.name = "port", .type = KeyType::Port}};
constexpr auto server_keys = joined_keys(own_keys, tls_server_keys, tls_rule_keys);
constexpr auto client_keys = joined_keys(own_keys, tls_client_keys, tls_rule_keys);
constexpr ComponentInfo server{
    .alias = "server", .class_name = "", .meaning = "", .keys = server_keys};
constexpr ComponentInfo client{
    .alias = "client", .class_name = "", .meaning = "", .keys = client_keys};

static_assert(server_keys.size() == 2 + std::size(tls_server_keys) + std::size(tls_rule_keys));
static_assert(server_keys[1].name == "port" && server_keys[2].name == "ssl");

/// Variables of the environment and properties for one test.
class Surroundings {
 public:
  explicit Surroundings(std::map<std::string, std::string, std::less<>> properties,
                        std::map<std::string, std::string> variables = {})
      : variables_(std::move(variables)) {
    set_system_properties(std::move(properties));
    for (const auto& [name, value] : variables_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Surroundings() {
    set_system_properties({});
    for (const auto& [name, value] : variables_) ::unsetenv(name.c_str());
  }

 private:
  const std::map<std::string, std::string> variables_;
};

using Values = std::map<std::string, std::string>;

TlsSettings of_server(Values values) {
  auto result = tls_server_settings(test_settings(server, "source r1", values));
  REQUIRE(result.ok());
  REQUIRE(*result);
  return **result;
}

TlsSettings of_client(Values values) {
  auto result = tls_client_settings(test_settings(client, "sink k1", values));
  REQUIRE(result.ok());
  REQUIRE(*result);
  return **result;
}

TEST_CASE("without ssl there is no TLS, whatever else is set") {
  const auto off = tls_server_settings(test_settings(server, "source r1", {{"keystore", "x"}}));
  REQUIRE(off.ok());
  CHECK_FALSE(off.value());
  const auto sink = tls_client_settings(test_settings(client, "sink k1", {{"ssl", "false"}}));
  REQUIRE(sink.ok());
  CHECK_FALSE(sink.value());
}

TEST_CASE("a server's keys become what they say") {
  const TlsSettings tls = of_server({{"ssl", "true"},
                                     {"keystore", "/etc/k.p12"},
                                     {"keystore-password", "secret"},
                                     {"keystore-type", "JKS"},
                                     {"need-client-auth", "TRUE"},
                                     {"truststore", "/etc/t.pem"},
                                     {"truststore-password", "other"},
                                     {"include-protocols", "TLSv1.2 TLSv1.3"},
                                     {"exclude-protocols", "SSLv3"},
                                     {"include-cipher-suites", "A B"},
                                     {"exclude-cipher-suites", "B"}});
  CHECK(tls.component == "source r1");
  CHECK(tls.keystore.path == "/etc/k.p12");
  CHECK(tls.keystore.password == "secret");
  CHECK(tls.keystore.key == "keystore");
  CHECK(tls.client_auth);
  CHECK(tls.truststore.path == "/etc/t.pem");
  CHECK(tls.truststore.password == "other");
  CHECK(tls.include_protocols == Words{"TLSv1.2", "TLSv1.3"});
  CHECK(tls.exclude_protocols == Words{"SSLv3"});
  CHECK(tls.include_cipher_suites == Words{"A", "B"});
  CHECK(tls.exclude_cipher_suites == Words{"B"});
}

TEST_CASE("a client's keys become what they say, and it verifies by default") {
  const TlsSettings plain = of_client({{"ssl", "true"}});
  CHECK(plain.verify_host);
  CHECK_FALSE(plain.trust_all);
  CHECK(plain.truststore.path.empty());
  CHECK(plain.keystore.path.empty());
  const TlsSettings tls = of_client({{"ssl", "true"},
                                     {"truststore", "/etc/t.pem"},
                                     {"verify-hostname", "false"},
                                     {"keystore", "/etc/k.pem"},
                                     {"keystore-password", "secret"}});
  CHECK_FALSE(tls.verify_host);
  CHECK(tls.truststore.path == "/etc/t.pem");
  CHECK(tls.keystore.path == "/etc/k.pem");
  CHECK(tls.keystore.password == "secret");
  const TlsSettings all =
      of_client({{"ssl", "true"}, {"trust-all-certs", "true"}, {"truststore", "/not/read"}});
  CHECK(all.trust_all);
  CHECK(all.truststore.path.empty());
}

TEST_CASE("what is missing is said") {
  const auto no_store = tls_server_settings(test_settings(server, "source r1", {{"ssl", "true"}}));
  CHECK(no_store.code() == Code::Invalid);
  CHECK(no_store.status().message().find("keystore") != std::string::npos);
  const auto no_trust = tls_server_settings(test_settings(
      server, "source r1", {{"ssl", "true"}, {"keystore", "k"}, {"need-client-auth", "true"}}));
  CHECK(no_trust.code() == Code::Invalid);
  CHECK(no_trust.status().message().find("truststore") != std::string::npos);
}

TEST_CASE("the component comes before the properties, and they before the environment") {
  const Surroundings all({{"javax.net.ssl.keyStore", "/property"},
                          {"javax.net.ssl.keyStorePassword", "of property"},
                          {"flume.ssl.include.protocols", "TLSv1.2,TLSv1.3"},
                          {"flume.ssl.exclude.cipherSuites", "A,B"}},
                         {{"FLUME_SSL_KEYSTORE_PATH", "/variable"},
                          {"FLUME_SSL_KEYSTORE_PASSWORD", "of variable"},
                          {"FLUME_SSL_TRUSTSTORE_PATH", "/trusted"},
                          {"FLUME_SSL_TRUSTSTORE_PASSWORD", "trusted"},
                          {"FLUME_SSL_INCLUDE_PROTOCOLS", "TLSv1"},
                          {"FLUME_SSL_EXCLUDE_PROTOCOLS", "SSLv3, SSLv2Hello"}});
  const TlsSettings own =
      of_server({{"ssl", "true"}, {"keystore", "/own"}, {"include-protocols", "TLSv1.3"}});
  CHECK(own.keystore.path == "/own");
  CHECK(own.include_protocols == Words{"TLSv1.3"});
  const TlsSettings property = of_server({{"ssl", "true"}, {"need-client-auth", "true"}});
  CHECK(property.keystore.path == "/property");
  CHECK(property.keystore.password == "of property");
  CHECK(property.keystore.key == "-Djavax.net.ssl.keyStore");
  CHECK(property.include_protocols == Words{"TLSv1.2", "TLSv1.3"});
  CHECK(property.exclude_protocols == Words{"SSLv3", "SSLv2Hello"});
  CHECK(property.exclude_cipher_suites == Words{"A", "B"});
  CHECK(property.truststore.path == "/trusted");
  CHECK(property.truststore.key == "FLUME_SSL_TRUSTSTORE_PATH");
  const TlsSettings sink = of_client({{"ssl", "true"}});
  CHECK(sink.truststore.path == "/trusted");
  CHECK(sink.truststore.password == "trusted");
  CHECK(sink.keystore.path.empty());  // a sender's own name is given to it, not found
}

TEST_CASE("the environment alone is enough") {
  const Surroundings variables({}, {{"FLUME_SSL_KEYSTORE_PATH", "/variable"},
                                    {"FLUME_SSL_KEYSTORE_PASSWORD", "of variable"}});
  const TlsSettings tls = of_server({{"ssl", "true"}});
  CHECK(tls.keystore.path == "/variable");
  CHECK(tls.keystore.password == "of variable");
  CHECK(tls.keystore.key == "FLUME_SSL_KEYSTORE_PATH");
}

TEST_CASE("the tables describe every key") {
  for (const auto& table :
       {std::span<const Key>(tls_server_keys), std::span<const Key>(tls_client_keys),
        std::span<const Key>(tls_rule_keys)}) {
    for (const Key& key : table) {
      CHECK_FALSE(key.meaning.empty());
      CHECK((key.default_value.empty() || check_value(key, key.default_value).ok()));
    }
  }
}

}  // namespace
}  // namespace sluice
