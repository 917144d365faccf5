#include "core/net/tls_store.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/file.h"
#include "core/net/tls_error.h"

namespace sluice {
namespace {

constexpr std::size_t store_bytes_max = 16 << 20;
constexpr std::string_view jks_magic("\xfe\xed\xfe\xed", 4);
constexpr std::string_view jceks_magic("\xce\xce\xce\xce", 4);

struct FreeAll {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
  void operator()(PKCS12* store) const noexcept { PKCS12_free(store); }
  void operator()(PKCS8_PRIV_KEY_INFO* key) const noexcept { PKCS8_PRIV_KEY_INFO_free(key); }
  void operator()(STACK_OF(X509) * all) const noexcept { sk_X509_pop_free(all, X509_free); }
  void operator()(OSSL_LIB_CTX* library) const noexcept { OSSL_LIB_CTX_free(library); }
  void operator()(OSSL_PROVIDER* provider) const noexcept { OSSL_PROVIDER_unload(provider); }
};
template <typename T>
using Owned = std::unique_ptr<T, FreeAll>;

/// What a store holds, before anybody asks whether it fits together.
struct Contents {
  PrivateKey key;
  std::vector<Certificate> certificates;
};

Status wrong(const TlsStore& store, const std::string& what) {
  return Invalid(store.key + " = " + store.path + ": " + what);
}

std::string jks_advice(const TlsStore& store) {
  return "a JKS file, which only Java reads; convert it with: keytool -importkeystore "
         "-srckeystore " +
         store.path + " -destkeystore " + store.path + ".p12 -deststoretype PKCS12";
}

Owned<BIO> bio_of(std::string_view bytes) {
  return Owned<BIO>(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

Result<std::string> read_store(const TlsStore& store) {
  std::string all;
  std::string_view rest = store.path;
  for (bool last = false; !last;) {
    const std::size_t comma = rest.find(',');
    last = comma == std::string_view::npos;
    const std::string path(rest.substr(0, comma));
    if (!last) rest.remove_prefix(comma + 1);
    auto bytes = FileSystem::real().read(path, 0, store_bytes_max);
    if (!bytes.ok()) return bytes.status().with_context(store.key);
    all += *bytes;
    if (!last) all += '\n';
  }
  return all;
}

// ---- PEM

int give_password(char* into, int size, int, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  const std::size_t bytes = std::min(text.size(), static_cast<std::size_t>(size));
  text.copy(into, bytes);
  return static_cast<int>(bytes);
}

Result<Contents> read_pem(const TlsStore& store, std::string_view bytes) {
  ERR_clear_error();
  Contents contents;
  const Owned<BIO> certificates = bio_of(bytes);
  while (X509* each = PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr)) {
    contents.certificates.emplace_back(each);
  }
  // The reader ends with "no start line" when nothing more is there; anything else is damage.
  const unsigned long end = ERR_peek_last_error();
  if (ERR_GET_REASON(end) != PEM_R_NO_START_LINE) {
    return wrong(store, "a certificate in it is broken: " + openssl_reason());
  }
  ERR_clear_error();
  if (bytes.find("PRIVATE KEY-----") == std::string_view::npos) return contents;
  const Owned<BIO> keys = bio_of(bytes);
  std::string password = store.password;
  contents.key.reset(PEM_read_bio_PrivateKey(keys.get(), nullptr, give_password, &password));
  if (contents.key) return contents;
  const std::string reason = openssl_reason();
  if (bytes.find("ENCRYPTED") == std::string_view::npos) {
    return wrong(store, "its private key is broken: " + reason);
  }
  return wrong(store, store.password.empty()
                          ? "its private key is encrypted: " + store.key + "-password is missing"
                          : "its private key cannot be decrypted: is " + store.key +
                                "-password right? (" + reason + ")");
}

// ---- PKCS#12

/// The algorithms that Java 8 encrypted with: OpenSSL 3 has them apart. They are only for reading
/// the file, in a library context of its own: what connections may use stays as it is.
class OldAlgorithms {
 public:
  OldAlgorithms()
      : library_(OSSL_LIB_CTX_new()),
        current_(OSSL_PROVIDER_load(library_.get(), "default")),
        legacy_(OSSL_PROVIDER_load(library_.get(), "legacy")) {}
  OSSL_LIB_CTX* library() const noexcept { return library_.get(); }

 private:
  const Owned<OSSL_LIB_CTX> library_;
  const Owned<OSSL_PROVIDER> current_;
  const Owned<OSSL_PROVIDER> legacy_;
};

/// The same key for connections: one that was made in another library context stays bound to it.
PrivateKey rebind(const PrivateKey& key) {
  if (!key) return nullptr;
  const Owned<PKCS8_PRIV_KEY_INFO> plain(EVP_PKEY2PKCS8(key.get()));
  return PrivateKey(plain ? EVP_PKCS82PKEY(plain.get()) : nullptr);
}

Certificate rebind(const X509* certificate) {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate, &bytes);
  const unsigned char* from = bytes;
  Certificate copy(size > 0 ? d2i_X509(nullptr, &from, size) : nullptr);
  OPENSSL_free(bytes);
  return copy;
}

Result<Contents> read_pkcs12(const TlsStore& store, std::string_view bytes) {
  ERR_clear_error();
  const OldAlgorithms old;
  const Owned<BIO> bio = bio_of(bytes);
  PKCS12* made = PKCS12_init_ex(NID_pkcs7_data, old.library(), nullptr);
  const bool read = made != nullptr && d2i_PKCS12_bio(bio.get(), &made) != nullptr;
  const Owned<PKCS12> file(made);
  if (!read) return wrong(store, "neither PEM nor PKCS#12");
  const char* password = store.password.c_str();
  // Without a password there are two ways to write that there is none.
  if (PKCS12_mac_present(file.get()) == 1 && PKCS12_verify_mac(file.get(), password, -1) != 1) {
    if (!store.password.empty() || PKCS12_verify_mac(file.get(), nullptr, 0) != 1) {
      return wrong(store, store.password.empty() ? store.key + "-password is missing"
                                                 : store.key + "-password is wrong");
    }
    password = nullptr;
  }
  EVP_PKEY* key = nullptr;
  X509* first = nullptr;
  STACK_OF(X509)* others = nullptr;
  ERR_clear_error();
  const int parsed = PKCS12_parse(file.get(), password, &key, &first, &others);
  const PrivateKey key_owner(key);
  const Certificate first_owner(first);
  const Owned<STACK_OF(X509)> others_owner(others);
  if (parsed != 1) {
    return wrong(store, "cannot be decrypted: " + openssl_reason() +
                            "; write it anew with: "
                            "openssl pkcs12 -legacy -in FILE -nodes -out FILE.pem");
  }
  Contents contents;
  contents.key = rebind(key_owner);
  if (first != nullptr) contents.certificates.push_back(rebind(first));
  for (int i = 0; others != nullptr && i < sk_X509_num(others); ++i) {
    contents.certificates.push_back(rebind(sk_X509_value(others, i)));
  }
  const auto& all = contents.certificates;
  const bool whole =
      (key == nullptr || contents.key) && std::find(all.begin(), all.end(), nullptr) == all.end();
  if (!whole)
    return wrong(store, "a key or certificate of it is of no known kind: " + openssl_reason());
  return contents;
}

Result<Contents> read_contents(const TlsStore& store) {
  auto bytes = read_store(store);
  if (!bytes.ok()) return bytes.status();
  const std::string_view all = *bytes;
  if (all.starts_with(jks_magic) || all.starts_with(jceks_magic)) {
    return wrong(store, jks_advice(store));
  }
  if (all.empty()) return wrong(store, "the file is empty");
  return all.find("-----BEGIN ") != std::string_view::npos ? read_pem(store, all)
                                                           : read_pkcs12(store, all);
}

}  // namespace

Result<Identity> load_identity(const TlsStore& store) {
  auto contents = read_contents(store);
  if (!contents.ok()) return contents.status();
  if (!contents->key) return wrong(store, "there is no private key in it");
  if (contents->certificates.empty()) return wrong(store, "there is no certificate in it");
  Identity identity;
  identity.key = std::move(contents->key);
  for (Certificate& each : contents->certificates) {
    ERR_clear_error();
    const bool fits = X509_check_private_key(each.get(), identity.key.get()) == 1;
    if (!identity.certificate && fits) {
      identity.certificate = std::move(each);
    } else {
      identity.chain.push_back(std::move(each));
    }
  }
  ERR_clear_error();
  if (!identity.certificate) return wrong(store, "its private key fits none of its certificates");
  return identity;
}

Result<std::vector<Certificate>> load_certificates(const TlsStore& store) {
  auto contents = read_contents(store);
  if (!contents.ok()) return contents.status();
  if (contents->certificates.empty()) return wrong(store, "there is no certificate in it");
  return std::move(contents->certificates);
}

}  // namespace sluice
