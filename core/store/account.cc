#include "core/store/account.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "core/base/assert.h"

namespace sluice {
namespace {

constexpr std::uint64_t version_1 = 1;
constexpr std::uint64_t version_2 = 2;  ///< With what is kept.

void put(std::string& to, std::uint64_t value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

}  // namespace

void Account::settle(std::uint64_t begin, std::uint64_t end) {
  SLUICE_ASSERT(begin < end && begin >= low && end <= next, "events go out that are not in");
  auto behind = above.lower_bound(begin);
  SLUICE_ASSERT(behind == above.end() || behind->first >= end, "events go out twice");
  out_events += end - begin;
  if (behind != above.end() && behind->first == end) {
    end = behind->second;
    behind = above.erase(behind);
  }
  if (behind != above.begin()) {
    const auto before = std::prev(behind);
    SLUICE_ASSERT(before->second <= begin, "events go out twice");
    if (before->second == begin) {
      begin = before->first;
      above.erase(before);
    }
  }
  if (begin == low) {
    low = end;
  } else {
    above.emplace(begin, end);
  }
}

bool Account::settled(std::uint64_t sequence) const noexcept {
  if (sequence < low) return true;
  const auto behind = above.upper_bound(sequence);
  return behind != above.begin() && std::prev(behind)->second > sequence;
}

void Account::for_each_waiting(std::uint64_t begin, std::uint64_t end,
                               const std::function<bool(std::uint64_t, std::uint64_t)>& f) const {
  begin = std::max(begin, low);
  end = std::min(end, next);
  auto behind = above.upper_bound(begin);
  if (behind != above.begin()) begin = std::max(begin, std::prev(behind)->second);
  for (; begin < end; ++behind) {
    const bool last = behind == above.end() || behind->first >= end;
    const std::uint64_t run_end = last ? end : behind->first;
    if (begin < run_end && !f(begin, run_end)) return;
    if (last) return;
    begin = std::max(begin, behind->second);
  }
}

void Account::for_each_kept(std::uint64_t begin, std::uint64_t end,
                            const std::function<bool(std::uint64_t, std::uint64_t)>& f) const {
  if (!kept) return;
  begin = std::max(begin, kept->low);
  end = std::min(end, next);
  bool wanted = true;
  for_each_waiting(begin, end, [&](std::uint64_t run_begin, std::uint64_t run_end) {
    if (begin < run_begin) wanted = f(begin, run_begin);
    begin = run_end;
    return wanted;
  });
  if (wanted && begin < end) f(begin, end);
}

// Little endian, 8 bytes each: version, the fields in their order, the number of ranges, the
// ranges; with version 2 the fields of what is kept, the number of marks, the marks.
std::string Account::encode() const {
  std::string bytes;
  for (const std::uint64_t field : {kept ? version_2 : version_1, next, low, head_frame, put_bytes,
                                    out_events, out_bytes, quarantined_events, quarantined_bytes}) {
    put(bytes, field);
  }
  put(bytes, above.size());
  for (const auto& [begin, end] : above) {
    put(bytes, begin);
    put(bytes, end);
  }
  if (!kept) return bytes;
  for (const std::uint64_t field :
       {kept->low, kept->dropped_events, kept->dropped_bytes, kept->marks.size()}) {
    put(bytes, field);
  }
  for (const Kept::Mark& mark : kept->marks) {
    put(bytes, mark.sequence);
    put(bytes, static_cast<std::uint64_t>(mark.wall_ms));
    put(bytes, mark.events);
    put(bytes, mark.bytes);
  }
  return bytes;
}

Result<Account> Account::decode(std::string_view bytes) {
  const auto take = [&bytes](std::uint64_t& into) {
    if (bytes.size() < sizeof into) return false;
    std::memcpy(&into, bytes.data(), sizeof into);
    bytes.remove_prefix(sizeof into);
    return true;
  };
  Account account;
  std::uint64_t version = 0;
  std::uint64_t ranges = 0;
  if (!take(version)) return Reject("a damaged channel account");
  if (version != version_1 && version != version_2) {
    return Reject("a channel account of version " + std::to_string(version) +
                  ": it was written by a newer release");
  }
  bool whole = true;
  for (std::uint64_t* field :
       {&account.next, &account.low, &account.head_frame, &account.put_bytes, &account.out_events,
        &account.out_bytes, &account.quarantined_events, &account.quarantined_bytes, &ranges}) {
    whole = whole && take(*field);
  }
  for (std::uint64_t i = 0; whole && i < ranges; ++i) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    whole = take(begin) && take(end) && begin < end;
    account.above.emplace(begin, end);
  }
  if (version == version_2) {
    Kept& kept = account.kept.emplace();
    std::uint64_t marks = 0;
    for (std::uint64_t* field : {&kept.low, &kept.dropped_events, &kept.dropped_bytes, &marks}) {
      whole = whole && take(*field);
    }
    for (std::uint64_t i = 0; whole && i < marks; ++i) {
      Kept::Mark mark;
      std::uint64_t wall_ms = 0;
      whole = take(mark.sequence) && take(wall_ms) && take(mark.events) && take(mark.bytes);
      mark.wall_ms = static_cast<std::int64_t>(wall_ms);
      kept.marks.push_back(mark);
    }
    whole = whole && kept.low <= account.next;
  }
  if (!whole || !bytes.empty() || account.low > account.next) {
    return Reject("a damaged channel account");
  }
  return account;
}

}  // namespace sluice
