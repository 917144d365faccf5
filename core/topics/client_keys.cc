#include "core/topics/client_keys.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "core/config/diagnostics.h"

namespace sluice {
namespace {

constexpr std::string_view servers_key = "kafka.bootstrap.servers";

Severity severity_of(KafkaRemark::Kind kind) {
  switch (kind) {
    case KafkaRemark::Kind::Note: return Severity::Note;
    case KafkaRemark::Kind::Warning: return Severity::Warning;
    case KafkaRemark::Kind::Error: return Severity::Error;
  }
  return Severity::Error;
}

std::string servers_of(const Settings& settings) {
  std::string servers = settings.text(servers_key);
  std::erase(servers, ' ');
  return servers;
}

/// Why `servers` is no list of hosts with ports; empty when it is one.
std::string problem_of(std::string_view servers) {
  std::size_t count = 0;
  while (!servers.empty()) {
    std::string_view each = servers.substr(0, servers.find(','));
    servers.remove_prefix(std::min(each.size() + 1, servers.size()));
    if (each.empty()) continue;
    ++count;
    const std::size_t colon = each.rfind(':');
    if (colon == each.npos || each.ends_with(']')) continue;  // the port is 9092
    int port = 0;
    const char* const end = each.data() + each.size();
    const auto [stopped, error] = std::from_chars(each.data() + colon + 1, end, port);
    if (error != std::errc() || stopped != end || port < 1 || port > 65'535 || colon == 0) {
      return in_quotes(each) + " is no host:port";
    }
  }
  return count == 0 ? "it names no broker" : "";
}

}  // namespace

KafkaClientSettings kafka_client_of(const Settings& settings, KafkaRole role,
                                    std::string_view family,
                                    const std::vector<KafkaProperty>& before,
                                    const std::vector<KafkaProperty>& after) {
  std::vector<KafkaProperty> properties = before;
  for (KafkaProperty& each : settings.below(family)) properties.push_back(std::move(each));
  properties.emplace_back("bootstrap.servers", servers_of(settings));
  properties.insert(properties.end(), after.begin(), after.end());
  return kafka_client_settings(role, properties);
}

std::vector<Finding> kafka_client_findings(const Settings& settings,
                                           const KafkaClientSettings& client,
                                           std::string_view family) {
  std::vector<Finding> findings;
  for (const KafkaRemark& each : client.remarks) {
    const bool of_brokers = each.property.empty() || each.property == "bootstrap.servers";
    // The key stands in front already.
    std::string message = each.message;
    if (message.starts_with(each.property)) {
      message.erase(0, message.find_first_not_of(": ", each.property.size()));
    }
    findings.push_back(
        {severity_of(each.kind),
         of_brokers ? std::string(servers_key) : std::string(family) + "." + each.property,
         std::move(message), each.hint});
  }
  if (std::string problem = problem_of(servers_of(settings)); !problem.empty()) {
    findings.push_back({Severity::Error, std::string(servers_key), std::move(problem)});
  }
  return findings;
}

}  // namespace sluice
