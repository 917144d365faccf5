#include "core/kafka/consumer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <utility>

#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/kafka/error.h"
#include "core/kafka/handle.h"

namespace sluice {
namespace {

// Of a question to the broker within a rebalance, and how often it is asked.
constexpr milliseconds question_wait{2000};
constexpr int questions_max = 5;

/// What becomes librdkafka's opaque; its callbacks know nothing else.
struct ConsumerLog final : KafkaClientLog {
  using KafkaClientLog::KafkaClientLog;
  KafkaConsumer* consumer = nullptr;
};

int in_int(milliseconds time) noexcept {
  return static_cast<int>(std::clamp<milliseconds::rep>(time.count(), 0, 3'600'000));
}

KafkaPartitions list_of(std::span<const KafkaCommit> positions) {
  KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(positions.size())));
  for (const KafkaCommit& each : positions) {
    rd_kafka_topic_partition_t* const added = rd_kafka_topic_partition_list_add(
        list.get(), each.partition.topic.c_str(), each.partition.number);
    added->offset = each.offset;
    if (each.metadata.empty()) continue;
    // The list frees it with free().
    added->metadata = strdup(each.metadata.c_str());
    added->metadata_size = each.metadata.size();
  }
  return list;
}

KafkaPartition partition_of(const rd_kafka_topic_partition_t& given) {
  return {given.topic, given.partition};
}

/// The first error of a list, or of the whole.
rd_kafka_resp_err_t first_error(rd_kafka_resp_err_t whole,
                                const rd_kafka_topic_partition_list_t* list) {
  if (whole != RD_KAFKA_RESP_ERR_NO_ERROR || list == nullptr) return whole;
  for (int i = 0; i < list->cnt; ++i) {
    if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) return list->elems[i].err;
  }
  return whole;
}

}  // namespace

/// What librdkafka hands out; a queue goes before the handle that it was made with.
struct KafkaConsumer::Client {
  explicit Client(std::string component) : log(component), name(std::move(component)) {}

  static void on_rebalance(rd_kafka_t* handle, rd_kafka_resp_err_t error,
                           rd_kafka_topic_partition_list_t* list, void* opaque);
  static void on_commit(rd_kafka_t* handle, rd_kafka_resp_err_t error,
                        rd_kafka_topic_partition_list_t* list, void* opaque);
  static void on_error(rd_kafka_t* handle, int error, const char* text, void* opaque);
  static KafkaConsumer& consumer_of(void* opaque) noexcept {
    return *static_cast<ConsumerLog*>(static_cast<KafkaClientLog*>(opaque))->consumer;
  }

  bool is_cooperative() const {
    const char* const protocol = rd_kafka_rebalance_protocol(handle.get());
    return protocol != nullptr && std::string_view(protocol) == "COOPERATIVE";
  }
  void rebalance(KafkaConsumer& self, rd_kafka_resp_err_t error,
                 rd_kafka_topic_partition_list_t* list);
  void assign(KafkaConsumer& self, rd_kafka_topic_partition_list_t* list);
  void revoke(KafkaConsumer& self, rd_kafka_topic_partition_list_t* list);
  Status read_committed(const rd_kafka_topic_partition_list_t* list,
                        std::vector<KafkaPartitionOwner::Assigned>& assigned);
  void set_assignment(const rd_kafka_topic_partition_list_t* list, bool add);
  const std::uint32_t* find_lane(const rd_kafka_message_t& from);
  Result<Polled> failed_poll(KafkaConsumer& self, KafkaFetched& record);

  ConsumerLog log;
  const std::string name;
  KafkaHandle handle;
  KafkaQueue queue;  ///< What poll() reads.
  KafkaMessage message;
  std::map<KafkaPartition, std::uint32_t> lanes;
  std::uint32_t lanes_given = 0;
  // The lane of the last message; most of the time that of the next one too.
  const rd_kafka_topic_t* last_topic = nullptr;
  std::int32_t last_partition = 0;
  const std::uint32_t* last_lane = nullptr;
  Status failed;  ///< What poll() returns next.
};

