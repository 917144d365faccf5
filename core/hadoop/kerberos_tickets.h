// Who the agent is to a Hadoop that wants Kerberos: tickets, got with a key from a keytab.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace sluice {

struct KerberosKeys {
  /// "flume/_HOST@EXAMPLE.COM": _HOST is this machine's name, as in Hadoop's files; without a realm
  /// it is krb5.conf's. Empty: whatever tickets the process finds (kinit, KRB5CCNAME).
  std::string principal;
  std::string keytab;  ///< The file's name.
};

/// Tickets of one principal, got anew before they end. Thread-safe. Two principals in one process
/// do not meet: their tickets are in caches of their own, in memory.
class KerberosTickets {
 public:
  explicit KerberosTickets(KerberosKeys keys);
  ~KerberosTickets();
  KerberosTickets(const KerberosTickets&) = delete;
  KerberosTickets& operator=(const KerberosTickets&) = delete;

  /// Until it takes others, this thread proves with these tickets who it is (GSSAPI's default
  /// credentials). The KDC is asked when there are none, when a fifth of their life is left, and
  /// after refused(); by one thread, which waits for it as long as krb5.conf has it wait. Others go
  /// on with tickets that are still good, or wait some seconds. Errors: Retry, with the library's
  /// reason; for a moment the same without asking again.
  Status take();

  /// A server did not believe us, or may not have: the next take() gets others, unless these are
  /// young.
  void refused();

  /// "flume/host7.example.com@EXAMPLE.COM"; as far as it is known without asking anybody.
  const std::string& principal() const noexcept { return keys_.principal; }

  /// Whether the keytab can be read, and has the principal's key. Errors: Invalid.
  Status check() const;

 private:
  struct Cache;
  Result<std::shared_ptr<Cache>> log_in() const;

  const KerberosKeys keys_;
  Status renew(std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable answered_;
  std::shared_ptr<Cache> cache_;  // these: guarded by mutex_
  Status failure_;                ///< Of the last login.
  SteadyTime next_login_{};
  bool logging_in_ = false;
  bool wanted_anew_ = false;
};

}  // namespace sluice
