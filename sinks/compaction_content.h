// What is in a file, and the content of several of them as one file of the same format.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/input_file.h"
#include "core/base/status.h"
#include "core/wire/hadoop_codec.h"
#include "core/wire/sequence_file.h"

namespace sluice {

/// The format of a file. Files of equal formats can be merged into one.
struct ContentFormat {
  enum class Form : unsigned char {
    Text,        ///< Lines; every file that is none of the others.
    Compressed,  ///< Lines as streams of a codec, known by the extension.
    Sequence,
    Avro,
  };
  Form form = Form::Text;
  HadoopCodec codec = HadoopCodec::Deflate;  ///< Of Compressed.
  SequenceFileWriter::Options sequence;      ///< Of Sequence.
  /// Of Avro: the header without its sync marker, which says schema, codec and what else there is.
  std::string avro_head;

  /// Equal for equal formats.
  std::string key() const;
};

/// Reads the beginning of the file. Errors: Reject (a damaged header), Invalid (a SequenceFile of
/// classes or codecs that are not known here), Retry (it cannot be read).
Result<ContentFormat> format_of(InputFile& file, std::string_view name);

/// Reads all of the file and keeps nothing. Ok: merge_content() will take it, as long as nobody
/// changes it.
///
/// Errors: Reject (damaged or torn), Invalid (it may be sound but cannot be merged: lines without a
/// last line feed, or that are no text; more in one block than is held in memory), Retry (it cannot
/// be read). The message fits behind the name of the file.
Status check_content(InputFile& file, const ContentFormat& format);

/// Makes one file of many: begin(), add() for each in turn, finish(). Memory: a block or record of
/// a file, before and after compression, 64 MiB each at most; not the file. One thread.
class ContentMerger {
 public:
  /// Takes what comes next of the merged file.
  using Write = std::function<Status(std::string_view)>;

  static std::unique_ptr<ContentMerger> make(ContentFormat format, Write write);
  virtual ~ContentMerger() = default;
  ContentMerger() = default;
  ContentMerger(const ContentMerger&) = delete;
  ContentMerger& operator=(const ContentMerger&) = delete;

  /// Errors of all three: those of `write`; of add() besides those of check_content(). After an
  /// error the merged file is good for nothing.
  virtual Status begin() = 0;
  virtual Status add(InputFile& file) = 0;
  virtual Status finish() = 0;
};

}  // namespace sluice
