#include "core/kafka/producer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <map>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/thread.h"
#include "core/base/wait.h"
#include "core/kafka/error.h"
#include "core/kafka/handle.h"

namespace sluice {
namespace {

constexpr int poll_ms = 50;
// Reports that wait for the sending thread to free their messages; beyond, and when none come any
// more, it is done where they are heard.
constexpr std::size_t heard_max = 64;
constexpr std::size_t topics_kept_max = 1000;
constexpr std::uint32_t none_failed = std::numeric_limits<std::uint32_t>::max();

/// Which record a report is about, in the pointer that librdkafka hands back with it.
struct Mark {
  std::uint32_t index;
  std::uint16_t slot;
  bool own_partition;

  void* pack() const noexcept {
    return reinterpret_cast<void*>(std::uintptr_t{index} | (std::uintptr_t{slot} << 32) |
                                   (std::uintptr_t{own_partition ? 1U : 0U} << 48));
  }
  static Mark unpack(const void* packed) noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(packed);
    return {static_cast<std::uint32_t>(bits), static_cast<std::uint16_t>(bits >> 32),
            ((bits >> 48) & 1) != 0};
  }
};
static_assert(sizeof(void*) == 8, "a mark needs 49 bits");

/// A failure of one record, as its report has it.
struct Failure {
  rd_kafka_resp_err_t error;
  std::uint32_t index;
  std::size_t bytes;
  bool own_partition;
  bool may_have_arrived;
  const char* topic;
  bool sent = true;  ///< False: refused by librdkafka itself, so alone.
};

std::uint64_t number(const KafkaClientSettings& settings, std::string_view name,
                     std::uint64_t otherwise) {
  const std::string text = settings.value(name);
  return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
}

std::string about(const char* topic) { return "topic '" + std::string(topic) + "'"; }

}  // namespace

