// The channel that is a Kafka topic.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "channels/queue_channel.h"
#include "channels/topic_writer.h"
#include "core/topics/reader.h"

namespace sluice {

/// What is put becomes records of the topic, and is put once brokers have acknowledged them. What
/// is taken are records of the topic, whoever has put them: this agent, another one, or a program
/// that is no agent. So it may have sources and no sinks, or sinks and no sources.
///
/// Sinks take from a queue in memory that a reader fills, once the first of them has asked; the
/// consumer group hears of what their commits have finished. Records that were fetched and not
/// taken are given back when their partitions go, and whoever reads on gets them. When the agent is
/// killed, what the group had not heard of comes again. So does, at once, what was let go and is
/// rolled back: the topic is read once more from where the group stands, and what sinks have in
/// hand just then may come twice.
///
/// capacity_events bounds what is fetched ahead; a topic has no bound. budget_bytes is shared by
/// both directions.
class TopicChannel final : public QueueChannel, private KafkaTarget {
 public:
  struct Options : QueueChannel::Options {
    TopicWriter::Options writer;
    KafkaReader::Options reader;            ///< Whose target this is, and which may end.
    std::uint64_t fetched_ahead_bytes = 0;  ///< By the client, beside the budget.
    const Clock* clock = &Clock::system();
  };
  /// The pool outlives the channel.
  TopicChannel(Options options, SlabPool& pool);
  ~TopicChannel() override;

  // Channel
  Status open() override;
  void close() override;
  Result<Reservation> reserve(const Batch& batch, Deadline deadline, std::stop_token stop) override;
  Taken take(const TakeLimit& limit, std::stop_token stop) override;
  /// Ends reading and writing. Nothing is lost: what is inside lies in the topic.
  std::uint64_t abandon() override;
  std::uint64_t capacity_events() const noexcept override { return UINT32_MAX; }
  bool keeps_beyond_process() const noexcept override { return true; }
  Status health() const override;
  Committer* committer() noexcept override { return &writer_; }
  std::vector<const MemoryAccount*> accounts() const override;

 private:
  // Channel
  void publish(Reservation& room) noexcept override;
  void cancel(Reservation& room) noexcept override;
  void finish(Taken& events) noexcept override;
  void put_back(Taken& events) noexcept override;
  void come_back(const ReadAhead& ahead) noexcept override;
  void enqueue(std::uint64_t first_sequence, const Batch& batch) noexcept override;

  // KafkaTarget
  bool keeps_notes() const override { return false; }
  std::vector<std::string> notes(std::string_view /*key*/) const override { return {}; }
  Status put_notes(Notes notes, const std::stop_token& stop) override;
  Status put(Batch batch, const std::stop_token& stop, Done done, Notes notes,
             Deadline room_by) override;
  std::vector<Origin> recall(std::span<const OriginId> logs) override;

  void start_reading();
  void read(const std::stop_token& stop);
  Status read_once(const std::stop_token& stop);

  const Clock& clock_;
  MemoryAccount window_;  ///< Of the reader.

  std::mutex putting_;
  std::condition_variable put_ended_;
  BatchKeeper sending_;         // guarded by putting_
  std::uint64_t puts_ = 0;      // guarded by putting_: rooms that are given out
  bool puts_are_over_ = false;  // guarded by putting_
  TopicWriter writer_;

  KafkaReader reader_;
  std::once_flag reading_;
  bool reads_again_ = false;  // guarded by mutex_: once the reader has ended
  std::stop_source round_;    // guarded by mutex_: ends the reader
  mutable std::mutex health_mutex_;
  Status read_health_;  // guarded by health_mutex_
  std::jthread read_thread_;
};

}  // namespace sluice
