#include "core/net/tls_rules.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/log.h"
#include "core/net/tls_error.h"

namespace sluice {
namespace {

struct Protocol {
  std::string_view name;
  std::uint64_t off;  ///< The option that switches it off; 0: OpenSSL does not have it.
  bool by_default;
};

constexpr Protocol protocols[] = {
    {"SSLv2", 0, false},
    {"SSLv2Hello", 0, false},
    {"SSLv3", 0, false},
    {"TLSv1", SSL_OP_NO_TLSv1, false},
    {"TLSv1.1", SSL_OP_NO_TLSv1_1, false},
    {"TLSv1.2", SSL_OP_NO_TLSv1_2, true},
    {"TLSv1.3", SSL_OP_NO_TLSv1_3, true},
};
constexpr std::uint64_t old_protocols = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
constexpr std::uint64_t up_to_1_2 = old_protocols | SSL_OP_NO_TLSv1_2;

using Words = std::vector<std::string>;

bool among(const Words& words, std::string_view name) {
  return std::find(words.begin(), words.end(), name) != words.end();
}

Status check_protocol_names(const Words& words, std::string_view key) {
  for (const std::string& word : words) {
    const auto known = [&](const Protocol& each) { return each.name == word; };
    if (std::any_of(std::begin(protocols), std::end(protocols), known)) continue;
    return Invalid(std::string(key) + ": " + word +
                   " is no protocol; known are TLSv1.3 TLSv1.2 TLSv1.1 TLSv1, and SSLv3 SSLv2Hello "
                   "SSLv2, which are always off");
  }
  return {};
}

/// The options of the protocols that stay.
std::uint64_t wanted_protocols(const TlsSettings& settings) {
  std::uint64_t wanted = 0;
  for (const Protocol& each : protocols) {
    const bool included = settings.include_protocols.empty()
                              ? each.by_default
                              : among(settings.include_protocols, each.name);
    if (included && !among(settings.exclude_protocols, each.name)) wanted |= each.off;
  }
  return wanted;
}

std::string describe(const TlsSettings& settings, std::string_view what) {
  return settings.component + ": " + std::string(what);
}

// ---- Cipher suites

/// Java's old names begin with SSL_ where everybody else's begin with TLS_.
bool is_called(const SSL_CIPHER& suite, std::string_view name) {
  const std::string_view standard = SSL_CIPHER_standard_name(&suite);
  if (name == standard || name == SSL_CIPHER_get_name(&suite)) return true;
  return name.starts_with("SSL_") && standard.starts_with("TLS_") &&
         name.substr(4) == standard.substr(4);
}

bool among(const Words& words, const SSL_CIPHER& suite) {
  return std::any_of(words.begin(), words.end(),
                     [&](const std::string& word) { return is_called(suite, word); });
}

using Suites = std::vector<const SSL_CIPHER*>;

Suites suites_of(const SSL_CTX& context) {
  Suites all;
  const STACK_OF(SSL_CIPHER)* const list = SSL_CTX_get_ciphers(&context);
  for (int i = 0; i < sk_SSL_CIPHER_num(list); ++i) all.push_back(sk_SSL_CIPHER_value(list, i));
  return all;
}

struct FreeContext {
  void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
};

/// Everything that this OpenSSL can, so also what is off by default.
struct EverySuite {
  EverySuite() : context(SSL_CTX_new(TLS_method())) {
    if (!context) return;
    SSL_CTX_set_cipher_list(context.get(), "ALL:COMPLEMENTOFALL:@SECLEVEL=0");
    SSL_CTX_set_ciphersuites(context.get(),
                             "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
                             "TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256:"
                             "TLS_AES_128_CCM_8_SHA256");
    all = suites_of(*context);
  }
  std::unique_ptr<SSL_CTX, FreeContext> context;
  Suites all;
};

void warn_of_unknown(const TlsSettings& settings, const Words& words, std::string_view key,
                     const Suites& every) {
  std::string unknown;
  for (const std::string& word : words) {
    const bool known = std::any_of(every.begin(), every.end(),
                                   [&](const SSL_CIPHER* each) { return is_called(*each, word); });
    if (!known) unknown += (unknown.empty() ? "" : " ") + word;
  }
  if (unknown.empty()) return;
  log::warn("{}: {}: no cipher suite of OpenSSL, passed over: {}", settings.component, key,
            unknown);
}

bool is_1_3(const SSL_CIPHER& suite) {
  return std::string_view(SSL_CIPHER_get_version(&suite)) == "TLSv1.3";
}

std::string joined(const Suites& suites, bool of_1_3) {
  std::string names;
  for (const SSL_CIPHER* each : suites) {
    if (is_1_3(*each) != of_1_3) continue;
    names += (names.empty() ? "" : ":") + std::string(SSL_CIPHER_get_name(each));
  }
  return names;
}

/// Takes out of `wanted` the protocols for which no suite is left.
Status apply_suites(SSL_CTX& context, const TlsSettings& settings, std::uint64_t& wanted) {
  const Words& include = settings.include_cipher_suites;
  const Words& exclude = settings.exclude_cipher_suites;
  if (include.empty() && exclude.empty()) return {};
  const EverySuite every;
  warn_of_unknown(settings, include, "include-cipher-suites", every.all);
  warn_of_unknown(settings, exclude, "exclude-cipher-suites", every.all);
  Suites chosen;
  for (const SSL_CIPHER* each : include.empty() ? suites_of(context) : every.all) {
    const bool included = include.empty() || among(include, *each);
    if (included && !among(exclude, *each)) chosen.push_back(each);
  }
  const std::string newer = joined(chosen, true);
  const std::string older = joined(chosen, false);
  if (newer.empty()) wanted &= ~std::uint64_t{SSL_OP_NO_TLSv1_3};
  if (older.empty()) wanted &= ~up_to_1_2;
  const bool set = SSL_CTX_set_ciphersuites(&context, newer.c_str()) == 1 &&
                   (older.empty() || SSL_CTX_set_cipher_list(&context, older.c_str()) == 1);
  return set ? Status() : Invalid("include-cipher-suites: " + openssl_reason());
}

}  // namespace

Status apply_rules(SSL_CTX& context, const TlsSettings& settings) {
  if (Status s = check_protocol_names(settings.include_protocols, "include-protocols"); !s.ok()) {
    return s;
  }
  if (Status s = check_protocol_names(settings.exclude_protocols, "exclude-protocols"); !s.ok()) {
    return s;
  }
  std::uint64_t wanted = wanted_protocols(settings);
  if (wanted == 0) {
    return Invalid("include-protocols and exclude-protocols leave no protocol that may be used");
  }
  if (Status status = apply_suites(context, settings, wanted); !status.ok()) return status;
  if (wanted == 0) {
    return Invalid(
        "include-cipher-suites and exclude-cipher-suites leave nothing for the protocols that may "
        "be used");
  }
  SSL_CTX_set_min_proto_version(&context, 0);
  SSL_CTX_set_options(&context, SSL_OP_NO_SSLv3 | ((up_to_1_2 | SSL_OP_NO_TLSv1_3) & ~wanted));
  if ((wanted & old_protocols) != 0) {
    // They sign with SHA-1, which OpenSSL takes on its lowest level only.
    SSL_CTX_set_security_level(&context, 0);
    log::warn("{}", describe(settings,
                             "include-protocols lets TLS 1.0 or 1.1 in, which are not "
                             "safe any more: weak keys and signatures are taken too"));
  }
  return {};
}

}  // namespace sluice
