#include "core/config/tls_keys.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/system_properties.h"

namespace sluice {
namespace {

/// A value and who gave it.
struct Found {
  std::string value;
  std::string from;
};

/// Where a key may be set, the first one wins.
struct Places {
  std::string_view key;
  std::string_view property;
  std::string_view variable;
};

constexpr Places keystore{"keystore", "javax.net.ssl.keyStore", "FLUME_SSL_KEYSTORE_PATH"};
constexpr Places keystore_password{"keystore-password", "javax.net.ssl.keyStorePassword",
                                   "FLUME_SSL_KEYSTORE_PASSWORD"};
constexpr Places truststore{"truststore", "javax.net.ssl.trustStore", "FLUME_SSL_TRUSTSTORE_PATH"};
constexpr Places truststore_password{"truststore-password", "javax.net.ssl.trustStorePassword",
                                     "FLUME_SSL_TRUSTSTORE_PASSWORD"};

/// Behind the component itself.
Found elsewhere(const Places& places) {
  const std::string property(places.property);
  const std::string variable(places.variable);
  if (auto value = system_property(property); value && !value->empty()) {
    return {*std::move(value), "-D" + property};
  }
  if (auto value = environment_variable(variable)) return {*std::move(value), variable};
  return {};
}

Found find(const Settings& settings, const Places& places) {
  if (settings.has(places.key)) return {settings.text(places.key), std::string(places.key)};
  return elsewhere(places);
}

TlsStore store(const Settings& settings, const Places& path, const Places& password) {
  Found file = find(settings, path);
  if (file.value.empty()) return {};
  return {.path = std::move(file.value),
          .password = find(settings, password).value,
          .key = std::move(file.from)};
}

/// Blanks between the words in a component, commas elsewhere, as in Flume.
std::vector<std::string> list(const Settings& settings, const Places& places) {
  if (settings.has(places.key)) return settings.list(places.key);
  std::string words = elsewhere(places).value;
  std::replace(words.begin(), words.end(), ',', ' ');
  return parse_list(words);
}

TlsSettings common(const Settings& settings) {
  return {
      .component = settings.component(),
      .include_protocols = list(settings, {"include-protocols", "flume.ssl.include.protocols",
                                           "FLUME_SSL_INCLUDE_PROTOCOLS"}),
      .exclude_protocols = list(settings, {"exclude-protocols", "flume.ssl.exclude.protocols",
                                           "FLUME_SSL_EXCLUDE_PROTOCOLS"}),
      .include_cipher_suites =
          list(settings, {"include-cipher-suites", "flume.ssl.include.cipherSuites",
                          "FLUME_SSL_INCLUDE_CIPHERSUITES"}),
      .exclude_cipher_suites =
          list(settings, {"exclude-cipher-suites", "flume.ssl.exclude.cipherSuites",
                          "FLUME_SSL_EXCLUDE_CIPHERSUITES"}),
  };
}

}  // namespace

Result<std::optional<TlsSettings>> tls_server_settings(const Settings& settings) {
  if (!settings.boolean("ssl")) return std::optional<TlsSettings>();
  TlsSettings result = common(settings);
  result.keystore = store(settings, keystore, keystore_password);
  if (result.keystore.path.empty()) {
    return Invalid(
        "ssl = true needs a keystore: a PEM or PKCS#12 file with a certificate and its key");
  }
  result.client_auth = settings.boolean("need-client-auth");
  if (!result.client_auth) return std::optional(std::move(result));
  result.truststore = store(settings, truststore, truststore_password);
  if (result.truststore.path.empty()) {
    return Invalid("need-client-auth = true needs a truststore: the CAs of senders' certificates");
  }
  return std::optional(std::move(result));
}

Result<std::optional<TlsSettings>> tls_client_settings(const Settings& settings) {
  if (!settings.boolean("ssl")) return std::optional<TlsSettings>();
  TlsSettings result = common(settings);
  result.trust_all = settings.boolean("trust-all-certs");
  result.verify_host = settings.boolean("verify-hostname");
  if (!result.trust_all) result.truststore = store(settings, truststore, truststore_password);
  if (settings.has("keystore")) {
    result.keystore = {.path = settings.text("keystore"),
                       .password = settings.text("keystore-password"),
                       .key = "keystore"};
  }
  return std::optional(std::move(result));
}

}  // namespace sluice
