// One HTTP request after the other, over connections that are kept.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/content.h"
#include "core/base/status.h"

namespace sluice {

struct HttpAnswer {
  long status = 0;
  std::string body;      ///< A longer one than 64 KiB is an error.
  std::string location;  ///< Of a redirect, which is not followed.
  std::string unproved;  ///< Why we could not prove who we are, if we could not.
};

/// A connection or a few, for one thread at a time. Servers' own names are checked with TLS.
class HttpCaller {
 public:
  struct Options {
    /// Without an answer for so long a call has failed; so has a body of which nothing is taken.
    milliseconds patience{30'000};
    /// "dn1=10.0.0.5": names that this machine cannot resolve, and where they are.
    std::vector<std::string> hosts = {};
    std::string ca_file = {};  ///< PEM; empty: the machine's.
    /// Servers that are trusted may ask who we are (SPNEGO), which is proved with the tickets that
    /// the thread holds (KerberosTickets::take()), and remembered by a cookie of theirs.
    bool negotiate = false;
  };
  HttpCaller(const Options& options, const std::atomic<bool>& aborted);
  ~HttpCaller();

  /// `method` without a body, of a server that is trusted. Errors: Retry (nobody answered), Closed
  /// (aborted).
  Result<HttpAnswer> call(const std::string& method, const std::string& url);
  /// PUT with a body, which is sent as it comes, once the server has said that it wants it: one
  /// that refuses says so first. Errors: as of call(), and those of the content.
  Result<HttpAnswer> put(const std::string& url, Content& content, bool trusted);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
