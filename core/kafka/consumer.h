// A member of a consumer group: records of the partitions that the group gives it.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/kafka/client_settings.h"

namespace sluice {

constexpr std::int64_t kafka_no_offset = -1;

struct KafkaPartition {
  std::string topic;
  std::int32_t number = 0;
  auto operator<=>(const KafkaPartition&) const = default;  // NOLINT(modernize-use-nullptr): not so
  std::string text() const { return topic + "-" + std::to_string(number); }
};

/// What a group keeps for a partition: where it goes on, and a few words of who committed it.
struct KafkaCommit {
  KafkaPartition partition;
  std::int64_t offset = kafka_no_offset;  ///< Of the next record.
  std::string metadata;
};

/// The views live until the next call of poll(), commit_now() or close().
struct KafkaFetched {
  std::uint32_t lane = 0;  ///< Which of the assigned partitions.
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = -1;  ///< -1: it has none.
  bool has_key = false;
  std::string_view key;
  std::string_view value;
};

/// Hears of partitions that come and go, on the consumer's thread, within poll() and close().
///
/// Every time a partition is assigned it is given a number of its own, its lane, which is never
/// used again: what is still on its way of an earlier time is known by that.
class KafkaPartitionOwner {
 public:
  struct Assigned {
    std::uint32_t lane = 0;
    KafkaCommit committed;                 ///< By the group; kafka_no_offset: nothing.
    std::int64_t begin = kafka_no_offset;  ///< The owner says where to read from.
  };
  virtual ~KafkaPartitionOwner() = default;
  /// Sets `begin` of all of them; none, where the group has no more for this member. An error is
  /// what poll() returns, and nothing is assigned.
  virtual Status assigned(std::vector<Assigned>& partitions) = 0;
  /// Others may read them once this returns. `lost`: they do already, so nothing may be committed.
  virtual void revoked(std::span<const std::uint32_t> lanes, bool lost) = 0;
};

/// librdkafka's consumer. Nothing is committed but by commit() and commit_now().
///
/// Thread rule: one thread; wake() may come from any.
class KafkaConsumer {
 public:
  struct Options {
    std::string component;         ///< For messages: "source r1".
    KafkaClientSettings settings;  ///< With group.id.
    bool tell_ends = false;        ///< poll() says when the end of a partition is reached.
  };
  /// Errors: as make_kafka_handle().
  static Result<std::unique_ptr<KafkaConsumer>> make(Options options, KafkaPartitionOwner& owner);
  /// Without close() the group waits for this member until its session is over.
  ~KafkaConsumer();
  KafkaConsumer(const KafkaConsumer&) = delete;
  KafkaConsumer& operator=(const KafkaConsumer&) = delete;

  /// Joins the group for these topics instead of those before. Errors: Retry, Invalid.
  Status subscribe(const std::vector<std::string>& topics);

  enum class Polled : unsigned char {
    Nothing,  ///< The time passed, or wake().
    Record,
    End,  ///< Of the log of the record's lane, which has nothing else.
  };
  /// The next record. What fails and is tried again by itself is logged, and no error.
  /// Errors: Retry (this consumer is of no use any more), Invalid (it was given no right to read,
  /// or no place to begin at), and those of the owner.
  Result<Polled> poll(KafkaFetched& record, milliseconds wait_max);
  /// Ends a poll() that waits.
  void wake() noexcept;

  /// A header of the record that poll() gave last, in their order; false behind the last one.
  bool header(std::size_t index, std::string_view& name, std::string_view& value) const;

  /// No records from now on, though poll() must be called: what was fetched ahead is dropped, and
  /// fetched again after resume().
  void pause();
  void resume();
  bool paused() const noexcept { return paused_; }

  /// The partition of this lane goes on under another number. REQUIRES: assigned.
  std::uint32_t renumber(std::uint32_t lane);

  /// Sends positions to the group and does not wait; what fails is logged.
  void commit(std::span<const KafkaCommit> positions);
  /// Errors: Retry (time passed, or the group did not take them).
  Status commit_now(std::span<const KafkaCommit> positions, Deadline deadline);
  std::uint64_t commit_failures() const noexcept { return commit_failures_; }
  /// Errors that poll() met and that were not its end.
  std::uint64_t poll_failures() const noexcept { return poll_failures_; }

  /// The first offset of a log and the one behind its last. Errors: Retry, Invalid.
  struct Extent {
    std::int64_t begin = 0;
    std::int64_t end = 0;
  };
  Result<Extent> extent(const KafkaPartition& partition, milliseconds wait_max);
  /// All topics but Kafka's own. Errors: Retry, Invalid.
  Result<std::vector<std::string>> topics(milliseconds wait_max);
  /// The name that a cluster has given itself; empty when it is not known in time.
  std::string cluster_id(milliseconds wait_max);

  /// Gives its partitions back, as revoked() hears, and leaves the group; a group that says nothing
  /// for so long is left without a word.
  void close(milliseconds silence_max);

 private:
  struct Client;
  explicit KafkaConsumer(KafkaPartitionOwner& owner) noexcept;

  KafkaPartitionOwner& owner_;
  std::unique_ptr<Client> client_;
  bool paused_ = false;
  std::uint64_t commit_failures_ = 0;
  std::uint64_t poll_failures_ = 0;
};

}  // namespace sluice
