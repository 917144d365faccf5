// A directory of small files in every format that can be compacted, and the records in them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/wire/hadoop_codec.h"
#include "sinks/compaction.h"
#include "sinks/compaction_name.h"
#include "tests/catch.h"
#include "tests/support/avro_containers.h"
#include "tests/support/avro_files.h"
#include "tests/support/fake_directory.h"
#include "tests/support/sequence_files.h"

namespace sluice::testing {

using Records = std::vector<std::string>;

/// A format of files: its extension, and how records get in and out.
struct SmallFormat {
  std::string name;
  std::string extension;
  std::function<std::string(const Records&)> make;
  std::function<Records(const std::string&)> read;
};

inline std::string joined(const Records& records) {
  std::string text;
  for (const std::string& record : records) text += record + "\n";
  return text;
}
inline Records lines_in(const std::string& text) {
  Records lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    REQUIRE(end != std::string::npos);
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

inline std::string compressed(HadoopCodec codec, const std::string& content) {
  std::string out;
  (*HadoopCompressor::make(codec))->compress(content, out);
  return out;
}
inline std::string decompressed(HadoopCodec codec, const std::string& bytes) {
  std::string out;
  const Status status = HadoopDecompressor::make(codec)->decompress(bytes, 1 << 30, out);
  INFO(status.message());
  REQUIRE(status.ok());
  return out;
}

inline SmallFormat text_format() { return {"text", ".log", joined, lines_in}; }

inline SmallFormat compressed_format(HadoopCodec codec) {
  const HadoopCodecInfo& info = hadoop_codec_info(codec);
  return {std::string(info.name), std::string(info.extension),
          [codec](const Records& records) { return compressed(codec, joined(records)); },
          [codec](const std::string& file) { return lines_in(decompressed(codec, file)); }};
}

inline SmallFormat sequence_format(const SequenceFileWriter::Options& options,
                                   const std::string& name) {
  return {"SequenceFile " + name, "." + name,
          [options](const Records& records) {
            SequenceRecords pairs;
            std::int64_t key = 0;
            for (const std::string& record : records) pairs.emplace_back(++key, record);
            return sequence_file(options, pairs);
          },
          [](const std::string& file) {
            const ReadSequence read = read_sequence(file);
            INFO(read.end.message());
            REQUIRE(read.end.ok());
            Records records;
            for (const auto& [key, value] : read.records) records.push_back(value);
            return records;
          }};
}

inline SmallFormat avro_format(const std::string& codec) {
  return {"Avro " + codec, ".avro",
          [codec](const Records& records) {
            std::vector<std::vector<std::string>> blocks;
            for (const std::string& record : records) blocks.push_back({avro_text(record)});
            return avro_file(R"("string")", codec, blocks);
          },
          [](const std::string& file) {
            Records records;
            for (std::string_view datum : read_avro_file(file).datums) {
              std::int64_t length = 0;
              REQUIRE(take_avro_long(datum, length) == AvroSchema::Extent::Whole);
              records.emplace_back(datum);
            }
            return records;
          }};
}

inline std::vector<SmallFormat> small_formats() {
  std::vector<SmallFormat> all = {text_format()};
  for (const HadoopCodec codec : {HadoopCodec::Gzip, HadoopCodec::Deflate, HadoopCodec::Bzip2,
                                  HadoopCodec::Snappy, HadoopCodec::Lz4, HadoopCodec::Zstandard}) {
    all.push_back(compressed_format(codec));
  }
  all.push_back(sequence_format({}, "seq"));
  all.push_back(sequence_format({.value = SequenceValue::Text, .level = {}}, "txt"));
  all.push_back(sequence_format({.compression = SequenceCompression::Record, .level = {}}, "rec"));
  all.push_back(sequence_format({.value = SequenceValue::Text,
                                 .compression = SequenceCompression::Block,
                                 .codec = HadoopCodec::Gzip,
                                 .level = {}},
                                "blk"));
  for (const char* const codec : {"null", "deflate", "snappy", "zstandard"}) {
    all.push_back(avro_format(codec));
  }
  return all;
}

/// Remembers what it hears.
struct Heard final : CompactionListener {
  void merged(const Merge& merge) override { merges.push_back(merge); }
  void finished(const std::string& name, std::uint64_t /*files*/) override {
    finishes.push_back(name);
  }
  void left(const std::string& name, const std::string& why, bool is_trouble) override {
    reasons[name] = why;
    trouble = trouble || is_trouble;
  }

  std::vector<Merge> merges;
  std::vector<std::string> finishes;
  std::map<std::string, std::string> reasons;
  bool trouble = false;
};

/// /no/such/d in memory, and compactions of it.
struct SmallDirectory {
  static constexpr const char* path = "/no/such/d";

  FakeFileSystem files;
  FakeDirectory inputs{files};
  ManualClock clock;
  Heard heard;
  CompactionOptions options;

  void put(const std::string& name, const std::string& content) {
    files.put_file(std::string(path) + "/" + name, content);
  }
  /// Hears anew.
  Result<CompactionCounts> run() {
    heard = Heard();
    return compact_directory(path, options, files, inputs, clock, heard);
  }
  std::map<std::string, std::string> all() const {
    std::map<std::string, std::string> found;
    for (const auto& [file, content] : files.files()) {
      found[file.substr(std::string_view(path).size() + 1)] = content;
    }
    return found;
  }
  /// What readers see, in the order of the names.
  std::vector<std::pair<std::string, std::string>> visible() const {
    std::vector<std::pair<std::string, std::string>> found;
    for (const auto& [name, content] : all()) {
      if (!name.starts_with(".")) found.emplace_back(name, content);
    }
    std::sort(found.begin(), found.end(),
              [](const auto& one, const auto& two) { return is_before(one.first, two.first); });
    return found;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& [name, content] : all()) found.push_back(name);
    std::sort(found.begin(), found.end(), is_before);
    return found;
  }
  Records records(const SmallFormat& format) const {
    Records all_records;
    for (const auto& [name, content] : visible()) {
      for (std::string& record : format.read(content)) all_records.push_back(std::move(record));
    }
    return all_records;
  }
};

}  // namespace sluice::testing
