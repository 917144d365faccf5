#include "core/net/tcp_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/event/paid_text.h"
#include "core/net/asio.h"

namespace sluice {
namespace {

using boost::system::error_code;

constexpr int backlog = 1024;
// While no connection can be accepted (no descriptors left) the listener rests this long.
constexpr milliseconds accept_pause{100};
// A peer that was told goodbye and does not hang up.
constexpr std::chrono::seconds linger_max{5};
constexpr int accepts_a_round_max = 256;
// Connections about which the filter has to look up a name: they wait unread, and it is asked
// again.
constexpr std::size_t unjudged_max = 1024;
constexpr milliseconds unjudged_pause{10};
constexpr milliseconds unjudged_wait_max{15'000};
// A handshake that has begun takes some 60 KiB. Beyond so many, those that are not done after a
// while make room for others.
constexpr std::size_t handshakes_at_once_max = 256;
constexpr milliseconds handshake_undisturbed{1'000};

std::string describe(const error_code& error) {
  return error.message() + " (" + std::to_string(error.value()) + ")";
}

/// Memory of one pending wait, used again and again: a connection waits after every read.
class WaitMemory {
 public:
  void* take(std::size_t bytes) {
    if (taken_ || bytes > sizeof bytes_) return ::operator new(bytes);
    taken_ = true;
    return bytes_;
  }
  void give_back(void* block) noexcept {
    if (block != bytes_) return ::operator delete(block);
    taken_ = false;
  }

 private:
  alignas(std::max_align_t) char bytes_[256];
  bool taken_ = false;
};

/// Shares the memory, because an aborted wait outlives its connection.
template <typename T>
struct WaitAllocator {
  using value_type = T;
  explicit WaitAllocator(std::shared_ptr<WaitMemory> of) noexcept : memory(std::move(of)) {}
  template <typename U>
  WaitAllocator(const WaitAllocator<U>& other) noexcept : memory(other.memory) {}
  T* allocate(std::size_t n) { return static_cast<T*>(memory->take(n * sizeof(T))); }
  void deallocate(T* block, std::size_t) noexcept { memory->give_back(block); }
  template <typename U>
  bool operator==(const WaitAllocator<U>& other) const noexcept {
    return memory == other.memory;
  }
  std::shared_ptr<WaitMemory> memory;
};

template <typename F>
struct WaitHandler {
  using allocator_type = WaitAllocator<char>;
  allocator_type get_allocator() const noexcept { return allocator_type(memory); }
  void operator()(const error_code& error) { f(error); }
  std::shared_ptr<WaitMemory> memory;
  F f;
};
template <typename F>
WaitHandler(std::shared_ptr<WaitMemory>, F) -> WaitHandler<F>;

class Server;

/// Handlers of a closed socket still run once, so they hold the id and look the connection up.
class Connection final : public TcpConnection {
 public:
  Connection(Server& server, tcp::socket socket, std::uint64_t id, std::string peer,
             MemoryAccount* window)
      : server_(server),
        socket_(std::move(socket)),
        id_(id),
        peer_(std::move(peer)),
        unsent_(window) {}

  void set_layers(std::unique_ptr<ByteStream> layers) noexcept { layers_ = std::move(layers); }

  std::uint64_t id() const noexcept override { return id_; }
  const std::string& peer() const noexcept override { return peer_; }
  Result<std::size_t> read_some(std::span<char> into) override;
  void send(std::string_view bytes) override;
  void stop_reading() override { reading_ = false; }
  void finish() override;

  Result<std::size_t> read_socket(std::span<char> into);
  Status send_to_socket(std::string_view bytes);
  std::size_t write(std::string_view bytes);
  void flush();
  void discard_input();
  void end_layers();

 private:
  friend class Server;
  Result<std::size_t> read_layers(std::span<char> into);
  void send_through_layers(std::string_view bytes);
  Server& server_;
  tcp::socket socket_;
  const std::uint64_t id_;
  const std::string peer_;
  PaidText unsent_;
  std::shared_ptr<WaitMemory> read_wait_ = std::make_shared<WaitMemory>();
  std::shared_ptr<WaitMemory> write_wait_ = std::make_shared<WaitMemory>();
  bool read_waits_ = false;
  bool write_waits_ = false;
  bool reading_ = true;
  bool finishing_ = false;
  std::optional<asio::steady_timer> linger_;  ///< Runs while finishing.
  bool broken_ = false;                       ///< Removed at the end of the round.
  bool opened_ = false;                       ///< Reported to on_open().
  std::unique_ptr<ByteStream> layers_;        ///< Null: none, or its first byte has not come.
  bool holds_input_ = false;  ///< The layers have something to read, whatever the socket says.
  bool queued_ = false;       ///< Will be reported for that.
};

/// The socket of a connection, for the layers on top of it.
class SocketBytes final : public ByteStream {
 public:
  explicit SocketBytes(Connection& connection) noexcept : connection_(connection) {}
  Result<bool> open() override { return true; }
  Result<std::size_t> read_some(std::span<char> into) override {
    return connection_.read_socket(into);
  }
  bool holds_input() const noexcept override { return false; }
  Status write(std::string_view bytes) override { return connection_.send_to_socket(bytes); }
  Status flush() override { return {}; }
  Status finish() override { return {}; }

 private:
  Connection& connection_;
};

class Server final : public TcpServer {
 public:
  Server(Options options, Handler handler)
      : options_(std::move(options)),
        handler_(std::move(handler)),
        acceptor_(io_),
        accept_timer_(io_) {}
  ~Server() override {
    handler_ = {};
    close();
  }

  Status open() override;
  std::uint16_t port() const noexcept override { return port_; }
  void run_round(milliseconds wait_max) override;
  void drop(TcpConnection& connection) override {
    remove_later(static_cast<Connection&>(connection));
  }
  void post(std::function<void()> task) override { asio::post(io_, std::move(task)); }
  Connection* find(std::uint64_t id) noexcept override {
    const auto found = connections_.find(id);
    return found == connections_.end() || found->second->broken_ ? nullptr : found->second.get();
  }
  std::size_t connections() const noexcept override { return connections_.size(); }
  void close() override;

  void wait_readable(Connection& connection);
  void wait_writable(Connection& connection);
  void remove_later(Connection& connection);

 private:
  Status listen_at(const tcp::endpoint& endpoint);
  void wait_accept();
  void accept_all();
  void judge(tcp::socket socket, const tcp::endpoint& peer);
  void judge_again();
  void refuse(const tcp::endpoint& peer, std::string_view why);
  void add(tcp::socket socket, const tcp::endpoint& peer);
  bool open_layers(Connection& connection);
  Status make_layers(Connection& connection);
  void begin_handshake(Connection& connection);
  bool is_pending(std::uint64_t id) noexcept;
  void handshake_failed(Connection& connection, const Status& why);
  void end_slow_handshakes();
  milliseconds bounded(milliseconds wait_max) const;
  void remove_broken();

  const Options options_;
  Handler handler_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer accept_timer_;
  std::uint16_t port_ = 0;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
  std::vector<std::uint64_t> ready_;  ///< Reported by the system in this round.
  std::vector<std::uint64_t> round_;  ///< Being served.
  std::vector<std::uint64_t> broken_;
  bool accept_failing_ = false;

  struct Unjudged {
    tcp::socket socket;
    tcp::endpoint peer;
    Deadline deadline;
  };
  std::vector<Unjudged> unjudged_;
  std::uint64_t refused_ = 0;
  struct Handshake {
    Deadline deadline;
    std::uint64_t id;
  };
  // In the order of their deadlines; some may be done.
  std::deque<Handshake> handshakes_;  ///< All; until they must be done.
  std::deque<Handshake> begun_;       ///< Those that have memory; until it may be taken from them.
  std::size_t begun_pending_ = 0;
  std::uint64_t handshakes_failed_ = 0;
};

// ---- Connection

Result<std::size_t> Connection::read_some(std::span<char> into) {
  return layers_ ? read_layers(into) : read_socket(into);
}

Result<std::size_t> Connection::read_layers(std::span<char> into) {
  auto got = layers_->read_some(into);
  // Nothing came out: whatever the layers hold, they wait for more of it.
  holds_input_ = got.ok() && *got > 0 && layers_->holds_input();
  if (got.code() == Code::Retry) return got.status().with_context("connection from " + peer_);
  return got;
}

Result<std::size_t> Connection::read_socket(std::span<char> into) {
  error_code error;
  const std::size_t bytes = socket_.read_some(asio::buffer(into.data(), into.size()), error);
  if (!error) return bytes;
  if (error == asio::error::would_block || error == asio::error::interrupted) return std::size_t{0};
  if (error == asio::error::eof) return Closed("the peer has finished");
  return Retry("connection from " + peer_ + ": " + describe(error));
}

void Connection::send(std::string_view bytes) {
  if (broken_ || finishing_) return;
  if (layers_) return send_through_layers(bytes);
  static_cast<void>(send_to_socket(bytes));
}

void Connection::send_through_layers(std::string_view bytes) {
  Status status = layers_->write(bytes);
  if (status.ok()) status = layers_->flush();
  if (!status.ok()) server_.remove_later(*this);
}

/// Errors: Retry (the connection broke; it is removed).
Status Connection::send_to_socket(std::string_view bytes) {
  if (unsent_.empty()) bytes.remove_prefix(write(bytes));
  unsent_.append(bytes);
  if (!unsent_.empty()) server_.wait_writable(*this);
  return broken_ ? Retry("the connection broke") : Status();
}

/// How much the system takes; a connection that breaks takes all.
std::size_t Connection::write(std::string_view bytes) {
  std::size_t sent_bytes = 0;
  while (sent_bytes < bytes.size()) {
    error_code error;
    sent_bytes += socket_.write_some(
        asio::buffer(bytes.data() + sent_bytes, bytes.size() - sent_bytes), error);
    if (error == asio::error::would_block) break;
    if (error) {
      server_.remove_later(*this);
      return bytes.size();
    }
  }
  return sent_bytes;
}

void Connection::flush() {
  unsent_.drop_front(write(unsent_.view()));
  if (broken_) return;
  if (!unsent_.empty()) {
    server_.wait_writable(*this);
  } else if (finishing_) {
    // Not close(): with unread input that would send a reset, which can overtake the last answer.
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    server_.wait_readable(*this);
  }
}

void Connection::finish() {
  if (finishing_ || broken_) return;
  end_layers();
  if (broken_) return;
  finishing_ = true;
  holds_input_ = false;
  reading_ = true;  // to notice that the peer hangs up
  linger_.emplace(socket_.get_executor());
  linger_->expires_after(linger_max);
  linger_->async_wait([&server = server_, id = id_](error_code stopped) {
    Connection* const found = stopped ? nullptr : server.find(id);
    if (found != nullptr) server.remove_later(*found);
  });
  flush();
}

/// Lets the peer tell the end from a cut.
void Connection::end_layers() {
  if (!layers_ || !opened_ || finishing_ || broken_) return;
  if (!layers_->finish().ok()) server_.remove_later(*this);
}

void Connection::discard_input() {
  char waste[16 * 1024];
  for (int i = 0; i < 16; ++i) {  // then the other connections have their turn
    auto got = read_socket(waste);
    if (!got.ok()) return server_.remove_later(*this);
    if (*got == 0) return;
  }
}

// ---- Server

Status Server::open() {
  error_code error;
  tcp::resolver resolver(io_);
  const std::string host = options_.host.empty() ? "0.0.0.0" : options_.host;
  const auto found =
      resolver.resolve(host, std::to_string(options_.port),
                       tcp::resolver::passive | tcp::resolver::numeric_service, error);
  if (error || found.empty()) {
    return Retry("cannot listen on " + host + ": no such address: " + describe(error));
  }
  // "localhost" may be ::1 first; clients of the tutorials connect to either, IPv4 is what Java's
  // agents bound. Prefer it.
  tcp::endpoint endpoint = found.begin()->endpoint();
  for (const auto& entry : found) {
    if (entry.endpoint().address().is_v4()) {
      endpoint = entry.endpoint();
      break;
    }
  }
  if (Status status = listen_at(endpoint); !status.ok()) {
    error_code ignored;
    acceptor_.close(ignored);
    return status;
  }
  port_ = acceptor_.local_endpoint(error).port();
  wait_accept();
  return {};
}

Status Server::listen_at(const tcp::endpoint& endpoint) {
  const auto failed = [&](const error_code& error) {
    return Retry("cannot listen on " + endpoint.address().to_string() + ":" +
                 std::to_string(endpoint.port()) + ": " + describe(error));
  };
  error_code error;
  if (acceptor_.open(endpoint.protocol(), error)) return failed(error);
  if (acceptor_.set_option(tcp::acceptor::reuse_address(true), error)) return failed(error);
  if (acceptor_.bind(endpoint, error)) return failed(error);
  if (acceptor_.listen(backlog, error)) return failed(error);
  if (acceptor_.non_blocking(true, error)) return failed(error);
  return {};
}

void Server::wait_accept() {
  if (!acceptor_.is_open()) return;
  acceptor_.async_wait(tcp::acceptor::wait_read, [this](error_code error) {
    if (!error) accept_all();
  });
}

void Server::accept_all() {
  for (int i = 0; i < accepts_a_round_max; ++i) {
    error_code error;
    tcp::endpoint peer;
    tcp::socket socket(io_);
    acceptor_.accept(socket, peer, error);
    if (error == asio::error::would_block) break;
    if (error == asio::error::connection_aborted || error == asio::error::interrupted) continue;
    if (error) {
      if (!accept_failing_) {
        log::error(
            "{}: cannot accept a connection: {}; {} are open; new ones wait until some close",
            options_.name, describe(error), connections_.size());
      }
      accept_failing_ = true;
      accept_timer_.expires_after(accept_pause);
      accept_timer_.async_wait([this](error_code stopped) {
        if (!stopped) wait_accept();
      });
      return;
    }
    accept_failing_ = false;
    judge(std::move(socket), peer);
  }
  wait_accept();
}

void Server::judge(tcp::socket socket, const tcp::endpoint& peer) {
  if (options_.filter == nullptr) return add(std::move(socket), peer);
  const SocketAddress address(peer.data(), static_cast<socklen_t>(peer.size()));
  switch (options_.filter->ask(address)) {
    case IpFilter::Answer::Accept: return add(std::move(socket), peer);
    case IpFilter::Answer::Refuse: return refuse(peer, "ipFilterRules");
    case IpFilter::Answer::AskAgain: break;
  }
  if (unjudged_.size() >= unjudged_max) {
    return refuse(peer, "too many connections wait for the names of their hosts");
  }
  unjudged_.push_back({std::move(socket), peer, Deadline::in(unjudged_wait_max)});
}

void Server::judge_again() {
  if (unjudged_.empty()) return;
  std::vector<Unjudged> waiting;
  waiting.swap(unjudged_);
  for (Unjudged& each : waiting) {
    const SocketAddress address(each.peer.data(), static_cast<socklen_t>(each.peer.size()));
    switch (options_.filter->ask(address)) {
      case IpFilter::Answer::Accept: add(std::move(each.socket), each.peer); break;
      case IpFilter::Answer::Refuse: refuse(each.peer, "ipFilterRules"); break;
      case IpFilter::Answer::AskAgain:
        if (each.deadline.passed()) {
          refuse(each.peer, "the name of its host is not known in time");
        } else {
          unjudged_.push_back(std::move(each));
        }
    }
  }
}

void Server::refuse(const tcp::endpoint& peer, std::string_view why) {
  if (!worth_saying(++refused_)) return;
  log::info("{}: refused a connection from {}: {}; {} refused so far", options_.name,
            peer.address().to_string(), why, refused_);
}

void Server::add(tcp::socket socket, const tcp::endpoint& peer) {
  error_code error;
  socket.non_blocking(true, error);
  if (error) return;
  socket.set_option(tcp::no_delay(true), error);
  // A host that vanished says no goodbye, and its connection would be here for ever.
  socket.set_option(tcp::socket::keep_alive(true), error);
  const std::uint64_t id = next_id_++;
  auto connection = std::make_unique<Connection>(
      *this, std::move(socket), id, peer.address().to_string() + ":" + std::to_string(peer.port()),
      options_.window);
  Connection& added = *connection;
  connections_.emplace(id, std::move(connection));
  if (options_.layers.tls != nullptr) {
    // It costs nothing more before it has said something.
    handshakes_.push_back({Deadline::in(options_.handshake_max), id});
  } else {
    if (options_.layers.deflate) {
      const Status made = make_layers(added);
      SLUICE_ASSERT(made.ok(), "compression alone needs nothing from the peer");
    }
    added.opened_ = true;
    if (handler_.on_open) handler_.on_open(added);
  }
  wait_readable(added);
}

Status Server::make_layers(Connection& connection) {
  StreamLayers layers = options_.layers;
  if (layers.by_first_byte()) {
    char first = 0;
    const ssize_t got =
        ::recv(connection.socket_.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0) return Closed("the peer has finished");
    if (got < 0) return errno == EAGAIN || errno == EINTR ? Status() : Retry(errno_text(errno));
    layers.order = order_of_first_byte(first);
  }
  auto made = accept_layers(layers, std::make_unique<SocketBytes>(connection));
  if (!made.ok()) return made.status();
  connection.set_layers(*std::move(made));
  return {};
}

/// Goes on with the handshake; true once it is done.
bool Server::open_layers(Connection& connection) {
  if (!connection.layers_) {
    if (Status status = make_layers(connection); !status.ok()) {
      handshake_failed(connection, status);
      return false;
    }
    if (!connection.layers_) return false;
    begin_handshake(connection);
  }
  auto opened = connection.layers_->open();
  if (!opened.ok()) handshake_failed(connection, opened.status());
  if (!opened.ok() || !*opened || connection.broken_) return false;
  connection.opened_ = true;
  --begun_pending_;
  connection.holds_input_ = connection.layers_->holds_input();
  if (handler_.on_open) handler_.on_open(connection);
  return true;
}

bool Server::is_pending(std::uint64_t id) noexcept {
  const Connection* const found = find(id);
  return found != nullptr && !found->opened_;
}

void Server::begin_handshake(Connection& connection) {
  ++begun_pending_;
  begun_.push_back({Deadline::in(handshake_undisturbed), connection.id_});
  for (; !begun_.empty(); begun_.pop_front()) {
    const Handshake& oldest = begun_.front();
    if (!is_pending(oldest.id)) continue;
    if (begun_pending_ <= handshakes_at_once_max || !oldest.deadline.passed()) return;
    handshake_failed(*find(oldest.id),
                     Retry("its TLS handshake is not done, and too many others are under way"));
  }
}

void Server::handshake_failed(Connection& connection, const Status& why) {
  remove_later(connection);
  // Somebody who only looks whether the port is open is no failure.
  if (why.code() == Code::Closed || !worth_saying(++handshakes_failed_)) return;
  log::warn("{}: connection from {}: {}; {} failed handshakes so far", options_.name,
            connection.peer_, why.message(), handshakes_failed_);
}

void Server::end_slow_handshakes() {
  while (!handshakes_.empty()) {
    const Handshake& oldest = handshakes_.front();
    const bool pending = is_pending(oldest.id);
    if (pending && !oldest.deadline.passed()) return;
    if (pending) {
      handshake_failed(*find(oldest.id),
                       Retry("no TLS handshake within " +
                             std::to_string(options_.handshake_max.count()) + " ms"));
    }
    handshakes_.pop_front();
  }
}

/// The wait of a round, shorter when something is due earlier.
milliseconds Server::bounded(milliseconds wait_max) const {
  if (!ready_.empty()) return milliseconds(0);
  if (!handshakes_.empty()) wait_max = handshakes_.front().deadline.left(wait_max);
  return unjudged_.empty() ? wait_max : std::min(wait_max, unjudged_pause);
}

void Server::wait_readable(Connection& connection) {
  if (connection.read_waits_ || connection.broken_ || !connection.reading_) return;
  if (connection.unsent_.size() > options_.unsent_bytes_max) return;  // until wait_writable's end
  if (connection.holds_input_) {
    if (!std::exchange(connection.queued_, true)) ready_.push_back(connection.id_);
    return;
  }
  connection.read_waits_ = true;
  const auto readable = [this, id = connection.id_](const error_code& error) {
    Connection* const found = error ? nullptr : find(id);
    if (found == nullptr) return;
    found->read_waits_ = false;
    ready_.push_back(id);
  };
  connection.socket_.async_wait(tcp::socket::wait_read,
                                WaitHandler{connection.read_wait_, readable});
}

void Server::wait_writable(Connection& connection) {
  if (connection.write_waits_ || connection.broken_) return;
  connection.write_waits_ = true;
  const auto writable = [this, id = connection.id_](const error_code& error) {
    Connection* const found = error ? nullptr : find(id);
    if (found == nullptr) return;
    found->write_waits_ = false;
    found->flush();
    wait_readable(*found);
  };
  connection.socket_.async_wait(tcp::socket::wait_write,
                                WaitHandler{connection.write_wait_, writable});
}

void Server::run_round(milliseconds wait_max) {
  // One wait for the first event, then everything else that is ready; connections are served behind
  // that, so that a round ends however fast they send.
  io_.restart();
  if (io_.run_one_for(bounded(wait_max)) > 0) io_.poll();
  judge_again();
  end_slow_handshakes();
  round_.swap(ready_);
  for (const std::uint64_t id : round_) {
    Connection* const connection = find(id);
    if (connection == nullptr) continue;
    connection->queued_ = false;
    if (connection->finishing_) {
      connection->discard_input();
    } else if ((connection->opened_ || open_layers(*connection)) && handler_.on_readable) {
      handler_.on_readable(*connection);
    }
    wait_readable(*connection);
  }
  round_.clear();
  remove_broken();
}

void Server::remove_later(Connection& connection) {
  if (connection.broken_) return;
  connection.broken_ = true;
  if (connection.layers_ && !connection.opened_) --begun_pending_;
  broken_.push_back(connection.id_);
}

void Server::remove_broken() {
  for (std::size_t i = 0; i < broken_.size(); ++i) {  // on_close() may break others
    const auto found = connections_.find(broken_[i]);
    if (found == connections_.end()) continue;
    const std::unique_ptr<Connection> connection = std::move(found->second);
    connections_.erase(found);
    if (connection->opened_ && handler_.on_close) handler_.on_close(*connection);
  }
  broken_.clear();
}

void Server::close() {
  io_.restart();
  io_.poll();  // posted tasks still find their connections: the last answers go out
  error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  unjudged_.clear();
  for (auto& [id, connection] : connections_) {
    connection->end_layers();
    if (!connection->unsent_.empty()) connection->flush();
    remove_later(*connection);
  }
  remove_broken();
  io_.restart();
  io_.poll();  // aborted waits are handed out and forgotten
}

}  // namespace

std::unique_ptr<TcpServer> TcpServer::make(Options options, Handler handler) {
  return std::make_unique<Server>(std::move(options), std::move(handler));
}

}  // namespace sluice
