#include "core/net/tls_stream.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <utility>

#include "core/net/tls_error.h"

namespace sluice {
namespace {

constexpr std::size_t record_bytes_max = 16 * 1024;
// Replies are short: what a long one needed is given back.
constexpr std::size_t kept_bytes_max = 4096;
constexpr char handshake_record = 0x16;
constexpr char alert_record = 0x15;

bool is_address(const std::string& host) noexcept {
  std::array<unsigned char, 16> ignored{};
  return ::inet_pton(AF_INET, host.c_str(), ignored.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), ignored.data()) == 1;
}

/// RFC 1950, 2.2: deflate, and a check of both bytes.
bool is_zlib_header(std::string_view bytes) noexcept {
  if (bytes.size() < 2) return false;
  const unsigned first = static_cast<unsigned char>(bytes[0]);
  const unsigned second = static_cast<unsigned char>(bytes[1]);
  return (first & 0x0f) == 8 && (first * 256 + second) % 31 == 0;
}

bool is_mismatch(long verified) noexcept {
  return verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

TlsStream& stream_of(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

}  // namespace

TlsStream::TlsStream(std::shared_ptr<const TlsContext> context, std::string host,
                     std::unique_ptr<ByteStream> below) noexcept
    : context_(std::move(context)), host_(std::move(host)), below_(std::move(below)) {}

TlsStream::~TlsStream() { SSL_free(ssl_); }

Result<std::unique_ptr<ByteStream>> TlsStream::accept(std::shared_ptr<const TlsContext> context,
                                                      std::unique_ptr<ByteStream> below) {
  std::unique_ptr<TlsStream> made(new TlsStream(std::move(context), {}, std::move(below)));
  if (Status status = made->prepare(); !status.ok()) return status;
  made->accepts_ = true;
  SSL_set_accept_state(made->ssl_);
  return std::unique_ptr<ByteStream>(std::move(made));
}

Result<std::unique_ptr<ByteStream>> TlsStream::connect(std::shared_ptr<const TlsContext> context,
                                                       const std::string& host,
                                                       std::unique_ptr<ByteStream> below) {
  std::unique_ptr<TlsStream> made(new TlsStream(std::move(context), host, std::move(below)));
  if (Status status = made->prepare(); !status.ok()) return status;
  if (Status status = made->prepare_client(); !status.ok()) return status;
  return std::unique_ptr<ByteStream>(std::move(made));
}

Status TlsStream::prepare() {
  ERR_clear_error();
  ssl_ = SSL_new(context_->get());
  BIO* const bio = ssl_ == nullptr ? nullptr : BIO_new(bio_methods());
  if (bio == nullptr) return Retry("no TLS for a connection: " + openssl_reason());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  return {};
}

Status TlsStream::prepare_client() {
  SSL_set_connect_state(ssl_);
  const bool address = is_address(host_);
  // The name lets a server of many names choose; an address may not stand there.
  bool done = address || SSL_set_tlsext_host_name(ssl_, host_.c_str()) == 1;
  if (context_->verifies_host()) {
    SSL_set_verify(ssl_, SSL_get_verify_mode(ssl_), &TlsStream::note_names);
    X509_VERIFY_PARAM* const expected = SSL_get0_param(ssl_);
    X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    done = done && (address ? X509_VERIFY_PARAM_set1_ip_asc(expected, host_.c_str())
                            : X509_VERIFY_PARAM_set1_host(expected, host_.c_str(), 0)) == 1;
  }
  return done ? Status() : Retry("TLS cannot ask for the host " + host_ + ": " + openssl_reason());
}

// ---- What OpenSSL reads and writes

const BIO_METHOD* TlsStream::bio_methods() {
  static BIO_METHOD* const methods = [] {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice");
    SLUICE_ASSERT(made != nullptr, "OpenSSL has memory for its first table");
    BIO_meth_set_read(made, &TlsStream::read_below);
    BIO_meth_set_write(made, &TlsStream::write_below);
    BIO_meth_set_ctrl(made, &TlsStream::control);
    return made;
  }();
  return methods;
}

int TlsStream::read_below(BIO* bio, char* into, int bytes) {
  TlsStream& self = stream_of(bio);
  BIO_clear_retry_flags(bio);
  auto got = self.below_->read_some({into, static_cast<std::size_t>(bytes)});
  if (!got.ok()) {
    self.below_failed_ = got.status();
    return -1;
  }
  if (*got == 0) {
    BIO_set_retry_read(bio);
    return -1;
  }
  if (self.first_bytes_.empty()) self.first_bytes_.assign(into, std::min<std::size_t>(*got, 2));
  return static_cast<int>(*got);
}

int TlsStream::write_below(BIO* bio, const char* from, int bytes) {
  TlsStream& self = stream_of(bio);
  BIO_clear_retry_flags(bio);
  self.wrote_ = true;
  self.below_failed_ = self.below_->write({from, static_cast<std::size_t>(bytes)});
  return self.below_failed_.ok() ? bytes : -1;
}

long TlsStream::control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;  // flush() is called when it is time
}

// ---- The stream

Result<bool> TlsStream::open() {
  if (!failed_.ok()) return failed_;
  auto opened = below_->open();
  if (!opened.ok()) return failed_ = opened.status();
  if (!*opened) return false;
  ERR_clear_error();
  const int outcome = SSL_do_handshake(ssl_);
  Status status = outcome == 1 ? Status() : why(outcome);
  // Also behind an error: the alert tells the peer what is wrong.
  const Status flushed = outcome == 1 ? flush() : flush_below();
  if (!status.ok()) return failed_ = std::move(status);
  if (!flushed.ok()) return failed_ = flushed;
  return outcome == 1;
}

Result<std::size_t> TlsStream::read_some(std::span<char> into) {
  if (!failed_.ok()) return failed_;
  std::size_t all_bytes = 0;
  // A call gives one record at most.
  while (all_bytes < into.size()) {
    ERR_clear_error();
    std::size_t bytes = 0;
    const int outcome = SSL_read_ex(ssl_, into.data() + all_bytes, into.size() - all_bytes, &bytes);
    all_bytes += bytes;
    if (outcome != 1) failed_ = why(outcome);
    if (outcome != 1 || SSL_has_pending(ssl_) == 0) break;
  }
  // Reading may have to answer: a key update, an alert.
  if (wrote_) {
    if (Status status = flush_below(); !status.ok() && failed_.ok()) failed_ = std::move(status);
  }
  if (all_bytes == 0 && !failed_.ok()) return failed_;
  return all_bytes;
}

bool TlsStream::holds_input() const noexcept {
  // An error behind what was read is still to be told.
  return !failed_.ok() || SSL_has_pending(ssl_) == 1 || below_->holds_input();
}

Status TlsStream::write(std::string_view bytes) {
  if (!failed_.ok() && failed_.code() != Code::Closed) return failed_;
  const bool can_write = SSL_is_init_finished(ssl_) == 1;
  while (can_write && pending_.size() + bytes.size() >= record_bytes_max) {
    if (pending_.empty()) {  // no need to collect what fills a record
      if (Status status = write_records(bytes.substr(0, record_bytes_max)); !status.ok()) {
        return status;
      }
      bytes.remove_prefix(record_bytes_max);
    } else {
      const std::size_t part = record_bytes_max - pending_.size();
      pending_.append(bytes.substr(0, part));
      bytes.remove_prefix(part);
      const Status status = write_records(pending_);
      pending_.clear();
      if (!status.ok()) return status;
    }
  }
  pending_.append(bytes);
  return {};
}

Status TlsStream::write_records(std::string_view bytes) {
  ERR_clear_error();
  std::size_t written = 0;
  const int outcome = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written);
  if (outcome == 1) return {};
  Status status = why(outcome);
  if (status.ok()) status = Retry("TLS does not take what is sent");
  failed_ = status;
  return status;
}

