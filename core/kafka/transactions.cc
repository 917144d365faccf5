#include "core/kafka/transactions.h"

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <utility>

#include "core/base/wait.h"
#include "core/kafka/error.h"
#include "core/kafka/handle.h"
#include "core/kafka/producer.h"

namespace sluice {
namespace {

// librdkafka's calls block; in between we look whether the agent is to stop.
constexpr int step_ms = 250;
// Brokers that do not answer for so long are said, and the transaction is begun anew.
constexpr milliseconds patience{60'000};
// At the end a commit that is under way has so long.
constexpr milliseconds last_commit_max{5'000};
// A broker's default for offset.metadata.max.bytes is 4096.
constexpr std::size_t part_bytes_max = 3'800;
constexpr std::size_t parts_max = 1'000;

constexpr std::string_view digits = "0123456789abcdef";

/// A broker keeps text, and the origins in a position are none.
std::string to_hex(std::string_view bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4];
    text += digits[byte & 0xF];
  }
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  std::string bytes;
  if (text.size() % 2 != 0) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const std::size_t high = digits.find(text[i]);
    const std::size_t low = digits.find(text[i + 1]);
    if (high == digits.npos || low == digits.npos) return std::nullopt;
    bytes += static_cast<char>(high << 4 | low);
  }
  return bytes;
}

struct Offset {
  std::int64_t offset = RD_KAFKA_OFFSET_INVALID;
  std::string metadata;
};

void pause(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable never;
  std::unique_lock lock(mutex);
  wait_until(never, lock, Deadline::in(milliseconds(100)), stop, [] { return false; });
}

/// True for what says how to reach the brokers; the rest is a producer's.
bool is_about_connections(std::string_view name) {
  constexpr std::array<std::string_view, 13> beginnings{"bootstrap.servers",
                                                        "metadata.broker.list",
                                                        "security.",
                                                        "ssl.",
                                                        "sasl.",
                                                        "socket.",
                                                        "broker.",
                                                        "api.version.",
                                                        "client.",
                                                        "enable.ssl.",
                                                        "reconnect.",
                                                        "connections.",
                                                        "resolve."};
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view each) { return name.starts_with(each); });
}

KafkaClientSettings reader_settings(const KafkaClientSettings& of, const std::string& group) {
  KafkaClientSettings settings{.role = KafkaRole::Consumer, .properties = {}, .remarks = {}};
  for (const KafkaProperty& each : of.properties) {
    if (is_about_connections(each.first)) settings.properties.push_back(each);
  }
  settings.properties.emplace_back("group.id", group);
  settings.properties.emplace_back("enable.auto.commit", "false");
  // An offset that a transaction may still change is waited for.
  settings.properties.emplace_back("isolation.level", "read_committed");
  return settings;
}

/// What a group has committed, when no transaction has a say in it any more. By a consumer of its
/// own: librdkafka 2.0's request for the offsets of any group dies where a coordinator moves.
Result<Offset> committed_by(const KafkaClientSettings& settings, KafkaClientLog& log,
                            const std::string& group, const std::string& topic,
                            const std::stop_token& stop) {
  auto conf = make_kafka_conf(reader_settings(settings, group), log);
  if (!conf.ok()) return conf.status();
  auto consumer = make_kafka_handle(RD_KAFKA_CONSUMER, *std::move(conf));
  if (!consumer.ok()) return consumer.status();
  const std::string about = "reading the offset of group '" + group + "'";
  const Deadline deadline = Deadline::in(patience);
  for (;;) {
    if (stop.stop_requested()) return Closed("the agent is stopping");
    const KafkaPartitions asked(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(asked.get(), topic.c_str(), 0);
    auto error = rd_kafka_committed(consumer->get(), asked.get(), 4 * step_ms);
    const rd_kafka_topic_partition_t& at = asked->elems[0];
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) error = at.err;
    // A topic that is not there yet has no offsets.
    if (error == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return Offset();
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      return Offset{at.offset,
                    std::string(static_cast<const char*>(at.metadata), at.metadata_size)};
    }
    const bool refused = error == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED ||
                         error == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    if (refused || deadline.passed()) return Retry(kafka_status(error, about).message());
    pause(stop);
  }
}

}  // namespace

