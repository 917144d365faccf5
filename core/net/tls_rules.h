// Which versions and cipher suites of TLS may be used, by Java's names.
#pragma once

#include <openssl/ssl.h>

#include "core/base/status.h"
#include "core/base/tls_settings.h"

namespace sluice {

/// Applies the four lists to a new context. Names of suites that this OpenSSL does not have are
/// passed over with a warning, as Java does silently. Errors: Invalid (a name of no protocol, lists
/// that leave nothing).
Status apply_rules(SSL_CTX& context, const TlsSettings& settings);

}  // namespace sluice
