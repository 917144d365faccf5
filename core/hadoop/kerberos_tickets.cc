#include "core/hadoop/kerberos_tickets.h"

#include <gssapi/gssapi_krb5.h>
#include <krb5.h>

#include <algorithm>
#include <utility>

#include "core/base/host_name.h"
#include "core/base/letter_case.h"

namespace sluice {
namespace {

constexpr milliseconds pause_after_failure{10'000};
constexpr std::int64_t young_ms = 60'000;

/// Everything of the library belongs to one of these, which one thread at a time may use.
class Context {
 public:
  Context() : code_(krb5_init_context(&context_)) {}
  ~Context() {
    if (context_ != nullptr) krb5_free_context(context_);
  }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  krb5_context get() const noexcept { return context_; }
  krb5_error_code code() const noexcept { return code_; }

  std::string text(krb5_error_code code) const {
    const char* const message = krb5_get_error_message(context_, code);
    std::string text = message;
    krb5_free_error_message(context_, message);
    return text;
  }

 private:
  krb5_context context_ = nullptr;
  krb5_error_code code_;
};

/// A principal, and the keytab that shall have its key.
class Identity {
 public:
  Identity(const Context& context, const KerberosKeys& keys) : context_(context.get()) {
    code_ = context.code();
    if (code_ == 0) code_ = krb5_parse_name(context_, keys.principal.c_str(), &principal_);
    if (code_ == 0) code_ = krb5_kt_resolve(context_, ("FILE:" + keys.keytab).c_str(), &keytab_);
  }
  ~Identity() {
    if (keytab_ != nullptr) krb5_kt_close(context_, keytab_);
    if (principal_ != nullptr) krb5_free_principal(context_, principal_);
  }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  krb5_error_code code() const noexcept { return code_; }
  krb5_principal principal() const noexcept { return principal_; }
  krb5_keytab keytab() const noexcept { return keytab_; }

 private:
  krb5_context context_;
  krb5_error_code code_;
  krb5_principal principal_ = nullptr;
  krb5_keytab keytab_ = nullptr;
};

/// As Hadoop does it: the middle of "flume/_HOST@REALM".
KerberosKeys with_host(KerberosKeys keys) {
  constexpr std::string_view placeholder = "/_HOST";
  const std::size_t at = keys.principal.find(placeholder);
  if (at == std::string::npos) return keys;
  const std::size_t end = at + placeholder.size();
  if (end != keys.principal.size() && keys.principal[end] != '@') return keys;
  keys.principal.replace(at + 1, placeholder.size() - 1, lower_case(local_host_name()));
  return keys;
}

}  // namespace

struct KerberosTickets::Cache {
  Context context;
  krb5_ccache tickets = nullptr;
  std::string name;
  std::int64_t begin_ms = 0;
  std::int64_t end_ms = 0;

  Cache() = default;
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  ~Cache() {
    if (tickets != nullptr) krb5_cc_destroy(context.get(), tickets);
  }

  krb5_error_code put(krb5_principal principal, krb5_creds& ticket) {
    krb5_error_code code = krb5_cc_new_unique(context.get(), "MEMORY", nullptr, &tickets);
    if (code == 0) code = krb5_cc_initialize(context.get(), tickets, principal);
    if (code == 0) code = krb5_cc_store_cred(context.get(), tickets, &ticket);
    char* full_name = nullptr;
    if (code == 0) code = krb5_cc_get_full_name(context.get(), tickets, &full_name);
    if (code == 0) name = full_name;
    krb5_free_string(context.get(), full_name);
    const krb5_ticket_times& times = ticket.times;
    begin_ms = std::int64_t{times.starttime != 0 ? times.starttime : times.authtime} * 1000;
    end_ms = std::int64_t{times.endtime} * 1000;
    return code;
  }
  bool good(std::int64_t now_ms) const noexcept { return now_ms < end_ms; }
  bool fresh(std::int64_t now_ms) const noexcept {
    return now_ms < end_ms - (end_ms - begin_ms) / 5;
  }
};

KerberosTickets::KerberosTickets(KerberosKeys keys) : keys_(with_host(std::move(keys))) {}

KerberosTickets::~KerberosTickets() = default;

Status KerberosTickets::check() const {
  if (keys_.principal.empty()) return {};
  const Context context;
  const Identity identity(context, keys_);
  krb5_error_code code = identity.code();
  krb5_keytab_entry entry{};
  if (code == 0) {
    code = krb5_kt_get_entry(context.get(), identity.keytab(), identity.principal(), 0, 0, &entry);
  }
  if (code != 0) return Invalid(context.text(code));
  krb5_free_keytab_entry_contents(context.get(), &entry);
  return {};
}

Result<std::shared_ptr<KerberosTickets::Cache>> KerberosTickets::log_in() const {
  auto cache = std::make_shared<Cache>();
  const Context& context = cache->context;
  const Identity identity(context, keys_);
  krb5_error_code code = identity.code();
  if (code == 0) {
    krb5_creds ticket{};
    code = krb5_get_init_creds_keytab(context.get(), &ticket, identity.principal(),
                                      identity.keytab(), 0, nullptr, nullptr);
    if (code == 0) {
      code = cache->put(identity.principal(), ticket);
      krb5_free_cred_contents(context.get(), &ticket);
    }
  }
  if (code == 0) return cache;
  return Retry("Kerberos gives no tickets to " + keys_.principal + " with the keytab " +
               keys_.keytab + ": " + context.text(code));
}

Status KerberosTickets::take() {
  // The library knows the cache by its name only, so the thread holds it while it may use it.
  thread_local std::shared_ptr<Cache> in_use;
  OM_uint32 ignored = 0;
  if (keys_.principal.empty()) {
    gss_krb5_ccache_name(&ignored, nullptr, nullptr);
    return {};
  }
  {
    const std::lock_guard lock(mutex_);
    const std::int64_t now_ms = Clock::system().wall_ms();
    const SteadyTime now = Clock::system().steady();
    const bool good = cache_ != nullptr && cache_->good(now_ms);
    const bool enough = good && cache_->fresh(now_ms) && !wanted_anew_;
    if (!enough && (!good || now >= next_try_)) {
      auto cache = log_in();
      if (cache.ok()) {
        cache_ = *std::move(cache);
        wanted_anew_ = false;
      } else if (!good) {
        return cache.status();
      }
      next_try_ = now + pause_after_failure;
    }
    in_use = cache_;
  }
  if (GSS_ERROR(gss_krb5_ccache_name(&ignored, in_use->name.c_str(), nullptr)) != 0) {
    return Retry("Kerberos does not take the tickets of " + keys_.principal);
  }
  return {};
}

void KerberosTickets::refused() noexcept {
  const std::lock_guard lock(mutex_);
  const bool young = cache_ != nullptr && Clock::system().wall_ms() < cache_->begin_ms + young_ms;
  wanted_anew_ = !young;
}

}  // namespace sluice
