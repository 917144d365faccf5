#include "core/net/http_server.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <list>
#include <optional>
#include <string_view>
#include <thread>

#include "core/base/assert.h"
#include "core/base/letter_case.h"
#include "core/base/log.h"
#include "core/base/thread.h"
#include "core/net/asio.h"

// The one file that includes Beast: it compiles for many seconds.
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace sluice {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

constexpr int backlog = 128;
// While no connection can be accepted (no descriptors left) the listener rests this long.
constexpr milliseconds accept_pause{100};
// A client that was told goodbye may go on sending for so long; a reset any earlier could overtake
// the answer.
constexpr milliseconds linger_max{2'000};
// Bodies up to this size are sent however many others are under way: what collectors ask for is
// not locked out by those who do not read what is large.
constexpr std::size_t small_body = 64 * 1024;

std::string describe(const error_code& error) {
  return error.message() + " (" + std::to_string(error.value()) + ")";
}

/// The answer to what could not be read as a request; nothing when the client has just gone.
std::optional<http::status> status_of(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return http::status::request_header_fields_too_large;
  }
  if (error == http::error::body_limit) return http::status::payload_too_large;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return {};
  const bool malformed = error.category() == make_error_code(http::error::bad_method).category();
  return malformed ? std::optional(http::status::bad_request) : std::nullopt;
}

std::string_view view(boost::string_view text) noexcept { return {text.data(), text.size()}; }

HttpRequest parse_target(std::string_view method, std::string_view target) {
  // A proxy's form, which servers have to take too: http://host:port/path.
  constexpr std::string_view scheme = "http://";
  if (target.starts_with(scheme)) {
    const std::size_t path = target.find('/', scheme.size());
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  const std::size_t mark = target.find('?');
  HttpRequest request{std::string(method), std::string(target.substr(0, mark)), {}, {}};
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  return request;
}

HttpRequest request_of(const http::request<http::string_body>& request) {
  HttpRequest made = parse_target(view(request.method_string()), view(request.target()));
  for (const auto& field : request) {
    made.headers.emplace_back(view(field.name_string()), view(field.value()));
  }
  return made;
}

bool equal_in_any_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower_case(x) == lower_case(y); });
}

/// Of "host:port", "[::1]:port" or either without the port.
std::string_view host_of(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = std::min(text.find(']'), text.size());
    const std::string_view rest = text.substr(end);
    return rest == "]" || rest.starts_with("]:") ? text.substr(1, end - 1) : text;
  }
  const std::size_t colon = text.find(':');
  const bool has_port = colon != std::string_view::npos && colon == text.rfind(':');
  return has_port ? text.substr(0, colon) : text;
}

/// Whether a browser cannot have been led here by a name of somebody else's. `own`: the name that
/// the server is bound by.
bool is_local_name(std::string_view header, std::string_view own) {
  const std::string_view host = host_of(header);
  if (host.empty() || equal_in_any_case(host, "localhost") || equal_in_any_case(host, own)) {
    return true;
  }
  error_code error;
  asio::ip::make_address(std::string(host), error);
  return !error;
}

/// How long what was sent may stay unacknowledged: without it a client whose machine has vanished
/// is noticed after a quarter of an hour.
void end_unacknowledged(tcp::socket& socket, milliseconds time) {
  error_code ignored;
  socket.set_option(asio::detail::socket_option::integer<IPPROTO_TCP, TCP_USER_TIMEOUT>(
                        static_cast<int>(time.count())),
                    ignored);
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers) {
    if (equal_in_any_case(key, name)) return value;
  }
  return {};
}

/// Everything that runs. Its thread is the only one that touches the rest, once it is started.
class HttpServer::Impl {
 public:
  Impl(const Options& options, const Handler& handler) : options_(options), handler_(handler) {}

  Status listen();
  void run();
  void wake();  ///< Any thread.
  std::uint16_t port() const noexcept { return port_; }

 private:
  class Session;
  using Sessions = std::list<Session*>;

  Status listen_at(const tcp::endpoint& endpoint);
  void accept();
  void admit(tcp::socket socket);

