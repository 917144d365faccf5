// What the properties of a Java Kafka client, as Flume's files have them, mean to librdkafka.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/input_file.h"

namespace sluice {

enum class KafkaRole : unsigned char { Producer, Consumer };

/// A name and its value: what Settings::below("kafka.producer") gives.
using KafkaProperty = std::pair<std::string, std::string>;

/// Something to tell the person who wrote a property.
struct KafkaRemark {
  enum class Kind : unsigned char {
    Note,     ///< It has no meaning here; nothing is wrong.
    Warning,  ///< It is not known, or does less than it seems to.
    Error,    ///< No client can be made.
  };
  Kind kind = Kind::Error;
  std::string property;  ///< As it was given; empty: about all of them.
  std::string message;   ///< A sentence that names the property and never quotes a secret.
  std::string hint;      ///< What to do; may be empty.
};

/// The configuration of a client in librdkafka's names, which librdkafka has checked. A value.
struct KafkaClientSettings {
  KafkaRole role = KafkaRole::Producer;
  std::vector<KafkaProperty> properties;  ///< No name twice.
  std::vector<KafkaRemark> remarks;
  /// This librdkafka may not compress for some brokers; KafkaClientLog says so when it meets one.
  bool may_not_compress = false;

  /// False: a remark is an Error.
  bool usable() const noexcept;
  /// The first Error's message and hint; empty when usable.
  std::string problem() const;
  /// What librdkafka is told; its own default when it is told nothing. Empty: no such name.
  std::string value(std::string_view rdkafka_name) const;
};

/// Reads `properties`: Java's names, which are translated, and librdkafka's own, which are taken as
/// they are. A later one of the same meaning wins. What has no meaning here is a Note, an unknown
/// name a Warning (Java's client says no more either), a value that librdkafka does not take an
/// Error.
///
/// No broker is asked and nothing is connected, so that `sluice check` can call it. `files` is
/// asked what kind of file a truststore or keystore is.
///
/// Where nothing is said, a producer is idempotent, keeps the order within a partition and has room
/// for whatever its callers keep in flight; a consumer commits nothing by itself.
KafkaClientSettings kafka_client_settings(KafkaRole role, std::span<const KafkaProperty> properties,
                                          InputFiles& files = InputFiles::real());

}  // namespace sluice
