// The partitions that a reader of topics has just now, and where it stands in them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/kafka/consumer.h"
#include "core/topics/deliveries.h"
#include "core/topics/position.h"
#include "core/topics/target.h"

namespace sluice {

/// An assigned partition, and how far it was read.
struct KafkaLane {
  std::uint32_t number = 0;
  KafkaPartition partition;
  OriginId log;
  std::int64_t next = 0;  ///< Offset behind the last record that was read.
  bool at_end = false;    ///< Nothing was behind it.
  std::string note_key;
  std::int64_t settled = kafka_no_offset;  ///< How far it has arrived, as far as it is known.
  std::int64_t told = kafka_no_offset;     ///< How far the group was told.
};

/// Positions: read at assignment, kept as notes with the events, and told to the group once they
/// have arrived. One thread.
///
/// Where the target keeps notes they are the truth, elsewhere the group's offsets are.
class KafkaLanes {
 public:
  /// auto.offset.reset: where to begin when no position is known.
  enum class Reset : unsigned char { Earliest, Latest, None };
  struct Options {
    std::string name;         ///< Of the reader, for messages.
    std::string note_prefix;  ///< "kafka/r1/"
    std::string group;
    Reset reset = Reset::Latest;
  };
  /// All outlive it.
  struct Context {
    KafkaTarget& out;
    KafkaDeliveries& deliveries;
    KafkaConsumer& consumer;
    const Clock& clock;
  };
  KafkaLanes(Options options, const Context& context)
      : options_(std::move(options)), context_(context) {}

  bool empty() const noexcept { return lanes_.empty(); }
  const std::map<std::uint32_t, KafkaLane>& all() const noexcept { return lanes_; }
  /// Null: it is not ours any more.
  KafkaLane* find(std::uint32_t number) noexcept;

  /// No lane is at its end, as far as it is known.
  void forget_ends() noexcept {
    for (auto& [number, lane] : lanes_) lane.at_end = false;
  }

  /// Says where to begin. A log that nobody has read before is named, and the group told of it,
  /// before its first record is read: else who reads the same again would not know it.
  /// Errors: Retry, Invalid (no position, and none is to be taken), Closed (stop), Fatal.
  Status take(std::vector<KafkaPartitionOwner::Assigned>& partitions, const std::stop_token& stop);
  /// Waits for what is under way as long as something arrives, and tells the group. `lost`:
  /// neither.
  void give_back(std::span<const std::uint32_t> lanes, bool lost, const std::stop_token& stop);

  /// The partition begins anew at this offset, which it has had before: what is read from now on is
  /// no repetition of that. Errors: Closed (stop), Fatal.
  Result<KafkaLane*> begin_new_log(KafkaLane& lane, std::int64_t offset,
                                   const std::stop_token& stop);

  /// What a commit of events that go up to these places says of them. Leaves out marks whose lanes
  /// are gone.
  Notes notes_of(const std::vector<KafkaMark>& marks) const;

  /// Tells the group what has arrived, when it is time, and does not wait.
  void tell_group();

 private:
  Result<KafkaPosition> begin_of(const KafkaPartitionOwner::Assigned& assigned,
                                 std::vector<KafkaPosition>& notes);
  Result<std::int64_t> reset_offset(const KafkaPartition& partition);
  Status learn_cluster();
  std::string note_key(const KafkaPartition& partition) const;
  Status write_notes(Notes notes, const std::stop_token& stop);
  std::vector<OriginId> logs_of(std::span<const std::uint32_t> lanes) const;
  bool wait_until_settled(std::span<const std::uint32_t> lanes, std::vector<Origin>& recalled,
                          const std::stop_token& stop);
  void count_arrived_before(const std::vector<Origin>& recalled);
  std::vector<KafkaCommit> take_untold();

  const Options options_;
  const Context context_;
  std::map<std::uint32_t, KafkaLane> lanes_;
  std::string cluster_;
  int unnamed_ = 0;  ///< So often no name of the cluster came.
  SteadyTime tell_at_{};
  std::uint64_t commit_failures_ = 0;
};

}  // namespace sluice
