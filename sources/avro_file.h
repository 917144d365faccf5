// Avro container files, read as the datums in them.
#pragma once

#include <memory>

#include "core/base/input_file.h"
#include "core/wire/avro_schema.h"

namespace sluice {

struct AvroFile {
  std::unique_ptr<InputFile> datums;
  std::shared_ptr<const AvroSchema> schema;
};

/// The datums of a container file one behind the other, in Avro's binary form, each of them whole;
/// offsets count their bytes. What was read can be measured by the schema.
///
/// A block that is damaged is left out as a whole, and the datums of the blocks behind it follow;
/// then a read at the end is an error (Reject) that says so. A block of more than `block_bytes_max`
/// ends the content, with an error at that place: with a larger bound it goes on there. For the
/// rest it reads as a ContentFile does. Memory: the largest read, and three of the largest blocks.
///
/// Errors: as InputFile::read_at() of the file; Reject (it is no container file, its schema or
/// codec is not known here, or its datums have no bytes).
Result<AvroFile> open_avro_file(std::unique_ptr<InputFile> file, std::size_t block_bytes_max);

}  // namespace sluice
