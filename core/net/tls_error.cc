#include "core/net/tls_error.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>
#include <string_view>

namespace sluice {
namespace {

constexpr std::size_t names_max = 5;

struct Hint {
  int reason;
  std::string_view text;
};

constexpr std::string_view protocols =
    "both sides have no TLS version in common: see include-protocols and exclude-protocols";
constexpr std::string_view ciphers =
    "both sides have no cipher suite in common: see include-cipher-suites and "
    "exclude-cipher-suites, and whether the keystore's key is of the kind that they need";
constexpr std::string_view no_trust =
    "the peer does not accept our certificate: its truststore needs our certificate's CA";
constexpr std::string_view show_certificate =
    "the receiver wants a certificate of ours: set keystore";

constexpr Hint hints[] = {
    {SSL_R_UNSUPPORTED_PROTOCOL, protocols},
    {SSL_R_NO_PROTOCOLS_AVAILABLE, protocols},
    {SSL_R_VERSION_TOO_LOW, protocols},
    {SSL_R_WRONG_SSL_VERSION, protocols},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, protocols},
    {SSL_R_NO_SHARED_CIPHER, ciphers},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
     "no cipher suite in common, or the receiver wants a certificate of ours (keystore)"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA, no_trust},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
     "the peer does not accept our certificate: it is for another host than the one that was "
     "connected to, or of a CA that the peer does not know"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, no_trust},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "our certificate has expired"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, show_certificate},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
     "need-client-auth = true: the sender needs a keystore with a certificate that truststore "
     "trusts"},
};

std::string hint_for(unsigned long code) {
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return {};
  for (const Hint& each : hints) {
    if (each.reason == ERR_GET_REASON(code)) return std::string(each.text);
  }
  return {};
}

std::string text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string text_of_address(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  if (family == AF_INET6 && ASN1_STRING_length(address) != 16) return "?";
  ::inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size());
  return text.data();
}

void add(std::string& names, const std::string& name) {
  names += (names.empty() ? "" : ", ") + name;
}

std::string common_name(const X509& certificate) {
  X509_NAME* const subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return {};
  return text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

}  // namespace

TlsError take_tls_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* const words = code == 0 ? nullptr : ERR_reason_error_string(code);
  TlsError error;
  error.reason = words != nullptr ? words : "error " + std::to_string(code);
  error.hint = hint_for(code);
  error.about_certificate =
      ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED;
  return error;
}

std::string openssl_reason() { return take_tls_error().reason; }

std::string verify_hint(long verify_result, bool accepted) {
  switch (verify_result) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return accepted ? "; put the CA of the senders' certificates into truststore"
                      : "; put the CA of the receiver's certificate into truststore";
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return "; it is the peer's that must be renewed";
    default: return {};
  }
}

std::string certificate_names(const X509& certificate) {
  const auto free_all = [](GENERAL_NAMES* names) { GENERAL_NAMES_free(names); };
  const std::unique_ptr<GENERAL_NAMES, decltype(free_all)> alternatives(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)),
      free_all);
  std::string names;
  const int count = alternatives ? sk_GENERAL_NAME_num(alternatives.get()) : 0;
  std::size_t shown = 0;
  for (int i = 0; i < count && shown < names_max; ++i) {
    const GENERAL_NAME* const each = sk_GENERAL_NAME_value(alternatives.get(), i);
    if (each->type != GEN_DNS && each->type != GEN_IPADD) continue;
    add(names,
        each->type == GEN_DNS ? text_of(each->d.dNSName) : text_of_address(each->d.iPAddress));
    ++shown;
  }
  return shown > 0 ? names : common_name(certificate);
}

}  // namespace sluice