Result<std::unique_ptr<KafkaConsumer>> KafkaConsumer::make(Options options,
                                                           KafkaPartitionOwner& owner) {
  std::unique_ptr<KafkaConsumer> consumer(new KafkaConsumer(owner));
  consumer->client_ = std::make_unique<Client>(options.component);
  Client& client = *consumer->client_;
  client.log.consumer = consumer.get();
  options.settings.properties.emplace_back("enable.auto.commit", "false");
  options.settings.properties.emplace_back("enable.auto.offset.store", "false");
  options.settings.properties.emplace_back("enable.partition.eof",
                                           options.tell_ends ? "true" : "false");
  auto conf = make_kafka_conf(options.settings, client.log);
  if (!conf.ok()) return conf.status();
  rd_kafka_conf_set_rebalance_cb(conf->get(), Client::on_rebalance);
  rd_kafka_conf_set_offset_commit_cb(conf->get(), Client::on_commit);
  rd_kafka_conf_set_error_cb(conf->get(), Client::on_error);
  auto handle = make_kafka_handle(RD_KAFKA_CONSUMER, *std::move(conf));
  if (!handle.ok()) return handle.status();
  client.handle = *std::move(handle);
  // Errors and logs come by the same queue as records.
  rd_kafka_poll_set_consumer(client.handle.get());
  client.queue.reset(rd_kafka_queue_get_consumer(client.handle.get()));
  if (!client.queue) return Invalid("a consumer needs a group.id");
  return consumer;
}

KafkaConsumer::KafkaConsumer(KafkaPartitionOwner& owner) noexcept : owner_(owner) {}

KafkaConsumer::~KafkaConsumer() = default;

Status KafkaConsumer::subscribe(const std::vector<std::string>& topics) {
  KafkaPartitions list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const std::string& topic : topics) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  }
  const rd_kafka_resp_err_t error = rd_kafka_subscribe(client_->handle.get(), list.get());
  if (error == RD_KAFKA_RESP_ERR__INVALID_ARG) {
    return Invalid("these are no names of topics: librdkafka refuses the subscription");
  }
  return kafka_status(error, "subscribing to topics");
}

// ---- reading

Result<KafkaConsumer::Polled> KafkaConsumer::poll(KafkaFetched& record, milliseconds wait_max) {
  Client& client = *client_;
  client.message.reset();
  client.message.reset(rd_kafka_consumer_poll(client.handle.get(), in_int(wait_max)));
  if (!client.failed.ok()) return std::exchange(client.failed, Status());
  if (!client.message) return Polled::Nothing;
  const rd_kafka_message_t& message = *client.message;
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) return client.failed_poll(*this, record);
  const std::uint32_t* const lane = client.find_lane(message);
  if (lane == nullptr) return Polled::Nothing;  // no longer ours
  record.lane = *lane;
  record.offset = message.offset;
  rd_kafka_timestamp_type_t type{};
  record.timestamp_ms = rd_kafka_message_timestamp(&message, &type);
  record.has_key = message.key != nullptr;
  record.key = {static_cast<const char*>(message.key), message.key_len};
  record.value = {static_cast<const char*>(message.payload), message.len};
  return Polled::Record;
}

const std::uint32_t* KafkaConsumer::Client::find_lane(const rd_kafka_message_t& from) {
  if (from.rkt == last_topic && from.partition == last_partition && last_lane != nullptr) {
    return last_lane;
  }
  if (from.rkt == nullptr) return nullptr;
  const auto found = lanes.find({rd_kafka_topic_name(from.rkt), from.partition});
  if (found == lanes.end()) return nullptr;
  last_topic = from.rkt;
  last_partition = from.partition;
  last_lane = &found->second;
  return last_lane;
}

