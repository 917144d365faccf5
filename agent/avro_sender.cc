#include "agent/avro_sender.h"

#include <condition_variable>
#include <mutex>

#include "core/base/backoff.h"
#include "core/base/wait.h"

namespace sluice {
namespace {

constexpr milliseconds pause_first{100};
constexpr milliseconds pause_max{2'000};

/// False: stop.
bool pause(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  wait_until(never, lock, Deadline::in(time), stop, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

AvroSender::AvroSender(const AvroClientOptions& options) : options_(options) {
  for (const TcpStream::Target& target : options.receivers) receivers_.push_back({target, nullptr});
}

Status AvroSender::send(const Batch& batch, const std::stop_token& stop) {
  const Deadline give_up = Deadline::in(options_.retry_time);
  Backoff backoff(pause_first, pause_max);
  current_ = first_receiver();
  for (std::uint32_t attempt = 1;; ++attempt) {
    Receiver& receiver = receivers_[current_];
    Status status = try_once(receiver, batch, stop);
    if (status.ok()) return status;
    if (stop.stop_requested()) return Closed("stopped");
    if (give_up.passed() || attempt == options_.attempts_max) {
      return status.with_context(receiver.target.text());
    }
    current_ = (current_ + 1) % receivers_.size();
    const bool all_failed = attempt % receivers_.size() == 0;
    if (all_failed && !pause(backoff.next(), stop)) return Closed("stopped");
  }
}

void AvroSender::finish() {
  for (Receiver& receiver : receivers_) {
    if (receiver.link) receiver.link->finish();
  }
}

std::size_t AvroSender::first_receiver() {
  switch (options_.choice) {
    case AvroClientOptions::Choice::Failover: break;
    case AvroClientOptions::Choice::RoundRobin: return (current_ + 1) % receivers_.size();
    case AvroClientOptions::Choice::Random: return random_() % receivers_.size();
  }
  return current_;
}

Status AvroSender::try_once(Receiver& receiver, const Batch& batch,
                            const std::stop_token& stop) const {
  if (receiver.link && !receiver.link->broken().ok()) receiver.link.reset();
  if (!receiver.link) {
    AvroLink::Options options;
    options.target = receiver.target;
    options.connect_timeout = options_.connect_timeout;
    options.request_timeout = options_.request_timeout;
    options.layers = options_.layers;
    auto link = AvroLink::connect(options, stop);
    if (!link.ok()) return link.status();
    receiver.link = *std::move(link);
  }
  AvroLink::Outcome outcome;
  receiver.link->call(batch, stop, [&](AvroLink::Outcome came) { outcome = std::move(came); });
  // Not for stop: the call ends soon after it, and until then the outcome must be here.
  receiver.link->wait_until_idle({});
  return outcome.status;
}

}  // namespace sluice
