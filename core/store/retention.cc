#include "core/store/retention.h"

#include <algorithm>

namespace sluice {
namespace {

// What a bound is divided into. An account with two bounds has about twice as many marks.
constexpr std::uint64_t steps = 32;
constexpr std::size_t marks_max = 128;

/// Everything up to this mark goes.
void drop(Ledger& ledger, WriteGroup& group, const Kept::Mark& upto) {
  Kept& kept = *ledger.written().kept;
  if (upto.sequence > kept.low) group.abandon_frames(ledger, upto.sequence);
  kept.low = std::max(kept.low, upto.sequence);
  kept.dropped_events = upto.events;
  kept.dropped_bytes = upto.bytes;
  group.touch(ledger);
}

/// All that is out, as a mark.
Kept::Mark mark_of(const Account& account, std::int64_t now_ms) {
  return {account.head_frame, now_ms, account.delivered_events(), account.delivered_bytes()};
}

void drop_marks(Ledger& ledger, WriteGroup& group, std::size_t count) {
  if (count == 0) return;
  std::vector<Kept::Mark>& marks = ledger.written().kept->marks;
  drop(ledger, group, marks[count - 1]);
  marks.erase(marks.begin(), marks.begin() + static_cast<std::ptrdiff_t>(count));
}

bool keeps_frames(const Account& account) {
  return account.kept && account.kept->low < account.head_frame;
}

}  // namespace

void Retention::begin(Account& account) const {
  if (!limits_.any() || account.kept) return;
  account.kept.emplace(Kept{.low = account.head_frame,
                            .dropped_events = account.delivered_events(),
                            .dropped_bytes = account.delivered_bytes()});
}

void Retention::advance(Ledger& ledger, WriteGroup& group) const {
  Account& account = ledger.written();
  if (!account.kept || limits_.as_found) return;
  const std::int64_t now_ms = clock_.wall_ms();
  if (!limits_.any()) {
    drop(ledger, group, mark_of(account, now_ms));
    account.kept->marks.clear();
    // What is out before its turn lies behind the head, and goes when the head has come so far.
    if (account.above.empty()) account.kept.reset();
    return;
  }
  add_mark(account, now_ms);
  drop_marks(ledger, group, expired_marks(account, now_ms));
}

bool Retention::due(const Ledger& ledger) const {
  Account account = ledger.durable();
  if (!account.kept || limits_.as_found) return false;
  if (!limits_.any()) return keeps_frames(account) || account.above.empty();
  const std::int64_t now_ms = clock_.wall_ms();
  const std::size_t marks = account.kept->marks.size();
  add_mark(account, now_ms);
  return account.kept->marks.size() != marks || expired_marks(account, now_ms) > 0;
}

void Retention::add_mark(Account& account, std::int64_t now_ms) const {
  std::vector<Kept::Mark>& marks = account.kept->marks;
  // Somebody has set the clock back: what was delivered in its future was delivered by now.
  for (Kept::Mark& mark : marks) mark.wall_ms = std::min(mark.wall_ms, now_ms);
  const Kept::Mark last = marks.empty()
                              ? Kept::Mark{account.kept->low, 0, 0, account.kept->dropped_bytes}
                              : marks.back();
  if (account.head_frame <= last.sequence) return;
  const auto age_step = limits_.age.count() / static_cast<std::int64_t>(steps);
  const bool by_age = limits_.age.count() > 0 && now_ms - last.wall_ms >= age_step;
  const bool by_bytes =
      limits_.bytes > 0 && account.delivered_bytes() - last.bytes >= limits_.bytes / steps;
  if (!by_age && !by_bytes) return;
  if (marks.size() >= marks_max) {
    // Coarser, and later rather than sooner: of each two the later stays.
    std::size_t stays = 0;
    for (std::size_t i = 1; i < marks.size(); i += 2) marks[stays++] = marks[i];
    marks.resize(stays);
  }
  marks.push_back(mark_of(account, now_ms));
}

/// How many of the oldest marks say that what lies below them need not be kept.
std::size_t Retention::expired_marks(const Account& account, std::int64_t now_ms) const {
  const std::vector<Kept::Mark>& marks = account.kept->marks;
  const auto expired = [&](std::size_t i) {
    const bool old = limits_.age.count() > 0 && now_ms - marks[i].wall_ms >= limits_.age.count();
    const std::uint64_t left_out = i == 0 ? account.kept->dropped_bytes : marks[i - 1].bytes;
    const bool too_much = limits_.bytes > 0 && account.delivered_bytes() - left_out > limits_.bytes;
    return old || too_much;
  };
  std::size_t count = 0;
  while (count < marks.size() && expired(count)) ++count;
  return count;
}

// ---- DropForRoom

DropForRoom::DropForRoom(std::vector<Ledger*> ledgers) : ledgers_(std::move(ledgers)) {
  std::erase_if(ledgers_, [](Ledger* ledger) { return !keeps_frames(ledger->written()); });
}

void DropForRoom::write(WriteGroup& group) {
  for (Ledger* ledger : ledgers_) {
    Account& account = ledger->written();
    if (account.kept->marks.empty()) {
      drop(*ledger, group, mark_of(account, 0));
    } else {
      drop_marks(*ledger, group, 1);
    }
  }
}

}  // namespace sluice
