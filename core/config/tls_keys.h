// The ssl keys, which every component with connections shares.
#pragma once

#include <optional>

#include "core/base/status.h"
#include "core/base/tls_settings.h"
#include "core/config/component.h"
#include "core/config/settings.h"

namespace sluice {

/// Of both: what a handshake may agree on. Joined behind one of the tables below.
inline constexpr Key tls_rule_keys[] = {
    {.name = "include-protocols",
     .type = KeyType::List,
     .meaning = "Protocols that may be spoken, by Java's names; TLSv1.2 and TLSv1.3 when there is "
                "none. Otherwise -Dflume.ssl.include.protocols, then "
                "FLUME_SSL_INCLUDE_PROTOCOLS."},
    {.name = "exclude-protocols",
     .type = KeyType::List,
     .meaning = "Protocols that may not be spoken, whatever is included; SSLv3 never may."},
    {.name = "include-cipher-suites",
     .type = KeyType::List,
     .meaning = "Cipher suites that may be used, by Java's names or OpenSSL's; OpenSSL's own "
                "choice when there is none."},
    {.name = "exclude-cipher-suites",
     .type = KeyType::List,
     .meaning = "Cipher suites that may not be used, whatever is included."},
};

/// Of a source that accepts connections.
inline constexpr Key tls_server_keys[] = {
    {.name = "ssl",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Talk TLS; needs a keystore."},
    {.name = "keystore",
     .type = KeyType::Text,
     .meaning = "File with the certificate and its private key: PEM (several files with commas "
                "between them) or PKCS#12. Otherwise -Djavax.net.ssl.keyStore, then the "
                "environment's FLUME_SSL_KEYSTORE_PATH."},
    {.name = "keystore-password",
     .type = KeyType::Text,
     .meaning = "Password of the keystore; otherwise -Djavax.net.ssl.keyStorePassword, then "
                "FLUME_SSL_KEYSTORE_PASSWORD. PEM without encryption needs none."},
    {.name = "keystore-type",
     .type = KeyType::Ignored,
     .meaning = "Accepted for Flume's sake: the kind of a keystore is seen from what is in it."},
    {.name = "need-client-auth",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Take only senders that show a certificate that the truststore vouches for."},
    {.name = "truststore",
     .type = KeyType::Text,
     .meaning = "For need-client-auth: file with the CAs of the senders' certificates, PEM or "
                "PKCS#12. Otherwise -Djavax.net.ssl.trustStore, then FLUME_SSL_TRUSTSTORE_PATH."},
    {.name = "truststore-password",
     .type = KeyType::Text,
     .meaning = "Password of the truststore; otherwise -Djavax.net.ssl.trustStorePassword, then "
                "FLUME_SSL_TRUSTSTORE_PASSWORD."},
    {.name = "truststore-type", .type = KeyType::Ignored, .meaning = "Accepted, as keystore-type."},
};

/// Of a sink that connects.
inline constexpr Key tls_client_keys[] = {
    {.name = "ssl", .type = KeyType::Boolean, .default_value = "false", .meaning = "Talk TLS."},
    {.name = "trust-all-certs",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Believe whoever answers: only for tests."},
    {.name = "truststore",
     .type = KeyType::Text,
     .meaning = "File with the CAs of receivers' certificates, or the certificates themselves: PEM "
                "(several files with commas between them) or PKCS#12. Otherwise "
                "-Djavax.net.ssl.trustStore, then the environment's FLUME_SSL_TRUSTSTORE_PATH, "
                "then the system's CAs."},
    {.name = "truststore-password",
     .type = KeyType::Text,
     .meaning = "Password of the truststore; otherwise -Djavax.net.ssl.trustStorePassword, then "
                "FLUME_SSL_TRUSTSTORE_PASSWORD."},
    {.name = "truststore-type",
     .type = KeyType::Ignored,
     .meaning = "Accepted for Flume's sake: the kind of a truststore is seen from what is in it."},
    {.name = "verify-hostname",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "The receiver's certificate must be for the host that is connected to; Flume's "
                "avro sink does not look."},
    {.name = "keystore",
     .type = KeyType::Text,
     .meaning = "File with a certificate and its private key, for receivers that ask senders for "
                "one: PEM or PKCS#12."},
    {.name = "keystore-password", .type = KeyType::Text, .meaning = "Password of the keystore."},
    {.name = "keystore-type", .type = KeyType::Ignored, .meaning = "Accepted, as truststore-type."},
};

/// What the ssl keys of a component with tls_server_keys and tls_rule_keys say; nothing when ssl is
/// off. What they do not say comes from Java's and Flume's system properties, then from the
/// environment. Errors: Invalid (ssl without a keystore, need-client-auth without a truststore).
Result<std::optional<TlsSettings>> tls_server_settings(const Settings& settings);
/// The same for tls_client_keys and tls_rule_keys. Its keystore is the component's own only.
Result<std::optional<TlsSettings>> tls_client_settings(const Settings& settings);

}  // namespace sluice
