// What ChannelReader tells of a channel, collected.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "channels/channel_reader.h"
#include "tests/catch.h"
#include "tests/support/batches.h"

namespace sluice {

struct LookedAt {
  std::vector<std::uint64_t> sequences;
  std::vector<std::string> bodies;
  std::vector<TestHeaders> headers;
  std::vector<Origin> origins;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> damage;
  std::string why;  ///< Of the last damage.
};

inline LookedAt look_at(const StoreReader& store, const std::string& name, std::uint64_t from = 0,
                        std::uint64_t below = UINT64_MAX, Looked looked = Looked::Waiting) {
  const auto channels = store.channels();
  REQUIRE(channels.ok());
  const auto found = std::find_if(channels.value().begin(), channels.value().end(),
                                  [&](const auto& each) { return each.first == name; });
  REQUIRE(found != channels.value().end());
  auto account = store.account(found->second);
  REQUIRE(account.ok());
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  ChannelReader reader(store, found->second, *std::move(account), pool, looked);
  LookedAt seen;
  const Status status = reader.for_each_event(
      from, below,
      [&](std::uint64_t sequence, const Event& event, const Origin& origin) {
        seen.sequences.push_back(sequence);
        seen.bodies.emplace_back(event.body);
        seen.headers.push_back(headers_of(event));
        seen.origins.push_back(origin);
        return true;
      },
      [&](const ChannelReader::Damage& damage) {
        seen.damage.emplace_back(damage.begin, damage.end);
        seen.why = damage.why.message();
        return true;
      });
  if (!status.ok()) FAIL(status.message());
  return seen;
}

inline LookedAt look_at(const std::string& path, const std::string& name, std::uint64_t from = 0,
                        std::uint64_t below = UINT64_MAX, Looked looked = Looked::Waiting) {
  const auto store = StoreReader::open(path);
  if (!store.ok()) FAIL(store.status().message());
  return look_at(*store.value(), name, from, below, looked);
}

/// What the channel keeps of what it delivered.
inline LookedAt look_at_kept(const std::string& path, const std::string& name) {
  return look_at(path, name, 0, UINT64_MAX, Looked::Kept);
}

/// begin, begin + 1, ... end - 1
inline std::vector<std::uint64_t> counted(std::uint64_t begin, std::uint64_t end) {
  std::vector<std::uint64_t> all;
  for (std::uint64_t i = begin; i < end; ++i) all.push_back(i);
  return all;
}

}  // namespace sluice
