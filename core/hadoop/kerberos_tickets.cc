#include "core/hadoop/kerberos_tickets.h"

#include <gssapi/gssapi_krb5.h>
#include <krb5.h>

#include <algorithm>
#include <utility>

#include "core/base/host_name.h"
#include "core/base/letter_case.h"

namespace sluice {
namespace {

// Between two logins.
constexpr milliseconds pause_with_tickets{10'000};
constexpr milliseconds pause_without{2000};
constexpr milliseconds patience_with_others{2000};
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
    // The library's 32 bits have no sign, whatever their type says, or they would end in 2038.
    const auto ms = [](krb5_timestamp time) {
      return std::int64_t{static_cast<std::uint32_t>(time)} * 1000;
    };
    begin_ms = ms(times.starttime != 0 ? times.starttime : times.authtime);
    end_ms = ms(times.endtime);
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
    std::unique_lock lock(mutex_);
    if (Status status = renew(lock); !status.ok()) return status;
    in_use = cache_;
  }
  if (GSS_ERROR(gss_krb5_ccache_name(&ignored, in_use->name.c_str(), nullptr)) != 0) {
    return Retry("Kerberos does not take the tickets of " + keys_.principal);
  }
  return {};
}

/// Ok: cache_ is good. A KDC that is silent holds up one thread, and not whoever waits for the
/// lock.
Status KerberosTickets::renew(std::unique_lock<std::mutex>& lock) {
  const auto good = [this] { return cache_ != nullptr && cache_->good(Clock::system().wall_ms()); };
  if (good() && cache_->fresh(Clock::system().wall_ms()) && !wanted_anew_) return {};
  if (logging_in_) {
    if (good()) return {};
    answered_.wait_for(lock, patience_with_others, [this] { return !logging_in_; });
    return good() ? Status() : Retry("no KDC has answered yet");
  }
  if (Clock::system().steady() < next_login_) {
    if (good()) return {};
    if (!failure_.ok()) return failure_;  // else tickets that were short
  }
  logging_in_ = true;
  lock.unlock();
  auto cache = log_in();
  lock.lock();
  logging_in_ = false;
  answered_.notify_all();
  if (cache.ok()) {
    cache_ = *std::move(cache);
    failure_ =
        good() ? Status() : Retry("Kerberos gives tickets that are over: is the clock right?");
    wanted_anew_ = false;
  } else {
    failure_ = cache.status();
  }
  next_login_ = Clock::system().steady() + (good() ? pause_with_tickets : pause_without);
  return good() ? Status() : failure_;
}

void KerberosTickets::refused() {
  const std::lock_guard lock(mutex_);
  const bool young = cache_ != nullptr && Clock::system().wall_ms() < cache_->begin_ms + young_ms;
  wanted_anew_ = !young;
}

}  // namespace sluice
