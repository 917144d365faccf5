#include "sinks/attempts.h"

namespace sluice {
namespace {

constexpr std::size_t ranges_max = 1024;

}  // namespace

void Attempts::failed(const Taken::Pieces& pieces) {
  for (const Taken::Piece& piece : pieces) {
    const auto range = boost::icl::interval<std::uint64_t>::right_open(
        piece.sequence, piece.sequence + piece.batch.size());
    failures_ += std::make_pair(range, std::uint32_t{1});
  }
  while (failures_.iterative_size() > ranges_max) failures_.erase(failures_.begin());
}

std::uint32_t Attempts::of(std::uint64_t sequence) const {
  const auto found = failures_.find(sequence);
  return found == failures_.end() ? 1 : found->second + 1;
}

}  // namespace sluice
