#include "core/kafka/handle.h"

#include <array>
#include <string_view>

namespace sluice {
namespace {

void log_line(const rd_kafka_t* client, int level, const char* kind, const char* text) {
  // Before the client is made its opaque is not there yet; the error of make_kafka_handle() says
  // it.
  if (client == nullptr) return;
  if (auto* log = static_cast<KafkaClientLog*>(rd_kafka_opaque(client)))
    log->line(level, kind, text);
}

}  // namespace

Result<KafkaConf> make_kafka_conf(const KafkaClientSettings& settings, KafkaClientLog& log) {
  if (!settings.usable()) return Invalid(settings.problem());
  KafkaConf conf(rd_kafka_conf_new());
  std::array<char, 512> why{};
  for (const auto& [name, value] : settings.properties) {
    if (rd_kafka_conf_set(conf.get(), name.c_str(), value.c_str(), why.data(), why.size()) !=
        RD_KAFKA_CONF_OK) {
      return Invalid(why.data());
    }
  }
  if (settings.may_not_compress) log.look_for_produce();
  rd_kafka_conf_set_opaque(conf.get(), &log);
  rd_kafka_conf_set_log_cb(conf.get(), log_line);
  return conf;
}

Result<KafkaHandle> make_kafka_handle(rd_kafka_type_t type, KafkaConf conf) {
  std::array<char, 512> why{};
  KafkaHandle handle(rd_kafka_new(type, conf.get(), why.data(), why.size()));
  if (handle) {
    static_cast<void>(conf.release());  // the client owns it now
    return handle;
  }
  const std::string_view text = why.data();
  // librdkafka has one code for all of it. Files may come, and so may threads and memory.
  const bool passes = rd_kafka_last_error() != RD_KAFKA_RESP_ERR__INVALID_ARG ||
                      text.find("No such file") != text.npos ||
                      text.find("ermission denied") != text.npos ||
                      text.find("system lib") != text.npos;  // OpenSSL's words for either
  const std::string message = "no Kafka client can be made: " + std::string(text);
  return passes ? Retry(message) : Invalid(message);
}

}  // namespace sluice
