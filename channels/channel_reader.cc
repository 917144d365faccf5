#include "channels/channel_reader.h"

#include <algorithm>

namespace sluice {

/// How far a run over the frames has come.
struct ChannelReader::Visit {
  std::uint64_t at = 0;  ///< Everything before it was told.
  bool wanted = true;
  std::uint64_t damaged_bytes = 0;
  Status damage;  ///< Of the frame at `at`.
};

/// Where to begin: at the frame that holds `from`, or at the head.
Result<std::uint64_t> ChannelReader::first_frame(std::uint64_t from) const {
  if (account_.stored_events() == 0) return account_.next;
  if (from <= account_.head_frame) return account_.head_frame;
  const auto before = store_.frame_before(number_, std::min(from, account_.next));
  if (before.code() == Code::Retry) return before.status();
  // What is damaged there is found, and told, on the way from the head.
  if (!before.ok() || !before.value()) return account_.head_frame;
  return std::max(*before.value(), account_.head_frame);
}

/// What is out already is not missed.
bool ChannelReader::tell_missing(std::uint64_t begin, std::uint64_t end, std::uint64_t bytes,
                                 const Status& why, const OnDamage& on_damage) const {
  bool wanted = true;
  account_.for_each_waiting(begin, end, [&](std::uint64_t run_begin, std::uint64_t run_end) {
    return wanted = on_damage({run_begin, run_end, bytes, why});
  });
  return wanted;
}

Status ChannelReader::for_each_frame(std::uint64_t from, std::uint64_t below,
                                     const OnFrame& on_frame, const OnDamage& on_damage) {
  below = std::min(below, account_.next);
  const auto begin = first_frame(from);
  if (!begin.ok()) return begin.status();
  Visit visit;
  visit.at = begin.value();
  const auto missing = [&](std::uint64_t upto, const Status& why) {
    visit.wanted =
        tell_missing(std::max(visit.at, from), upto, visit.damaged_bytes, why, on_damage);
    visit.at = upto;
    return visit.wanted;
  };
  const auto read = [&](std::uint64_t first, std::string_view bytes) {
    if (first > visit.at && !missing(first, Reject("it is not there"))) return false;
    visit.at = first;
    auto batch = decoder_.decode(bytes, first);
    if (!batch.ok()) {
      visit.damage = batch.status();
      visit.damaged_bytes = bytes.size();
      return false;
    }
    visit.at = first + batch->size();
    visit.wanted = visit.at <= from || on_frame({first, bytes.size(), *batch});
    return visit.wanted;
  };
  while (visit.at < below) {
    visit.damage = {};
    visit.damaged_bytes = 0;
    const std::uint64_t before = visit.at;
    Status status = store_.read_frames(number_, visit.at, below, read);
    if (!visit.wanted) return {};
    if (status.ok() && visit.damage.ok()) {
      missing(below, Reject("it is not there"));
      return {};
    }
    if (status.ok()) status = visit.damage;
    if (status.code() != Code::Reject) return status;
    const std::uint64_t behind = visit.damage.ok() ? visit.at : visit.at + 1;
    const auto next = store_.next_readable(number_, behind, below);
    if (!next.ok()) return next.status();
    if (next.value() == before) return status;  // it reads now and not then: no more of this
    if (!missing(next.value(), status)) return {};
  }
  return {};
}

Status ChannelReader::for_each_event(std::uint64_t from, std::uint64_t below,
                                     const OnEvent& on_event, const OnDamage& on_damage) {
  const auto each = [&](const StoredFrame& frame) {
    bool wanted = true;
    const std::uint64_t begin = std::max(from, frame.first);
    const std::uint64_t end = std::min(below, frame.first + frame.batch.size());
    account_.for_each_waiting(begin, end, [&](std::uint64_t run_begin, std::uint64_t run_end) {
      for (std::uint64_t sequence = run_begin; wanted && sequence < run_end; ++sequence) {
        const auto i = static_cast<std::uint32_t>(sequence - frame.first);
        wanted = on_event(sequence, frame.batch[i], frame.batch.provenance().origin(i));
      }
      return wanted;
    });
    return wanted;
  };
  return for_each_frame(from, below, each, on_damage);
}

}  // namespace sluice
