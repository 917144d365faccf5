// Writes events into files that are sorted into directories by their time and their headers:
// Flume's HDFS sink, on a local or mounted file system or behind WebHDFS.

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/base/letter_case.h"
#include "core/wire/avro_container_writer.h"
#include "core/wire/hadoop_codec.h"
#include "sinks/avro_schemas.h"
#include "sinks/avro_spool.h"
#include "sinks/bucket_sink.h"
#include "sinks/hdfs_target.h"
#include "sinks/make_hdfs_sink.h"
#include "sinks/sink.h"
#include "sinks/spool_records.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "hdfs.path",
     .type = KeyType::Text,
     .meaning = "Directory of the files: hdfs://namenode/..., webhdfs://, swebhdfs://, file:/// or "
                "a plain path; may hold escapes: %{header}, %[localhost], %Y-%m-%d.",
     .required = true},
    {.name = "hdfs.webhdfs",
     .type = KeyType::Text,
     .meaning = "Addresses of WebHDFS or HttpFS, such as http://nn1:9870, http://nn2:9870; without "
                "them those of hdfs-site.xml or Hadoop's default ports."},
    {.name = "hdfs.user",
     .type = KeyType::Text,
     .meaning = "Whose files they are in Hadoop; without it HADOOP_USER_NAME or the agent's user."},
    {.name = "hdfs.tokenFile",
     .type = KeyType::Path,
     .meaning = "A file that holds a delegation token, read with every call."},
    {.name = "hdfs.hosts",
     .type = KeyType::Text,
     .meaning =
         "Where data nodes are whose names do not resolve here: dn1=10.0.0.5, dn2=10.0.0.6."},
    {.name = "hdfs.caFile",
     .type = KeyType::Path,
     .meaning = "Certificates (PEM) that Hadoop's servers are known by; without it the machine's."},
    {.name = "hdfs.backlogSize",
     .type = KeyType::Bytes,
     .default_value = "4Gi",
     .meaning = "While more than this waits to be compressed or sent, no events are taken.",
     .min = 1},
    {.name = "hdfs.filePrefix",
     .type = KeyType::Text,
     .default_value = "FlumeData",
     .meaning = "First part of a file's name; may hold escapes."},
    {.name = "hdfs.fileSuffix",
     .type = KeyType::Text,
     .meaning = "Last part of a file's name, such as .log; without it that of the codec."},
    {.name = "hdfs.inUsePrefix",
     .type = KeyType::Text,
     .meaning = "In front of the name of a file that is being written."},
    {.name = "hdfs.inUseSuffix",
     .type = KeyType::Text,
     .default_value = ".tmp",
     .meaning = "Behind the name of a file that is being written."},
    {.name = "hdfs.emptyInUseSuffix",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Nothing stands behind that name, whatever hdfs.inUseSuffix says."},
    {.name = "hdfs.fileType",
     .type = KeyType::Choice,
     .default_value = "SequenceFile",
     .meaning = "SequenceFile; DataStream: what the serializer makes of the events; "
                "CompressedStream: the same, compressed.",
     .choices = "DataStream SequenceFile CompressedStream"},
    {.name = "hdfs.writeFormat",
     .type = KeyType::Text,
     .default_value = "Writable",
     .meaning = "Values of a SequenceFile: Writable or Text."},
    {.name = "hdfs.codeC",
     .type = KeyType::Text,
     .default_value = "none",
     .meaning = "Compression of a SequenceFile or CompressedStream: gzip, bzip2, deflate, snappy, "
                "lz4, zstd, or Hadoop's class."},
    {.name = "hdfs.compressionType",
     .type = KeyType::Choice,
     .default_value = "BLOCK",
     .meaning = "A SequenceFile with a codec is compressed a megabyte at a time (BLOCK), or each "
                "value by itself (RECORD).",
     .choices = "BLOCK RECORD"},
    {.name = "serializer",
     .type = KeyType::Choice,
     .default_value = "TEXT",
     .meaning = "What a DataStream or CompressedStream holds of an event: TEXT (its body), "
                "header_and_text, avro_event (an Avro record of both), or with "
                "org.apache.flume.sink.hdfs.AvroEventSerializer$Builder its body as the Avro "
                "record that it is.",
     .choices = "TEXT header_and_text avro_event "
                "org.apache.flume.serialization.BodyTextEventSerializer$Builder "
                "org.apache.flume.serialization.HeaderAndBodyTextEventSerializer$Builder "
                "org.apache.flume.serialization.FlumeEventAvroEventSerializer$Builder "
                "org.apache.flume.sink.hdfs.AvroEventSerializer$Builder"},
    {.name = "serializer.appendNewline",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "Put a line feed behind every event, as text."},
    {.name = "serializer.syncIntervalBytes",
     .type = KeyType::Bytes,
     .default_value = "2048000",
     .meaning = "A block of an Avro file is full with so many bytes.",
     .min = AvroContainerWriter::block_bytes_least,
     .max = AvroContainerWriter::block_bytes_most},
    {.name = "serializer.compressionCodec",
     .type = KeyType::Text,
     .default_value = "null",
     .meaning = "Compression of an Avro file: null, deflate, snappy or zstandard."},
    {.name = "serializer.schemaURL",
     .type = KeyType::Text,
     .meaning =
         "With AvroEventSerializer: file with the schema of events whose headers name none."},
    {.name = "hdfs.rollInterval",
     .type = KeyType::Seconds,
     .default_value = "600",
     .meaning = "A file is complete after this long; 0: never."},
    {.name = "hdfs.rollSize",
     .type = KeyType::Bytes,
     .default_value = "128Mi",
     .meaning = "... or once the bodies in it have this many bytes; 0: never.",
     .min = 0},
    {.name = "hdfs.rollCount",
     .type = KeyType::Integer,
     .default_value = "0",
     .meaning = "... or once it has this many events; 0: never."},
    {.name = "hdfs.idleTimeout",
     .type = KeyType::Seconds,
     .default_value = "0",
     .meaning = "... or after this long without an event; 0: never."},
    {.name = "hdfs.batchSize",
     .type = KeyType::Integer,
     .default_value = "100",
     .meaning = "Events a transaction; more are taken at once where they lie together.",
     .min = 1,
     .max = 1'000'000},
    {.name = "hdfs.round",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Cut the time in escapes down to a multiple of hdfs.roundValue."},
    {.name = "hdfs.roundValue",
     .type = KeyType::Integer,
     .default_value = "1",
     .meaning = "With hdfs.round: 1 to 60, of hours 1 to 24.",
     .min = 1,
     .max = 60},
    {.name = "hdfs.roundUnit",
     .type = KeyType::Text,
     .default_value = "second",
     .meaning = "With hdfs.round: second, minute or hour."},
    {.name = "hdfs.timeZone",
     .type = KeyType::Text,
     .meaning =
         "Zone of the time in escapes, such as America/Los_Angeles or GMT+8; without it that "
         "of the machine."},
    {.name = "hdfs.useLocalTimeStamp",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "The time in escapes is now, and not the event's header timestamp."},
    {.name = "hdfs.maxOpenFiles",
     .type = KeyType::Integer,
     .default_value = "5000",
     .meaning = "Files open at once; the one that was written longest ago is finished first.",
     .min = 1},
    {.name = "hdfs.retryInterval",
     .type = KeyType::Seconds,
     .default_value = "180",
     .meaning = "A file that cannot be finished is tried again after a second, then after longer "
                "and at most this long."},
    {.name = "hdfs.closeTries",
     .type = KeyType::Ignored,
     .meaning = "A file is tried again until it is finished."},
    {.name = "hdfs.callTimeout",
     .type = KeyType::Millis,
     .default_value = "30000",
     .meaning = "A Hadoop server that says nothing and takes nothing for so long is given up.",
     .min = 1},
    {.name = "hdfs.threadsPoolSize",
     .type = KeyType::Integer,
     .default_value = "10",
     .meaning =
         "Files that are compressed or sent at once, at most; 0: compressed by the sink's thread.",
     .min = 0,
     .max = 1000},
    {.name = "hdfs.rollTimerPoolSize",
     .type = KeyType::Ignored,
     .meaning = "The sink's own thread looks at the clock."},
    {.name = "hdfs.minBlockReplicas",
     .type = KeyType::Ignored,
     .meaning = "The number of replicas is Hadoop's business; a file does not roll for it."},
    {.name = "hdfs.kerberosPrincipal",
     .type = KeyType::Text,
     .meaning = "Who writes, to a Hadoop with Kerberos; /_HOST is this machine's name. None on a "
                "local file system."},
    {.name = "hdfs.kerberosKeytab",
     .type = KeyType::Path,
     .meaning = "The file with that principal's key."},
    {.name = "hdfs.proxyUser",
     .type = KeyType::Text,
     .meaning = "On whose behalf Hadoop's files are written; none on a local file system."},
    {.name = "hdfs.useRawLocalFileSystem",
     .type = KeyType::Ignored,
     .meaning = "No .crc files are written in any case."},
};

std::optional<SequenceValue> sequence_value(const Settings& settings) {
  const std::string text = lower_case(settings.text("hdfs.writeFormat"));
  if (text == "text") return SequenceValue::Text;
  if (text == "writable") return SequenceValue::Writable;
  return std::nullopt;
}

void judge_type(const Settings& settings, std::vector<Finding>& findings) {
  const std::string type = settings.text("hdfs.fileType");
  const auto codec = parse_hadoop_codec(settings.text("hdfs.codeC"));
  if (!codec.ok()) {
    findings.push_back({Severity::Error, "hdfs.codeC", codec.status().message()});
  } else if (type == "DataStream" && codec.value()) {
    findings.push_back({Severity::Error, "hdfs.codeC", "a DataStream is not compressed",
                        "hdfs.fileType = CompressedStream, or leave hdfs.codeC out"});
  } else if (type == "CompressedStream" && !codec.value()) {
    findings.push_back({Severity::Error, "hdfs.codeC", "a CompressedStream needs it",
                        "hdfs.codeC = gzip, or hdfs.fileType = DataStream"});
  }
  if (settings.has("hdfs.compressionType") &&
      (type != "SequenceFile" || (codec.ok() && !codec.value()))) {
    findings.push_back({Severity::Warning, "hdfs.compressionType",
                        "only a SequenceFile with hdfs.codeC has one: it is not used"});
  }
  if (type == "SequenceFile" && !sequence_value(settings)) {
    findings.push_back({Severity::Error, "hdfs.writeFormat",
                        in_quotes(settings.text("hdfs.writeFormat")) +
                            " is neither Writable nor Text; classes of one's own cannot be used"});
  }
}

enum class Serializer : unsigned char { Text, HeaderAndText, AvroEvent, AvroDatum };

Serializer serializer_of(const Settings& settings) {
  const std::string name = settings.text("serializer");
  if (name.find("FlumeEventAvro") != name.npos || name == "avro_event") {
    return Serializer::AvroEvent;
  }
  if (name.find("Avro") != name.npos) return Serializer::AvroDatum;
  return name.find("eader") != name.npos ? Serializer::HeaderAndText : Serializer::Text;
}

bool is_avro(Serializer serializer) {
  return serializer == Serializer::AvroEvent || serializer == Serializer::AvroDatum;
}

void judge_serializer(const Settings& settings, std::vector<Finding>& findings) {
  const Serializer serializer = serializer_of(settings);
  if (!is_avro(serializer)) return;
  if (settings.text("hdfs.fileType") == "SequenceFile") {
    findings.push_back({Severity::Warning, "serializer",
                        "a SequenceFile has none, so it is not used, as in Flume",
                        "hdfs.fileType = DataStream"});
    return;
  }
  const auto codec = AvroCompressor::make(settings.text("serializer.compressionCodec"));
  if (!codec.ok()) {
    findings.push_back({Severity::Error, "serializer.compressionCodec", codec.status().message()});
  }
  const auto path = schema_path(settings.text("serializer.schemaURL"));
  if (serializer == Serializer::AvroDatum && !path.ok()) {
    findings.push_back({Severity::Error, "serializer.schemaURL", path.status().message(),
                        "a copy of the schema on this machine works: file:///..."});
  }
}

void judge_rolls(const Settings& settings, std::vector<Finding>& findings) {
  struct Default {
    const char* key;
    const char* flume;
  };
  for (const Default& each :
       {Default{"hdfs.rollInterval", "30 seconds"}, Default{"hdfs.rollSize", "1024 bytes"},
        Default{"hdfs.rollCount", "10 events"}}) {
    if (settings.has(each.key)) continue;
    findings.push_back({Severity::Note, each.key,
                        std::string("it is not set, and other than in Flume files do not end "
                                    "after ") +
                            each.flume,
                        "write Flume's value to have it so"});
  }
  if (!settings.boolean("hdfs.round")) return;
  const auto unit = round_unit(settings);
  if (!unit) {
    findings.push_back({Severity::Warning, "hdfs.roundUnit",
                        "there is no such unit, so the time is not rounded, as in Flume",
                        "second, minute or hour"});
  } else if (*unit == RoundDown::Unit::Hour && settings.integer("hdfs.roundValue") > 24) {
    findings.push_back({Severity::Error, "hdfs.roundValue", "of hours there are 1 to 24"});
  }
}

std::vector<Finding> judge(const Settings& settings) {
  std::vector<Finding> findings;
  judge_target(settings, findings);
  judge_type(settings, findings);
  judge_serializer(settings, findings);
  judge_rolls(settings, findings);
  if (settings.boolean("hdfs.emptyInUseSuffix") && settings.has("hdfs.inUseSuffix")) {
    findings.push_back(
        {Severity::Warning, "hdfs.inUseSuffix", "it is not used: hdfs.emptyInUseSuffix is true"});
  }
  return findings;
}

constexpr ComponentInfo info{
    .alias = "hdfs",
    .class_name = "org.apache.flume.sink.hdfs.HDFSEventSink",
    .meaning = "Writes files in directories that are named by time and headers.",
    .keys = keys,
    .batch_size_key = "hdfs.batchSize",
    .judge = judge};

using MakeEncoder = decltype(BucketFiles::Options::make_encoder);

MakeEncoder stream_encoder(const Settings& settings) {
  const bool line_feeds = settings.boolean("serializer.appendNewline");
  switch (serializer_of(settings)) {
    case Serializer::Text:
      return [line_feeds](const std::string&) { return make_text_encoder(line_feeds); };
    case Serializer::HeaderAndText:
      return [line_feeds](const std::string&) { return make_header_and_text_encoder(line_feeds); };
    case Serializer::AvroEvent: return [](const std::string&) { return make_avro_event_encoder(); };
    case Serializer::AvroDatum:
      return [](const std::string& schema) { return make_avro_datum_encoder(schema); };
  }
  return nullptr;
}

MakeEncoder sequence_encoder(SequenceValue value, bool in_spool, const Clock& clock) {
  if (in_spool) return [&clock](const std::string&) { return make_spool_encoder(clock); };
  return [&clock, value](const std::string&) { return make_sequence_encoder(value, clock); };
}

/// How events become a file: at once, or at its end.
void set_making(const Settings& settings, const Clock& clock, BucketFiles::Options& options) {
  const bool sequence = settings.text("hdfs.fileType") == "SequenceFile";
  const auto parsed = parse_hadoop_codec(settings.text("hdfs.codeC"));
  SLUICE_ASSERT(parsed.ok(), "the plan holds a sink whose codec was judged");
  const std::optional<HadoopCodec> codec = parsed.value();
  const SequenceValue value = sequence_value(settings).value_or(SequenceValue::Writable);
  options.make_encoder =
      sequence ? sequence_encoder(value, codec.has_value(), clock) : stream_encoder(settings);
  if (!sequence && is_avro(serializer_of(settings))) {
    options.recipe = avro_recipe({.codec = settings.text("serializer.compressionCodec"),
                                  .block_bytes = settings.bytes("serializer.syncIntervalBytes"),
                                  .around = codec});
  } else if (codec) {
    const bool records = settings.text("hdfs.compressionType") == "RECORD";
    options.recipe = sequence ? sequence_recipe(*codec, value,
                                                records ? SequenceCompression::Record
                                                        : SequenceCompression::Block)
                              : stream_recipe(*codec);
  }
  if (options.recipe.empty() && !options.file_system.empty()) options.recipe = plain_recipe();
  if (codec && options.suffix.empty()) options.suffix = hadoop_codec_info(*codec).extension;
}

/// Null: any events may share a file.
std::unique_ptr<EventSorter> make_sorter(const Settings& settings, const SinkContext& context) {
  if (settings.text("hdfs.fileType") == "SequenceFile") return nullptr;
  if (serializer_of(settings) != Serializer::AvroDatum) return nullptr;
  return std::make_unique<AvroSchemas>(settings.text("serializer.schemaURL"), context.files,
                                       context.clock);
}

/// What a sink keeps below the state directory begins like this. No two names are alike in it, and
/// a dot begins what follows.
std::string state_path(const Settings& settings, const SinkContext& context) {
  std::string name;
  for (const char c : settings.name()) {
    if (c == '/') {
      name += "%2f";
    } else if (c == '.') {
      name += "%2e";
    } else if (c == '%') {
      name += "%25";
    } else {
      name += c;
    }
  }
  return context.state_directory + "/hdfs/" + name;
}

BucketFiles::Options file_options(const Settings& settings, const SinkContext& context,
                                  const HdfsTarget& target) {
  BucketFiles::Options options{
      .component = settings.component(),
      .in_use_prefix = settings.text("hdfs.inUsePrefix"),
      .in_use_suffix = in_use_suffix(settings),
      .suffix = settings.text("hdfs.fileSuffix"),
      .roll_interval = settings.duration("hdfs.rollInterval"),
      .roll_bytes = settings.bytes("hdfs.rollSize"),
      .roll_events =
          static_cast<std::uint64_t>(std::max<std::int64_t>(0, settings.integer("hdfs.rollCount"))),
      .idle_timeout = settings.duration("hdfs.idleTimeout"),
      .open_max = static_cast<std::size_t>(settings.integer("hdfs.maxOpenFiles")),
      .retry_interval = std::max(settings.duration("hdfs.retryInterval"), milliseconds(1000)),
      .make_encoder = nullptr,
      .durable = context.committer != nullptr,
      .file_system = target.file_system,
      .threads = std::max(static_cast<std::size_t>(settings.integer("hdfs.threadsPoolSize")),
                          target.threads_min),
      .backlog_bytes_max = settings.bytes("hdfs.backlogSize")};
  set_making(settings, context.clock, options);
  if (!context.state_directory.empty()) options.spool_directory = state_path(settings, context);
  return options;
}

/// Where a sink behind a channel in memory keeps the list of its files.
std::string journal_path(const Settings& settings, const SinkContext& context) {
  return context.state_directory.empty() ? "" : state_path(settings, context) + ".files";
}

std::unique_ptr<BucketPath> path_of(const Settings& settings) {
  auto path = make_bucket_path(settings);
  SLUICE_ASSERT(path.ok(), "the plan holds a sink whose path was judged");
  return *std::move(path);
}

/// The list of open files, with the store of the channel or beside the state.
std::unique_ptr<FileBook> make_book(const Settings& settings, const SinkContext& context) {
  const std::string spools = state_path(settings, context);
  if (context.committer == nullptr) {
    return make_journal_book(context.files, journal_path(settings, context), spools);
  }
  return make_note_book(*context.committer, "hdfs/" + settings.name() + "/", spools);
}

std::unique_ptr<Sink> make(const Settings& settings, SinkContext context) {
  HdfsTarget target;
  if (is_elsewhere(settings)) {
    auto options = webhdfs_options(settings);
    if (options.ok()) {
      target.file_system = options.value().namenodes.file_system;
      target.place = make_webhdfs_place(*std::move(options));
    } else {
      target.trouble = options.status();  // Hadoop's files have changed since they were judged
    }
    target.threads_min = 1;  // its calls may hang
  }
  return make_hdfs_sink(settings, std::move(context), std::move(target));
}

}  // namespace

std::unique_ptr<Sink> make_hdfs_sink(const Settings& settings, SinkContext context,
                                     HdfsTarget target) {
  BucketSinkParts parts{
      .book = make_book(settings, context),
      .path = path_of(settings),
      .sorter = make_sorter(settings, context),
      .files = file_options(settings, context, target),
      .batch_events = static_cast<std::uint32_t>(settings.integer("hdfs.batchSize")),
      .trouble = std::move(target.trouble),
      .place = std::move(target.place)};
  return make_bucket_sink(std::move(parts), context);
}

extern const SinkType hdfs_sink{&info, make};

}  // namespace sluice
