// Reads topics as a member of a consumer group, and knows what of it has arrived.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/java_pattern.h"
#include "core/base/status.h"
#include "core/event/batch.h"
#include "core/event/memory_account.h"
#include "core/event/slab.h"
#include "core/kafka/consumer.h"
#include "core/metrics/counters.h"
#include "core/topics/deliveries.h"
#include "core/topics/events.h"
#include "core/topics/lanes.h"
#include "core/topics/target.h"

namespace sluice {

/// Reads records, makes batches of events of them, and tells the group what has arrived.
///
/// While its target has no room, the group is answered all the same, and nothing more is fetched.
/// Partitions that go are given back once what was read of them has arrived; what was read and not
/// put is forgotten, for the next member reads it again.
///
/// One thread calls open(), run() and close(), in this order, maybe again and again.
class KafkaReader final : private KafkaPartitionOwner {
 public:
  struct Options {
    std::string component;       ///< For messages: "source r1".
    KafkaClientSettings client;  ///< Of KafkaRole::Consumer, with group.id.
    std::string group;           ///< Its group.id.
    std::string note_prefix;     ///< "kafka/r1/"
    std::vector<std::string> topics;
    std::optional<JavaPattern> pattern = std::nullopt;  ///< Instead of the topics.
    KafkaEvents::Options events = {};
    std::uint32_t batch_events_max = 1000;
    /// A batch is put when it is so old, and at once when no record waits.
    milliseconds batch_time_max{1000};
    /// A batch holds records of one partition, so that it can be taken back whole where the group
    /// takes some partitions away and leaves others.
    bool partitions_apart = false;
    bool once = false;     ///< As if end_when_read() had been called before.
    bool may_end = false;  ///< It may be called later.
  };
  /// Everything here outlives the reader.
  struct Context {
    KafkaTarget& out;
    SlabPool& pool;
    MemoryAccount& window;  ///< Pays for the slab that records are copied into.
    const Clock& clock;
    Counter& undecodable;  ///< Records that are no events.
    Counter& failures;     ///< Errors that were met and did not end the reader.
  };
  KafkaReader(Options options, const Context& context);

  /// Brokers that are down are no error: they are asked again. Errors: Retry, Invalid.
  Status open();
  /// Ok: stop, or see end_when_read(). Errors: Retry, Invalid, Fatal.
  Status run(std::stop_token stop);
  /// Gives the partitions back and leaves the group.
  void close();
  /// run() ends when all partitions are read to the ends that they have now, and what was read of
  /// them has arrived; or when the group has given it none for a few seconds, though the topics are
  /// there: then others read them. From any thread.
  void end_when_read() noexcept { ends_ = true; }

 private:
  /// A batch that waits for room.
  struct Held {
    KafkaBatch batch;
    std::uint64_t token = 0;  ///< 0: it was not offered yet.
    Notes notes;
  };

  Status subscribe_to_matches();
  Status fill();
  Status take(const KafkaFetched& record);
  KafkaLane* find_lane(std::uint32_t number);
  Status put_all();
  Status put(Held& held);
  void offer(Held& held);
  void seal();
  Status serve_while_full();
  void count_failures();
  void look_for_ends_again();
  bool caught_up() const;
  bool is_left_out();
  bool topics_are_there();
  void say_that_it_is_joining();
  void see_it_delivered();

  // KafkaPartitionOwner
  Status assigned(std::vector<Assigned>& partitions) override;
  void revoked(std::span<const std::uint32_t> lanes, bool lost) override;

  const Options options_;
  const Context context_;
  const std::shared_ptr<KafkaDeliveries> deliveries_;
  KafkaEvents events_;
  std::deque<Held> held_;
  std::vector<std::string> matching_;  ///< The pattern, when it was looked at last.
  SteadyTime matched_at_{};
  std::stop_token stop_;
  std::unique_ptr<KafkaConsumer> consumer_;
  std::optional<KafkaLanes> lanes_;  ///< Of the consumer.
  KafkaLane* last_lane_ = nullptr;
  bool had_assignment_ = false;
  std::optional<SteadyTime> left_out_at_;  ///< When it is looked at why it has no partition.
  SteadyTime joining_said_{};              ///< When it is said that the group does not answer.
  milliseconds joining_for_{0};
  std::atomic<bool> ends_;
  bool looks_for_ends_;  ///< Those that it knows are younger than the wish to end.
  std::uint64_t failures_counted_ = 0;
  std::uint64_t undecodable_ = 0;
  std::uint64_t match_failures_ = 0;
};

}  // namespace sluice
