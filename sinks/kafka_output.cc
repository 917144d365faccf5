#include "sinks/kafka_output.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"

namespace sluice {

Result<std::optional<std::string>> KafkaOutput::open(const std::string& store,
                                                     const std::stop_token& stop) {
  close();
  const std::string id = options_.id_prefix + "-" + store;
  KafkaProducer::Options options = options_.producer;
  // A record cannot be waited for longer than its transaction; librdkafka takes no such pair.
  std::erase_if(options.settings.properties, [](const KafkaProperty& property) {
    return property.first == "transactional.id" || property.first == "enable.idempotence" ||
           property.first == "message.timeout.ms" || property.first == "delivery.timeout.ms";
  });
  options.settings.properties.emplace_back("transactional.id", id);
  const std::string time = options.settings.value("transaction.timeout.ms");
  options.settings.properties.emplace_back("message.timeout.ms", time.empty() ? "60000" : time);
  auto producer = KafkaProducer::make(options, stop);
  if (!producer.ok()) {
    counters_.connections_failed.add();
    return producer.status();
  }
  counters_.connections_created.add();
  producer_ = *std::move(producer);
  transactions_ =
      std::make_unique<KafkaTransactions>(*producer_, options.settings, *options.log,
                                          KafkaTransactions::Place{id, options_.position_topic});
  auto position = transactions_->init(stop);
  if (!position.ok()) close();
  return position;
}

Status KafkaOutput::begin() {
  if (begun_) return {};
  if (Status status = transactions_->begin(); !status.ok()) return status;
  begun_ = true;
  return {};
}

Status KafkaOutput::write(const Batch& batch) {
  if (Status status = begin(); !status.ok()) return status;
  std::size_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = outcomes_.size();
    outcomes_.emplace_back();
  }
  const auto ended = [this, number](KafkaProducer::Outcome outcome) {
    const std::lock_guard lock(mutex_);
    outcomes_[number] = std::move(outcome);
  };
  records_.send(batch, *producer_, ended);
  return producer_->broken();
}

Status KafkaOutput::flush(std::vector<Refusal>& refused) {
  if (!producer_) return {};
  // After stop the producer itself waits no longer than it has time for.
  producer_->wait_until_idle({});
  Status status = producer_->broken();
  const std::lock_guard lock(mutex_);
  for (std::size_t number = 0; number < outcomes_.size(); ++number) {
    const KafkaProducer::Outcome& outcome = outcomes_[number];
    if (status.ok()) status = outcome.status;
    for (const std::uint32_t event : outcome.rejected) {
      refused.push_back({number, event, outcome.rejected_because});
    }
  }
  outcomes_.clear();
  return status;
}

Status KafkaOutput::commit(std::string_view position, const std::stop_token& stop) {
  if (Status status = begin(); !status.ok()) return status;
  if (Status status = transactions_->commit(position, stop); !status.ok()) return status;
  begun_ = false;
  return {};
}

/// What is in flight ends first; nobody asks for it any more.
void KafkaOutput::close() noexcept {
  if (!producer_) return;
  // Else consumers of committed records would wait for its time to be over.
  if (std::exchange(begun_, false)) transactions_->abort();
  // One record a request is for finding the one that is refused, and too slow to go on with.
  options_.producer.one_by_one = false;
  apply_remedy(*producer_, options_.producer);
  transactions_.reset();
  producer_.reset();
  counters_.connections_closed.add();
  const std::lock_guard lock(mutex_);
  outcomes_.clear();
}

}  // namespace sluice
