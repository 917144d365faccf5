#include "sources/catalog.h"

namespace sluice {

extern const SourceType avro_source;
extern const SourceType exec_source;
extern const SourceType kafka_source;
extern const SourceType netcat_source;
extern const SourceType netcatclient_source;
extern const SourceType netcatudp_source;
extern const SourceType seq_source;
extern const SourceType spooldir_source;
extern const SourceType stress_source;
extern const SourceType taildir_source;

std::span<const SourceType* const> source_types() noexcept {
  static const SourceType* const types[] = {
      &avro_source,      &exec_source, &kafka_source,    &netcat_source, &netcatclient_source,
      &netcatudp_source, &seq_source,  &spooldir_source, &stress_source, &taildir_source,
  };
  return types;
}

}  // namespace sluice
