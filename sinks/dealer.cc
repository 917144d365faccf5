#include "sinks/dealer.h"

#include <algorithm>

#include "core/base/assert.h"

namespace sluice {
namespace {

// Adjacent pieces are one bond, so this is far more than deliveries are in flight.
constexpr std::size_t bonds_max = 1024;

}  // namespace

Dealer::Dealer(std::unique_ptr<SinkProcessor> processor, const std::vector<Member>& members,
               const Clock& clock)
    : processor_(std::move(processor)), clock_(clock) {
  SLUICE_ASSERT(!members.empty(), "nobody to deal to");
  for (const Member& member : members) members_.push_back({member});
  renew_order();
}

void Dealer::renew_order() {
  const auto order = processor_->order(clock_.steady());
  order_.assign(order.begin(), order.end());
}

std::optional<std::uint32_t> Dealer::next() {
  // While some have failed in it a round goes on in its order, as Flume's process() does.
  if (!any_tried_) renew_order();
  for (const std::uint32_t member : order_) {
    if (!can_try(member)) continue;
    if (may_have(member)) return member;
    if (!processor_->spreads()) return std::nullopt;
  }
  return std::nullopt;
}

bool Dealer::can_try(std::uint32_t member) const noexcept {
  return !members_[member].tried && !members_[member].left_out;
}

bool Dealer::exhausted() const noexcept {
  return std::none_of(order_.begin(), order_.end(),
                      [this](auto member) { return can_try(member); });
}

bool Dealer::may_have(std::uint32_t member) const noexcept {
  const State& state = members_[member];
  const bool others_busy = outstanding_ > state.outstanding;
  return state.outstanding < state.limits.in_flight_max && (processor_->spreads() || !others_busy);
}

Dealer::Share Dealer::share(const Taken::Pieces& pieces, std::uint32_t member) {
  Share share{.member = member};
  if (bonds_.empty()) {
    for (const Taken::Piece& piece : pieces) share.events += piece.batch.size();
    return share;
  }
  // Takes are the oldest first, so what lies before this one was taken by somebody else, or is
  // with its member now, which binds it anew should it fail.
  const std::uint64_t first = pieces.front().sequence;
  std::erase_if(bonds_, [first](const Bond& bond) { return bond.end <= first; });
  const auto owner = bound_to(first);
  share.member = owner.value_or(member);
  share.bound = owner.has_value();
  for (const Taken::Piece& piece : pieces) {
    for (std::uint32_t i = 0; i < piece.batch.size(); ++i) {
      if (bound_to(piece.sequence + i) != owner) return share;
      ++share.events;
    }
  }
  return share;
}

Dealer::Deal Dealer::deal(const Share& share) {
  processor_->dealt();
  ++members_[share.member].outstanding;
  ++outstanding_;
  return {share.member, share.bound, failures_};
}

void Dealer::succeeded(const Deal& deal, const Taken::Pieces& pieces) {
  State& member = members_[deal.member];
  --member.outstanding;
  --outstanding_;
  processor_->succeeded(deal.member);
  if (deal.bound) release(pieces);
  if (deal.failures_before != failures_) return;  // it says nothing about what failed since
  // It works, so patience begins anew for what waits behind this and may have arrived there too.
  member.patient_until.reset();
  if (has_bonds(deal.member)) {
    member.patient_until = clock_.steady() + member.limits.retry_same_for;
  }
  new_round();
}

void Dealer::failed(const Deal& deal, const Taken::Pieces& pieces, bool may_have_arrived) {
  State& member = members_[deal.member];
  --member.outstanding;
  --outstanding_;
  ++failures_;
  member.failed = true;
  const milliseconds patience = member.limits.retry_same_for;
  if (members_.size() == 1 || patience.count() == 0) return;
  // What was bound stays so, though it certainly did not arrive this time.
  if (!may_have_arrived && !deal.bound) return;
  if (!member.patient_until) member.patient_until = clock_.steady() + patience;
  bind(pieces, deal.member);
}

void Dealer::failed_to_open(std::uint32_t member) {
  ++failures_;
  members_[member].failed = true;
}

Dealer::Next Dealer::settle() {
  SLUICE_ASSERT(outstanding_ == 0, "deliveries are outstanding");
  const SteadyTime now = clock_.steady();
  bool pause = false;
  for (std::uint32_t i = 0; i < members_.size(); ++i) {
    State& member = members_[i];
    if (!member.failed) continue;
    member.failed = false;
    if (member.patient_until && now < *member.patient_until) {
      pause = true;
      continue;
    }
    unbind(i);
    member.tried = true;
    any_tried_ = true;
    processor_->failed(i, now);
  }
  return pause || exhausted() ? Next::Pause : Next::AtOnce;
}

void Dealer::new_round() noexcept {
  for (State& member : members_) member.tried = false;
  any_tried_ = false;
}

void Dealer::leave_out(std::uint32_t member) {
  members_[member].left_out = true;
  unbind(member);
}

void Dealer::bind(const Taken::Pieces& pieces, std::uint32_t member) {
  for (const Taken::Piece& piece : pieces) {
    const std::uint64_t end = piece.sequence + piece.batch.size();
    if (!bonds_.empty() && bonds_.back().member == member && bonds_.back().end == piece.sequence) {
      bonds_.back().end = end;
    } else {
      bonds_.push_back({piece.sequence, end, member});
    }
  }
  if (bonds_.size() > bonds_max) {
    bonds_.erase(bonds_.begin(), bonds_.end() - static_cast<std::ptrdiff_t>(bonds_max));
  }
}

void Dealer::release(const Taken::Pieces& pieces) {
  for (const Taken::Piece& piece : pieces) {
    const std::uint64_t first = piece.sequence;
    const std::uint64_t end = first + piece.batch.size();
    std::vector<Bond> left;
    for (const Bond& bond : bonds_) {
      if (bond.first < first) left.push_back({bond.first, std::min(bond.end, first), bond.member});
      if (bond.end > end) left.push_back({std::max(bond.first, end), bond.end, bond.member});
    }
    bonds_.swap(left);
  }
}

bool Dealer::has_bonds(std::uint32_t member) const noexcept {
  return std::any_of(bonds_.begin(), bonds_.end(),
                     [member](const Bond& bond) { return bond.member == member; });
}

void Dealer::unbind(std::uint32_t member) {
  members_[member].patient_until.reset();
  std::erase_if(bonds_, [member](const Bond& bond) { return bond.member == member; });
}

std::optional<std::uint32_t> Dealer::bound_to(std::uint64_t sequence) const noexcept {
  for (const Bond& bond : bonds_) {
    if (bond.first <= sequence && sequence < bond.end) return bond.member;
  }
  return std::nullopt;
}

}  // namespace sluice
