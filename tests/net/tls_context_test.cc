// Keystores of every kind, and what is said about those that do not do.

#include "core/net/tls_context.h"

#include <openssl/ssl.h>

#include <set>

#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/certificates.h"

namespace sluice {
namespace {

using testing::CapturedLog;
using testing::make_certificate;
using testing::TestCertificate;
using testing::TestStores;

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Status server_status(const TlsStore& keystore) {
  return TlsContext::for_server({.component = "source r1", .keystore = keystore}).status();
}

/// Not Ok, with the key, the file and these words.
void check_refused(const TlsStore& keystore, const std::string& words) {
  const Status status = server_status(keystore);
  CHECK(status.code() == Code::Invalid);
  CHECK(has(status.message(), "keystore = " + keystore.path));
  INFO(status.message());
  CHECK(has(status.message(), words));
}

TEST_CASE("a keystore is PEM or PKCS#12, whatever its type or name says") {
  const TestStores stores;
  const TestCertificate ca = make_certificate({.name = "ca"});
  const TestCertificate own = make_certificate({.rsa = true, .issuer = &ca});
  CHECK(server_status(stores.pem("both.pem", own)).ok());
  CHECK(server_status(
            stores.write("chain.jks", ca.certificate_pem() + own.certificate_pem() + own.key_pem()))
            .ok());
  CHECK(server_status(stores.write("secret.pem", own.key_pem("pw") + own.certificate_pem(), "pw"))
            .ok());
  CHECK(server_status(stores.write("store.jks", own.pkcs12("pw"), "pw")).ok());
  CHECK(server_status(stores.write("open.p12", own.pkcs12(""))).ok());
  stores.write("key.pem", own.key_pem());
  stores.write("cert.pem", own.certificate_pem());
  CHECK(
      server_status({stores.path("key.pem") + "," + stores.path("cert.pem"), "", "keystore"}).ok());
}

TEST_CASE("a PKCS#12 file of an old Java, which OpenSSL 3 does not read by itself, works") {
  const TestStores stores;
  const TestCertificate own = make_certificate();
  const TlsStore old =
      stores.write("old.p12", own.pkcs12("pw", TestCertificate::Store::OfJava8), "pw");
  CHECK(server_status(old).ok());
  CHECK(server_status({old.path, "no", "keystore"}).message().find("is wrong") !=
        std::string::npos);
}

TEST_CASE("a keystore that does not do says which, and why") {
  const TestStores stores;
  const TestCertificate own = make_certificate();
  const TestCertificate other = make_certificate();
  check_refused(stores.write("a.jks", std::string("\xfe\xed\xfe\xed\0\0\0\2", 8), "pw"),
                "keytool -importkeystore -srckeystore " + stores.path("a.jks"));
  check_refused(stores.write("b.jks", std::string("\xce\xce\xce\xce\0\0\0\2", 8), "pw"),
                "keytool -importkeystore");
  check_refused(stores.write("c.p12", own.pkcs12("right"), "wrong"), "keystore-password is wrong");
  check_refused(stores.write("d.p12", own.pkcs12("right")), "keystore-password is missing");
  check_refused(stores.write("e.pem", own.key_pem("right") + own.certificate_pem(), "wrong"),
                "keystore-password right?");
  check_refused(stores.write("f.pem", own.key_pem("right") + own.certificate_pem()),
                "keystore-password is missing");
  check_refused(stores.write("g.pem", other.key_pem() + own.certificate_pem()),
                "fits none of its certificates");
  check_refused(stores.write("h.pem", own.certificate_pem()), "no private key");
  check_refused(stores.write("i.pem", own.key_pem()), "no certificate");
  check_refused(stores.write("j.p12", own.pkcs12("pw", TestCertificate::Store::Truststore), "pw"),
                "no private key");
  check_refused(stores.write("k.pem", ""), "empty");
  check_refused(stores.write("l.pem", "something else"), "neither PEM nor PKCS#12");
  std::string broken = own.certificate_pem();
  broken[broken.size() / 2] = '!';
  check_refused(stores.write("m.pem", own.key_pem() + broken), "broken");
}

TEST_CASE("a file that is not there may come, and none at all is wrong") {
  const TestStores stores;
  const Status missing = server_status({stores.path("none.pem"), "", "FLUME_SSL_KEYSTORE_PATH"});
  CHECK(missing.code() == Code::Retry);
  CHECK(has(missing.message(), "FLUME_SSL_KEYSTORE_PATH"));
  CHECK(has(missing.message(), stores.path("none.pem")));
  CHECK(server_status({}).code() == Code::Invalid);
  CHECK(has(server_status({}).message(), "keystore"));
}

TEST_CASE("an expired certificate works and is told") {
  const TestStores stores;
  CapturedLog captured;
  CHECK(server_status(stores.pem("old.pem", make_certificate({.valid_until = -60}))).ok());
  CHECK(captured.has("source r1: keystore = " + stores.path("old.pem")));
  CHECK(captured.has("has expired"));
  CHECK(server_status(stores.pem("new.pem", make_certificate({.valid_from = 600}))).ok());
  CHECK(captured.has("is not valid yet"));
  const std::string before = captured.text();
  CHECK(server_status(stores.pem("good.pem", make_certificate())).ok());
  CHECK(captured.text() == before);
}

TEST_CASE("truststores are PEM or PKCS#12 without a key") {
  const TestStores stores;
  const TestCertificate ca = make_certificate();
  const auto client = [](const TlsStore& truststore) {
    return TlsContext::for_client({.component = "sink k1", .truststore = truststore}).status();
  };
  CHECK(client(stores.trust("ca.pem", ca)).ok());
  CHECK(client(stores.write("ca.p12", ca.pkcs12("pw", TestCertificate::Store::Truststore), "pw",
                            "truststore"))
            .ok());
  CHECK(client({}).ok());  // the system's
  const Status empty = client(stores.write("key.pem", ca.key_pem(), "", "truststore"));
  CHECK(empty.code() == Code::Invalid);
  CHECK(has(empty.message(), "truststore = "));
  CHECK(has(client(stores.write("b.p12", ca.pkcs12("pw"), "no", "truststore")).message(),
            "truststore-password is wrong"));
}

TEST_CASE("senders can only be asked for certificates that somebody vouches for") {
  const TestStores stores;
  const TestCertificate own = make_certificate();
  TlsSettings settings{.keystore = stores.pem("own.pem", own), .client_auth = true};
  const auto without = TlsContext::for_server(settings);
  CHECK(without.code() == Code::Invalid);
  CHECK(has(without.status().message(), "truststore"));
  settings.truststore = stores.trust("ca.pem", own);
  CHECK(TlsContext::for_server(settings).ok());
}

// ---- Protocols and cipher suites

struct Rules {
  std::vector<std::string> include_protocols = {};
  std::vector<std::string> exclude_protocols = {};
  std::vector<std::string> include_suites = {};
  std::vector<std::string> exclude_suites = {};
};

Result<std::shared_ptr<const TlsContext>> client_with(const Rules& rules) {
  return TlsContext::for_client({.component = "sink k1",
                                 .trust_all = true,
                                 .include_protocols = rules.include_protocols,
                                 .exclude_protocols = rules.exclude_protocols,
                                 .include_cipher_suites = rules.include_suites,
                                 .exclude_cipher_suites = rules.exclude_suites});
}

/// "1.2 1.3": what a context may speak.
std::string spoken(const TlsContext& context) {
  const std::uint64_t off = SSL_CTX_get_options(context.get());
  std::string all;
  if ((off & SSL_OP_NO_SSLv3) == 0) all += "ssl3 ";
  if ((off & SSL_OP_NO_TLSv1) == 0) all += "1.0 ";
  if ((off & SSL_OP_NO_TLSv1_1) == 0) all += "1.1 ";
  if ((off & SSL_OP_NO_TLSv1_2) == 0) all += "1.2 ";
  if ((off & SSL_OP_NO_TLSv1_3) == 0) all += "1.3 ";
  return all;
}

std::string spoken(const Rules& rules) {
  auto context = client_with(rules);
  return context.ok() ? spoken(**context) : context.status().message();
}

std::set<std::string> suites(const Rules& rules) {
  auto context = client_with(rules);
  REQUIRE(context.ok());
  std::set<std::string> names;
  const STACK_OF(SSL_CIPHER)* const all = SSL_CTX_get_ciphers((*context)->get());
  for (int i = 0; i < sk_SSL_CIPHER_num(all); ++i) {
    names.insert(SSL_CIPHER_standard_name(sk_SSL_CIPHER_value(all, i)));
  }
  return names;
}

TEST_CASE("protocols are chosen by Java's names, and exclude wins") {
  CapturedLog captured;
  CHECK(spoken({}) == "1.2 1.3 ");
  CHECK(spoken({.include_protocols = {"TLSv1.2"}}) == "1.2 ");
  CHECK(spoken({.exclude_protocols = {"TLSv1.2", "SSLv2Hello"}}) == "1.3 ");
  CHECK(spoken({.include_protocols = {"TLSv1.2", "TLSv1.3"}, .exclude_protocols = {"TLSv1.3"}}) ==
        "1.2 ");
  CHECK_FALSE(captured.has("not safe"));
  CHECK(spoken({.include_protocols = {"TLSv1", "TLSv1.2", "SSLv3"}}) == "1.0 1.2 ");
  CHECK(captured.has("sink k1: include-protocols lets TLS 1.0 or 1.1 in"));
}

TEST_CASE("protocols that leave nothing, or that nobody knows, are refused") {
  CHECK(client_with({.include_protocols = {"SSLv3"}}).code() == Code::Invalid);
  CHECK(has(spoken({.include_protocols = {"SSLv3"}}), "leave no protocol"));
  CHECK(has(spoken({.exclude_protocols = {"TLSv1.2", "TLSv1.3"}}), "leave no protocol"));
  CHECK(client_with({.include_protocols = {"TLS1.2"}}).code() == Code::Invalid);
  CHECK(has(spoken({.include_protocols = {"TLS1.2"}}), "include-protocols: TLS1.2"));
  CHECK(has(spoken({.exclude_protocols = {"tls"}}), "exclude-protocols: tls"));
}

TEST_CASE("cipher suites are chosen by Java's names, and exclude wins") {
  const std::string gcm = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
  const std::string cbc = "TLS_RSA_WITH_AES_128_CBC_SHA";
  CHECK(suites({.include_suites = {gcm, cbc}}) == std::set{gcm, cbc});
  CHECK(suites({.include_suites = {gcm, cbc}, .exclude_suites = {cbc}}) == std::set{gcm});
  CHECK(suites({.include_suites = {"SSL_RSA_WITH_AES_128_CBC_SHA"}}) == std::set{cbc});
  CHECK(suites({.include_suites = {"ECDHE-RSA-AES128-GCM-SHA256"}}) == std::set{gcm});
  const auto all = suites({});
  REQUIRE(all.contains(gcm));
  const auto fewer = suites({.exclude_suites = {gcm}});
  CHECK_FALSE(fewer.contains(gcm));
  CHECK(fewer.size() + 1 == all.size());
}

TEST_CASE("a protocol without a cipher suite is not spoken") {
  CHECK(spoken({.include_suites = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}}) == "1.2 ");
  CHECK(spoken({.include_suites = {"TLS_AES_128_GCM_SHA256"}}) == "1.3 ");
  const Rules nothing{.include_protocols = {"TLSv1.3"},
                      .include_suites = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}};
  CHECK(client_with(nothing).code() == Code::Invalid);
  CHECK(has(spoken(nothing), "leave nothing"));
}

TEST_CASE("cipher suites that OpenSSL does not have are passed over and told") {
  CapturedLog captured;
  const std::string gcm = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
  CHECK(suites({.include_suites = {gcm, "TLS_KRB5_WITH_DES_CBC_SHA"}}) == std::set{gcm});
  CHECK(
      captured.has("include-cipher-suites: no cipher suite of OpenSSL, passed over: "
                   "TLS_KRB5_WITH_DES_CBC_SHA"));
  CHECK(client_with({.include_suites = {"TLS_KRB5_WITH_DES_CBC_SHA"}}).code() == Code::Invalid);
}

}  // namespace
}  // namespace sluice
