// Sends batches to Kafka and hears what became of each record.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/event/batch.h"
#include "core/kafka/client_log.h"
#include "core/kafka/client_settings.h"

struct rd_kafka_s;

namespace sluice {

/// 1 to 249 letters, digits, '.', '_' and '-', and neither "." nor "..": what a broker takes.
bool is_kafka_topic_name(std::string_view name) noexcept;

/// One record as it is sent. All views live until the function that fills it is called again.
struct KafkaRecord {
  std::string_view topic;
  std::int32_t partition = -1;  ///< -1: the partitioner's choice.
  /// A partition that the topic does not have is this record's own fault, not the configuration's.
  bool partition_is_its_own = false;
  std::optional<std::string_view> key;
  std::string_view value;
  /// The value lies in the batch's slab and is sent from there; otherwise it is copied.
  bool value_in_slab = false;
  std::int64_t timestamp_ms = 0;  ///< 0: now.
  std::span<const std::pair<std::string_view, std::string_view>> headers;
};

/// One client of librdkafka, with its batches in flight. A thread of its own hears the reports.
///
/// Bodies are sent from where they lie: a batch is pinned until its last report. Records of a
/// partition arrive in the order in which they were sent. Once one has failed, what was sent behind
/// it is called back, and this producer takes nothing more: when every batch has ended, make
/// another one, with what remedy() says, and send the failed ones again. A new client has a new
/// identity, so that nothing of the old one can be counted against it.
///
/// Thread rule: one thread makes it, sends and destroys it; `done` runs on either thread, maybe
/// before send() returns, and may not destroy it.
///
/// One with a transactional.id in its settings has transactions: see core/kafka/transactions.h.
class KafkaProducer {
 public:
  struct Options {
    KafkaClientLog* log = nullptr;  ///< Outlives the producer; those that are made anew share it.
    KafkaClientSettings settings;   ///< Of KafkaRole::Producer.
    std::uint32_t batches_max = 16;
    /// Above 0: records a set hold so many bytes at most, unless one record alone is larger.
    std::uint64_t set_bytes_max = 0;
    bool one_by_one = false;  ///< A set is one record.
    /// After stop: how long reports of what was sent are waited for.
    milliseconds last_reports_max{1'500};
  };
  /// What became of a batch; the members mean the same as in Delivery (sinks/sink.h).
  struct Outcome {
    Status status;
    std::uint32_t arrived = 0;
    bool may_have_arrived = false;
    std::vector<std::uint32_t> rejected = {};  ///< With an error too: they will never be taken.
    std::string rejected_because = {};
  };
  using Done = std::function<void(Outcome)>;
  /// What the next producer must do differently, after a failure.
  enum class Remedy : unsigned char {
    Again,        ///< Nothing: brokers, the network, or the client itself failed.
    SmallerSets,  ///< A broker found a set of several records too large.
    OneByOne,     ///< A broker refused a set of several records for one of them.
  };
  /// Fills `record` for event `i` of the batch. Errors: Reject (the event is rejected, unsent).
  using RecordOf = std::function<Status(std::uint32_t i, KafkaRecord& record)>;

  /// It connects in its own time: a broker that is down is no error. `stop` also ends what is in
  /// flight later, within last_reports_max. Errors: as make_kafka_conf() and make_kafka_handle().
  static Result<std::unique_ptr<KafkaProducer>> make(Options options, std::stop_token stop);
  /// Batches in flight end with Closed first.
  ~KafkaProducer();
  KafkaProducer(const KafkaProducer&) = delete;
  KafkaProducer& operator=(const KafkaProducer&) = delete;

  /// Sends the bodies as they are, to one topic. REQUIRES: fewer than batches_max in flight;
  /// is_kafka_topic_name(topic). Waits while the client's queue is full.
  void send(const Batch& batch, const std::string& topic, std::int32_t partition, Done done);
  /// Sends what `record_of` makes of each event; it is called in their order, here.
  void send(const Batch& batch, const RecordOf& record_of, Done done);

  /// Why it takes nothing more; Ok while it does.
  Status broken() const;
  Remedy remedy() const;
  /// Waits until no batch is in flight and each `done` has returned. False: stop.
  bool wait_until_idle(const std::stop_token& stop);
  /// Bytes a set of records may have.
  std::uint64_t set_bytes_max() const noexcept;
  /// librdkafka's, for this room.
  rd_kafka_s* handle() const noexcept;

 private:
  class Client;  ///< Everything that knows librdkafka.
  explicit KafkaProducer(std::unique_ptr<Client> client);
  std::unique_ptr<Client> client_;
};

/// Does what the failure of a producer says before the next one is made with these options.
void apply_remedy(const KafkaProducer& failed, KafkaProducer::Options& options);

}  // namespace sluice