bool is_kafka_topic_name(std::string_view name) noexcept {
  constexpr std::size_t bytes_max = 249;
  if (name.empty() || name.size() > bytes_max || name == "." || name == "..") return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

class KafkaProducer::Client {
 public:
  Client(Options options, std::stop_token stop)
      : options_(std::move(options)),
        stop_(std::move(stop)),
        transactional_(!options_.settings.value("transactional.id").empty()),
        log_(*options_.log),
        slots_(options_.batches_max) {}
  ~Client();

  Status start();
  void send(const Batch& batch, const std::string& topic, std::int32_t partition, Done done);
  void send(const Batch& batch, const RecordOf& record_of, Done done);
  Status broken() const;
  Remedy remedy() const;
  bool wait_until_idle(const std::stop_token& stop);
  std::uint64_t set_bytes_max() const noexcept { return set_bytes_max_; }
  rd_kafka_t* handle() const noexcept { return handle_.get(); }

 private:
  /// A batch in flight. `left` counts its reports, and one more while it is being sent; who brings
  /// it to 0 ends it.
  struct Slot {
    Batch batch;
    Done done;
    std::atomic<std::uint32_t> left{0};
    std::atomic<bool> busy{false};
    std::mutex mutex;
    Status failure;                            // guarded by mutex, as all below
    std::uint32_t first_failed = none_failed;  // or rejected
    bool may_have_arrived = false;
    std::vector<std::uint32_t> rejected;
    std::string rejected_because;
  };

  std::uint16_t begin(const Batch& batch, Done done);
  bool fits(std::uint64_t messages, std::uint64_t bytes) const noexcept;
  void wait_for_room(const Batch& batch);
  void send_together(Slot& slot, std::uint16_t number, rd_kafka_topic_t* topic,
                     std::int32_t partition);
  rd_kafka_resp_err_t send_one(const KafkaRecord& record, Mark mark, rd_kafka_topic_t* topic);
  rd_kafka_resp_err_t send_with_headers(const KafkaRecord& record, Mark mark,
                                        rd_kafka_topic_t* topic);
  bool send_or_wait(Slot& slot, const KafkaRecord& record, Mark mark);
  void give_up_from(Slot& slot, std::uint32_t index);
  rd_kafka_topic_t* topic(std::string_view name);
  rd_kafka_topic_t* topic_of(std::string_view name);
  bool wait_for_reports();

  void serve();
  void handle(rd_kafka_event_t& event);
  void keep_heard(KafkaEvent event);
  void free_heard();
  void reports(rd_kafka_event_t& event);
  void failed(Slot& slot, const Failure& failure);
  bool is_its_own(const Failure& failure) const noexcept;
  void reject(Slot& slot, std::uint32_t index, const std::string& because);
  void fail(Slot& slot, std::uint32_t index, const Status& why, bool may_have_arrived);
  void break_off(const Status& why, Remedy remedy);
  void release(Slot& slot, std::uint32_t reports);
  void call_back();

  const Options options_;
  const std::stop_token stop_;
  const bool transactional_;
  KafkaClientLog& log_;
  std::uint64_t messages_max_ = 0;
  std::uint64_t bytes_max_ = 0;
  std::uint64_t set_bytes_max_ = 0;
  KafkaHandle handle_;
  KafkaQueue queue_;
  std::map<std::string, KafkaTopic, std::less<>> topics_;  // the caller's thread
  rd_kafka_topic_t* last_topic_ = nullptr;                 // the caller's thread; in topics_
  std::string_view last_topic_name_;                       // the caller's thread
  std::vector<rd_kafka_message_t> messages_;               // the caller's thread
  std::vector<Slot> slots_;

  // What librdkafka holds, by its own measure.
  std::atomic<std::uint64_t> messages_held_{0};
  std::atomic<std::uint64_t> bytes_held_{0};

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t reports_heard_ = 0;  // guarded by mutex_
  std::uint32_t in_flight_ = 0;      // guarded by mutex_: batches whose `done` has not returned
  Status broken_;                    // guarded by mutex_
  Remedy remedy_ = Remedy::Again;    // guarded by mutex_
  std::atomic<bool> is_broken_{false};
  std::atomic<bool> closing_{false};

  std::mutex heard_mutex_;
  std::vector<KafkaEvent> heard_;  // guarded by heard_mutex_

  Deadline give_up_ = Deadline::never();  // the serving thread
  std::jthread server_;
};

// ---- life

Status KafkaProducer::Client::start() {
  SLUICE_ASSERT(options_.batches_max > 0 && options_.batches_max <= 0xFFFF, "a mark has 16 bits");
  auto conf = make_kafka_conf(options_.settings, log_);
  if (!conf.ok()) return conf.status();
  std::array<char, 512> why{};
  const auto also = [&](const char* name, const std::string& value) {
    return rd_kafka_conf_set(conf->get(), name, value.c_str(), why.data(), why.size()) ==
           RD_KAFKA_CONF_OK;
  };
  constexpr std::uint64_t set_bytes_default = 1'000'000;
  set_bytes_max_ = options_.set_bytes_max > 0
                       ? options_.set_bytes_max
                       : number(options_.settings, "batch.size", set_bytes_default);
  set_bytes_max_ =
      std::min(set_bytes_max_, number(options_.settings, "message.max.bytes", set_bytes_default));
  if (!also("batch.size", std::to_string(set_bytes_max_))) return Invalid(why.data());
  // A record that is refused must not stop those behind it here, nor may they be under way already.
  if (options_.one_by_one &&
      !(also("batch.num.messages", "1") && also("max.in.flight.requests.per.connection", "1") &&
        also("enable.gapless.guarantee", "false"))) {
    return Invalid(why.data());
  }
  messages_max_ = number(options_.settings, "queue.buffering.max.messages", 100'000);
  bytes_max_ = number(options_.settings, "queue.buffering.max.kbytes", 1 << 20) * 1024;
  rd_kafka_conf_set_events(conf->get(), RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
  auto handle = make_kafka_handle(RD_KAFKA_PRODUCER, *std::move(conf));
  if (!handle.ok()) return handle.status();
  handle_ = *std::move(handle);
  queue_.reset(rd_kafka_queue_get_main(handle_.get()));
  server_ = std::jthread([this] { serve(); });
  return {};
}

KafkaProducer::Client::~Client() {
  closing_ = true;
  if (queue_) rd_kafka_queue_yield(queue_.get());
  if (server_.joinable()) server_.join();
  heard_.clear();
  topics_.clear();
  queue_.reset();
}

Status KafkaProducer::Client::broken() const {
  const std::lock_guard lock(mutex_);
  return broken_;
}

KafkaProducer::Remedy KafkaProducer::Client::remedy() const {
  const std::lock_guard lock(mutex_);
  return remedy_;
}

bool KafkaProducer::Client::wait_until_idle(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  return wait_until(changed_, lock, Deadline::never(), stop, [this] { return in_flight_ == 0; });
}

// ---- sending

/// A free slot, with one report more to come than the batch has records.
std::uint16_t KafkaProducer::Client::begin(const Batch& batch, Done done) {
  free_heard();
  const auto free = std::find_if(slots_.begin(), slots_.end(), [](const Slot& slot) {
    return !slot.busy.load(std::memory_order_acquire);
  });
  SLUICE_ASSERT(free != slots_.end(), "more batches in flight than batches_max");
  free->batch = batch;
  free->done = std::move(done);
  free->failure = {};
  free->first_failed = none_failed;
  free->may_have_arrived = false;
  free->rejected.clear();
  free->rejected_because.clear();
  free->left = batch.size() + 1;
  free->busy = true;
  const std::lock_guard lock(mutex_);
  ++in_flight_;
  return static_cast<std::uint16_t>(free - slots_.begin());
}

void KafkaProducer::Client::send(const Batch& batch, const std::string& topic_name,
                                 std::int32_t partition, Done done) {
  const std::uint16_t number = begin(batch, std::move(done));
  Slot& slot = slots_[number];
  wait_for_room(batch);
  if (is_broken_ || stop_.stop_requested()) {
    give_up_from(slot, 0);
  } else if (fits(batch.size(), batch.body_bytes())) {
    send_together(slot, number, topic(topic_name), partition);
  } else {
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      KafkaRecord record;
      record.topic = topic_name;
      record.partition = partition;
      record.value = batch.body(i);
      record.value_in_slab = true;
      if (!send_or_wait(slot, record, {i, number, false})) break;
    }
  }
  release(slot, 1);
}

void KafkaProducer::Client::send(const Batch& batch, const RecordOf& record_of, Done done) {
  const std::uint16_t number = begin(batch, std::move(done));
  Slot& slot = slots_[number];
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    KafkaRecord record;
    if (Status status = record_of(i, record); !status.ok()) {
      reject(slot, i, status.message());
      release(slot, 1);
      continue;
    }
    if (!send_or_wait(slot, record, {i, number, record.partition_is_its_own})) break;
  }
  release(slot, 1);
}

/// One call takes them all, or some out of their order; so only where it has room for all.
bool KafkaProducer::Client::fits(std::uint64_t messages, std::uint64_t bytes) const noexcept {
  return messages_held_ + messages <= messages_max_ && bytes_held_ + bytes <= bytes_max_;
}

/// Until the batch fits, unless it never will: one by one its records would cost twice as much.
void KafkaProducer::Client::wait_for_room(const Batch& batch) {
  if (batch.size() > messages_max_ || batch.body_bytes() > bytes_max_) return;
  while (!fits(batch.size(), batch.body_bytes()) && !is_broken_ && !stop_.stop_requested()) {
    wait_for_reports();
  }
}

void KafkaProducer::Client::send_together(Slot& slot, std::uint16_t number, rd_kafka_topic_t* to,
                                          std::int32_t partition) {
  const Batch& batch = slot.batch;
  const std::uint32_t count = batch.size();
  messages_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::string_view body = batch.body(i);
    rd_kafka_message_t& message = messages_[i];
    message = {};
    message.payload = const_cast<char*>(body.data());
    message.len = body.size();
    message._private = Mark{i, number, false}.pack();
  }
  messages_held_ += count;
  bytes_held_ += batch.body_bytes();
  const int taken =
      rd_kafka_produce_batch(to, partition, 0, messages_.data(), static_cast<int>(count));
  if (taken == static_cast<int>(count)) return;
  for (std::uint32_t i = 0; i < count; ++i) {
    const rd_kafka_message_t& message = messages_[i];
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    messages_held_ -= 1;
    bytes_held_ -= message.len;
    if (message.err == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      // Reports that we have heard still count for librdkafka. What had no room is the end of them.
      KafkaRecord record;
      record.topic = rd_kafka_topic_name(to);
      record.partition = partition;
      record.value = batch.body(i);
      record.value_in_slab = true;
      if (!send_or_wait(slot, record, {i, number, false})) return;
      continue;
    }
    failed(slot, {message.err, i, message.len, false, false, rd_kafka_topic_name(to), false});
    release(slot, 1);
  }
}

