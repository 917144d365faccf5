// The other end of Flume's Avro RPC, on 127.0.0.1: a client of a source, a receiver of a sink.
// What they send is encoded here, apart from the agent's own writers.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/wire/avro_rpc.h"
#include "core/wire/sluice_calls.h"
#include "tests/support/batches.h"
#include "tests/support/sockets.h"

namespace sluice {

struct TestEvent {
  std::string body;
  TestHeaders headers = {};
  bool operator==(const TestEvent&) const = default;
};
/// For messages of failed checks.
inline std::ostream& operator<<(std::ostream& out, const TestEvent& event) {
  out << '"' << event.body.substr(0, 40) << '"';
  for (const auto& [name, value] : event.headers) {
    out << ' ' << name.substr(0, 40) << '=' << value.substr(0, 40);
  }
  return out;
}

// ---- encoders

inline std::string avro_u32(std::uint64_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

/// A length, a count, an index: never negative.
inline std::string avro_count(std::uint64_t value) {
  std::string bytes;
  for (value *= 2; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}
inline std::string avro_text(std::string_view text) {
  return avro_count(text.size()) + std::string(text);
}
inline std::string avro_map(const TestHeaders& entries) {
  std::string bytes;
  if (!entries.empty()) bytes += avro_count(entries.size());
  for (const auto& [name, value] : entries) bytes += avro_text(name) + avro_text(value);
  return bytes + '\0';
}
inline std::string avro_event(const TestEvent& event) {
  return avro_map(event.headers) + avro_text(event.body);
}
inline std::string avro_events(const std::vector<TestEvent>& events) {
  std::string bytes;
  if (!events.empty()) bytes += avro_count(events.size());
  for (const TestEvent& event : events) bytes += avro_event(event);
  return bytes + '\0';
}
inline std::string avro_hash() {
  return {flume_protocol_hash().data(), flume_protocol_hash().size()};
}
/// The handshake of a client that knows the server; `meta`: an encoded map, or none.
inline std::string avro_hello(const std::string& meta = {}) {
  return avro_hash() + '\0' + avro_hash() + (meta.empty() ? '\0' : '\2') + meta;
}
/// A call behind its handshake.
inline std::string avro_call(std::string_view message, const std::string& parameters,
                             const std::string& metadata = std::string(1, '\0')) {
  return metadata + avro_text(message) + parameters;
}
inline std::string avro_batch_call(const std::vector<TestEvent>& events) {
  return avro_call("appendBatch", avro_events(events));
}
inline std::string avro_frame(std::uint32_t serial, const std::vector<std::string>& buffers) {
  std::string bytes = avro_u32(serial) + avro_u32(buffers.size());
  for (const std::string& buffer : buffers) bytes += avro_u32(buffer.size()) + buffer;
  return bytes;
}
inline std::string avro_frame(std::uint32_t serial, std::string_view payload,
                              std::size_t buffer_bytes) {
  std::vector<std::string> buffers;
  for (; payload.size() > buffer_bytes; payload.remove_prefix(buffer_bytes)) {
    buffers.emplace_back(payload.substr(0, buffer_bytes));
  }
  buffers.emplace_back(payload);
  return avro_frame(serial, buffers);
}

// What answers hold, behind a handshake.
inline const std::string avro_ok(3, '\0');
inline const std::string avro_failed{'\0', '\0', '\2'};
inline const std::string avro_both(4, '\0');  ///< The handshake of a server that a client knows.
inline std::string avro_error(std::string_view text) {
  return std::string({'\0', '\1', '\0'}) + avro_text(text);
}

struct AvroTestAnswer {
  std::uint32_t serial = 0;  ///< 0: there was none.
  std::string payload;
  bool operator==(const AvroTestAnswer&) const = default;
};

/// A client of an avro source. One thread.
class AvroTestClient {
 public:
  explicit AvroTestClient(std::uint16_t port) : raw_(port) {}

  TestClient& raw() noexcept { return raw_; }
  /// One buffer, unless the test wants more of them.
  bool send(std::uint32_t serial, std::string_view payload, std::size_t buffer_bytes = SIZE_MAX) {
    return raw_.send(avro_frame(serial, payload, buffer_bytes));
  }
  AvroTestAnswer answer(milliseconds patience = test_patience) {
    const auto number = [&] {
      std::uint32_t value = 0;
      for (const char c : raw_.read(4, patience))
        value = value << 8 | static_cast<unsigned char>(c);
      return value;
    };
    AvroTestAnswer answer;
    answer.serial = number();
    if (answer.serial == 0) return answer;
    for (std::uint32_t buffers = number(); buffers > 0; --buffers) {
      const std::uint32_t bytes = number();
      if (bytes > 0) answer.payload += raw_.read(bytes, patience);
    }
    return answer;
  }
  /// Sends a call and reads its answer.
  std::string ask(std::string_view payload, milliseconds patience = test_patience) {
    if (!send(++serial_, payload)) return "not sent";
    const AvroTestAnswer got = answer(patience);
    return got.serial == serial_ ? got.payload : "an answer to " + std::to_string(got.serial);
  }
  /// True when the source knows us from now on.
  bool shake_hands(const std::string& meta = {}) {
    return ask(avro_hello(meta) + avro_call("", "")).starts_with(std::string(3, '\0'));
  }

 private:
  TestClient raw_;
  std::uint32_t serial_ = 0;
};

/// Listens as an avro source does and does with calls what the test wants. Thread-safe.
class AvroTestServer {
 public:
  struct Call {
    std::uint32_t serial = 0;
    std::vector<TestEvent> events;
    std::string metadata;
  };
  /// What a call gets; none: nothing yet, the test will send() it.
  using Answer = std::optional<std::string>;
  struct Options {
    std::uint16_t port = 0;
    bool ours = false;   ///< Greets as our own agents do.
    int nones = 0;       ///< So many handshakes of a connection get NONE at first.
    bool greets = true;  ///< False: does not even answer a handshake.
    /// On the server's thread. None: OK to all.
    std::function<Answer(const Call&)> answer = {};
  };

  AvroTestServer() : AvroTestServer(Options()) {}
  explicit AvroTestServer(Options options) : options_(std::move(options)) {
    listener_ = TestSocket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int yes = 1;
    ::setsockopt(listener_.fd(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address = loopback(options_.port);
    if (::bind(listener_.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_.fd(), 16) != 0) {
      std::abort();
    }
    socklen_t size = sizeof address;
    ::getsockname(listener_.fd(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) { serve(stop); });
  }

  std::uint16_t port() const noexcept { return port_; }
  std::vector<Call> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  /// The bodies of all calls that got their OK from us at once, in order.
  std::vector<std::string> bodies() const {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }
  std::uint64_t accepted() const {
    const std::lock_guard lock(mutex_);
    return accepted_;
  }
  /// A client has sent its protocol's text.
  bool protocol_shown() const noexcept { return protocol_shown_; }
  bool wait_for_calls(std::size_t count) const {
    return eventually([&] {
      const std::lock_guard lock(mutex_);
      return calls_.size() >= count;
    });
  }
  /// Sends to the youngest connection.
  void send(const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    if (!open_.empty()) write(open_.back()->socket, bytes);
  }
  void answer(std::uint32_t serial, const std::string& payload) {
    send(avro_frame(serial, {payload}));
  }
  void hang_up() {
    const std::lock_guard lock(mutex_);
    for (auto& each : open_) ::shutdown(each->socket.fd(), SHUT_RDWR);
  }

 private:
  struct Connection {
    TestSocket socket;
    std::string bytes = {};
    int handshakes = 0;
    bool knows_us = false;
  };
  static void write(const TestSocket& socket, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  void serve(const std::stop_token& stop) {
    std::vector<pollfd> waiting;
    while (!stop.stop_requested()) {
      waiting.assign(1, {listener_.fd(), POLLIN, 0});
      for (const auto& each : open_) waiting.push_back({each->socket.fd(), POLLIN, 0});
      if (::poll(waiting.data(), waiting.size(), 2) <= 0) continue;
      for (std::size_t i = waiting.size(); i-- > 1;) {
        if (waiting[i].revents != 0 && !read(*open_[i - 1])) {
          const std::lock_guard lock(mutex_);
          open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(i - 1));
        }
      }
      if (waiting[0].revents == 0) continue;
      const std::lock_guard lock(mutex_);
      open_.push_back(std::make_unique<Connection>(
          Connection{TestSocket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC))}));
      ++accepted_;
    }
  }

  /// False: the connection is over.
  bool read(Connection& connection) {
    char buffer[64 * 1024];
    const ssize_t got = ::recv(connection.socket.fd(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (got <= 0) return false;
    connection.bytes.append(buffer, static_cast<std::size_t>(got));
    for (;;) {
      AvroFrame frame(64 << 20);
      auto whole = frame.measure(connection.bytes);
      if (!whole.ok()) return false;
      if (!*whole) return true;
      handle(connection, frame.serial(), std::string(frame.join(connection.bytes.data())));
      connection.bytes.erase(0, frame.bytes());
    }
  }

  void handle(Connection& connection, std::uint32_t serial, const std::string& payload) {
    std::string_view rest = payload;
    std::string hello;
    if (!connection.knows_us) {
      if (!options_.greets) return;
      auto request = take_avro_handshake(rest);
      if (!request.ok()) return;
      connection.knows_us = ++connection.handshakes > options_.nones;
      protocol_shown_ = protocol_shown_ || request->has_protocol;
      hello = connection.knows_us
                  ? std::string(3, '\0')
                  : '\4' + ('\2' + avro_text(flume_protocol())) + '\2' + avro_hash();
      hello += options_.ours ? '\2' + sluice_greeting() : std::string(1, '\0');
    }
    auto call = parse_avro_call(rest);
    if (!connection.knows_us || !call.ok() || call->message.empty()) {
      return write(connection.socket, avro_frame(serial, {hello}));
    }
    Call taken{serial, {}, std::string(call->metadata)};
    AvroEvents events;
    if (!events.parse(call->message, call->parameters).ok()) return;
    for (const auto& place : events.places()) {
      taken.events.push_back(
          {std::string(call->parameters.substr(place.body.offset, place.body.bytes)),
           headers_in(call->parameters.substr(place.headers.offset, place.headers.bytes))});
    }
    const Answer answer = options_.answer ? options_.answer(taken) : Answer(avro_ok);
    {
      const std::lock_guard lock(mutex_);
      if (answer == avro_ok) {
        for (const TestEvent& event : taken.events) bodies_.push_back(event.body);
      }
      calls_.push_back(std::move(taken));
    }
    if (answer) write(connection.socket, avro_frame(serial, {hello, *answer}));
  }

  static TestHeaders headers_in(std::string_view map) {
    std::string block;
    append_avro_headers(map, block);
    TestHeaders headers;
    HeaderCursor cursor(block);
    std::string_view name;
    std::string_view value;
    while (cursor.next(name, value)) headers.emplace_back(name, value);
    return headers;
  }

  const Options options_;
  TestSocket listener_;
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Connection>> open_;  // the thread's; others: guarded by mutex_
  std::vector<Call> calls_;                        // guarded by mutex_
  std::vector<std::string> bodies_;                // guarded by mutex_
  std::uint64_t accepted_ = 0;                     // guarded by mutex_
  std::atomic<bool> protocol_shown_{false};
  std::jthread thread_;
};

}  // namespace sluice
