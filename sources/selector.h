// Which events of a source go into which of its channels.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "channels/channel.h"
#include "core/metrics/counters.h"

namespace sluice {

/// The channels of events that go the same way. Nowhere, when it has none.
struct Route {
  std::vector<Channel*> required;
  std::vector<Channel*> optional;  ///< None of them is in `required`.
};

/// Events whose header has this value go this way.
struct Mapping {
  std::string value;
  Route route;
};

/// A batch taken apart: what each channel gets of it, in the order of the batch.
struct Routed {
  struct Part {
    Channel* channel;
    Batch batch;           ///< Never empty.
    bool refused = false;  ///< By an optional channel, when it was last asked.
  };
  boost::container::small_vector<Part, 2> required;  ///< At most one a channel; with the receipt.
  boost::container::small_vector<Part, 1> optional;  ///< The same, without a receipt.
  Amount unrouted;                                   ///< Events that go nowhere.
  std::uint64_t no_say = 0;  ///< Events that no required channel gets, unrouted ones included.

  bool empty() const noexcept { return required.empty() && optional.empty(); }
  /// Of all parts: an event counts once for each channel that gets it.
  Amount amount() const noexcept;
};

/// Takes batches apart by the value of a header. Without mappings it replicates.
///
/// A pure function of the events, so that it says the same of a batch whenever it is asked. Copies
/// no bodies; where all events of a batch go the same way it shares the batch, and where their
/// header is one that they share it does not even look at them. One thread.
class Selector {
 public:
  /// `otherwise` is the way of events whose header is missing, blank, or has no mapping.
  /// REQUIRES: no two mappings of one value.
  explicit Selector(Route otherwise, std::string header = {}, std::vector<Mapping> mappings = {});

  Routed route(const Batch& batch);

  /// Every channel that an event may have to reach, once.
  const std::vector<Channel*>& required() const noexcept { return required_; }
  /// Of all that events may reach.
  std::size_t channels() const noexcept { return lanes_.size(); }

 private:
  /// A channel, and the events of the batch at hand that it gets.
  struct Lane {
    Channel* channel;
    bool required;
    std::vector<std::uint32_t> kept;
  };
  /// Where events go: into these lanes.
  struct Way {
    std::vector<std::uint32_t> lanes;
    bool has_required;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };

  void add_way(const Route& route);
  std::uint32_t lane(Channel* channel, bool required);
  std::uint32_t way_of(std::string_view value) const noexcept;
  bool find_ways(const Batch& batch, std::uint32_t& only);
  Routed all_one_way(const Batch& batch, const Way& way) const;
  Routed take_apart(const Batch& batch);
  static void add_part(Routed& routed, const Lane& lane, Batch part);

  const std::string header_;
  std::vector<Lane> lanes_;
  std::vector<Way> ways_;  ///< The first is that of events without a mapping.
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> by_value_;
  std::vector<Channel*> required_;
  std::vector<std::uint32_t> way_of_event_;  ///< Of the batch at hand; kept for its room.
};

}  // namespace sluice
