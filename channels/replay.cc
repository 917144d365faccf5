#include "channels/replay.h"

#include <utility>

#include "channels/commit.h"
#include "core/base/assert.h"
#include "core/event/origin_text.h"

namespace sluice {
namespace {

constexpr std::string_view header_prefix = "replay.";
constexpr std::uint64_t put_bytes = 1 << 20;
constexpr std::uint32_t put_events = 10'000;
constexpr milliseconds ask_every{200};

}  // namespace

Status ReplayChannel::put(const Batch& batch, const std::function<bool()>& go_on) {
  for (;;) {
    if (!go_on()) return Closed("the replay was stopped");
    auto room = channel_.reserve(batch, Deadline::in(ask_every), {});
    if (room.code() == Code::Retry) continue;
    if (!room.ok()) return room.status();
    Commit commit(channel_.committer());
    commit.put(*std::move(room));
    return std::move(commit).wait();
  }
}

Replay::Replay(std::string from, ReplayTarget& target, SlabPool& pool, const Clock& clock)
    : from_(std::move(from)), target_(target), clock_(clock), builder_(pool, EventHeaders::Own) {}

/// The event's headers, then where it comes from.
std::string Replay::headers_of(std::uint64_t sequence, const Event& event,
                               const Origin& origin) const {
  std::string block;
  event.headers.for_each([&](std::string_view name, std::string_view value) {
    if (!name.starts_with(header_prefix)) append_header(block, name, value);
  });
  append_header(block, "replay.channel", from_);
  append_header(block, "replay.sequence", std::to_string(sequence));
  append_header(block, "replay.origin", to_string(origin));
  append_header(block, "replay.time", std::to_string(clock_.wall_ms()));
  return block;
}

Status Replay::add(std::uint64_t sequence, const Event& event, const Origin& origin,
                   const std::function<bool()>& go_on) {
  const std::string headers = headers_of(sequence, event, origin);
  if (!builder_.append(event.body, headers)) {
    if (Status status = put(go_on); !status.ok()) return status;
    builder_.renew(event.body.size() + headers.size() + 2 * sizeof(IndexEntryWithHeaders));
    const bool fits = builder_.append(event.body, headers);
    SLUICE_ASSERT(fits, "a slab was asked for less than the event needs");
  }
  gathered_below_ = sequence + 1;
  const bool enough =
      builder_.marked_bytes() >= put_bytes || builder_.marked_events() >= put_events;
  return enough ? put(go_on) : Status();
}

Status Replay::finish(const std::function<bool()>& go_on) { return put(go_on); }

Status Replay::put(const std::function<bool()>& go_on) {
  const Batch batch = builder_.seal();
  if (batch.empty()) return {};
  if (Status status = target_.put(batch, go_on); !status.ok()) return status;
  events_ += batch.size();
  put_below_ = gathered_below_;
  return {};
}

}  // namespace sluice