/// False: nothing more of this batch is sent, and all of its reports are accounted for.
bool KafkaProducer::Client::send_or_wait(Slot& slot, const KafkaRecord& record, Mark mark) {
  rd_kafka_topic_t* const to = topic(record.topic);
  if (to == nullptr) {
    reject(slot, mark.index, kafka_status(RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, "").message());
    release(slot, 1);
    return true;
  }
  for (;;) {
    if (is_broken_ || stop_.stop_requested()) {
      give_up_from(slot, mark.index);
      return false;
    }
    messages_held_ += 1;
    bytes_held_ += record.value.size();
    const rd_kafka_resp_err_t error = send_one(record, mark, to);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
    messages_held_ -= 1;
    bytes_held_ -= record.value.size();
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      wait_for_reports();
      continue;
    }
    failed(slot, {error, mark.index, record.value.size(), mark.own_partition, false,
                  rd_kafka_topic_name(to), false});
    release(slot, 1);
    return true;
  }
}

rd_kafka_resp_err_t KafkaProducer::Client::send_one(const KafkaRecord& record, Mark mark,
                                                    rd_kafka_topic_t* to) {
  if (!record.headers.empty() || record.timestamp_ms != 0) {
    return send_with_headers(record, mark, to);
  }
  const char* const key = !record.key ? nullptr : record.key->empty() ? "" : record.key->data();
  const int sent =
      rd_kafka_produce(to, record.partition, record.value_in_slab ? 0 : RD_KAFKA_MSG_F_COPY,
                       const_cast<char*>(record.value.data()), record.value.size(), key,
                       record.key ? record.key->size() : 0, mark.pack());
  return sent == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
}

