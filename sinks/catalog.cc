#include "sinks/catalog.h"

namespace sluice {

extern const SinkType file_roll_sink;
extern const SinkType logger_sink;
extern const SinkType null_sink;
extern const SinkType tcp_sink;

std::span<const SinkType* const> sink_types() noexcept {
  static const SinkType* const types[] = {
      &file_roll_sink,
      &logger_sink,
      &null_sink,
      &tcp_sink,
  };
  return types;
}

}  // namespace sluice
