// A Hadoop file system, spoken to over WebHDFS or HttpFS.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/hadoop/http_call.h"
#include "core/hadoop/kerberos_tickets.h"
#include "core/hadoop/namenodes.h"
#include "core/hadoop/webhdfs_reply.h"

namespace sluice {

/// Calls of one file system. Thread-safe; every thread that calls has a connection of its own.
///
/// A namenode that does not serve (a stand-by, one that starts or is in safe mode, one that is not
/// there) is followed by the next; the one that served last is asked first. When none serves, or
/// the answer is a refusal, the error is Retry, with Hadoop's reason; Closed after abort().
class WebHdfs {
 public:
  struct Options {
    Namenodes namenodes;
    std::string user;             ///< Whose files they are where nobody proves who he is.
    std::string proxy_user = {};  ///< On whose behalf.
    std::string token_file = {};  ///< Holds a delegation token, read with every call.
    /// Where servers shall be shown who we are; then `user` does not count. With `http.negotiate`.
    std::shared_ptr<KerberosTickets> kerberos = {};
    HttpCaller::Options http = {};
  };
  explicit WebHdfs(Options options);
  ~WebHdfs();

  const std::string& file_system() const noexcept { return options_.namenodes.file_system; }

  /// A whole file, in place of one of this name; directories above it are made. Ok: the data nodes
  /// have all of it and the file is closed. With an error a part of it may be there, now or later:
  /// a data node that wakes up may still do what was given up. So the next try needs another name.
  Status write(const std::string& path, Content& content);
  Status make_directories(const std::string& path);
  /// False: Hadoop did not do it, for one of many reasons. With an error it may have.
  Result<bool> rename(const std::string& from, const std::string& to);
  /// Nothing where there is no such file.
  Result<std::optional<WebHdfsFile>> find(const std::string& path);
  /// Ok also when there was none.
  Status remove(const std::string& path);

  /// Ends what is under way, and every later call at once.
  void abort() noexcept { aborted_ = true; }

 private:
  class Borrowed;
  struct Answer {
    std::size_t server = 0;
    HttpAnswer http = {};
    WebHdfsReply reply = {};
  };

  Result<Answer> ask(const std::string& method, const std::string& path, const std::string& query);
  Result<std::string> identity() const;
  void look_at_proof(const HttpAnswer& http, WebHdfsReply& reply);
  void pass_over(std::size_t server) noexcept;

  const Options options_;
  std::atomic<bool> aborted_{false};
  std::atomic<std::size_t> serving_{0};  ///< The server that is asked first.
  std::mutex mutex_;
  /// For data nodes, and for servers that are trusted.
  std::array<std::vector<std::unique_ptr<HttpCaller>>, 2> idle_;  // these: guarded by mutex_
  std::string silent_datanode_;  ///< The last one that could not be reached.
};

}  // namespace sluice