rd_kafka_resp_err_t KafkaProducer::Client::send_with_headers(const KafkaRecord& record, Mark mark,
                                                             rd_kafka_topic_t* to) {
  std::array<rd_kafka_vu_t, 8> parts{};
  std::size_t count = 0;
  const auto part = [&](rd_kafka_vtype_t type) -> rd_kafka_vu_t& {
    parts[count].vtype = type;
    return parts[count++];
  };
  part(RD_KAFKA_VTYPE_RKT).u.rkt = to;
  part(RD_KAFKA_VTYPE_PARTITION).u.i32 = record.partition;
  part(RD_KAFKA_VTYPE_MSGFLAGS).u.i = record.value_in_slab ? 0 : RD_KAFKA_MSG_F_COPY;
  part(RD_KAFKA_VTYPE_VALUE).u.mem = {const_cast<char*>(record.value.data()), record.value.size()};
  part(RD_KAFKA_VTYPE_OPAQUE).u.ptr = mark.pack();
  if (record.key) {
    const char* const key = record.key->empty() ? "" : record.key->data();
    part(RD_KAFKA_VTYPE_KEY).u.mem = {const_cast<char*>(key), record.key->size()};
  }
  if (record.timestamp_ms != 0) part(RD_KAFKA_VTYPE_TIMESTAMP).u.i64 = record.timestamp_ms;
  KafkaHeaders headers;
  if (!record.headers.empty()) {
    headers.reset(rd_kafka_headers_new(record.headers.size()));
    for (const auto& [name, value] : record.headers) {
      rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()),
                          value.data(), static_cast<ssize_t>(value.size()));
    }
    part(RD_KAFKA_VTYPE_HEADERS).u.headers = headers.get();
  }
  const KafkaError error(rd_kafka_produceva(handle_.get(), parts.data(), count));
  if (error) return rd_kafka_error_code(error.get());
  static_cast<void>(headers.release());  // the message owns them now
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/// Records [index, end) of a batch were not sent.
void KafkaProducer::Client::give_up_from(Slot& slot, std::uint32_t index) {
  const Status why = broken();
  fail(slot, index,
       why.ok() ? Closed("the agent is stopping") : Retry("it was not sent: " + why.message()),
       false);
  release(slot, slot.batch.size() - index);
}

