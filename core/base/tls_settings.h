// What a connection's TLS is to be like, as the configuration says it.
#pragma once

#include <string>
#include <vector>

namespace sluice {

/// A file of keys and certificates.
struct TlsStore {
  std::string path = {};      ///< Empty: none. PEM: several files with commas between them.
  std::string password = {};  ///< Empty: none.
  std::string key = {};  ///< Where it was set, for messages: "keystore", "FLUME_SSL_KEYSTORE_PATH".
};

/// A value. Lists hold Java's names; an empty include list includes everything, exclude wins.
struct TlsSettings {
  std::string component = {};  ///< For messages: "source r1".
  TlsStore keystore = {};      ///< Our own certificate and its key.
  TlsStore truststore = {};    ///< Who is trusted; none: the system's CAs.
  bool client_auth = false;    ///< Server: senders must show a certificate that truststore trusts.
  bool trust_all = false;      ///< Client: whoever answers is believed.
  bool verify_host = true;     ///< Client: the certificate must be for the host we connected to.
  std::vector<std::string> include_protocols = {};
  std::vector<std::string> exclude_protocols = {};
  std::vector<std::string> include_cipher_suites = {};
  std::vector<std::string> exclude_cipher_suites = {};
};

}  // namespace sluice