  const Options& options_;
  const Handler& handler_;
  Sessions sessions_;  ///< Open ones, silent longest first. Sessions still use it when io_ dies.
  Sessions fed_;       ///< Open ones with a feed; likewise.
  std::uint64_t body_bytes_ = 0;  ///< Of answers under way; likewise.
  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer accept_timer_{io_};
  std::uint16_t port_ = 0;
  bool is_loopback_ = false;  ///< Where it listens.
  bool accept_failing_ = false;
  std::atomic<bool> waking_{false};  ///< Feeds will be asked; set by any thread.
  std::jthread thread_;              ///< Joined before anything above goes away.
};

/// One connection. Lives as long as one of its operations is pending.
class HttpServer::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Impl& server, tcp::socket socket)
      : server_(server),
        stream_(std::move(socket)),
        buffer_(2 * server.options_.header_bytes_max + server.options_.body_bytes_max),
        silence_(server.io_),
        place_(server.sessions_.insert(server.sessions_.end(), this)) {}
  ~Session() {
    let_go();
    close();
  }

  void read();
  void close();
  void feed_on();  ///< REQUIRES: it has a feed.

 private:
  void serve();
  void answer(http::status status, HttpResponse response, bool keep_alive, bool head);
  void let_go();  ///< Of the answer.
  bool has_room(const HttpResponse& response) const;
  void begin_feed(HttpResponse response);
  void write_piece(std::string piece);
  void await_silence();
  void watch_for_end();
  void say_goodbye();
  void discard_input();
  void was_active();

  Impl& server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  asio::steady_timer silence_;
  Sessions* list_ = &server_.sessions_;      ///< That it stands in.
  std::optional<Sessions::iterator> place_;  ///< Nothing once it is closed.
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> response_;  ///< While it is sent.
  std::size_t body_bytes_ = 0;                                 ///< Of it.
  std::unique_ptr<HttpFeed> feed_;
  std::string piece_;      ///< Of the feed, while it is written.
  bool writing_ = false;   ///< A piece, or the header in front of all pieces.
  bool awaiting_ = false;  ///< That the silence has lasted too long.
  std::array<char, 4096> waste_;
};

// ---- Session

void HttpServer::Impl::Session::close() {
  if (!place_) return;
  list_->erase(*place_);
  place_.reset();
  silence_.cancel();
  error_code ignored;
  stream_.socket().close(ignored);
}

void HttpServer::Impl::Session::was_active() {
  if (place_) list_->splice(list_->end(), *list_, *place_);
}

void HttpServer::Impl::Session::read() {
  parser_.emplace();
  parser_->header_limit(server_.options_.header_bytes_max);
  parser_->body_limit(server_.options_.body_bytes_max);
  // For all of the request: whoever sends a byte now and then gains nothing.
  stream_.expires_after(server_.options_.request_max);
  http::async_read(
      stream_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
        if (!error) return self->serve();
        if (const auto status = status_of(error)) {
          self->answer(*status, {.body = "This is no request: " + error.message() + "\n"}, false,
                       false);
        }
      });
}

void HttpServer::Impl::Session::serve() {
  was_active();
  const auto& request = parser_->get();
  const bool head = request.method() == http::verb::head;
  const HttpRequest asked = request_of(request);
  if (server_.is_loopback_ && !is_local_name(asked.header("Host"), server_.options_.host)) {
    constexpr std::string_view refusal = "Only asked for as localhost or by an address.\n";
    return answer(http::status::forbidden, {.body = std::string(refusal)}, request.keep_alive(),
                  head);
  }
  HttpResponse response = server_.handler_(asked);
  if (response.feed && !head && server_.fed_.size() >= server_.options_.feeds_max) {
    response = {.status = 503,
                .body = "As many as may are looking already.\n",
                .headers = {{"Retry-After", "10"}}};
  }
  if (response.feed) {
    if (!head) return begin_feed(std::move(response));
    response.body.clear();
  }
  if (!head && !has_room(response)) {
    response = {.status = 503,
                .body = "Too much is being read by others; try again.\n",
                .headers = {{"Retry-After", "1"}}};
  }
  const auto status = http::int_to_status(response.status);
  answer(status, std::move(response), request.keep_alive(), head);
}

