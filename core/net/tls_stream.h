// A connection under TLS.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/net/byte_stream.h"
#include "core/net/tls_context.h"

struct bio_method_st;
struct bio_st;
struct ssl_st;
struct x509_store_ctx_st;

namespace sluice {

/// TLS over any stream of bytes, by OpenSSL.
///
/// open() is the handshake; what is written before its end waits for it. finish() sends
/// close_notify, and only a peer's close_notify is Closed: a stream that ends without it was cut
/// off, which is Retry. Errors say what OpenSSL says, and what to do about it where that is known.
class TlsStream final : public ByteStream {
 public:
  /// Errors of both: Retry (no memory).
  static Result<std::unique_ptr<ByteStream>> accept(std::shared_ptr<const TlsContext> context,
                                                    std::unique_ptr<ByteStream> below);
  /// `host` is what the certificate must be for, when the context says so.
  static Result<std::unique_ptr<ByteStream>> connect(std::shared_ptr<const TlsContext> context,
                                                     const std::string& host,
                                                     std::unique_ptr<ByteStream> below);
  ~TlsStream() override;

  Result<bool> open() override;
  Result<std::size_t> read_some(std::span<char> into) override;
  bool holds_input() const noexcept override;
  Status write(std::string_view bytes) override;
  Status flush() override;
  Status finish() override;

 private:
  TlsStream(std::shared_ptr<const TlsContext> context, std::string host,
            std::unique_ptr<ByteStream> below) noexcept;
  Status prepare();
  Status prepare_client();
  Status write_records(std::string_view bytes);
  Status flush_below();
  /// What a call of OpenSSL that did not succeed means; Ok: it wants more input.
  Status why(int outcome);
  Status failure();
  std::string host_hint() const;

  static int read_below(bio_st* bio, char* into, int bytes);
  static int write_below(bio_st* bio, const char* from, int bytes);
  static long control(bio_st* bio, int command, long number, void* pointer);
  static const bio_method_st* bio_methods();
  static int note_names(int accepted, x509_store_ctx_st* verification);

  const std::shared_ptr<const TlsContext> context_;
  const std::string host_;  ///< Empty on the accepting side.
  const std::unique_ptr<ByteStream> below_;
  ssl_st* ssl_ = nullptr;
  bool accepts_ = false;
  std::string pending_;      ///< Written, not yet in a record.
  bool wrote_ = false;       ///< Something went down and was not flushed.
  std::string first_bytes_;  ///< Two at most of what came from below.
  std::string shown_names_;  ///< Whom the peer's certificate is for, when not for host_.
  Status below_failed_;
  Status failed_;  ///< Not Ok: the stream is of no more use.
};

}  // namespace sluice
