// Putting and taking batches, and what headers cost.

#include <cstdlib>
#include <string>

#include "bench/micro.h"
#include "channels/commit.h"
#include "channels/memory_channel.h"

namespace sluice::bench {
namespace {

Batch batch_of(SlabPool& pool, std::uint32_t events, std::size_t bytes, std::string_view own = {}) {
  BatchBuilder builder(pool, own.empty() ? EventHeaders::Shared : EventHeaders::Own);
  builder.renew(events * (bytes + own.size() + 64));
  const std::string body(bytes, 'x');
  for (std::uint32_t i = 0; i < events; ++i) builder.append(body, own);
  return builder.seal();
}

void channel(std::uint32_t events) {
  SlabPool pool;
  MemoryChannel::Options options;
  options.name = "c1";
  options.capacity_events = 1'000'000;
  MemoryChannel channel(options, pool);
  const Batch batch = batch_of(pool, events, 100);
  const std::string what = "memory channel put and take, batches of " + std::to_string(events);
  measure(what.c_str(), events, [&] {
    auto room = channel.reserve(batch, Deadline::never(), {});
    if (!room.ok()) std::abort();
    Commit put;
    put.put(*std::move(room));
    Commit take;
    if (!std::move(put).wait().ok()) std::abort();
    take.take(channel.take({.events_max = events, .wait_max = milliseconds(0)}, {}));
    if (!std::move(take).wait().ok()) std::abort();
  });
}

void headers() {
  SlabPool pool;
  constexpr std::uint32_t events = 1000;
  std::string three;
  for (const char* name : {"host", "timestamp", "file"}) append_header(three, name, "0123456789");
  const Batch plain = batch_of(pool, events, 100);
  const Batch own = batch_of(pool, events, 100, three);
  const HeaderBlock block(three);
  measure("give a batch three shared headers", events,
          [&] { keep(plain.with_shared_headers(block, {}).size()); });
  const Batch shared = plain.with_shared_headers(block, {});
  const auto find = [](const Batch& batch) {
    std::size_t bytes = 0;
    std::string_view value;
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      if (batch.headers(i).find("file", value)) bytes += value.size();
    }
    keep(bytes);
  };
  measure("find the third of three shared headers", events, [&] { find(shared); });
  measure("find the third of three own headers", events, [&] { find(own); });
  measure("append 1000 events with own headers", events,
          [&] { keep(batch_of(pool, events, 100, three).size()); });
  measure("copy a batch compact", events, [&] { keep(plain.compact(pool).size()); });
}

}  // namespace
}  // namespace sluice::bench

int main() {
  for (const std::uint32_t events : {1U, 100U, 1000U}) sluice::bench::channel(events);
  sluice::bench::headers();
}