Result<KafkaConsumer::Polled> KafkaConsumer::Client::failed_poll(KafkaConsumer& self,
                                                                 KafkaFetched& record) {
  const rd_kafka_resp_err_t error = message->err;
  if (error == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    const std::uint32_t* const lane = find_lane(*message);
    if (lane == nullptr) return Polled::Nothing;
    record.lane = *lane;
    record.offset = message->offset;
    return Polled::End;
  }
  ++self.poll_failures_;
  const std::string topic = message->rkt != nullptr ? rd_kafka_topic_name(message->rkt) : "";
  const char* const detail = rd_kafka_message_errstr(message.get());
  const std::string about = topic.empty() ? "reading" : "reading topic '" + topic + "'";
  const Status status = kafka_status(error, about, detail != nullptr ? detail : "");
  std::array<char, 512> why{};
  if (error == RD_KAFKA_RESP_ERR__FATAL ||
      rd_kafka_fatal_error(handle.get(), why.data(), why.size()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return Retry("the consumer is of no use any more: " +
                 (why[0] != '\0' ? std::string(why.data()) : status.message()));
  }
  if (error == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
    return Invalid(status.message() + "; auto.offset.reset does not say where to go on");
  }
  log.error(error, status);
  return Polled::Nothing;
}

void KafkaConsumer::wake() noexcept { rd_kafka_queue_yield(client_->queue.get()); }

bool KafkaConsumer::header(std::size_t index, std::string_view& name,
                           std::string_view& value) const {
  if (!client_->message) return false;
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(client_->message.get(), &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return false;
  }
  const char* name_begin = nullptr;
  const void* bytes = nullptr;
  std::size_t size = 0;
  if (rd_kafka_header_get_all(headers, index, &name_begin, &bytes, &size) !=
      RD_KAFKA_RESP_ERR_NO_ERROR) {
    return false;
  }
  name = name_begin;
  value = {static_cast<const char*>(bytes), bytes == nullptr ? 0 : size};
  return true;
}

void KafkaConsumer::pause() {
  paused_ = true;
  rd_kafka_topic_partition_list_t* all = nullptr;
  if (rd_kafka_assignment(client_->handle.get(), &all) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const KafkaPartitions list(all);
  rd_kafka_pause_partitions(client_->handle.get(), list.get());
}

void KafkaConsumer::resume() {
  paused_ = false;
  rd_kafka_topic_partition_list_t* all = nullptr;
  if (rd_kafka_assignment(client_->handle.get(), &all) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  const KafkaPartitions list(all);
  rd_kafka_resume_partitions(client_->handle.get(), list.get());
}

std::uint32_t KafkaConsumer::renumber(std::uint32_t lane) {
  for (auto& [partition, number] : client_->lanes) {
    if (number == lane) return number = client_->lanes_given++;
  }
  return lane;
}

// ---- partitions that come and go

void KafkaConsumer::Client::on_rebalance(rd_kafka_t* /*handle*/, rd_kafka_resp_err_t error,
                                         rd_kafka_topic_partition_list_t* list, void* opaque) {
  KafkaConsumer& self = consumer_of(opaque);
  self.client_->rebalance(self, error, list);
}

void KafkaConsumer::Client::rebalance(KafkaConsumer& self, rd_kafka_resp_err_t error,
                                      rd_kafka_topic_partition_list_t* list) {
  // Both may change what the cached address holds.
  last_lane = nullptr;
  if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) return assign(self, list);
  if (error != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    log.error(error, kafka_status(error, "sharing the partitions out"));
  }
  revoke(self, list);
}

void KafkaConsumer::Client::assign(KafkaConsumer& self, rd_kafka_topic_partition_list_t* list) {
  std::vector<KafkaPartitionOwner::Assigned> assigned;
  Status status = read_committed(list, assigned);
  if (status.ok()) status = self.owner_.assigned(assigned);
  if (!status.ok()) {
    // The group waits for an answer, be it that nothing more is taken.
    const KafkaPartitions nothing(rd_kafka_topic_partition_list_new(1));
    set_assignment(nothing.get(), true);
    failed = std::move(status);
    return;
  }
  for (int i = 0; i < list->cnt; ++i) {
    list->elems[i].offset = assigned[static_cast<std::size_t>(i)].begin;
    lanes[partition_of(list->elems[i])] = assigned[static_cast<std::size_t>(i)].lane;
  }
  log::info("{}: {} partitions are assigned, {} in all", name, list->cnt, lanes.size());
  set_assignment(list, true);
  if (self.paused_) rd_kafka_pause_partitions(handle.get(), list);
}

/// Where the group stands. The broker that shares partitions out is there, or was a moment ago.
Status KafkaConsumer::Client::read_committed(const rd_kafka_topic_partition_list_t* list,
                                             std::vector<KafkaPartitionOwner::Assigned>& assigned) {
  if (list->cnt == 0) return {};
  const KafkaPartitions copy(rd_kafka_topic_partition_list_copy(list));
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  for (int asked = 0; asked < questions_max; ++asked) {
    error = first_error(rd_kafka_committed(handle.get(), copy.get(), in_int(question_wait)),
                        copy.get());
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return kafka_status(error, "asking where the group stands");
  }
  for (int i = 0; i < copy->cnt; ++i) {
    const rd_kafka_topic_partition_t& answer = copy->elems[i];
    KafkaPartitionOwner::Assigned one;
    one.lane = lanes_given++;
    one.committed.partition = partition_of(answer);
    if (answer.offset >= 0) {
      one.committed.offset = answer.offset;
      one.committed.metadata = {static_cast<const char*>(answer.metadata), answer.metadata_size};
    }
    assigned.push_back(std::move(one));
  }
  return {};
}

void KafkaConsumer::Client::revoke(KafkaConsumer& self, rd_kafka_topic_partition_list_t* list) {
  const bool lost = rd_kafka_assignment_lost(handle.get()) != 0;
  std::vector<std::uint32_t> gone;
  for (int i = 0; i < list->cnt; ++i) {
    const auto found = lanes.find(partition_of(list->elems[i]));
    if (found == lanes.end()) continue;
    gone.push_back(found->second);
    lanes.erase(found);
  }
  if (!gone.empty()) self.owner_.revoked(gone, lost);
  if (lost && !gone.empty()) {
    log::warn(
        "{}: {} partitions are lost: the group has not heard of this member in time; what it "
        "read of them and has not committed comes again",
        name, gone.size());
  } else {
    log::info("{}: {} partitions are given back, {} are left", name, gone.size(), lanes.size());
  }
  set_assignment(list, false);
}

/// Adds to the assignment or takes away, as the group's protocol wants it done.
void KafkaConsumer::Client::set_assignment(const rd_kafka_topic_partition_list_t* list, bool add) {
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (is_cooperative()) {
    const KafkaError failure(add ? rd_kafka_incremental_assign(handle.get(), list)
                                 : rd_kafka_incremental_unassign(handle.get(), list));
    if (failure) error = rd_kafka_error_code(failure.get());
  } else {
    error = rd_kafka_assign(handle.get(), add ? list : nullptr);
  }
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    failed = kafka_status(error, add ? "taking partitions" : "giving partitions back");
  }
}

// ---- positions

void KafkaConsumer::Client::on_commit(rd_kafka_t* /*handle*/, rd_kafka_resp_err_t error,
                                      rd_kafka_topic_partition_list_t* list, void* opaque) {
  KafkaConsumer& self = consumer_of(opaque);
  error = first_error(error, list);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__NO_OFFSET) return;
  if (!worth_saying(++self.commit_failures_)) return;
  log::warn("{}: {}; it is done again with the next positions ({} so far)", self.client_->name,
            kafka_status(error, "telling the group its positions").message(),
            self.commit_failures_);
}

