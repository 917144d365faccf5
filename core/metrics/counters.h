// What every component counts. The names on /metrics and the books are made from these.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice {

/// A number that only grows (or, with set(), is replaced). Thread-safe, relaxed.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void sub(std::uint64_t n = 1) noexcept { value_.fetch_sub(n, std::memory_order_relaxed); }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// A count of events and of the bytes of their bodies.
struct Amount {
  std::uint64_t events = 0;
  std::uint64_t bytes = 0;

  Amount& operator+=(const Amount& other) noexcept {
    events += other.events;
    bytes += other.bytes;
    return *this;
  }
  friend Amount operator-(const Amount& a, const Amount& b) noexcept {
    return {a.events - b.events, a.bytes - b.bytes};
  }
};

/// One side of an edge: events, and the bytes of their bodies.
struct Flow {
  Counter events;
  Counter bytes;
  void add(std::uint64_t event_count, std::uint64_t byte_count) noexcept {
    events.add(event_count);
    bytes.add(byte_count);
  }
  void add(const Amount& amount) noexcept { add(amount.events, amount.bytes); }
};

/// Books of a source: made + copied = filtered + unrouted + doubles + refused + put (DESIGN.md
/// section 10).
struct SourceCounters {
  Flow made;                   ///< Events read whose batch has arrived, before interceptors.
  Flow copied;                 ///< Additional copies, for the second and further channels.
  Flow filtered;               ///< Dropped by interceptors.
  Flow unrouted;               ///< The selector sent them nowhere.
  Flow doubles;                ///< A channel had taken them before, by their origins.
  Flow refused;                ///< Optional channels that had no room.
  Flow put;                    ///< Committed into channels.
  Counter batches;             ///< Batches put.
  Counter rejected_lines;      ///< Input that became no event: lines that are too long, ...
  Counter connections_opened;  ///< Network sources.
  Counter connections_open;    ///< Now.
  Counter read_failures;
  Counter channel_failures;  ///< Puts that failed.
  Counter start_ms;          ///< Wall time of the start; 0 before.
  Counter stop_ms;
};

/// Books of a channel: put + fetched = committed + in flight + stored + quarantined + lost + sent +
/// dead-lettered + given back.
/// Those of a durable channel go on over restarts.
struct ChannelCounters {
  Flow put;
  Flow committed;    ///< Taken, and the taker's commit is complete.
  Flow in_flight;    ///< Taken, not committed. A gauge.
  Flow stored;       ///< Waiting. A gauge.
  Flow quarantined;  ///< Damaged on disk, set aside.
  Flow kept;         ///< Of the committed: still on disk, to be replayed. A gauge.
  Flow lost;         ///< Still in a memory channel at its end, or let go and rolled back.
  // Of a channel that lies outside the agent, a topic:
  Flow sent;              ///< Of what was put: it is out there.
  Flow dead_lettered;     ///< Of what was put: nobody out there will ever take it.
  Flow fetched;           ///< Came back in, from this agent or another.
  Flow given_back;        ///< Of what was fetched: not taken here, it is fetched again.
  Counter undecodable;    ///< Records that were no events.
  Counter failures;       ///< Errors in sending and fetching that were met, and tried again.
  Counter put_attempts;   ///< Events.
  Counter take_attempts;  ///< Calls.
  Counter put_waits;      ///< Times a source had to wait for room.
  Counter start_ms;
  Counter stop_ms;
};

/// Books of a sink: taken = delivered + dead-lettered + returned (to the channel) + outstanding.
struct SinkCounters {
  Flow delivered;
  Flow dead_lettered;         ///< Rejected for good.
  Flow dead_letters_put;      ///< Of them: put into a dead-letter channel.
  Counter attempts;           ///< Events offered to the sink, retries included.
  Counter batches_complete;   ///< As large as the sink's batch size.
  Counter batches_underflow;  ///< Smaller.
  Counter batches_empty;      ///< The channel had nothing.
  Counter failures;           ///< Deliveries that failed and are retried.
  Counter channel_failures;
  Counter connections_created;
  Counter connections_closed;
  Counter connections_failed;
  Counter start_ms;
  Counter stop_ms;
};

}  // namespace sluice