rd_kafka_topic_t* KafkaProducer::Client::topic(std::string_view name) {
  if (last_topic_ != nullptr && name == last_topic_name_) return last_topic_;
  last_topic_ = topic_of(name);
  last_topic_name_ = last_topic_ == nullptr ? "" : rd_kafka_topic_name(last_topic_);
  return last_topic_;
}

rd_kafka_topic_t* KafkaProducer::Client::topic_of(std::string_view name) {
  const auto found = topics_.find(name);
  if (found != topics_.end()) return found->second.get();
  if (!is_kafka_topic_name(name)) return nullptr;
  if (topics_.size() >= topics_kept_max) topics_.clear();  // librdkafka keeps what it has to send
  std::string text(name);
  KafkaTopic made(rd_kafka_topic_new(handle_.get(), text.c_str(), nullptr));
  rd_kafka_topic_t* const result = made.get();
  if (result != nullptr) topics_.emplace(std::move(text), std::move(made));
  return result;
}

/// Waits until librdkafka may have room again; bounded, for room may come unheard.
bool KafkaProducer::Client::wait_for_reports() {
  free_heard();
  std::unique_lock lock(mutex_);
  const std::uint64_t heard = reports_heard_;
  return wait_until(changed_, lock, Deadline::in(milliseconds(poll_ms)), stop_,
                    [&] { return reports_heard_ != heard || !broken_.ok(); });
}

// ---- reports

void KafkaProducer::Client::serve() {
  name_this_thread("kafka-reports");
  const auto idle = [this] {
    const std::lock_guard lock(mutex_);
    return in_flight_ == 0;
  };
  while (!closing_ || !idle()) {
    KafkaEvent event(rd_kafka_queue_poll(queue_.get(), poll_ms));
    if (event) handle(*event);
    // What is kept still counts for librdkafka, which waits for it before it commits a transaction.
    if (event && !idle()) {
      keep_heard(std::move(event));
    } else {
      event.reset();
      free_heard();
    }
    call_back();
  }
}

/// A message is several small blocks of memory. Where the thread that asked for them frees them, it
/// has them again at once; freed by another one they cost it a tenth more time, with headers.
void KafkaProducer::Client::keep_heard(KafkaEvent event) {
  const std::lock_guard lock(heard_mutex_);
  if (heard_.size() < heard_max) heard_.push_back(std::move(event));
}

void KafkaProducer::Client::free_heard() {
  std::vector<KafkaEvent> heard;
  const std::lock_guard lock(heard_mutex_);
  heard.swap(heard_);
}

/// What was not acknowledged comes back: behind a failure what waits to be sent, so that it does
/// not overtake; at the end everything, once the last reports had their time.
void KafkaProducer::Client::call_back() {
  if (closing_ || give_up_.passed()) {
    rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                      RD_KAFKA_PURGE_F_NON_BLOCKING);
    return;
  }
  if (is_broken_) {
    rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
  }
  if (give_up_.is_never() && stop_.stop_requested()) {
    give_up_ = Deadline::in(options_.last_reports_max);
  }
}

