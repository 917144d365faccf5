// Receives datagrams, many with one system call.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"

namespace sluice {

/// One datagram; the views hold until the next receive().
struct Datagram {
  std::string_view bytes;
  std::string_view sender;  ///< "1.2.3.4:5" or "[::1]:5"; empty unless senders are wanted.
};

/// A bound UDP socket. One thread.
///
/// Owns datagrams_max buffers of 64 KiB, of which the system backs with memory only what was used.
class UdpSocket {
 public:
  struct Options {
    std::string host;                              ///< Empty: every address, versions 4 and 6.
    std::uint16_t port = 0;                        ///< 0: the system chooses; see port().
    std::uint64_t receive_buffer_bytes = 4 << 20;  ///< Asked for; the system may give less.
    bool senders = false;                          ///< Fill in Datagram::sender.
  };
  static constexpr std::size_t datagrams_max = 32;
  static constexpr std::size_t datagram_bytes_max = 65'536;
  static constexpr std::size_t buffer_bytes = datagrams_max * datagram_bytes_max;

  /// Errors: Retry (taken port, no such address), each with the address.
  static Result<UdpSocket> bind(const Options& options);

  UdpSocket(UdpSocket&&) noexcept;
  UdpSocket& operator=(UdpSocket&&) noexcept;
  ~UdpSocket();

  std::uint16_t port() const noexcept;
  /// What the system gave; it counts its own overhead too.
  std::uint64_t receive_buffer_bytes() const noexcept;

  /// True when something can be received before the deadline and stop.
  bool wait(Deadline deadline, const std::stop_token& stop);
  /// What is there, at most datagrams_max; 0 when there is nothing just now. Errors: Retry.
  Result<std::size_t> receive();
  /// REQUIRES: i below what receive() returned.
  Datagram operator[](std::size_t i) const noexcept;

  /// Datagrams that the system threw away because nobody received them in time, as far as those
  /// received since tell.
  std::uint64_t dropped() const noexcept;

 private:
  class Impl;
  explicit UdpSocket(std::unique_ptr<Impl> impl) noexcept;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sluice
