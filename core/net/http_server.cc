#include "core/net/http_server.h"

#include <array>
#include <list>
#include <optional>
#include <string_view>
#include <thread>

#include "core/base/assert.h"
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

HttpRequest parse_target(std::string_view method, std::string_view target) {
  // A proxy's form, which servers have to take too: http://host:port/path.
  constexpr std::string_view scheme = "http://";
  if (target.starts_with(scheme)) {
    const std::size_t path = target.find('/', scheme.size());
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  const std::size_t mark = target.find('?');
  HttpRequest request{std::string(method), std::string(target.substr(0, mark)), {}};
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  return request;
}

}  // namespace

/// Everything that runs. Its thread is the only one that touches the rest, once it is started.
class HttpServer::Impl {
 public:
  Impl(const Options& options, const Handler& handler) : options_(options), handler_(handler) {}

  Status listen();
  void run();
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
  asio::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  asio::steady_timer accept_timer_{io_};
  std::uint16_t port_ = 0;
  bool accept_failing_ = false;
  std::jthread thread_;  ///< Joined before anything above goes away.
};

/// One connection. Lives as long as one of its operations is pending.
class HttpServer::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Impl& server, tcp::socket socket)
      : server_(server),
        stream_(std::move(socket)),
        buffer_(2 * server.options_.header_bytes_max + server.options_.body_bytes_max),
        place_(server.sessions_.insert(server.sessions_.end(), this)) {}
  ~Session() { close(); }

  void read();
  void close();

 private:
  void serve();
  void answer(http::status status, const HttpResponse& response, bool keep_alive, bool head);
  void say_goodbye();
  void discard_input();
  void was_active();

  Impl& server_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<Sessions::iterator> place_;  ///< Nothing once it is closed.
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  std::array<char, 4096> waste_;
};

// ---- Session

void HttpServer::Impl::Session::close() {
  if (!place_) return;
  server_.sessions_.erase(*place_);
  place_.reset();
  error_code ignored;
  stream_.socket().close(ignored);
}

void HttpServer::Impl::Session::was_active() {
  if (place_) server_.sessions_.splice(server_.sessions_.end(), server_.sessions_, *place_);
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
  const auto view = [](boost::string_view text) {
    return std::string_view(text.data(), text.size());
  };
  const HttpResponse response =
      server_.handler_(parse_target(view(request.method_string()), view(request.target())));
  answer(http::int_to_status(response.status), response, request.keep_alive(),
         request.method() == http::verb::head);
}

void HttpServer::Impl::Session::answer(http::status status, const HttpResponse& response,
                                       bool keep_alive, bool head) {
  const unsigned version = parser_->get().version() == 10 ? 10 : 11;
  response_ = http::response<http::string_body>(status, version, response.body);
  response_.set(http::field::server, "Sluice");
  response_.set(http::field::content_type, response.content_type);
  if (status == http::status::method_not_allowed) response_.set(http::field::allow, "GET, HEAD");
  response_.keep_alive(keep_alive);
  response_.prepare_payload();
  if (head) response_.body().clear();  // the length that was promised stays
  stream_.expires_after(server_.options_.request_max);
  http::async_write(stream_, response_,
                    [self = shared_from_this(), keep_alive](error_code error, std::size_t) {
                      if (error) return;
                      if (keep_alive) return self->read();
                      self->say_goodbye();
                    });
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
  impl_ = std::move(impl);
  return {};
}

void HttpServer::stop() { impl_.reset(); }

std::uint16_t HttpServer::port() const noexcept { return impl_ ? impl_->port() : 0; }

}  // namespace sluice