void KafkaProducer::Client::handle(rd_kafka_event_t& event) {
  if (rd_kafka_event_type(&event) == RD_KAFKA_EVENT_DR) return reports(event);
  if (rd_kafka_event_type(&event) != RD_KAFKA_EVENT_ERROR) return;
  rd_kafka_resp_err_t error = rd_kafka_event_error(&event);
  const char* text = rd_kafka_event_error_string(&event);
  std::array<char, 512> fatal{};
  if (rd_kafka_event_error_is_fatal(&event) != 0) {
    error = rd_kafka_fatal_error(handle_.get(), fatal.data(), fatal.size());
    text = fatal.data();
  }
  const Status status = kafka_status(error, "", text);
  // That records failed is said with what becomes of them.
  if (error != RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE) log_.error(error, status);
  if (rd_kafka_event_error_is_fatal(&event) != 0) {
    break_off(Retry(status.message()), Remedy::Again);
  }
}

/// Reports of one batch mostly come together; so they are counted together.
void KafkaProducer::Client::reports(rd_kafka_event_t& event) {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint32_t run = 0;
  Slot* of = nullptr;
  bool any_arrived = false;
  while (const rd_kafka_message_t* message = rd_kafka_event_message_next(&event)) {
    const Mark mark = Mark::unpack(message->_private);
    Slot* const slot = &slots_[mark.slot];
    if (slot != of) {
      if (of != nullptr) release(*of, run);
      of = slot;
      run = 0;
    }
    ++run;
    ++messages;
    bytes += message->len;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      any_arrived = true;
      continue;
    }
    failed(*slot, {message->err, mark.index, message->len + message->key_len, mark.own_partition,
                   rd_kafka_message_status(message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED,
                   rd_kafka_topic_name(message->rkt)});
  }
  if (any_arrived && log_.troubled()) {
    log_.recovered();
    log::info("{}: brokers acknowledge records again", log_.component());
  }
  if (of != nullptr) release(*of, run);
  messages_held_ -= messages;
  bytes_held_ -= bytes;
  const std::lock_guard lock(mutex_);
  ++reports_heard_;
  changed_.notify_all();
}

/// True where it is the record, and no other one that was sent with it.
bool KafkaProducer::Client::is_its_own(const Failure& failure) const noexcept {
  if (failure.error == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) return failure.own_partition;
  if (failure.error == RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) return true;
  return fault_of(failure.error) == KafkaFault::Record && (options_.one_by_one || !failure.sent);
}

void KafkaProducer::Client::failed(Slot& slot, const Failure& failure) {
  const Status status =
      kafka_status(failure.error, about(failure.topic),
                   failure.error == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ? log_.latest_error() : "");
  if (is_its_own(failure)) {
    reject(slot, failure.index, status.message());
    // A transaction in which a broker refused a record cannot be committed.
    if (failure.sent && transactional_) {
      break_off(
          Retry("the transaction is begun anew without what was refused: " + status.message()),
          Remedy::Again);
    }
    return;
  }
  const KafkaFault fault = fault_of(failure.error);
  if (fault == KafkaFault::Given) {
    if (broken().ok() && !stop_.stop_requested() && !closing_) {
      break_off(Retry("librdkafka gave the transaction up; its reason is in the log"),
                Remedy::Again);
    }
    const Status before = broken();
    const Status why = before.ok() ? Closed("the agent is stopping")
                                   : Retry("it was not sent: " + before.message());
    return fail(slot, failure.index, why, failure.may_have_arrived);
  }
  Remedy remedy = Remedy::Again;
  if (fault == KafkaFault::Record) {
    // What is as large as a set may be was alone in one, and so is each record in sets of a byte:
    // smaller ones are no help.
    const bool smaller_helps =
        is_too_large(failure.error) && failure.bytes < set_bytes_max_ && set_bytes_max_ > 1;
    remedy = smaller_helps ? Remedy::SmallerSets : Remedy::OneByOne;
  }
  const Status why = Retry(status.message());
  break_off(why, remedy);
  fail(slot, failure.index, why, failure.may_have_arrived);
}