void KafkaConsumer::Client::on_error(rd_kafka_t* /*handle*/, int error, const char* text,
                                     void* opaque) {
  KafkaConsumer& self = consumer_of(opaque);
  ++self.poll_failures_;
  self.client_->log.error(error, kafka_status(static_cast<rd_kafka_resp_err_t>(error), "", text));
}

void KafkaConsumer::commit(std::span<const KafkaCommit> positions) {
  if (positions.empty()) return;
  const KafkaPartitions list = list_of(positions);
  const rd_kafka_resp_err_t error = rd_kafka_commit(client_->handle.get(), list.get(), 1);
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR || !worth_saying(++commit_failures_)) return;
  log::warn("{}: {} ({} so far)", client_->name,
            kafka_status(error, "telling the group its positions").message(), commit_failures_);
}

Status KafkaConsumer::commit_now(std::span<const KafkaCommit> positions, Deadline deadline) {
  if (positions.empty()) return {};
  const KafkaPartitions list = list_of(positions);
  const KafkaQueue answers(rd_kafka_queue_new(client_->handle.get()));
  constexpr std::string_view about = "telling the group its positions";
  rd_kafka_resp_err_t error =
      rd_kafka_commit_queue(client_->handle.get(), list.get(), answers.get(), nullptr, nullptr);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_status(error, about);
  const int wait = in_int(deadline.left(milliseconds(60'000)));
  const KafkaEvent answer(rd_kafka_queue_poll(answers.get(), wait));
  if (!answer) return kafka_status(RD_KAFKA_RESP_ERR__TIMED_OUT, about);
  error = first_error(rd_kafka_event_error(answer.get()),
                      rd_kafka_event_topic_partition_list(answer.get()));
  return kafka_status(error, about);
}

// ---- questions

Result<KafkaConsumer::Extent> KafkaConsumer::extent(const KafkaPartition& partition,
                                                    milliseconds wait_max) {
  Extent extent;
  const rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
      client_->handle.get(), partition.topic.c_str(), partition.number, &extent.begin, &extent.end,
      in_int(wait_max));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return extent;
  return kafka_status(error, "asking what " + partition.text() + " holds");
}

Result<std::vector<std::string>> KafkaConsumer::topics(milliseconds wait_max) {
  const rd_kafka_metadata_t* given = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(client_->handle.get(), 1, nullptr, &given, in_int(wait_max));
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return kafka_status(error, "asking for all topics");
  const KafkaMetadata metadata(given);
  std::vector<std::string> names;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    const std::string_view name = metadata->topics[i].topic;
    if (name != "__consumer_offsets" && name != "__transaction_state") names.emplace_back(name);
  }
  return names;
}

std::string KafkaConsumer::cluster_id(milliseconds wait_max) {
  char* const id = rd_kafka_clusterid(client_->handle.get(), in_int(wait_max));
  if (id == nullptr) return {};
  std::string copy = id;
  rd_kafka_mem_free(client_->handle.get(), id);
  return copy;
}

void KafkaConsumer::close(milliseconds silence_max) {
  Client& client = *client_;
  client.message.reset();
  const KafkaQueue events(rd_kafka_queue_new(client.handle.get()));
  const KafkaError refused(rd_kafka_consumer_close_queue(client.handle.get(), events.get()));
  if (refused) {
    log::warn("{}: the consumer does not close: {}", client.name,
              rd_kafka_error_string(refused.get()));
    return;
  }
  constexpr milliseconds step{100};
  Deadline deadline = Deadline::in(silence_max);
  while (rd_kafka_consumer_closed(client.handle.get()) == 0) {
    const KafkaEvent event(rd_kafka_queue_poll(events.get(), in_int(deadline.left(step))));
    if (event && rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_REBALANCE) {
      client.rebalance(*this, rd_kafka_event_error(event.get()),
                       rd_kafka_event_topic_partition_list(event.get()));
      deadline = Deadline::in(silence_max);  // the owner took its time
    }
    if (!deadline.passed()) continue;
    log::warn("{}: the group does not answer; it is left without a word", client.name);
    return;
  }
}

}  // namespace sluice
