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

/// The runs of events that are looked at.
void ChannelReader::for_each_run(std::uint64_t begin, std::uint64_t end, const OnRun& f) const {
  if (looked_ == Looked::Kept) {
    account_.for_each_kept(begin, end, f);
  } else {
    account_.for_each_waiting(begin, end, f);
  }
}

/// The first frame that may hold such events.
std::uint64_t ChannelReader::head() const noexcept {
  if (looked_ == Looked::Kept) return account_.kept ? account_.kept->low : account_.next;
  return account_.stored_events() == 0 ? account_.next : account_.head_frame;
}

/// Behind the last such event.
std::uint64_t ChannelReader::end() const noexcept {
  if (looked_ == Looked::Waiting) return account_.next;
  return account_.above.empty() ? account_.low : account_.above.rbegin()->second;
}

/// Where to begin: at the frame that holds `from`, or at the head.
Result<std::uint64_t> ChannelReader::first_frame(std::uint64_t from) const {
  if (from <= head() || head() == account_.next) return head();
  const auto before = store_.frame_before(number_, std::min(from, account_.next));
  if (before.code() == Code::Retry) return before.status();
  // What is damaged there is found, and told, on the way from the head.
  if (!before.ok() || !before.value()) return head();
  return std::max(*before.value(), head());
}

Result<std::uint64_t> ChannelReader::first_put_at(std::int64_t wall_ms) const {
  const std::int64_t second = wall_ms / 1000;
  std::uint64_t begin = head();
  std::uint64_t late_from = end();
  while (begin < late_from) {
    const std::uint64_t middle = begin + (late_from - begin) / 2;
    const auto frame = store_.frame_before(number_, middle);
    if (frame.code() == Code::Retry) return frame.status();
    const std::uint64_t first =
        frame.ok() && frame.value() ? std::max(*frame.value(), begin) : middle;
    std::uint64_t behind = first + 1;  // where nothing can be read
    bool late = false;
    const Status status =
        store_.read_frames(number_, first, middle + 1, [&](std::uint64_t, std::string_view bytes) {
          const auto info = peek_frame(bytes);
          if (!info.ok()) return false;
          behind = first + info->events;
          late = info->put_at >= second;
          return false;
        });
    if (status.code() == Code::Retry) return status;
    if (late) {
      late_from = first;
    } else {
      begin = std::max(behind, middle + 1);
    }
  }
  return std::min(begin, late_from);
}

/// What is not looked at is not missed.
bool ChannelReader::tell_missing(std::uint64_t begin, std::uint64_t end, std::uint64_t bytes,
                                 const Status& why, const OnDamage& on_damage) const {
  bool wanted = true;
  for_each_run(begin, end, [&](std::uint64_t run_begin, std::uint64_t run_end) {
    return wanted = on_damage({run_begin, run_end, bytes, why});
  });
  return wanted;
}

Status ChannelReader::for_each_frame(std::uint64_t from, std::uint64_t below,
                                     const OnFrame& on_frame, const OnDamage& on_damage) {
  below = std::min(below, end());
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
    for_each_run(begin, end, [&](std::uint64_t run_begin, std::uint64_t run_end) {
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
