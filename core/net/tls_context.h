// Certificates, keys and rules that the TLS connections of one component share.
#pragma once

#include <memory>

#include "core/base/status.h"
#include "core/base/tls_settings.h"

struct ssl_ctx_st;

namespace sluice {

/// Made once, then read by any thread.
///
/// Protocols are TLS 1.2 and 1.3 unless include-protocols names older ones; SSL 3 and before are
/// never spoken. Names of protocols and cipher suites are Java's (OpenSSL's names of suites are
/// taken too). Files are PEM or PKCS#12, told apart by what is in them.
class TlsContext {
 public:
  /// For the side that accepts. Logs what is odd but works: an expired certificate, names in lists
  /// that mean nothing here. Errors: Invalid (with the key or the file that is wrong), Retry (a
  /// file that cannot be read now).
  static Result<std::shared_ptr<const TlsContext>> for_server(const TlsSettings& settings);
  /// For the side that connects; the same errors.
  static Result<std::shared_ptr<const TlsContext>> for_client(const TlsSettings& settings);

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  /// For core/net.
  ssl_ctx_st* get() const noexcept { return context_; }
  /// The peer's certificate must be for the host that was connected to.
  bool verifies_host() const noexcept { return verifies_host_; }

 private:
  explicit TlsContext(ssl_ctx_st* context) noexcept : context_(context) {}
  ssl_ctx_st* const context_;
  bool verifies_host_ = false;
};

}  // namespace sluice
