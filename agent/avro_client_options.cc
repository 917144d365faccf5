#include "agent/avro_client_options.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/config/component_reader.h"
#include "core/config/key_tables.h"
#include "core/config/properties.h"
#include "core/config/read_file.h"
#include "core/config/tls_keys.h"
#include "core/config/values.h"
#include "core/config/wire_keys.h"
#include "sinks/client_layers.h"

namespace sluice {
namespace {

constexpr Key own_keys[] = {
    {.name = "client.type",
     .type = KeyType::Choice,
     .default_value = "default",
     .meaning = "What several hosts are for: default and default_failover go on with the next one "
                "when one fails, default_loadbalance gives each its share.",
     .choices = "default default_failover default_loadbalance",
     .choices_not_built = "thrift"},
    {.name = "hosts", .type = KeyType::List, .meaning = "Names of the receivers."},
    {.name = "hosts.*",
     .type = KeyType::Text,
     .meaning = "host:port of the receiver of this name."},
    {.name = "batch-size",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Events a call at most; fewer go out when the input pauses.",
     .min = 1,
     .max = 1'000'000},
    {.name = "connect-timeout",
     .type = KeyType::Millis,
     .default_value = "20000",
     .meaning = "How long a connection and its handshake may take.",
     .min = 1000,
     .bad_means_default = true},
    {.name = "request-timeout",
     .type = KeyType::Millis,
     .default_value = "20000",
     .meaning = "How long an answer may take.",
     .min = 1000,
     .bad_means_default = true},
    {.name = "retry-time",
     .type = KeyType::Millis,
     .default_value = "30000",
     .meaning = "How long a batch that nobody takes is tried again.",
     .min = 0},
    {.name = "max-attempts",
     .type = KeyType::Integer,
     .default_value = "0",
     .meaning = "How often a batch is tried at most; 0: until retry-time is over.",
     .min = 0,
     .max = 1'000'000},
    {.name = "host-selector",
     .type = KeyType::Choice,
     .default_value = "round_robin",
     .meaning = "With default_loadbalance: who is next.",
     .choices = "round_robin random"},
    {.name = "backoff",
     .type = KeyType::Ignored,
     .meaning = "Accepted for Flume's sake: whoever fails is passed over for the batch."},
    {.name = "maxBackoff", .type = KeyType::Ignored, .meaning = "Accepted, as backoff."},
    {.name = "maxIoWorkers",
     .type = KeyType::Ignored,
     .meaning = "Accepted for Flume's sake: one thread sends and one listens."},
};

constexpr auto keys = joined_keys(own_keys, compression_keys, compression_client_keys,
                                  tls_client_keys, tls_rule_keys);

constexpr ComponentInfo info{.alias = "avro-client",
                             .class_name = "",
                             .meaning = "What a file of RPC properties may say.",
                             .keys = keys};

void print(const std::vector<Diagnostic>& diagnostics, std::ostream& err) {
  for (const Diagnostic& each : diagnostics) {
    err << each.where.file << ":" << each.where.line << ": " << to_string(each.severity) << ": "
        << each.message << "\n";
  }
}

Result<Document> read_document(const std::string& path, std::ostream& err) {
  auto bytes = read_file(path, kConfigBytesMax);
  if (!bytes.ok()) return bytes.status();
  Document document = parse_properties(SourceText(path, *std::move(bytes)));
  print(document.diagnostics, err);
  if (has_errors(document.diagnostics)) return Invalid(printable(path) + " cannot be used");
  return document;
}

Result<Settings> read_settings(const std::string& path, std::ostream& err) {
  RawComponent raw;
  raw.label = raw.name = "avro-client";
  Document document;
  if (!path.empty()) {
    auto read = read_document(path, err);
    if (!read.ok()) return read.status();
    document = *std::move(read);
  }
  std::uint32_t order = 0;
  for (const Entry& entry : document.entries) raw.keys.push_back({entry.key, &entry, 0, order++});
  std::vector<Diagnostic> diagnostics;
  std::vector<Reason> reasons;
  auto settings = ComponentReader(diagnostics).settings_of(raw, info, {}, reasons);
  print(diagnostics, err);
  if (!settings) return Invalid("Error: " + printable(path) + " cannot be used");
  return *std::move(settings);
}

Result<TcpStream::Target> parse_target(const std::string& name, const std::string& text) {
  const std::size_t colon = text.rfind(':');
  auto port = parse_port(colon == std::string::npos ? "" : text.substr(colon + 1));
  if (colon == 0 || !port.ok() || *port == 0) {
    return Invalid("Error: hosts." + printable(name) + " = " + printable(text) +
                   " is not host:port");
  }
  return TcpStream::Target{text.substr(0, colon), *port};
}

Result<std::vector<TcpStream::Target>> receivers_of(const AvroClientArguments& arguments,
                                                    const Settings& settings) {
  std::vector<TcpStream::Target> receivers;
  if (!arguments.host.empty()) {
    if (settings.has("hosts")) {
      return Invalid("Error: --host, or hosts in the file of RPC properties, but not both");
    }
    return std::vector<TcpStream::Target>{{arguments.host, arguments.port}};
  }
  const auto targets = settings.below("hosts");
  for (const std::string& name : settings.list("hosts")) {
    const auto found = std::find_if(targets.begin(), targets.end(),
                                    [&](const auto& each) { return each.first == name; });
    if (found == targets.end()) {
      return Invalid("Error: hosts names " + in_quotes(name) + ", but there is no hosts." +
                     printable(name) + " = host:port");
    }
    auto target = parse_target(name, found->second);
    if (!target.ok()) return target.status();
    receivers.push_back(*std::move(target));
  }
  if (receivers.empty()) {
    return Invalid("Error: the file of RPC properties names no hosts, and there is no --host");
  }
  return receivers;
}

AvroClientOptions::Choice choice_of(const Settings& settings) {
  using Choice = AvroClientOptions::Choice;
  if (settings.text("client.type") != "default_loadbalance") return Choice::Failover;
  return settings.text("host-selector") == "random" ? Choice::Random : Choice::RoundRobin;
}

}  // namespace

Result<AvroClientOptions> read_avro_client_options(const AvroClientArguments& arguments,
                                                   std::ostream& err) {
  auto settings = read_settings(arguments.rpc_properties, err);
  if (!settings.ok()) return settings.status();
  auto receivers = receivers_of(arguments, *settings);
  if (!receivers.ok()) return receivers.status();
  auto layers = client_layers(*settings);
  if (!layers.ok()) return Invalid("Error: " + layers.status().message());
  AvroClientOptions options{
      .receivers = *std::move(receivers),
      .choice = choice_of(*settings),
      .batch_events = static_cast<std::uint32_t>(settings->integer("batch-size")),
      .connect_timeout = settings->duration("connect-timeout"),
      .request_timeout = settings->duration("request-timeout"),
      .retry_time = settings->duration("retry-time"),
      .attempts_max = static_cast<std::uint32_t>(settings->integer("max-attempts")),
      .layers = *std::move(layers),
      .headers = {}};
  if (!arguments.header_file.empty()) {
    auto document = read_document(arguments.header_file, err);
    if (!document.ok()) return document.status();
    for (const Entry& entry : document->entries) {
      options.headers = options.headers.with(entry.key, entry.value);
    }
  }
  return options;
}

}  // namespace sluice
