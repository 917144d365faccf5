// What a file says of a Kafka client, and what is wrong with it.
#pragma once

#include <string_view>
#include <vector>

#include "core/config/component.h"
#include "core/config/settings.h"
#include "core/kafka/client_settings.h"

namespace sluice {

/// The client of the keys "kafka.bootstrap.servers" and those below `family`: "kafka.producer" or
/// "kafka.consumer". `before` are properties that the file may replace, `after` those it may not.
KafkaClientSettings kafka_client_of(const Settings& settings, KafkaRole role,
                                    std::string_view family,
                                    const std::vector<KafkaProperty>& before = {},
                                    const std::vector<KafkaProperty>& after = {});

/// What `sluice check` says of them.
std::vector<Finding> kafka_client_findings(const Settings& settings,
                                           const KafkaClientSettings& client,
                                           std::string_view family);

}  // namespace sluice
