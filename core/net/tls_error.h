// What OpenSSL says went wrong, and what a person can do about it.
#pragma once

#include <string>

struct x509_st;

namespace sluice {

struct TlsError {
  std::string reason;              ///< OpenSSL's words.
  std::string hint;                ///< May be empty.
  bool about_certificate = false;  ///< The peer's was not accepted; why is in the verify result.
};

/// The first error of this thread's queue, which is empty afterwards.
TlsError take_tls_error();
/// Its words only.
std::string openssl_reason();
/// "; ..." for a verify result of OpenSSL, or nothing. `accepted`: it was a sender's certificate.
std::string verify_hint(long verify_result, bool accepted);
/// "a.example.com, 10.0.0.1": whom a certificate is for, at most a few; empty: nobody.
std::string certificate_names(const x509_st& certificate);

}  // namespace sluice
