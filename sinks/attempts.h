// How often a sink was offered the events that it failed to deliver.
#pragma once

#include <boost/icl/interval_map.hpp>
#include <cstdint>

#include "channels/channel.h"

namespace sluice {

/// Counts by sequence, in ranges, and only what failed. Bounded: of very many ranges the oldest are
/// forgotten. One thread.
class Attempts {
 public:
  /// An offer of these came to nothing.
  void failed(const Taken::Pieces& pieces);
  /// The offer at hand counts: 1 for an event that never failed.
  std::uint32_t of(std::uint64_t sequence) const;

 private:
  boost::icl::interval_map<std::uint64_t, std::uint32_t> failures_;
};

}  // namespace sluice
