#include "sinks/catalog.h"

namespace sluice {

extern const SinkType avro_sink;
extern const SinkType file_roll_sink;
extern const SinkType hdfs_sink;
extern const SinkType kafka_sink;
extern const SinkType logger_sink;
extern const SinkType microbatch_sink;
extern const SinkType null_sink;
extern const SinkType tcp_sink;

std::span<const SinkType* const> sink_types() noexcept {
  static const SinkType* const types[] = {
      &avro_sink,   &file_roll_sink,  &hdfs_sink, &kafka_sink,
      &logger_sink, &microbatch_sink, &null_sink, &tcp_sink,
  };
  return types;
}

}  // namespace sluice
