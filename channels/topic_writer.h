// Puts events into a Kafka topic, as a committer.
#pragma once

#include <boost/container/small_vector.hpp>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "channels/commit.h"
#include "channels/dead_letters.h"
#include "core/base/backoff.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/kafka/producer.h"
#include "core/topics/records.h"

namespace sluice {

/// Completes a commit once brokers have acknowledged every record of what it puts into one channel.
///
/// Brokers that fail are tried again, in order and without what they have acknowledged, so a commit
/// is refused only when the agent gives up. What no broker will ever take becomes a dead letter.
/// Thread-safe; one thread of its own sends and completes.
class TopicWriter final : public Committer {
 public:
  struct Options {
    KafkaProducer::Options producer;
    KafkaRecords::Options records;
    std::stop_token abandon = {};         ///< What is not acknowledged shortly after it is refused.
    DeadLetters* dead_letters = nullptr;  ///< Null: a record that no broker takes holds the others.
  };
  /// `channel` owns this, and its counters.
  TopicWriter(Options options, const Channel& channel, ChannelCounters& counters)
      : options_(std::move(options)),
        channel_(channel),
        counters_(counters),
        log_("channel " + channel.name()),
        records_(options_.records) {
    options_.producer.log = &log_;
  }
  /// REQUIRES: nothing is submitted any more.
  ~TopicWriter() override { finish(); }

  /// Brokers that are down are no error. Errors: as KafkaProducer::make().
  Status open();
  /// Ok, or why records do not arrive just now.
  Status health() const;
  /// Ends the thread when all that was submitted is complete.
  void finish();

  // Committer
  void submit(Commit commit) override;
  std::optional<std::string> note(std::string_view /*key*/) const override { return {}; }
  std::vector<std::pair<std::string, std::string>> notes(
      std::string_view /*prefix*/) const override {
    return {};
  }

 private:
  /// What one reservation puts.
  struct Part {
    Batch rest;  ///< Without what has arrived.
    bool under_way = false;
  };
  struct Writing {
    Commit commit;
    boost::container::small_vector<Part, 1> parts;
    bool done() const noexcept;
  };
  struct Ended {
    std::uint64_t number = 0;  ///< Of its commit.
    std::size_t part = 0;
    KafkaProducer::Outcome outcome;
  };

  void run();
  std::vector<Ended> wait_for_work();
  void hear(Ended ended);
  void send_what_waits();
  void send(std::uint64_t number, std::size_t part);
  void complete_front();
  void refuse_all();
  void mend();
  Status make_producer();
  bool bury(Batch& batch, const KafkaProducer::Outcome& outcome);
  void say_failure(const Status& status);
  bool given_up() const noexcept { return options_.abandon.stop_requested(); }

  Options options_;
  const Channel& channel_;
  ChannelCounters& counters_;
  KafkaClientLog log_;

  // Its thread's.
  KafkaRecords records_;
  std::unique_ptr<KafkaProducer> producer_;
  std::deque<Writing> writing_;     ///< In the order of submission.
  std::uint64_t first_number_ = 0;  ///< Of the first of them.
  std::uint32_t under_way_ = 0;     ///< Parts.
  bool failed_ = false;             ///< Nothing is sent until all that is under way has ended.
  std::uint64_t failures_ = 0;
  Backoff backoff_{milliseconds(100), milliseconds(5000)};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Commit> submitted_;  // guarded by mutex_
  std::vector<Ended> ended_;       // guarded by mutex_
  Status health_;                  // guarded by mutex_
  bool finishing_ = false;         // guarded by mutex_
  std::jthread thread_;
};

}  // namespace sluice
