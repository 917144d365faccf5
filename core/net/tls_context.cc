#include "core/net/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <utility>
#include <vector>

#include "core/base/log.h"
#include "core/net/tls_error.h"
#include "core/net/tls_rules.h"
#include "core/net/tls_store.h"

namespace sluice {
namespace {

using Shared = std::shared_ptr<const TlsContext>;

/// The same for both sides.
Status prepare(SSL_CTX& context, const TlsSettings& settings) {
  // One system call a record instead of two; buffers only while there is something in them;
  // nothing to resume, since our connections are few and long.
  SSL_CTX_set_read_ahead(&context, 1);
  SSL_CTX_set_mode(&context, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(&context, 0);
  SSL_CTX_set_options(&context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE);
  return apply_rules(context, settings);
}

void warn_of_dates(const TlsSettings& settings, const X509& certificate) {
  const char* const odd =
      X509_cmp_current_time(X509_get0_notAfter(&certificate)) < 0    ? "has expired"
      : X509_cmp_current_time(X509_get0_notBefore(&certificate)) > 0 ? "is not valid yet"
                                                                     : nullptr;
  if (odd == nullptr) return;
  log::warn("{}: {} = {}: the certificate {}; peers that verify it will refuse to talk",
            settings.component, settings.keystore.key, settings.keystore.path, odd);
}

Status use_identity(SSL_CTX& context, const TlsSettings& settings) {
  auto identity = load_identity(settings.keystore);
  if (!identity.ok()) return identity.status();
  warn_of_dates(settings, *identity->certificate);
  ERR_clear_error();
  bool used = SSL_CTX_use_certificate(&context, identity->certificate.get()) == 1 &&
              SSL_CTX_use_PrivateKey(&context, identity->key.get()) == 1;
  for (const Certificate& each : identity->chain) {
    used = used && SSL_CTX_add1_chain_cert(&context, each.get()) == 1;
  }
  if (used) return {};
  return Invalid(settings.keystore.key + " = " + settings.keystore.path + ": " + openssl_reason());
}

/// `asked_of_peers`: the names of the CAs are told to those who connect, to choose by.
Status trust(SSL_CTX& context, const TlsStore& store, bool asked_of_peers) {
  auto certificates = load_certificates(store);
  if (!certificates.ok()) return certificates.status();
  for (const Certificate& each : *certificates) {
    const bool added = X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), each.get()) == 1 &&
                       (!asked_of_peers || SSL_CTX_add_client_CA(&context, each.get()) == 1);
    if (!added) return Invalid(store.key + " = " + store.path + ": " + openssl_reason());
  }
  // A certificate that is in the truststore is trusted, whoever signed it: as Java does.
  X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(&context), X509_V_FLAG_PARTIAL_CHAIN);
  return {};
}

}  // namespace

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Result<Shared> TlsContext::for_server(const TlsSettings& settings) {
  ERR_clear_error();
  SSL_CTX* const made = SSL_CTX_new(TLS_server_method());
  if (made == nullptr) return Retry("no memory for TLS: " + openssl_reason());
  const std::shared_ptr<TlsContext> context(new TlsContext(made));
  if (Status status = prepare(*made, settings); !status.ok()) return status;
  if (settings.keystore.path.empty()) return Invalid("ssl = true needs a keystore");
  if (Status status = use_identity(*made, settings); !status.ok()) return status;
  if (!settings.client_auth) return Shared(context);
  if (settings.truststore.path.empty()) {
    return Invalid("need-client-auth = true needs a truststore: whose certificates are taken?");
  }
  if (Status status = trust(*made, settings.truststore, true); !status.ok()) return status;
  SSL_CTX_set_verify(made, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return Shared(context);
}

Result<Shared> TlsContext::for_client(const TlsSettings& settings) {
  ERR_clear_error();
  SSL_CTX* const made = SSL_CTX_new(TLS_client_method());
  if (made == nullptr) return Retry("no memory for TLS: " + openssl_reason());
  const std::shared_ptr<TlsContext> context(new TlsContext(made));
  if (Status status = prepare(*made, settings); !status.ok()) return status;
  if (!settings.keystore.path.empty()) {
    if (Status status = use_identity(*made, settings); !status.ok()) return status;
  }
  if (settings.trust_all) {
    SSL_CTX_set_verify(made, SSL_VERIFY_NONE, nullptr);
    return Shared(context);
  }
  if (!settings.truststore.path.empty()) {
    if (Status status = trust(*made, settings.truststore, false); !status.ok()) return status;
  } else if (SSL_CTX_set_default_verify_paths(made) != 1) {
    return Retry("the system's CAs cannot be read: " + openssl_reason() + "; set truststore");
  }
  SSL_CTX_set_verify(made, SSL_VERIFY_PEER, nullptr);
  context->verifies_host_ = settings.verify_host;
  return Shared(context);
}

}  // namespace sluice
