#include "agent/replay_call.h"

#include <array>
#include <optional>
#include <utility>

#include "core/event/frame.h"

namespace sluice {
namespace {

constexpr milliseconds ask_every{200};
/// An agent that does not read is stopped, or gone with its machine.
constexpr milliseconds silence_max{60'000};
/// No answer has come to the last batch.
Status nobody_knows(std::string why) {
  why += "; whether it has the last batch, the highest replay.sequence in the target says";
  return Retry(std::move(why));
}

iovec piece_of(std::string_view bytes) { return {const_cast<char*>(bytes.data()), bytes.size()}; }

/// "error retry the disk is full"
Status status_of(std::string_view answer) {
  if (answer == "ok") return {};
  constexpr std::string_view error = "error ";
  if (!answer.starts_with(error)) return Retry("an answer that is none: " + std::string(answer));
  answer.remove_prefix(error.size());
  const std::size_t blank = std::min(answer.find(' '), answer.size());
  const std::string_view code = answer.substr(0, blank);
  std::string message(answer.substr(std::min(blank + 1, answer.size())));
  if (code == to_string(Code::Invalid)) return Invalid(std::move(message));
  if (code == to_string(Code::Closed)) return Closed(std::move(message));
  return Retry(std::move(message));
}

}  // namespace

std::string replay_socket(const std::string& store) { return store + "/replay.socket"; }

Result<std::unique_ptr<ReplayCall>> ReplayCall::open(const std::string& store,
                                                     const std::string& from, const std::string& to,
                                                     const std::function<bool()>& go_on) {
  auto stream = LocalStream::connect(replay_socket(store));
  if (!stream.ok()) return stream.status();
  std::unique_ptr<ReplayCall> call(new ReplayCall(*std::move(stream)));
  const std::string greeting = std::string(replay_greeting) + " " + from + " " + to + "\n";
  const iovec piece = piece_of(greeting);
  if (Status status = call->stream_.write_all({&piece, 1}, Deadline::in(silence_max), call->never_);
      !status.ok()) {
    return status;
  }
  // It may take its time: others may be heard before.
  auto answer = call->read_line([&] { return go_on(); });
  const Status status = answer.ok() ? status_of(*answer) : answer.status();
  if (!status.ok()) return status;
  return call;
}

Status ReplayCall::put(const Batch& batch, const std::function<bool()>& go_on) {
  if (!go_on()) return Closed("the replay was stopped");
  const Frame frame = encode_frame(batch, OriginId{});
  std::array<char, 8> size{};
  for (std::size_t i = 0; i < size.size(); ++i) {
    size[i] = static_cast<char>(frame.bytes() >> (8 * i));
  }
  std::array<iovec, 4> pieces{piece_of({size.data(), size.size()})};
  const auto parts = frame.pieces();
  for (std::size_t i = 0; i < parts.size(); ++i) pieces[i + 1] = piece_of(parts[i]);
  if (Status status = stream_.write_all(pieces, Deadline::in(silence_max), never_); !status.ok()) {
    // What the agent said before it hung up may still be there to read.
    bool looked = false;
    auto last_word = read_line([&] { return !std::exchange(looked, true); });
    if (last_word.ok() && !status_of(*last_word).ok()) status = status_of(*last_word);
    return status.with_context("the agent has gone, and the last " + std::to_string(batch.size()) +
                               " events are not put");
  }
  return await_answer(go_on);
}

/// A stop is told to the agent, which then says what became of the batch it has.
Status ReplayCall::await_answer(const std::function<bool()>& go_on) {
  std::optional<Deadline> told;
  const auto go_on_until_told = [&] {
    if (!told && !go_on()) {
      stream_.finish_writing();
      told = Deadline::in(silence_max);
    }
    return !told || !told->passed();
  };
  auto answer = read_line(go_on_until_told);
  if (answer.ok()) return status_of(*answer);
  if (answer.status().code() != Code::Closed) return answer.status();
  return nobody_knows("the agent has not answered for " +
                      std::to_string(silence_max / milliseconds(1000)) + " s");
}

Result<std::string> ReplayCall::read_line(const std::function<bool()>& go_on) {
  for (;;) {
    const std::size_t end = read_.find('\n');
    if (end != std::string::npos) {
      std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    if (read_.size() > replay_line_max) return Retry("the agent's answer has no end");
    if (!go_on()) return Closed("the replay was stopped before the agent had answered");
    std::array<char, 512> bytes{};
    auto got = stream_.read_some(bytes, Deadline::in(ask_every), never_);
    if (!got.ok()) {
      return nobody_knows("the agent has gone without an answer");
    }
    read_.append(bytes.data(), *got);
  }
}

}  // namespace sluice
