#include "agent/replay_door.h"

#include <algorithm>
#include <array>
#include <utility>

#include "agent/replay_call.h"
#include "core/base/log.h"
#include "core/base/thread.h"
#include "core/config/diagnostics.h"
#include "core/event/frame.h"

namespace sluice {
namespace {

constexpr milliseconds answer_max{10'000};
/// A caller that says nothing for so long holds up those behind it.
constexpr milliseconds silence_max{30'000};
constexpr std::size_t read_bytes = 256 << 10;
/// What a caller gathers is a megabyte, or one event.
constexpr std::uint64_t frame_bytes_max = std::uint64_t{1} << 31;

}  // namespace

Result<std::unique_ptr<ReplayDoor>> ReplayDoor::open(const std::string& store, Find find,
                                                     SlabPool& pool) {
  auto listener = LocalListener::listen(replay_socket(store));
  if (!listener.ok()) return listener.status();
  return std::unique_ptr<ReplayDoor>(new ReplayDoor(*std::move(listener), std::move(find), pool));
}

ReplayDoor::ReplayDoor(LocalListener listener, Find find, SlabPool& pool)
    : listener_(std::move(listener)),
      find_(std::move(find)),
      pool_(pool),
      thread_([this] { run(); }) {}

ReplayDoor::~ReplayDoor() {
  stopping_ = true;
  stop_.set();
  thread_.join();
}

void ReplayDoor::run() {
  name_this_thread("replay");
  for (;;) {
    auto stream = listener_.accept(stop_);
    if (!stream.ok()) return;
    hear(*stream);  // then it is closed, before the next one is waited for
  }
}

void ReplayDoor::hear(LocalStream& stream) {
  std::uint64_t events = 0;
  const Status status = hear_all(stream, events);
  if (!status.ok()) static_cast<void>(answer(stream, status));
  if (events > 0 || !status.ok()) {
    log::info("a replay has put {} events{}{}", events, status.ok() ? "" : ": ",
              status.ok() ? "" : printable(status.message(), 500));
  }
}

/// Ok: the caller has finished.
Status ReplayDoor::hear_all(LocalStream& stream, std::uint64_t& events) {
  auto channel = greet(stream);
  if (!channel.ok()) return channel.status();
  if (Status status = answer(stream, {}); !status.ok()) return status;
  ReplayChannel target(**channel);
  FrameDecoder decoder(pool_);
  const auto go_on = [&] { return !stopping_ && !stream.peer_has_finished(); };
  for (;;) {
    const auto size_bytes = read(stream, 8);
    if (size_bytes.code() == Code::Closed && !stopping_) return {};
    if (!size_bytes.ok()) return size_bytes.status();
    std::uint64_t size = 0;
    for (std::size_t i = 0; i < 8; ++i) {
      size |= std::uint64_t{static_cast<unsigned char>(size_bytes.value()[i])} << (8 * i);
    }
    if (size > frame_bytes_max) return Invalid("a frame of more than 2 GiB");
    const auto frame = read(stream, size);
    if (!frame.ok()) return frame.status();
    auto batch = decoder.decode(frame.value(), 0);
    if (!batch.ok()) return Invalid(batch.status().message());
    // They enter anew: their origin is of this channel.
    const Batch fresh = batch->with_provenance({});
    if (fresh.empty()) return Invalid("a batch of nothing");
    if (Status status = target.put(fresh, go_on); !status.ok()) return status;
    events += fresh.size();
    if (Status status = answer(stream, {}); !status.ok()) return status;
  }
}

/// The channel that the caller wants.
Result<Channel*> ReplayDoor::greet(LocalStream& stream) {
  std::string line;
  while (line.empty() || line.back() != '\n') {
    if (line.size() > replay_line_max) return Invalid("a greeting without an end");
    auto byte = read(stream, 1);
    if (!byte.ok()) return byte.status();
    line += byte.value();
  }
  line.pop_back();
  const std::size_t blank = line.rfind(' ');
  if (!line.starts_with(std::string(replay_greeting) + " ")) {
    return Invalid("this agent speaks " + std::string(replay_greeting) + ", and was told \"" +
                   printable(line) + "\": use the sluice that it was started with");
  }
  const std::string name = line.substr(blank + 1);
  Channel* const channel = find_(name);
  if (channel == nullptr) {
    return Invalid("the agent that runs has no channel " + printable(name) +
                   " on disk that is open in this store");
  }
  return channel;
}

/// Exactly so many bytes. Errors: Closed (the caller has finished before the first one, or this
/// door closes), Retry (in the middle of them, or broken).
Result<std::string> ReplayDoor::read(LocalStream& stream, std::size_t bytes) {
  std::string all;
  while (all.size() < bytes) {
    const std::size_t had = all.size();
    all.resize(std::min(bytes, had + read_bytes));  // memory for what comes, not for what is said
    auto got = stream.read_some(std::span(all).subspan(had), Deadline::in(silence_max), stop_);
    if (got.ok() && *got == 0) return Retry("the caller says nothing any more");
    if (!got.ok() && had > 0 && !stopping_) return Retry("the caller has gone in the middle");
    if (!got.ok()) return got.status();
    all.resize(had + *got);
  }
  return all;
}

Status ReplayDoor::answer(LocalStream& stream, const Status& status) {
  std::string line = "ok\n";
  if (!status.ok()) {
    line = "error " + std::string(to_string(status.code())) + " " +
           printable(status.message(), replay_line_max / 2) + "\n";
  }
  const iovec piece{line.data(), line.size()};
  // A caller that has gone need not know.
  return stream.write_all({&piece, 1}, Deadline::in(answer_max), StopSignal());
}

}  // namespace sluice
