// Avro container files that are made at their end, out of a spool: so their blocks have the length
// that was asked for, however small the batches were.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/wire/hadoop_codec.h"
#include "sinks/event_encoder.h"
#include "sinks/spool_records.h"

namespace sluice {

/// The schema that Flume's avro_event writes: records of headers and body.
std::string_view flume_event_schema() noexcept;

/// For the spool: the schema of events, and each event as a datum of it.
std::unique_ptr<EventEncoder> make_avro_event_encoder();
/// For the spool: this schema, and each body, which is a datum of it already.
std::unique_ptr<EventEncoder> make_avro_datum_encoder(std::string schema);

struct AvroRecipe {
  std::string codec = "null";
  std::size_t block_bytes = 0;
  std::optional<HadoopCodec> around = std::nullopt;  ///< All of the file is a stream of it.
};
/// As FileMaker::make() takes it.
std::string avro_recipe(const AvroRecipe& recipe);
bool is_avro_recipe(std::string_view recipe) noexcept;
/// Errors: Invalid, it is of another release.
Result<std::unique_ptr<FileMaker>> make_avro_maker(std::string_view recipe);

}  // namespace sluice
