// Deals the batches of one channel to the sinks that share its runner.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "channels/channel.h"
#include "core/base/clock.h"
#include "sinks/sink_processor.h"

namespace sluice {

/// Knows which member may get the next batch: by the processor's order, by the room that each has
/// for deliveries in flight, and by what has failed since something last went well.
///
/// After a failure its owner offers nothing until all that is outstanding has ended, and then calls
/// settle(). Members that failed are not tried again before another one has delivered what was
/// offered after the failure, or new_round().
///
/// What may have arrived at a member is bound to it for as long as its patience lasts: it is
/// offered to it again and again, and to no other; only then has the member failed. Events that
/// another reader of the channel takes meanwhile are not bound any more.
///
/// One thread: the runner's.
class Dealer {
 public:
  struct Member {
    std::uint32_t in_flight_max = 1;
    milliseconds retry_same_for{0};
  };
  /// The clock outlives it.
  Dealer(std::unique_ptr<SinkProcessor> processor, const std::vector<Member>& members,
         const Clock& clock);

  /// Who gets the next batch. None: nobody has room, or nobody is left to try.
  std::optional<std::uint32_t> next();
  /// Nobody is left to try before new_round().
  bool exhausted() const noexcept;
  /// It has room for one more, and may have it beside what others have.
  bool may_have(std::uint32_t member) const noexcept;
  /// What is said when nobody is left.
  std::string_view all_failed() const noexcept { return processor_->all_failed(); }

  /// What of a batch goes together to whom.
  struct Share {
    std::uint32_t member = 0;
    std::uint32_t events = 0;  ///< At its front.
    bool bound = false;        ///< It may have arrived there before.
  };
  /// Of what was taken for this member.
  Share share(const Taken::Pieces& pieces, std::uint32_t member);

  /// One delivery. A value.
  struct Deal {
    std::uint32_t member = 0;
    bool bound = false;
    std::uint64_t failures_before = 0;  ///< In the whole group.
  };
  Deal deal(const Share& share);
  /// `pieces`: what is not bound any more.
  void succeeded(const Deal& deal, const Taken::Pieces& pieces = {});
  /// `pieces`: what certainly did not arrive, or may have.
  void failed(const Deal& deal, const Taken::Pieces& pieces, bool may_have_arrived);
  /// It could not be opened.
  void failed_to_open(std::uint32_t member);

  enum class Next : unsigned char { AtOnce, Pause };
  /// What follows the failures since the last call. REQUIRES: nothing is outstanding.
  Next settle();
  /// After a pause everybody may be tried again.
  void new_round() noexcept;
  /// It never gets anything again.
  void leave_out(std::uint32_t member);

 private:
  struct State {
    Member limits;
    std::uint32_t outstanding = 0;
    bool failed = false;    ///< Not settled yet.
    bool tried = false;     ///< In this round, in vain.
    bool left_out = false;  ///< For good.
    std::optional<SteadyTime> patient_until{};
  };
  /// Events that may have arrived at a member.
  struct Bond {
    std::uint64_t first = 0;  ///< Sequences in the channel.
    std::uint64_t end = 0;
    std::uint32_t member = 0;
  };
  void renew_order();
  bool can_try(std::uint32_t member) const noexcept;
  void bind(const Taken::Pieces& pieces, std::uint32_t member);
  void unbind(std::uint32_t member);
  void release(const Taken::Pieces& pieces);
  bool has_bonds(std::uint32_t member) const noexcept;
  std::optional<std::uint32_t> bound_to(std::uint64_t sequence) const noexcept;

  const std::unique_ptr<SinkProcessor> processor_;
  const Clock& clock_;
  std::vector<State> members_;
  std::vector<std::uint32_t> order_;
  std::uint32_t outstanding_ = 0;
  std::uint64_t failures_ = 0;
  bool any_tried_ = false;  ///< Some member is `tried`: the order stands.
  std::vector<Bond> bonds_;
};

}  // namespace sluice
