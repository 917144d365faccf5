// Kafka's transactions, and a small text that is committed with each.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/kafka/client_log.h"
#include "core/kafka/client_settings.h"

struct rd_kafka_s;
struct rd_kafka_error_s;

namespace sluice {

class KafkaProducer;

/// The transactions of one producer, whose settings have a transactional.id.
///
/// The text is kept as metadata of offsets that a consumer group has committed: of partition 0 of
/// one topic, in the group `group`, and where it is longer than a broker takes for one offset, in
/// the groups "GROUP-1", "GROUP-2", ... The offset says how many groups hold it. Nobody is a member
/// of these groups.
///
/// One thread, that of the producer's owner. After an error the producer is of no use any more:
/// what it did not commit is gone when another one of the same transactional.id is initialised.
class KafkaTransactions {
 public:
  struct Place {
    std::string group;
    std::string topic;  ///< It has to exist when something is committed.
  };
  /// The settings and the log are the producer's.
  KafkaTransactions(KafkaProducer& producer, KafkaClientSettings settings, KafkaClientLog& log,
                    Place place);

  /// Fences whoever had this transactional.id before, ends what it left, and reads the text of the
  /// last transaction that was committed; none where there was none, or the broker has forgotten
  /// it. Errors: Retry (brokers that are not there, or refuse), Closed (stop).
  Result<std::optional<std::string>> init(const std::stop_token& stop);
  /// What is sent from now on is part of a transaction. Errors: Retry.
  Status begin();
  /// Ok: all that was sent since begin() is there for good, and the text is. REQUIRES: the
  /// producer is idle. Errors: Retry (maybe it is), Closed (stop).
  Status commit(std::string_view text, const std::stop_token& stop);
  /// What was sent since begin() is gone, as far as the brokers hear of it within a second.
  void abort() noexcept;

 private:
  using Step = std::function<rd_kafka_error_s*(int timeout_ms)>;
  Status repeat(const char* what, milliseconds patience_at_stop, const std::stop_token& stop,
                const Step& step) const;
  std::string group(std::size_t number) const;
  Result<std::optional<std::string>> read(const std::stop_token& stop) const;

  KafkaProducer& producer_;
  rd_kafka_s* const handle_;
  const KafkaClientSettings settings_;
  KafkaClientLog& log_;
  const Place place_;
};

}  // namespace sluice