void KafkaProducer::Client::reject(Slot& slot, std::uint32_t index, const std::string& because) {
  const std::lock_guard lock(slot.mutex);
  slot.rejected.push_back(index);
  if (slot.rejected_because.empty()) slot.rejected_because = because;
  slot.first_failed = std::min(slot.first_failed, index);
}

void KafkaProducer::Client::fail(Slot& slot, std::uint32_t index, const Status& why,
                                 bool may_have_arrived) {
  const std::lock_guard lock(slot.mutex);
  if (slot.failure.ok()) slot.failure = why;
  slot.may_have_arrived |= may_have_arrived;
  slot.first_failed = std::min(slot.first_failed, index);
}

/// The first failure says why; a remedy that is more than another try is not forgotten.
void KafkaProducer::Client::break_off(const Status& why, Remedy remedy) {
  const std::lock_guard lock(mutex_);
  if (broken_.ok()) broken_ = why;
  remedy_ = std::max(remedy_, remedy);
  is_broken_ = true;
  changed_.notify_all();
}

void KafkaProducer::Client::release(Slot& slot, std::uint32_t reports) {
  if (slot.left.fetch_sub(reports, std::memory_order_acq_rel) != reports) return;
  Outcome outcome;
  {
    const std::lock_guard lock(slot.mutex);
    outcome.status = std::move(slot.failure);
    std::sort(slot.rejected.begin(), slot.rejected.end());
    outcome.rejected = std::move(slot.rejected);
    outcome.rejected_because = std::move(slot.rejected_because);
    if (!outcome.status.ok()) {
      outcome.arrived = slot.first_failed;
      outcome.may_have_arrived = slot.may_have_arrived;
    }
  }
  const Done done = std::move(slot.done);
  slot.done = nullptr;
  slot.batch = Batch();
  slot.busy.store(false, std::memory_order_release);
  done(std::move(outcome));
  const std::lock_guard lock(mutex_);
  if (--in_flight_ == 0) changed_.notify_all();
}

// ---- the face

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::make(Options options, std::stop_token stop) {
  auto client = std::make_unique<Client>(std::move(options), std::move(stop));
  if (Status status = client->start(); !status.ok()) return status;
  return std::unique_ptr<KafkaProducer>(new KafkaProducer(std::move(client)));
}

KafkaProducer::KafkaProducer(std::unique_ptr<Client> client) : client_(std::move(client)) {}
KafkaProducer::~KafkaProducer() = default;

void KafkaProducer::send(const Batch& batch, const std::string& topic, std::int32_t partition,
                         Done done) {
  client_->send(batch, topic, partition, std::move(done));
}
void KafkaProducer::send(const Batch& batch, const RecordOf& record_of, Done done) {
  client_->send(batch, record_of, std::move(done));
}
Status KafkaProducer::broken() const { return client_->broken(); }
KafkaProducer::Remedy KafkaProducer::remedy() const { return client_->remedy(); }
bool KafkaProducer::wait_until_idle(const std::stop_token& stop) {
  return client_->wait_until_idle(stop);
}
std::uint64_t KafkaProducer::set_bytes_max() const noexcept { return client_->set_bytes_max(); }
rd_kafka_s* KafkaProducer::handle() const noexcept { return client_->handle(); }

void apply_remedy(const KafkaProducer& failed, KafkaProducer::Options& options) {
  switch (failed.remedy()) {
    case KafkaProducer::Remedy::Again: break;
    case KafkaProducer::Remedy::SmallerSets:
      options.set_bytes_max = std::max<std::uint64_t>(1, failed.set_bytes_max() / 4);
      log::info("{}: records are sent in sets of {} bytes at most: a broker takes no larger ones",
                options.log->component(), options.set_bytes_max);
      break;
    case KafkaProducer::Remedy::OneByOne: options.one_by_one = true; break;
  }
}

}  // namespace sluice
