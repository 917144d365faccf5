#include "tests/config/test_catalog.h"

#include <algorithm>
#include <array>
#include <vector>

#include "agent/flume_types.h"

namespace sluice {
namespace {

using enum KeyType;

constexpr Key kNetcatKeys[] = {
    {.name = "bind", .meaning = "Address to listen on.", .required = true},
    {.name = "port", .type = Port, .meaning = "Port to listen on.", .required = true},
    {.name = "max-line-length",
     .type = Integer,
     .default_value = "512",
     .meaning = "Longest line, its end included.",
     .min = 1},
    {.name = "ack-every-event",
     .type = Boolean,
     .default_value = "true",
     .meaning = "Answer OK to every line."},
    {.name = "encoding", .default_value = "utf-8", .meaning = "Encoding of the lines."},
};
constexpr Key kUdpKeys[] = {
    {.name = "bind", .meaning = "Address to listen on."},
    {.name = "port", .type = Port, .meaning = "Port to listen on.", .required = true},
    {.name = "remoteAddress", .meaning = "Header for the sender's address."},
};
constexpr Key kClientKeys[] = {
    {.name = "hostname", .meaning = "Host to connect to.", .required = true},
    {.name = "port", .type = Port, .meaning = "Port to connect to.", .required = true},
};
constexpr Key kExecKeys[] = {
    {.name = "command", .meaning = "The command to run.", .required = true},
    {.name = "shell", .meaning = "Shell that runs the command."},
    {.name = "restart", .type = Boolean, .default_value = "false", .meaning = "Run it again."},
    {.name = "restartThrottle",
     .type = Millis,
     .default_value = "10000",
     .meaning = "How long to wait before that."},
    {.name = "logStdErr", .type = Boolean, .default_value = "false", .meaning = "Log its stderr."},
    {.name = "batchSize",
     .type = Integer,
     .default_value = "20",
     .meaning = "Lines a batch.",
     .min = 1},
    {.name = "batchTimeout",
     .type = Millis,
     .default_value = "3000",
     .meaning = "How long a batch may wait."},
    {.name = "charset",
     .type = Ignored,
     .default_value = "UTF-8",
     .meaning = "Bytes are passed as they are."},
};
constexpr Key kSeqKeys[] = {
    {.name = "batchSize",
     .type = Integer,
     .default_value = "1",
     .meaning = "Events a batch.",
     .min = 1},
    {.name = "totalEvents",
     .type = Integer,
     .default_value = "9223372036854775807",
     .meaning = "Events in all."},
};
constexpr Key kStressKeys[] = {
    {.name = "size", .type = Integer, .default_value = "500", .meaning = "Bytes an event."},
};
constexpr Key kMemoryKeys[] = {
    {.name = "capacity",
     .type = Integer,
     .default_value = "100",
     .meaning = "Largest number of events it holds.",
     .min = 1,
     .bad_means_default = true},
    {.name = "transactionCapacity",
     .type = Integer,
     .default_value = "100",
     .meaning = "Largest number of events in a transaction.",
     .min = 1,
     .bad_means_default = true},
    {.name = "keep-alive",
     .type = Seconds,
     .default_value = "3",
     .meaning = "How long to wait for room.",
     .bad_means_default = true},
    {.name = "byteCapacity",
     .type = Bytes,
     .meaning = "Largest sum of bodies.",
     .bad_means_default = true},
    {.name = "byteCapacityBufferPercentage",
     .type = Integer,
     .default_value = "20",
     .meaning = "Share kept for headers.",
     .bad_means_default = true},
    {.name = "onFull",
     .type = Choice,
     .default_value = "wait",
     .meaning = "What a full channel does.",
     .choices = "wait reject"},
};
constexpr Key kLoggerKeys[] = {
    {.name = "maxBytesToLog", .type = Integer, .default_value = "16", .meaning = "Bytes shown."},
};
constexpr Key kRollKeys[] = {
    {.name = "sink.directory", .type = Path, .meaning = "Where the files go.", .required = true},
    {.name = "sink.rollInterval",
     .type = Seconds,
     .default_value = "30",
     .meaning = "How long a file is written.",
     .old_names = "rollInterval sink.rollTime"},
    {.name = "sink.serializer",
     .type = Choice,
     .default_value = "text",
     .meaning = "How events are written.",
     .choices = "text header_and_text",
     .choices_not_built = "avro_event"},
    {.name = "batchSize", .type = Integer, .default_value = "100", .meaning = "Events a batch."},
};
constexpr Key kNullKeys[] = {
    {.name = "batchSize", .type = Integer, .default_value = "100", .meaning = "Events a batch."},
};
constexpr Key kTcpKeys[] = {
    {.name = "hostname", .meaning = "Host to connect to.", .required = true},
    {.name = "port", .type = Port, .meaning = "Port to connect to.", .required = true},
    {.name = "headers.*", .meaning = "Headers by name."},
};
constexpr Key kTimestampKeys[] = {
    {.name = "preserveExisting",
     .type = Boolean,
     .default_value = "false",
     .meaning = "Keep a header that is there."},
};
constexpr Key kHostKeys[] = {
    {.name = "preserveExisting",
     .type = Boolean,
     .default_value = "false",
     .meaning = "Keep a header that is there."},
    {.name = "useIP", .type = Boolean, .default_value = "true", .meaning = "Address or name."},
    {.name = "hostHeader", .default_value = "host", .meaning = "Name of the header."},
};
constexpr Key kStaticKeys[] = {
    {.name = "key", .default_value = "key", .meaning = "Name of the header."},
    {.name = "value", .default_value = "value", .meaning = "Value of the header."},
    {.name = "preserveExisting",
     .type = Boolean,
     .default_value = "true",
     .meaning = "Keep a header that is there."},
};

constexpr ComponentInfo kSources[] = {
    {"netcat", "org.apache.flume.source.NetcatSource", "Lines over TCP.", kNetcatKeys},
    {"netcatudp", "org.apache.flume.source.NetcatUdpSource", "Lines over UDP.", kUdpKeys},
    {"netcatclient", "", "Lines from a server.", kClientKeys},
    {"exec",
     "org.apache.flume.source.ExecSource",
     "Lines of a command.",
     kExecKeys,
     {},
     nullptr,
     true,
     "batchSize"},
    {"seq",
     "org.apache.flume.source.SequenceGeneratorSource",
     "Counts.",
     kSeqKeys,
     {},
     nullptr,
     true,
     "batchSize"},
    {"", "org.apache.flume.source.StressSource", "Makes load.", kStressKeys},
};
constexpr ComponentInfo kChannels[] = {
    {"memory", "org.apache.flume.channel.MemoryChannel", "Keeps events in memory.", kMemoryKeys},
    {"disk", "", "Keeps events on disk.", kMemoryKeys},
};
constexpr ComponentInfo kSinks[] = {
    {"logger", "org.apache.flume.sink.LoggerSink", "Logs events.", kLoggerKeys},
    {"file_roll",
     "org.apache.flume.sink.RollingFileSink",
     "Writes files.",
     kRollKeys,
     {},
     nullptr,
     true,
     "batchSize"},
    {"null",
     "org.apache.flume.sink.NullSink",
     "Drops events.",
     kNullKeys,
     {},
     nullptr,
     true,
     "batchSize"},
    {"tcp", "", "Lines over TCP.", kTcpKeys},
};
constexpr ComponentInfo kInterceptors[] = {
    {"timestamp", "org.apache.flume.interceptor.TimestampInterceptor$Builder", "Adds the time.",
     kTimestampKeys},
    {"host", "org.apache.flume.interceptor.HostInterceptor$Builder", "Adds the host.", kHostKeys},
    {"static", "org.apache.flume.interceptor.StaticInterceptor$Builder", "Adds a header.",
     kStaticKeys},
};

using Infos = std::vector<const ComponentInfo*>;

Infos joined(std::span<const ComponentInfo> built, std::span<const ComponentInfo* const> later) {
  Infos all;
  for (const ComponentInfo& info : built) all.push_back(&info);
  all.insert(all.end(), later.begin(), later.end());
  return all;
}

}  // namespace

Catalog test_catalog() {
  const Catalog later = flume_types_not_built();
  static const Infos sources = joined(kSources, later.sources);
  static const Infos channels = joined(kChannels, later.channels);
  static const Infos sinks = joined(kSinks, later.sinks);
  static const Infos interceptors = joined(kInterceptors, later.interceptors);
  return {sources, channels, sinks, interceptors};
}

}  // namespace sluice
