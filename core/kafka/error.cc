#include "core/kafka/error.h"

#include <algorithm>
#include <iterator>
#include <string>

namespace sluice {
namespace {

struct Known {
  rd_kafka_resp_err_t error;
  std::string_view text;
};

constexpr Known texts[] = {
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
     "no broker answers; is one running where bootstrap.servers says, and do both sides agree on "
     "security.protocol?"},
    {RD_KAFKA_RESP_ERR__TRANSPORT,
     "the connection to a broker cannot be made, or broke; is it running, and do both sides agree "
     "on security.protocol?"},
    {RD_KAFKA_RESP_ERR__RESOLVE,
     "a broker's host name is not known; check bootstrap.servers and the "
     "broker's advertised.listeners"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, "no broker took it within delivery.timeout.ms"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer in time"},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
     "the broker did not have it on all replicas within request.timeout.ms"},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION,
     "the broker refuses the login; check sasl.mechanism, the user and the password of "
     "sasl.jaas.config"},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
     "the broker refuses the login; check sasl.mechanism, the user and the password of "
     "sasl.jaas.config"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM,
     "the broker does not offer this sasl.mechanism; check sasl.enabled.mechanisms there"},
    {RD_KAFKA_RESP_ERR__SSL,
     "TLS fails; does the broker's port speak TLS, does ssl.truststore.location hold its CA, and "
     "is its certificate for this host?"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
     "there is no such topic; create it, or let the broker do so "
     "(auto.create.topics.enable)"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
     "there is no such topic; create it, or let the broker do so (auto.create.topics.enable)"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, "the topic has no such partition"},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION,
     "no topic can have this name: 1 to 249 letters, digits, '.', '_' and '-'"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
     "this user may not use the topic; the broker's ACLs decide it"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
     "this user may not use the group; the broker's ACLs decide it"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
     "this user may not write idempotently; grant IdempotentWrite on the cluster, or set "
     "enable.idempotence = false"},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
     "this user may not use the transactional id; the broker's ACLs decide it"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
     "fewer replicas are in sync than the topic's min.insync.replicas asks for"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
     "fewer replicas are in sync than the topic's min.insync.replicas asks for"},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, "the partition has no leader just now"},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, "the partition's leader has moved"},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
     "the broker cannot write to its disk; is it full or broken?"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
     "it is larger than max.request.size here (1000000 unless set) or message.max.bytes, "
     "max.message.bytes of the broker's topic"},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
     "the set of records is larger than the broker's segment.bytes"},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD,
     "the broker refuses the record; a compacted topic wants a key, and the time may be out of its "
     "bounds"},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
     "the time is out of the bounds that the broker's topic has"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
     "the topic's message format knows no such record; headers need Kafka 0.11"},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, "a policy of the broker refuses it"},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, "the client's queue is full"},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE,
     "it was not sent: something before it failed, or the agent "
     "is stopping"},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, "it was given up before it was acknowledged"},
    {RD_KAFKA_RESP_ERR__FATAL, "the client cannot go on and is made anew"},
    {RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE, "a record before it failed"},
    {RD_KAFKA_RESP_ERR__FENCED, "another client has taken over"},
};

std::string_view text_of(rd_kafka_resp_err_t error) noexcept {
  const auto found = std::find_if(std::begin(texts), std::end(texts),
                                  [&](const Known& each) { return each.error == error; });
  return found == std::end(texts) ? rd_kafka_err2str(error) : found->text;
}

Code code_of(KafkaFault fault) noexcept {
  switch (fault) {
    case KafkaFault::Record: return Code::Reject;
    case KafkaFault::Given: return Code::Closed;
    case KafkaFault::Passing:
    case KafkaFault::Client: return Code::Retry;
  }
  return Code::Retry;
}

}  // namespace

KafkaFault fault_of(rd_kafka_resp_err_t error) noexcept {
  switch (error) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION: return KafkaFault::Record;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
    case RD_KAFKA_RESP_ERR__DESTROY: return KafkaFault::Given;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID: return KafkaFault::Client;
    default: return KafkaFault::Passing;
  }
}

bool is_too_large(rd_kafka_resp_err_t error) noexcept {
  return error == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE ||
         error == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE;
}

Status kafka_status(rd_kafka_resp_err_t error, std::string_view about, std::string_view detail) {
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  std::string message(about);
  if (!message.empty()) message += ": ";
  message += text_of(error);
  message += " (";
  message += rd_kafka_err2name(error);
  message += ")";
  if (!detail.empty()) {
    message += ": ";
    message += detail;
  }
  return {code_of(fault_of(error)), std::move(message)};
}

}  // namespace sluice
