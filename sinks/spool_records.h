// Files that are made at their end, out of what was kept in a spool until then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/wire/sequence_file.h"

namespace sluice {

/// Turns what is in a spool into a file. One file; one thread.
class FileMaker {
 public:
  /// `recipe` as stream_recipe(), sequence_recipe() and avro_recipe() write it. Errors: Invalid, it
  /// is of another release.
  static Result<std::unique_ptr<FileMaker>> make(std::string_view recipe);
  virtual ~FileMaker() = default;

  virtual void begin(std::string& out) = 0;
  /// Takes whole records from the front of `bytes`; the rest comes again with more behind it.
  virtual Status add(std::string_view& bytes, std::string& out) = 0;
  virtual void finish(std::string& out) = 0;
};

/// All bytes of the spool as they are.
std::string plain_recipe();
/// All bytes of the spool as one stream of the codec.
std::string stream_recipe(HadoopCodec codec);
/// Records of the spool in a SequenceFile that is compressed, by blocks or each by itself.
std::string sequence_recipe(HadoopCodec codec, SequenceValue value,
                            SequenceCompression compression = SequenceCompression::Block);

/// Key (8 bytes) and length (4) as this machine has them, then the value.
void append_spool_record(std::int64_t key, std::string_view value, std::string& out);

SequenceSync random_sequence_sync();

}  // namespace sluice
