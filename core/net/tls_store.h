// Keystores and truststores: keys and certificates out of PEM and PKCS#12 files.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <vector>

#include "core/base/status.h"
#include "core/base/tls_settings.h"

namespace sluice {

struct OpensslFree {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, OpensslFree>;
using PrivateKey = std::unique_ptr<EVP_PKEY, OpensslFree>;

/// Who we are.
struct Identity {
  PrivateKey key;
  Certificate certificate;         ///< Fits the key.
  std::vector<Certificate> chain;  ///< The others of the file, in its order.
};

/// Errors of both, naming the key of the configuration and the file: Retry (cannot be read),
/// Invalid (a wrong password, a JKS file, no key, no certificate, a key that fits none of them).
Result<Identity> load_identity(const TlsStore& store);
/// Every certificate of the store, at least one.
Result<std::vector<Certificate>> load_certificates(const TlsStore& store);

}  // namespace sluice
