// A client for tests that says exactly what it is told to, well-formed or not.
#pragma once

#include <array>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/net/tcp_stream.h"

namespace sluice {

/// One connection to 127.0.0.1. Waits for seconds at most, then says that nothing came.
class HttpClient {
 public:
  struct Answer {
    unsigned status = 0;  ///< 0: none came.
    std::map<std::string, std::string> headers;
    std::string body;
  };

  explicit HttpClient(std::uint16_t port) {
    auto stream = TcpStream::connect({"127.0.0.1", port}, patience(), {});
    if (stream.ok()) stream_ = *std::move(stream);
  }

  bool connected() const { return stream_.has_value(); }

  /// False when the server has hung up.
  bool send(std::string_view text) {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    return stream_ && stream_->write_all({&piece, 1}, patience(), {}).ok();
  }

  Answer read_answer(bool to_head = false) {
    Answer answer;
    std::size_t head_end;
    while ((head_end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive()) return answer;
    }
    parse_head(received_.substr(0, head_end), answer);
    received_.erase(0, head_end + 4);
    const std::size_t length =
        to_head ? 0 : std::strtoull(answer.headers["Content-Length"].c_str(), nullptr, 10);
    while (received_.size() < length && receive()) {
    }
    answer.body = received_.substr(0, length);
    received_.erase(0, answer.body.size());
    return answer;
  }

  Answer get(std::string_view path) {
    if (!send("GET " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n\r\n")) return {};
    return read_answer();
  }

  /// True when the server ends the connection; what it still sends is passed over.
  bool hung_up() {
    if (!stream_) return true;
    std::array<char, 65536> waste;
    for (;;) {
      const auto got = stream_->read_some(waste, patience(), {});
      if (!got.ok()) return true;
      if (got.value() == 0) return false;
    }
  }

 private:
  static Deadline patience() { return Deadline::in(milliseconds(10'000)); }

  bool receive() {
    if (!stream_) return false;
    std::array<char, 65536> buffer;
    const auto got = stream_->read_some(buffer, patience(), {});
    if (!got.ok() || got.value() == 0) return false;
    received_.append(buffer.data(), got.value());
    return true;
  }

  static void parse_head(const std::string& head, Answer& answer) {
    if (!head.starts_with("HTTP/1.")) return;
    answer.status = static_cast<unsigned>(std::atoi(head.substr(head.find(' ') + 1).c_str()));
    std::size_t line = head.find("\r\n");
    while (line != std::string::npos) {
      const std::size_t begin = line + 2;
      line = head.find("\r\n", begin);
      const std::string header =
          head.substr(begin, line == std::string::npos ? line : line - begin);
      const std::size_t colon = header.find(": ");
      answer.headers[header.substr(0, colon)] = header.substr(colon + 2);
    }
  }

  std::optional<TcpStream> stream_;
  std::string received_;
};

}  // namespace sluice
