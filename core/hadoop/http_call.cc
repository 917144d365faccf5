#include "core/hadoop/http_call.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

namespace sluice {
namespace {

constexpr std::size_t body_bytes_max = 64 << 10;
constexpr long send_bytes = 512 << 10;
constexpr milliseconds connect_patience{10'000};
constexpr long continue_patience_ms = 5000;  ///< Of servers that never say that they want a body.
constexpr long drip_bytes = 64;              ///< A second; less is nothing.

void start_library() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

/// "dn1=10.0.0.5" as curl has it: "dn1::10.0.0.5:", for any port.
std::string connect_to(const std::string& host) {
  const std::size_t equals = host.find('=');
  return host.substr(0, equals) + "::" + host.substr(equals + 1) + ":";
}

}  // namespace

struct HttpCaller::Impl {
  Impl(const Options& options, const std::atomic<bool>& stopped)
      : patience(options.patience),
        ca_file(options.ca_file),
        negotiate(options.negotiate),
        aborted(stopped) {
    start_library();
    handle = curl_easy_init();
    for (const std::string& each : options.hosts) {
      hosts = curl_slist_append(hosts, connect_to(each).c_str());
    }
    headers = curl_slist_append(headers, "Content-Type: application/octet-stream");
    // Data nodes refuse before they have read anything, and then end the connection, so that the
    // refusal of a body under way would be lost.
    headers = curl_slist_append(headers, "Expect: 100-continue");
  }
  ~Impl() {
    curl_easy_cleanup(handle);
    curl_slist_free_all(hosts);
    curl_slist_free_all(headers);
  }

  void prepare(const std::string& url, bool trusted) {
    answer = {};
    content = nullptr;
    content_status = {};
    pending.clear();
    sent = 0;
    curl_easy_reset(handle);  // connections stay
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_QUICK_EXIT, 1L);  // does not wait for a name server
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_PROXY, "");  // as Hadoop's own clients
    curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(std::min(patience, connect_patience).count()));
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Impl::take_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, &Impl::look_at_abort);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, this);
    if (hosts != nullptr) curl_easy_setopt(handle, CURLOPT_CONNECT_TO, hosts);
    if (!ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file.c_str());
    if (negotiate && trusted) prove_identity();
    error[0] = 0;
  }

  void prove_identity() {
    curl_easy_setopt(handle, CURLOPT_HTTPAUTH, CURLAUTH_NEGOTIATE);
    curl_easy_setopt(handle, CURLOPT_USERPWD, ":");  // whoever the tickets say
    curl_easy_setopt(handle, CURLOPT_COOKIEFILE, "");
    curl_easy_setopt(handle, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(handle, CURLOPT_DEBUGFUNCTION, &Impl::take_note);
    curl_easy_setopt(handle, CURLOPT_DEBUGDATA, this);
  }

  /// Why GSSAPI failed is told nowhere else.
  static int take_note(CURL*, curl_infotype kind, char* text, std::size_t size, void* self) {
    std::string_view line(text, size);
    if (kind != CURLINFO_TEXT || line.find("gss_") == line.npos) return 0;
    while (line.ends_with('\n')) line.remove_suffix(1);
    static_cast<Impl*>(self)->answer.unproved = line;
    return 0;
  }

  Result<HttpAnswer> perform(const std::string& url) {
    if (aborted) return Closed("the transfer was given up");
    const CURLcode code = curl_easy_perform(handle);
    if (!content_status.ok()) return content_status;
    if (aborted) return Closed("the transfer was given up");
    if (code != CURLE_OK) {
      std::string why = error[0] != 0 ? error : curl_easy_strerror(code);
      return Retry(url.substr(0, url.find('/', url.find("://") + 3)) + ": " + why);
    }
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer.status);
    char* location = nullptr;
    curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &location);
    if (location != nullptr) answer.location = location;
    return std::move(answer);
  }

  static std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* self) {
    std::string& body = static_cast<Impl*>(self)->answer.body;
    const std::size_t total = size * count;
    if (body.size() + total > body_bytes_max) return 0;
    body.append(bytes, total);
    return total;
  }

  static std::size_t give_content(char* out, std::size_t size, std::size_t count, void* self) {
    Impl& it = *static_cast<Impl*>(self);
    if (it.sent == it.pending.size()) {
      it.pending.clear();
      it.sent = 0;
      it.content_status = it.content->more(it.pending);
      if (!it.content_status.ok()) return CURL_READFUNC_ABORT;
    }
    const std::size_t bytes = std::min(size * count, it.pending.size() - it.sent);
    std::memcpy(out, it.pending.data() + it.sent, bytes);
    it.sent += bytes;
    return bytes;
  }

  /// Of a body that curl has to send anew, over another connection.
  static int begin_content_again(void* self, curl_off_t offset, int origin) {
    Impl& it = *static_cast<Impl*>(self);
    if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    it.pending.clear();
    it.sent = 0;
    it.content_status = it.content->begin();
    return it.content_status.ok() ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
  }

  static int look_at_abort(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Impl*>(self)->aborted ? 1 : 0;
  }

  const milliseconds patience;
  const std::string ca_file;
  const bool negotiate;
  const std::atomic<bool>& aborted;
  CURL* handle = nullptr;
  curl_slist* hosts = nullptr;
  curl_slist* headers = nullptr;
  char error[CURL_ERROR_SIZE] = {};
  HttpAnswer answer;
  Content* content = nullptr;
  Status content_status;
  std::string pending;
  std::size_t sent = 0;
};

HttpCaller::HttpCaller(const Options& options, const std::atomic<bool>& aborted)
    : impl_(std::make_unique<Impl>(options, aborted)) {}

HttpCaller::~HttpCaller() = default;

Result<HttpAnswer> HttpCaller::call(const std::string& method, const std::string& url) {
  impl_->prepare(url, true);
  CURL* const handle = impl_->handle;
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(impl_->patience.count()));
  if (method != "GET") {
    // With a length of 0, which some servers insist on.
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, "");
    curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method.c_str());
  }
  return impl_->perform(url);
}

Result<HttpAnswer> HttpCaller::put(const std::string& url, Content& content, bool trusted) {
  impl_->prepare(url, trusted);
  if (Status status = content.begin(); !status.ok()) return status;
  impl_->content = &content;
  CURL* const handle = impl_->handle;
  curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, impl_->headers);
  curl_easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, send_bytes);
  curl_easy_setopt(handle, CURLOPT_READFUNCTION, &Impl::give_content);
  curl_easy_setopt(handle, CURLOPT_READDATA, impl_.get());
  curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, &Impl::begin_content_again);
  curl_easy_setopt(handle, CURLOPT_SEEKDATA, impl_.get());
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, drip_bytes);
  curl_easy_setopt(handle, CURLOPT_EXPECT_100_TIMEOUT_MS, continue_patience_ms);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                   static_cast<long>(std::max<std::int64_t>(1, impl_->patience.count() / 1000)));
  return impl_->perform(url);
}

}  // namespace sluice