bool HttpServer::Impl::Session::has_room(const HttpResponse& response) const {
  const std::size_t size = response.body.size();
  return size <= small_body || server_.body_bytes_ == 0 ||
         server_.body_bytes_ + size <= server_.options_.answers_bytes_max;
}

void HttpServer::Impl::Session::let_go() {
  response_.reset();
  server_.body_bytes_ -= std::exchange(body_bytes_, 0);
}

void HttpServer::Impl::Session::answer(http::status status, HttpResponse response, bool keep_alive,
                                       bool head) {
  const unsigned version = parser_->get().version() == 10 ? 10 : 11;
  response_.emplace(status, version, std::move(response.body));
  response_->set(http::field::server, "Sluice");
  response_->set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) response_->set(name, value);
  if (status == http::status::method_not_allowed) response_->set(http::field::allow, "GET, HEAD");
  response_->keep_alive(keep_alive);
  response_->prepare_payload();
  if (head) std::string().swap(response_->body());  // the length that was promised stays
  body_bytes_ = response_->body().size();
  server_.body_bytes_ += body_bytes_;
  stream_.expires_after(server_.options_.request_max);
  http::async_write(stream_, *response_,
                    [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
                      self->let_go();
                      if (error) return;
                      if (keep_alive) return self->read();
                      self->say_goodbye();
                    });
}

/// From here on there are three things: pieces that go out, the wait for the next one, and the
/// look-out for the client's end.
void HttpServer::Impl::Session::begin_feed(HttpResponse response) {
  feed_ = std::move(response.feed);
  server_.fed_.splice(server_.fed_.end(), server_.sessions_, *place_);
  list_ = &server_.fed_;
  end_unacknowledged(stream_.socket(), server_.options_.request_max);
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head += view(http::obsolete_reason(http::int_to_status(response.status)));
  head += "\r\nServer: Sluice\r\nContent-Type: " + response.content_type + "\r\n";
  for (const auto& [name, value] : response.headers) head += name + ": " + value + "\r\n";
  // Its end is the connection's: that needs no chunks, and every client knows it.
  head += "Connection: close\r\n\r\n";
  stream_.expires_never();
  watch_for_end();
  write_piece(head + response.body);
}

void HttpServer::Impl::Session::feed_on() {
  if (writing_ || !place_) return;
  std::string piece = feed_->next();
  if (!piece.empty()) return write_piece(std::move(piece));
  if (!awaiting_) await_silence();
}

void HttpServer::Impl::Session::write_piece(std::string piece) {
  piece_ = std::move(piece);
  writing_ = true;
  awaiting_ = false;
  silence_.cancel();
  stream_.expires_after(server_.options_.request_max);  // of the writing; reads are under way
  asio::async_write(stream_, asio::buffer(piece_),
                    [self = shared_from_this()](error_code error, std::size_t) {
                      self->writing_ = false;
                      if (error) return self->close();
                      self->feed_on();
                    });
}

/// Begins behind a piece and is not begun anew by wake(): others may have news all the time.
void HttpServer::Impl::Session::await_silence() {
  awaiting_ = true;
  silence_.expires_after(server_.options_.heartbeat_every);
  silence_.async_wait([self = shared_from_this()](error_code error) {
    if (error || !self->awaiting_ || !self->place_) return;
    self->write_piece(self->feed_->heartbeat());
  });
}

/// Who has asked for a feed has nothing more to say.
void HttpServer::Impl::Session::watch_for_end() {
  stream_.async_read_some(asio::buffer(waste_),
                          [self = shared_from_this()](error_code, std::size_t) { self->close(); });
}

void HttpServer::Impl::Session::say_goodbye() {
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  stream_.expires_after(linger_max);
  discard_input();
}

