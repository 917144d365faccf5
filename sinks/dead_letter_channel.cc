#include "sinks/dead_letter_channel.h"

#include <utility>

#include "core/base/assert.h"
#include "core/event/batch_builder.h"
#include "core/event/origin_text.h"

namespace sluice {
namespace {

constexpr std::string_view header_prefix = "deadletter.";

/// The event's own headers, then what is known of its rejection.
std::string headers_of(const DeadLetter& letter, const Rejection& rejection, std::int64_t now_ms) {
  std::string block;
  letter.event.headers.for_each([&](std::string_view name, std::string_view value) {
    if (!name.starts_with(header_prefix)) append_header(block, name, value);
  });
  const auto add = [&block](std::string_view name, std::string_view value) {
    append_header(block, std::string(header_prefix).append(name), value);
  };
  add("sink", rejection.sink);
  add("channel", rejection.channel);
  add("sequence", std::to_string(letter.sequence));
  add("reason", rejection.reason);
  add("attempts", std::to_string(letter.attempts));
  add("time", std::to_string(now_ms));
  if (letter.origin) add("origin", to_string(*letter.origin));
  return block;
}

}  // namespace

DeadLetterChannel::DeadLetterChannel(Channel& channel, SlabPool& pool, SinkCounters& counters,
                                     const Clock& clock)
    : channel_(channel),
      pool_(pool),
      counters_(counters),
      clock_(clock),
      name_("channel " + channel.name()) {}

Status DeadLetterChannel::keep(const Rejection& rejection, Commit& taking) {
  // It enters other than by its normal way: without the old origin, which is a header now, and
  // without the receipt, which is settled by who takes the original.
  const Batch batch = batch_of(rejection);
  auto room = channel_.reserve(batch, Deadline::in(milliseconds(0)), {});
  if (!room.ok()) return room.status();
  if (taking.join(channel_.committer())) {
    taking.put(*std::move(room));
    return {};
  }
  Commit first(channel_.committer());
  first.put(*std::move(room));
  Status status = std::move(first).wait();
  if (status.ok()) counters_.dead_letters_put.add(batch.size(), batch.body_bytes());
  return status.with_context(name_);
}

Batch DeadLetterChannel::batch_of(const Rejection& rejection) const {
  const std::int64_t now_ms = clock_.wall_ms();
  std::vector<std::string> headers;
  headers.reserve(rejection.letters.size());
  std::size_t bytes = 0;
  for (const DeadLetter& letter : rejection.letters) {
    headers.push_back(headers_of(letter, rejection, now_ms));
    bytes += letter.event.body.size() + 1 + headers.back().size() + sizeof(IndexEntryWithHeaders);
  }
  BatchBuilder builder(pool_, EventHeaders::Own);
  builder.reserve(bytes);
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const bool fits = builder.append(rejection.letters[i].event.body, headers[i]);
    SLUICE_ASSERT(fits, "reserve() was asked for less than the dead letters need");
  }
  return builder.seal();
}

}  // namespace sluice
