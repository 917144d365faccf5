// Certificates and keystores made while a test runs, so that no key lies in the repository.
#pragma once

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <memory>
#include <string>

#include "core/base/assert.h"
#include "core/base/tls_settings.h"
#include "tests/support/captured_log.h"

namespace sluice::testing {

/// A certificate with its key. Copies share both.
struct TestCertificate {
  std::shared_ptr<EVP_PKEY> key;
  std::shared_ptr<X509> certificate;

  std::string certificate_pem() const {
    return pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
  }
  /// Encrypted when there is a password.
  std::string key_pem(const std::string& password = {}) const {
    return pem([&](BIO* bio) {
      const auto* text = reinterpret_cast<const unsigned char*>(password.data());
      return PEM_write_bio_PrivateKey(bio, key.get(),
                                      password.empty() ? nullptr : EVP_aes_128_cbc(), text,
                                      static_cast<int>(password.size()), nullptr, nullptr);
    });
  }
  enum class Store : unsigned char {
    Keystore,
    Truststore,  ///< Without the key.
    OfJava8,     ///< Encrypted with 40 bits of RC2 and with 3DES, as its keytool does.
  };
  std::string pkcs12(const std::string& password, Store kind = Store::Keystore) const {
    const std::unique_ptr<OSSL_LIB_CTX, decltype(&OSSL_LIB_CTX_free)> library(OSSL_LIB_CTX_new(),
                                                                              OSSL_LIB_CTX_free);
    OSSL_PROVIDER* const current = OSSL_PROVIDER_load(library.get(), "default");
    OSSL_PROVIDER* const legacy = OSSL_PROVIDER_load(library.get(), "legacy");
    const bool old = kind == Store::OfJava8;
    STACK_OF(X509)* const trusted = sk_X509_new_null();
    if (kind == Store::Truststore) sk_X509_push(trusted, certificate.get());
    const bool with_key = kind != Store::Truststore;
    PKCS12* const store = PKCS12_create_ex(password.c_str(), "name", with_key ? key.get() : nullptr,
                                           with_key ? certificate.get() : nullptr, trusted,
                                           old ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : 0,
                                           old ? NID_pbe_WithSHA1And40BitRC2_CBC : 0, 0, 0, 0,
                                           library.get(), nullptr);
    sk_X509_free(trusted);
    SLUICE_ASSERT(store != nullptr, "a PKCS#12 store can be made");
    std::string bytes = pem([&](BIO* bio) { return i2d_PKCS12_bio(bio, store); });
    PKCS12_free(store);
    OSSL_PROVIDER_unload(legacy);
    OSSL_PROVIDER_unload(current);
    return bytes;
  }

 private:
  template <typename Write>
  static std::string pem(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    SLUICE_ASSERT(write(bio.get()) == 1, "OpenSSL writes to memory");
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &bytes);
    return {bytes, static_cast<std::size_t>(size)};
  }
};

struct CertificateOptions {
  std::string name = "test";                         ///< Its common name.
  std::string names = "DNS:localhost,IP:127.0.0.1";  ///< Empty: no alternative names.
  long valid_from = -3600;                           ///< Seconds from now.
  long valid_until = 3600;
  bool rsa = false;  ///< Otherwise a key of an elliptic curve, which is faster made.
  const TestCertificate* issuer = nullptr;  ///< Null: itself, as a CA.
};

inline TestCertificate make_certificate(const CertificateOptions& options = {}) {
  TestCertificate made;
  made.key.reset(options.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"), EVP_PKEY_free);
  made.certificate.reset(X509_new(), X509_free);
  X509* const x509 = made.certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  static long serial = 0;
  ASN1_INTEGER_set(X509_get_serialNumber(x509), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x509), options.valid_from);
  X509_gmtime_adj(X509_getm_notAfter(x509), options.valid_until);
  X509_set_pubkey(x509, made.key.get());
  const auto* text = reinterpret_cast<const unsigned char*>(options.name.c_str());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, text, -1, -1, 0);
  const TestCertificate& issuer = options.issuer != nullptr ? *options.issuer : made;
  X509_set_issuer_name(x509, X509_get_subject_name(issuer.certificate.get()));
  const auto add = [&](int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer.certificate.get(), x509, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    SLUICE_ASSERT(extension != nullptr, "an extension that OpenSSL knows");
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  };
  if (options.issuer == nullptr) add(NID_basic_constraints, "critical,CA:TRUE");
  if (!options.names.empty()) add(NID_subject_alt_name, options.names);
  SLUICE_ASSERT(X509_sign(x509, issuer.key.get(), EVP_sha256()) > 0, "a certificate can be signed");
  return made;
}

/// Writes keystores for one test.
class TestStores {
 public:
  TlsStore write(const std::string& name, const std::string& bytes,
                 const std::string& password = {}, const std::string& key = "keystore") const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return {path(name), password, key};
  }
  TlsStore pem(const std::string& name, const TestCertificate& certificate) const {
    return write(name, certificate.key_pem() + certificate.certificate_pem());
  }
  TlsStore trust(const std::string& name, const TestCertificate& certificate) const {
    return write(name, certificate.certificate_pem(), {}, "truststore");
  }
  std::string path(const std::string& name) const { return directory_.path(name); }

 private:
  TempDirectory directory_;
};

}  // namespace sluice::testing
