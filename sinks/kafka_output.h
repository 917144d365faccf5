// A Kafka cluster as an output that takes events in transactions.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/kafka/producer.h"
#include "core/kafka/transactions.h"
#include "core/metrics/counters.h"
#include "core/topics/records.h"
#include "sinks/exactly_once.h"

namespace sluice {

/// The transactional.id, and the group whose offsets hold the position, are "PREFIX-SINK-STORE".
class KafkaOutput final : public TransactionalOutput {
 public:
  struct Options {
    KafkaProducer::Options producer;  ///< Without a transactional.id.
    std::string id_prefix;            ///< "sluice-k1"
    std::string position_topic;
  };
  /// The records and the counters outlive it.
  KafkaOutput(Options options, KafkaRecords& records, SinkCounters& counters)
      : options_(std::move(options)), records_(records), counters_(counters) {}

  Result<std::optional<std::string>> open(const std::string& store,
                                          const std::stop_token& stop) override;
  Status write(const Batch& batch) override;
  Status flush(std::vector<Refusal>& refused) override;
  Status commit(std::string_view position, const std::stop_token& stop) override;
  bool wants_reopening() const noexcept override { return options_.producer.one_by_one; }
  void close() noexcept override;

 private:
  Status begin();

  Options options_;
  KafkaRecords& records_;
  SinkCounters& counters_;
  std::unique_ptr<KafkaProducer> producer_;
  std::unique_ptr<KafkaTransactions> transactions_;
  bool begun_ = false;
  std::mutex mutex_;
  std::vector<KafkaProducer::Outcome> outcomes_;  // guarded by mutex_; by the number of the write
};

}  // namespace sluice