KafkaTransactions::KafkaTransactions(KafkaProducer& producer, KafkaClientSettings settings,
                                     KafkaClientLog& log, Place place)
    : producer_(producer),
      handle_(producer.handle()),
      settings_(std::move(settings)),
      log_(log),
      place_(std::move(place)) {}

std::string KafkaTransactions::group(std::size_t number) const {
  return number == 0 ? place_.group : place_.group + "-" + std::to_string(number);
}

/// As long as it may come right by itself.
Status KafkaTransactions::repeat(const char* what, milliseconds patience_at_stop,
                                 const std::stop_token& stop, const Step& step) const {
  const Deadline deadline = Deadline::in(patience);
  Deadline last = Deadline::never();
  for (;;) {
    const KafkaError error(step(step_ms));
    if (!error) return {};
    Status status =
        kafka_status(rd_kafka_error_code(error.get()), what, rd_kafka_error_string(error.get()));
    if (rd_kafka_error_is_retriable(error.get()) == 0) {
      return status.code() == Code::Closed ? status : Retry(status.message());
    }
    // What broke the producer says more than that it does not answer.
    if (const Status broken = producer_.broken(); !broken.ok()) return broken;
    if (deadline.passed()) return Retry(status.message());
    if (stop.stop_requested() && last.is_never()) last = Deadline::in(patience_at_stop);
    if (last.passed()) return Closed("the agent is stopping");
  }
}

Result<std::optional<std::string>> KafkaTransactions::init(const std::stop_token& stop) {
  const Status status =
      repeat("beginning with transactions", milliseconds(0), stop,
             [this](int timeout_ms) { return rd_kafka_init_transactions(handle_, timeout_ms); });
  if (!status.ok()) return status;
  return read(stop);
}

Result<std::optional<std::string>> KafkaTransactions::read(const std::stop_token& stop) const {
  std::string text;
  std::size_t parts = 1;
  for (std::size_t i = 0; i < parts; ++i) {
    auto part = committed_by(settings_, log_, group(i), place_.topic, stop);
    if (!part.ok()) return part.status();
    if (part->offset < 1) {
      // A part that is gone is as bad as all of them: what is left will not be understood.
      if (i == 0) return std::optional<std::string>();
      break;
    }
    if (i == 0) parts = std::min(static_cast<std::size_t>(part->offset), parts_max);
    text += part->metadata;
  }
  auto bytes = from_hex(text);
  return std::optional<std::string>(bytes ? *std::move(bytes) : std::move(text));
}

Status KafkaTransactions::begin() {
  const KafkaError error(rd_kafka_begin_transaction(handle_));
  if (!error) return {};
  return Retry(kafka_status(rd_kafka_error_code(error.get()), "beginning a transaction",
                            rd_kafka_error_string(error.get()))
                   .message());
}

Status KafkaTransactions::commit(std::string_view text, const std::stop_token& stop) {
  const std::string hex = to_hex(text);
  const std::size_t parts =
      std::max<std::size_t>(1, (hex.size() + part_bytes_max - 1) / part_bytes_max);
  if (parts > parts_max) return Retry("the position is too long for Kafka");
  for (std::size_t i = 0; i < parts; ++i) {
    const std::string part = hex.substr(i * part_bytes_max, part_bytes_max);
    const KafkaPartitions offsets(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_t* const at =
        rd_kafka_topic_partition_list_add(offsets.get(), place_.topic.c_str(), 0);
    at->offset = static_cast<std::int64_t>(parts);
    at->metadata = ::malloc(part.size());  // the list frees it
    std::copy(part.begin(), part.end(), static_cast<char*>(at->metadata));
    at->metadata_size = part.size();
    const KafkaGroupMetadata group_metadata(rd_kafka_consumer_group_metadata_new(group(i).c_str()));
    const Status status =
        repeat("writing the position", last_commit_max, stop, [&](int timeout_ms) {
          return rd_kafka_send_offsets_to_transaction(handle_, offsets.get(), group_metadata.get(),
                                                      timeout_ms);
        });
    if (!status.ok()) return status;
  }
  return repeat("committing a transaction", last_commit_max, stop, [this](int timeout_ms) {
    return rd_kafka_commit_transaction(handle_, timeout_ms);
  });
}

void KafkaTransactions::abort() noexcept {
  constexpr int abort_ms = 1'000;
  const KafkaError ignored(rd_kafka_abort_transaction(handle_, abort_ms));
}

}  // namespace sluice
