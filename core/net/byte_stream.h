// The bytes of a connection without waiting, so that TLS and compression can stand on them, and on
// each other.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// A stream of bytes in both directions. Nothing blocks. One thread at a time. After an error the
/// stream is of no more use; it may be asked again and says the same.
class ByteStream {
 public:
  virtual ~ByteStream() = default;

  /// True once both sides have agreed to talk; until then it is called again whenever bytes have
  /// arrived. Errors: Closed, Retry, as read_some().
  virtual Result<bool> open() = 0;
  /// Reads what is there, at most into.size() bytes; 0: nothing until more arrives below.
  /// Errors: Closed (the peer has said that it finished), Retry (broken, cut off, or not what this
  /// stream speaks).
  virtual Result<std::size_t> read_some(std::span<char> into) = 0;
  /// May have bytes for read_some() without any that arrive below.
  virtual bool holds_input() const noexcept = 0;
  /// Takes all of it; some may stay here until flush(). Errors: Retry.
  virtual Status write(std::string_view bytes) = 0;
  /// What was written goes down to the socket, as far as the peer needs it to read all of it.
  virtual Status flush() = 0;
  /// Says that nothing more is coming, behind everything written, and flushes.
  virtual Status finish() = 0;
};

}  // namespace sluice
