#include "sources/selector.h"

#include <algorithm>
#include <utility>

#include "core/base/assert.h"

namespace sluice {
namespace {

constexpr std::uint32_t otherwise_way = 0;

/// What Java's trim() would leave nothing of.
bool is_blank(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

Amount amount_of(const Batch& batch) noexcept { return {batch.size(), batch.body_bytes()}; }

}  // namespace

Amount Routed::amount() const noexcept {
  Amount sum;
  for (const Part& part : required) sum += amount_of(part.batch);
  for (const Part& part : optional) sum += amount_of(part.batch);
  return sum;
}

Selector::Selector(Route otherwise, std::string header, std::vector<Mapping> mappings)
    : header_(std::move(header)) {
  add_way(otherwise);
  for (const Mapping& mapping : mappings) {
    const auto way = static_cast<std::uint32_t>(ways_.size());
    const bool is_new = by_value_.emplace(mapping.value, way).second;
    SLUICE_ASSERT(is_new, "a value that is mapped twice");
    add_way(mapping.route);
  }
  for (const Lane& each : lanes_) {
    if (each.required) required_.push_back(each.channel);
  }
}

void Selector::add_way(const Route& route) {
  Way way{{}, !route.required.empty()};
  for (Channel* channel : route.required) way.lanes.push_back(lane(channel, true));
  for (Channel* channel : route.optional) way.lanes.push_back(lane(channel, false));
  ways_.push_back(std::move(way));
}

std::uint32_t Selector::lane(Channel* channel, bool required) {
  const auto found = std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& each) {
    return each.channel == channel && each.required == required;
  });
  if (found != lanes_.end()) return static_cast<std::uint32_t>(found - lanes_.begin());
  lanes_.push_back({channel, required, {}});
  return static_cast<std::uint32_t>(lanes_.size() - 1);
}

std::uint32_t Selector::way_of(std::string_view value) const noexcept {
  const auto found = by_value_.find(value);
  return found == by_value_.end() || is_blank(value) ? otherwise_way : found->second;
}

Routed Selector::route(const Batch& batch) {
  if (batch.empty()) return {};
  std::uint32_t only = otherwise_way;
  return find_ways(batch, only) ? all_one_way(batch, ways_[only]) : take_apart(batch);
}

/// True when all events go one way, `only`; otherwise way_of_event_ says where each goes.
bool Selector::find_ways(const Batch& batch, std::uint32_t& only) {
  if (by_value_.empty()) return true;
  std::string_view value;
  if (find_header(batch.imposed_headers().bytes(), header_, value)) {
    only = way_of(value);
    return true;
  }
  std::string_view fallback;
  const bool has_fallback = find_header(batch.fallback_headers().bytes(), header_, fallback);
  const std::uint32_t fallback_way = has_fallback ? way_of(fallback) : otherwise_way;
  only = fallback_way;
  if (!batch.own_headers()) return true;
  way_of_event_.resize(batch.size());
  bool same = true;
  std::string_view last;
  std::uint32_t last_way = otherwise_way;  // that of an empty value
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    std::uint32_t way = fallback_way;
    if (find_header(batch.own_headers(i), header_, value)) {
      // Neighbours are mostly of a kind: the table is asked once a run.
      if (value != last) last_way = way_of(value);
      last = value;
      way = last_way;
    }
    way_of_event_[i] = way;
    same = same && way == way_of_event_[0];
  }
  only = way_of_event_[0];
  return same;
}

Routed Selector::all_one_way(const Batch& batch, const Way& way) const {
  Routed routed;
  for (const std::uint32_t each : way.lanes) add_part(routed, lanes_[each], batch);
  if (!way.has_required) routed.no_say = batch.size();
  if (way.lanes.empty()) routed.unrouted = amount_of(batch);
  return routed;
}

Routed Selector::take_apart(const Batch& batch) {
  Routed routed;
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    const Way& way = ways_[way_of_event_[i]];
    for (const std::uint32_t each : way.lanes) lanes_[each].kept.push_back(i);
    if (!way.has_required) ++routed.no_say;
    if (way.lanes.empty()) routed.unrouted += {1, batch.body(i).size()};
  }
  for (Lane& lane : lanes_) {
    if (!lane.kept.empty()) add_part(routed, lane, batch.select(lane.kept));
    lane.kept.clear();
  }
  return routed;
}

void Selector::add_part(Routed& routed, const Lane& lane, Batch part) {
  if (lane.required) {
    routed.required.push_back({lane.channel, std::move(part)});
  } else {
    routed.optional.push_back({lane.channel, part.with_receipt({})});
  }
}

}  // namespace sluice