void HttpServer::Impl::Session::discard_input() {
  stream_.async_read_some(asio::buffer(waste_),
                          [self = shared_from_this()](error_code error, std::size_t) {
                            if (!error) self->discard_input();
                          });
}

// ---- Impl

Status HttpServer::Impl::listen() {
  error_code error;
  tcp::resolver resolver(io_);
  const std::string host = options_.host.empty() ? "0.0.0.0" : options_.host;
  const auto found =
      resolver.resolve(host, std::to_string(options_.port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    return Retry("cannot listen on " + host + ": no such address: " + describe(error));
  }
  // As sources do: of the addresses of "localhost" the one that Java's agents bound.
  tcp::endpoint endpoint = found.begin()->endpoint();
  for (const auto& entry : found) {
    if (!entry.endpoint().address().is_v4()) continue;
    endpoint = entry.endpoint();
    break;
  }
  return listen_at(endpoint);
}

Status HttpServer::Impl::listen_at(const tcp::endpoint& endpoint) {
  const auto failed = [&](const error_code& error) {
    return Retry("cannot listen on " + endpoint.address().to_string() + ":" +
                 std::to_string(endpoint.port()) + ": " + describe(error));
  };
  error_code error;
  if (acceptor_.open(endpoint.protocol(), error)) return failed(error);
  if (acceptor_.set_option(tcp::acceptor::reuse_address(true), error)) return failed(error);
  if (acceptor_.bind(endpoint, error)) return failed(error);
  if (acceptor_.listen(backlog, error)) return failed(error);
  is_loopback_ = endpoint.address().is_loopback();
  port_ = acceptor_.local_endpoint(error).port();
  return error ? failed(error) : Status();
}

void HttpServer::Impl::run() {
  accept();
  thread_ = std::jthread([this](const std::stop_token& stop) {
    name_this_thread(options_.name);
    const std::stop_callback end(stop, [this] { io_.stop(); });
    io_.run();
  });
}

void HttpServer::Impl::wake() {
  if (waking_.exchange(true)) return;  // what is there now is seen by that one
  asio::post(io_, [this] {
    waking_.exchange(false);  // before feeds are asked
    for (auto next = fed_.begin(); next != fed_.end();) (*next++)->feed_on();
  });
}

void HttpServer::Impl::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (!error) {
      accept_failing_ = false;
      admit(std::move(socket));
    } else if (error != asio::error::connection_aborted) {
      if (!accept_failing_) log::warn("{}: cannot accept: {}", options_.name, describe(error));
      accept_failing_ = true;
      accept_timer_.expires_after(accept_pause);
      accept_timer_.async_wait([this](error_code) { accept(); });
      return;
    }
    accept();
  });
}

void HttpServer::Impl::admit(tcp::socket socket) {
  while (!sessions_.empty() && sessions_.size() >= options_.connections_max) {
    sessions_.front()->close();
  }
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  std::make_shared<Session>(*this, std::move(socket))->read();
}

// ---- HttpServer

HttpServer::HttpServer(Options options, Handler handler)
    : options_(std::move(options)), handler_(std::move(handler)) {
  SLUICE_ASSERT(handler_, "a server without a handler");
  SLUICE_ASSERT(options_.connections_max > 0, "a server for no connections");
}

HttpServer::~HttpServer() { stop(); }

Status HttpServer::start() {
  if (impl_) return {};
  auto impl = std::make_unique<Impl>(options_, handler_);
  if (Status status = impl->listen(); !status.ok()) return status;
  impl->run();
  const std::lock_guard lock(mutex_);
  impl_ = std::move(impl);
  return {};
}

void HttpServer::stop() {
  std::unique_ptr<Impl> impl;
  {
    const std::lock_guard lock(mutex_);
    impl = std::move(impl_);
  }
  // Its thread ends without the lock: a handler may be asking for it.
}

void HttpServer::wake() {
  const std::lock_guard lock(mutex_);
  if (impl_) impl_->wake();
}

std::uint16_t HttpServer::port() const noexcept {
  const std::lock_guard lock(mutex_);
  return impl_ ? impl_->port() : 0;
}

}  // namespace sluice
