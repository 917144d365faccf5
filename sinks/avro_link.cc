#include "sinks/avro_link.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/base/thread.h"
#include "core/base/wait.h"

namespace sluice {
namespace {

// Answers are short; only one that tells the server's protocol is not.
constexpr std::size_t answer_bytes_max = 1 << 20;
constexpr std::size_t read_bytes = 16 * 1024;
// At the end: how long answers to what was sent are waited for.
constexpr milliseconds last_answers_max{2'000};
constexpr milliseconds goodbye_silence_max{500};
constexpr milliseconds goodbye_max{1'000};
constexpr std::string_view advice =
    ": is there an avro source behind this port, do both sides agree on ssl and compression-type, "
    "and do its ipFilterRules let us in? Its log may say more";

/// Takes whole answers out of what a server sends.
class AnswerReader {
 public:
  std::span<char> space() {
    bytes_.resize(have_ + read_bytes);
    return {bytes_.data() + have_, read_bytes};
  }
  void took(std::size_t bytes) { have_ += bytes; }
  /// Calls f(serial, payload) for each. Errors: Reject (no answers), those of f.
  template <typename F>
  Status each(F&& f) {
    std::size_t begin = 0;
    Status status;
    while (status.ok() && begin < have_) {
      auto whole = frame_.measure(std::string_view(bytes_).substr(begin, have_ - begin));
      if (!whole.ok()) return whole.status();
      if (!*whole) break;
      status = f(frame_.serial(), frame_.join(bytes_.data() + begin));
      begin += frame_.bytes();
      frame_.restart();
    }
    bytes_.erase(0, begin);
    have_ -= begin;
    return status;
  }

 private:
  AvroFrame frame_{answer_bytes_max};
  std::string bytes_;
  std::size_t have_ = 0;
};

Status write_text(TcpStream& stream, std::string_view text, Deadline deadline,
                  const std::stop_token& stop) {
  const iovec piece{const_cast<char*>(text.data()), text.size()};
  return stream.write_all({&piece, 1}, deadline, stop);
}

}  // namespace

Result<std::unique_ptr<AvroLink>> AvroLink::connect(const Options& options, std::stop_token stop) {
  const Deadline deadline = Deadline::in(options.connect_timeout);
  auto stream = TcpStream::connect(options.target, deadline, stop, options.layers);
  if (!stream.ok()) return stream.status();
  std::unique_ptr<AvroLink> link(new AvroLink(options, *std::move(stream), std::move(stop)));
  if (Status status = link->shake_hands(deadline); !status.ok()) {
    return status.with_context("cannot talk to " + options.target.text());
  }
  link->listener_ = std::jthread([link = link.get()] { link->listen(); });
  return link;
}

AvroLink::AvroLink(const Options& options, TcpStream stream, std::stop_token stop)
    : options_(options), stream_(std::move(stream)), stop_(std::move(stop)) {}

AvroLink::~AvroLink() {
  break_off(Closed("the connection is given up"));
  listening_.request_stop();
}

/// With a call of no message, which every server answers with its handshake alone: so the first
/// batch is never sent to one that would have wanted our protocol's text first.
Status AvroLink::shake_hands(Deadline deadline) {
  std::string_view protocol;
  AvroHash server_hash = flume_protocol_hash();
  for (int attempt = 0; attempt < 2; ++attempt) {
    std::string call;
    append_avro_ping(next_serial_, encode_avro_handshake(protocol, server_hash, sluice_greeting()),
                     call);
    const std::uint32_t serial = next_serial_++;
    if (Status status = write_text(stream_, call, deadline, stop_); !status.ok()) return status;
    AnswerReader reader;
    bool answered = false;
    AvroMatch match = AvroMatch::None;
    while (!answered) {
      auto got = stream_.read_some(reader.space(), deadline, stop_);
      if (!got.ok()) {
        // What TLS and compression say tells what to do.
        const bool hung_up = got.status().code() == Code::Closed || options_.layers.none();
        return Retry("no handshake: " + got.status().message() +
                     std::string(hung_up && !stop_.stop_requested() ? advice : ""));
      }
      if (*got == 0) {
        return Retry("no answer to the handshake within " +
                     std::to_string(options_.connect_timeout.count()) + " ms" +
                     std::string(advice));
      }
      reader.took(*got);
      Status status = reader.each([&](std::uint32_t to, std::string_view payload) {
        auto response = take_avro_handshake_response(payload);
        if (!response.ok() || to != serial) return Reject("no handshake");
        answered = true;
        match = response->match;
        if (response->has_server_hash) server_hash = response->server_hash;
        is_ours_ = speaks_sluice(response->meta);
        if (undoes(response->meta, options_.compression)) compression_ = options_.compression;
        return Status();
      });
      if (!status.ok()) {
        return Retry("what answers is no avro source: " + status.message() + std::string(advice));
      }
    }
    if (match != AvroMatch::None) return {};
    protocol = flume_protocol();
  }
  return Retry("its avro source does not accept Flume's protocol");
}

Status AvroLink::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

bool AvroLink::wait_until_idle(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  return wait_until(idle_, lock, Deadline::never(), stop,
                    [this] { return calls_.empty() && ending_ == 0; });
}

void AvroLink::call(const Batch& batch, const std::stop_token& stop, Done done,
                    const std::optional<Origin>& settled_below) {
  const std::uint32_t serial = next_serial_++;
  const std::string_view bytes =
      is_ours_ ? ours_.append_batch(serial, batch, compression_, settled_below)
               : plain_.append_batch(serial, {}, encode_avro_map(), batch);
  const Deadline answer_by = Deadline::in(options_.request_timeout);
  {
    std::unique_lock lock(mutex_);
    if (!broken_.ok()) {
      Outcome outcome{broken_, false};
      lock.unlock();
      return done(std::move(outcome));
    }
    calls_.push_back({serial, answer_by, std::move(done), refused_});
  }
  Status status = write_text(stream_, bytes, answer_by, stop);
  if (!status.ok()) break_off(std::move(status));
}

void AvroLink::finish() {
  listening_.request_stop();
  if (listener_.joinable()) listener_.join();
  stream_.finish(goodbye_silence_max, Deadline::in(goodbye_max));
}

// ---- answers

void AvroLink::listen() {
  name_this_thread("avro-answers");
  const std::stop_callback wake(stop_, [this] { listening_.request_stop(); });
  break_off(read_answers());
}

/// Returns why there will be no more of them.
Status AvroLink::read_answers() {
  AnswerReader reader;
  std::stop_token stop = listening_.get_token();
  Deadline last = Deadline::never();
  for (;;) {
    const Deadline deadline = Deadline::at(std::min(next_deadline().time(), last.time()));
    auto got = stream_.read_some(reader.space(), deadline, stop);
    if (!got.ok()) {
      if (!stop.stop_requested()) return Retry(unanswered(got.status().message()));
      // What is sent may be answered yet.
      stop = {};
      last = Deadline::in(last_answers_max);
    } else if (*got == 0) {
      if (last.passed()) return Closed("the agent is stopping, and the receiver does not answer");
      if (next_deadline().passed()) {
        return Retry("no answer within request-timeout = " +
                     std::to_string(options_.request_timeout.count()) + " ms");
      }
    } else {
      reader.took(*got);
      Status status = reader.each([this](std::uint32_t serial, std::string_view payload) {
        return answered(serial, payload);
      });
      if (!status.ok()) return Retry(status.message());
    }
    if (last.is_never()) continue;
    const std::lock_guard lock(mutex_);
    if (calls_.empty()) return Closed("the agent is stopping");
  }
}

/// Why there are no more answers, for those who wait for one: a receiver of our own says in its log
/// what it hung up for.
std::string AvroLink::unanswered(const std::string& why) const {
  const std::lock_guard lock(mutex_);
  return calls_.empty() ? why : "no answer: " + why + "; the receiver's log may say why";
}

/// When the oldest call is overdue. Before that a call may come that is due no earlier.
Deadline AvroLink::next_deadline() const {
  const std::lock_guard lock(mutex_);
  return calls_.empty() ? Deadline::in(options_.request_timeout) : calls_.front().answer_by;
}

/// An agent of our own hangs up once it has answered what came before the call that it refused.
void AvroLink::pass_over_behind(std::uint32_t serial) {
  if (!is_ours_) return;
  const std::lock_guard lock(mutex_);
  refused_ = true;
  for (Call& call : calls_) call.passed_over |= call.serial > serial;
}

Status AvroLink::answered(std::uint32_t serial, std::string_view payload) {
  Done done;
  {
    const std::lock_guard lock(mutex_);
    const auto call = std::find_if(calls_.begin(), calls_.end(),
                                   [&](const Call& each) { return each.serial == serial; });
    if (call == calls_.end()) return Reject("an answer to no call");
    done = std::move(call->done);
    calls_.erase(call);
    ++ending_;
  }
  const auto ended = [this](Status result) {
    const std::lock_guard lock(mutex_);
    if (--ending_ == 0 && calls_.empty()) idle_.notify_all();
    return result;
  };
  auto status = parse_avro_answer(payload);
  if (status.code() == Code::Invalid) {
    done({Retry(status.status().message()), true});
    return ended(status.status());
  }
  if (!status.ok()) {
    done({Retry("the receiver answered with an error: " + status.status().message())});
  } else if (*status != AvroStatus::Ok) {
    if (*status == AvroStatus::Failed) pass_over_behind(serial);
    done({Retry("the receiver answered FAILED: its channel may be full")});
  } else {
    done({});
  }
  return ended({});
}

void AvroLink::break_off(Status why) {
  std::vector<Call> calls;
  {
    const std::lock_guard lock(mutex_);
    if (broken_.ok()) broken_ = why;
    calls.swap(calls_);
    ++ending_;
  }
  for (const Call& call : calls) {
    if (call.passed_over && why.code() != Code::Closed) {
      call.done({Retry("the receiver answered FAILED to a call before it")});
    } else {
      call.done({why, !call.passed_over});
    }
  }
  const std::lock_guard lock(mutex_);
  if (--ending_ == 0) idle_.notify_all();
}

}  // namespace sluice
