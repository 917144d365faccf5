#include "core/hadoop/webhdfs.h"

#include <utility>

#include "core/base/file.h"
#include "core/base/letter_case.h"

namespace sluice {
namespace {

constexpr std::size_t token_bytes_max = 64 << 10;

bool is_redirect(const HttpAnswer& answer) {
  return answer.status >= 300 && answer.status < 400 && !answer.location.empty();
}

/// "http://dn1:9864" of "http://dn1:9864/webhdfs/...".
std::string server_of(const std::string& url) {
  return url.substr(0, url.find('/', url.find("://") + 3));
}

/// HttpFS sends to itself, maybe without the port that goes without saying.
bool is_same_server(const std::string& one, const std::string& other) {
  const auto plain = [](const std::string& server) {
    std::string text = lower_case(server);
    const std::string_view port = text.starts_with("https:") ? ":443" : ":80";
    if (text.ends_with(port)) text.resize(text.size() - port.size());
    return text;
  };
  return plain(one) == plain(other);
}

/// "10.0.0.7" of "http://10.0.0.7:9864".
std::string host_of(const std::string& server) {
  const std::size_t begin = server.find("://") + 3;
  return server.substr(begin, server.rfind(':') - begin);
}

}  // namespace

/// A caller that nobody else uses meanwhile.
class WebHdfs::Borrowed {
 public:
  /// Who proved who we are has cookies, which data nodes of the same machine must not see.
  Borrowed(WebHdfs& owner, bool trusted) : owner_(owner), idle_(owner.idle_[trusted ? 1 : 0]) {
    const std::lock_guard lock(owner_.mutex_);
    if (idle_.empty()) {
      caller_ = std::make_unique<HttpCaller>(owner_.options_.http, owner_.aborted_);
    } else {
      caller_ = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() {
    const std::lock_guard lock(owner_.mutex_);
    idle_.push_back(std::move(caller_));
  }
  HttpCaller* operator->() { return caller_.get(); }

 private:
  WebHdfs& owner_;
  std::vector<std::unique_ptr<HttpCaller>>& idle_;
  std::unique_ptr<HttpCaller> caller_;
};

WebHdfs::WebHdfs(Options options) : options_(std::move(options)) {}

WebHdfs::~WebHdfs() = default;

/// What says who we are, behind a "?"; what proves it is this thread's from here on.
Result<std::string> WebHdfs::identity() const {
  std::string query;
  if (!options_.token_file.empty()) {
    auto token = FileSystem::real().read(options_.token_file, 0, token_bytes_max);
    if (!token.ok()) return token.status();
    while (!token->empty() && static_cast<unsigned char>(token->back()) <= ' ') token->pop_back();
    if (token->empty()) return Retry("there is no delegation token in " + options_.token_file);
    query = "&delegation=" + url_value(*token);
  } else if (options_.kerberos != nullptr) {
    if (Status status = options_.kerberos->take(); !status.ok()) return status;
  } else if (!options_.user.empty()) {
    query = "&user.name=" + url_value(options_.user);
  }
  if (!options_.proxy_user.empty()) query += "&doas=" + url_value(options_.proxy_user);
  return query;
}

/// A server that does not believe us may have other keys than those of our tickets. (What is not
/// permitted is 403, too.)
void WebHdfs::look_at_proof(const HttpAnswer& http, WebHdfsReply& reply) {
  if (options_.kerberos == nullptr || (http.status != 401 && http.status != 403)) return;
  options_.kerberos->refused();
  if (!http.unproved.empty()) reply.message += ": " + http.unproved;
}

/// Unless somebody else has done so meanwhile.
void WebHdfs::pass_over(std::size_t server) noexcept {
  std::size_t expected = server;
  serving_.compare_exchange_strong(expected, (server + 1) % options_.namenodes.servers.size());
}

/// Asks one server after the other until one serves.
Result<WebHdfs::Answer> WebHdfs::ask(const std::string& method, const std::string& path,
                                     const std::string& query) {
  if (aborted_) return Closed("the transfer was given up");
  auto who = identity();
  if (!who.ok()) return who.status();
  Borrowed caller(*this, true);
  const std::vector<std::string>& servers = options_.namenodes.servers;
  const std::size_t first = serving_;
  std::string reasons;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    Answer answer{.server = (first + i) % servers.size()};
    const std::string& server = servers[answer.server];
    auto http =
        caller->call(method, server + "/webhdfs/v1" + url_path(path) + "?op=" + query + *who);
    if (http.code() == Code::Closed) return http.status();
    if (!http.ok()) {
      reasons += (reasons.empty() ? "" : "; ") + http.status().message();
      continue;
    }
    answer.http = *std::move(http);
    answer.reply = judge_webhdfs_reply(answer.http.status, answer.http.body);
    look_at_proof(answer.http, answer.reply);
    if (answer.reply.verdict != WebHdfsVerdict::Elsewhere) {
      serving_ = answer.server;
      return answer;
    }
    reasons += (reasons.empty() ? "" : "; ") + server + ": " + answer.reply.message;
  }
  return Retry(reasons);
}

Status WebHdfs::write(const std::string& path, Content& content) {
  std::string query = "CREATE&overwrite=true";
  {
    // A dead data node is named for minutes. Hadoop compares with addresses, not with names.
    const std::lock_guard lock(mutex_);
    const std::string without = std::exchange(silent_datanode_, "");
    if (!without.empty()) query += "&excludedatanodes=" + url_value(without);
  }
  const auto sent_to = ask("PUT", path, query);
  if (!sent_to.ok()) return sent_to.status();
  const std::string& namenode = options_.namenodes.servers[sent_to.value().server];
  const std::string& location = sent_to.value().http.location;
  if (!is_redirect(sent_to.value().http)) {
    const WebHdfsReply& reply = sent_to.value().reply;
    return Retry(reply.verdict == WebHdfsVerdict::Done
                     ? namenode + " names no data node for " + path + ": is it WebHDFS?"
                     : namenode + ": " + reply.message);
  }
  const std::string datanode = server_of(location);
  if (namenode.starts_with("https:") && !datanode.starts_with("https:")) {
    return Retry(namenode + " is reached over TLS and sends to " + datanode + ", which is not");
  }
  const bool gateway = is_same_server(datanode, namenode);
  Borrowed caller(*this, gateway);
  const auto written = caller->put(location, content, gateway);
  if (written.code() == Code::Closed) return written.status();
  if (!written.ok()) {
    // It may be the namenode that is in a stand-by, of which a data node cannot always tell.
    pass_over(sent_to.value().server);
    const std::lock_guard lock(mutex_);
    silent_datanode_ = host_of(datanode);
    return written.status();
  }
  WebHdfsReply reply = judge_webhdfs_reply(written.value().status, written.value().body);
  if (gateway) look_at_proof(written.value(), reply);
  if (reply.verdict == WebHdfsVerdict::Done) return {};
  // A stand-by sends to data nodes like any other, which then ask it in vain.
  if (reply.verdict == WebHdfsVerdict::Elsewhere) pass_over(sent_to.value().server);
  return Retry(datanode + ": " + reply.message);
}

Status WebHdfs::make_directories(const std::string& path) {
  const auto answer = ask("PUT", path, "MKDIRS");
  if (!answer.ok()) return answer.status();
  const auto& [server, http, reply] = answer.value();
  if (reply.verdict != WebHdfsVerdict::Done) return Retry(reply.message);
  return webhdfs_boolean(http.body).value_or(false) ? Status()
                                                    : Retry("cannot make the directory " + path);
}

Result<bool> WebHdfs::rename(const std::string& from, const std::string& to) {
  const auto answer = ask("PUT", from, "RENAME&destination=" + url_path(to));
  if (!answer.ok()) return answer.status();
  const auto& [server, http, reply] = answer.value();
  if (reply.verdict == WebHdfsVerdict::Missing || reply.verdict == WebHdfsVerdict::Taken) {
    return false;
  }
  if (reply.verdict != WebHdfsVerdict::Done) return Retry(reply.message);
  const std::optional<bool> done = webhdfs_boolean(http.body);
  if (!done) return Retry("the answer to RENAME of " + from + " cannot be read");
  return *done;
}

Result<std::optional<WebHdfsFile>> WebHdfs::find(const std::string& path) {
  const auto answer = ask("GET", path, "GETFILESTATUS");
  if (!answer.ok()) return answer.status();
  const auto& [server, http, reply] = answer.value();
  if (reply.verdict == WebHdfsVerdict::Missing) return std::optional<WebHdfsFile>();
  if (reply.verdict != WebHdfsVerdict::Done) return Retry(reply.message);
  const auto file = webhdfs_file(http.body);
  if (!file) return Retry("the answer to GETFILESTATUS of " + path + " cannot be read");
  return file;
}

Status WebHdfs::remove(const std::string& path) {
  const auto answer = ask("DELETE", path, "DELETE");
  if (!answer.ok()) return answer.status();
  const WebHdfsReply& reply = answer.value().reply;
  const bool gone =
      reply.verdict == WebHdfsVerdict::Done || reply.verdict == WebHdfsVerdict::Missing;
  return gone ? Status() : Retry(reply.message);
}

}  // namespace sluice