Status TlsStream::flush() {
  if (!pending_.empty() && SSL_is_init_finished(ssl_) == 1) {
    const Status status = write_records(pending_);
    pending_.clear();
    if (pending_.capacity() > kept_bytes_max && accepts_) pending_.shrink_to_fit();
    if (!status.ok()) return status;
  }
  return flush_below();
}

Status TlsStream::flush_below() {
  wrote_ = false;
  return below_->flush();
}

Status TlsStream::finish() {
  const bool can_say_goodbye =
      SSL_is_init_finished(ssl_) == 1 && (failed_.ok() || failed_.code() == Code::Closed);
  if (can_say_goodbye) {
    if (Status status = flush(); !status.ok()) return status;
    ERR_clear_error();
    static_cast<void>(SSL_shutdown(ssl_));  // the peer's answer is not waited for
  }
  return below_->finish();
}

// ---- What went wrong

Status TlsStream::why(int outcome) {
  switch (SSL_get_error(ssl_, outcome)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return {};
    case SSL_ERROR_ZERO_RETURN: return Closed("the peer has finished");
    default: return failure();
  }
}

Status TlsStream::failure() {
  const bool shaking_hands = SSL_is_init_finished(ssl_) == 0;
  if (below_failed_.code() == Code::Closed) {
    if (first_bytes_.empty())
      return below_failed_.with_context("nothing came where TLS was expected");
    return Retry(shaking_hands ? "the peer hung up during the TLS handshake"
                               : "the connection was cut off: TLS ended without close_notify");
  }
  if (!below_failed_.ok()) return below_failed_;
  if (shaking_hands && !first_bytes_.empty() && first_bytes_[0] != handshake_record &&
      first_bytes_[0] != alert_record) {
    if (is_zlib_header(first_bytes_)) {
      return Retry(
          "compressed bytes came where TLS was expected: the peer has compression outside of TLS "
          "(Flume 1.10 and later), or compression without TLS");
    }
    return Retry(std::string("plain text came where TLS was expected: set ssl = true ") +
                 (accepts_ ? "at the sender" : "at the receiver") + ", or ssl = false here");
  }
  const TlsError error = take_tls_error();
  std::string text = "TLS: " + error.reason;
  const long verified = SSL_get_verify_result(ssl_);
  if (error.about_certificate && verified != X509_V_OK) {
    text += std::string(": ") + X509_verify_cert_error_string(verified);
    text += verify_hint(verified, accepts_);
    if (is_mismatch(verified)) text += host_hint();
  }
  if (!error.hint.empty()) text += "; " + error.hint;
  return Retry(std::move(text));
}

/// OpenSSL forgets a certificate that it refuses, so its names are taken while it judges.
int TlsStream::note_names(int accepted, X509_STORE_CTX* verification) {
  if (accepted != 1 && is_mismatch(X509_STORE_CTX_get_error(verification))) {
    auto* const ssl = static_cast<SSL*>(
        X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
    const X509* const shown = X509_STORE_CTX_get_current_cert(verification);
    if (shown != nullptr) stream_of(SSL_get_rbio(ssl)).shown_names_ = certificate_names(*shown);
  }
  return accepted;
}

std::string TlsStream::host_hint() const {
  return ": it is for " + (shown_names_.empty() ? "nobody by name" : shown_names_) + ", not for " +
         host_ + "; connect by a name that it has, or set verify-hostname = false";
}

}  // namespace sluice
