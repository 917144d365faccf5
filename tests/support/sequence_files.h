// SequenceFiles, made and read whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/wire/sequence_file.h"

namespace sluice::testing {

using SequenceRecords = std::vector<std::pair<std::int64_t, std::string>>;

/// The sync bytes a0 to af, as in the example of docs/formats/sequence-file.md.
inline SequenceSync known_sync() {
  SequenceSync sync{};
  for (std::size_t i = 0; i < sync.size(); ++i) sync[i] = static_cast<char>(0xa0 + i);
  return sync;
}

inline std::string sequence_file(const SequenceFileWriter::Options& options,
                                 const SequenceRecords& records) {
  auto writer = SequenceFileWriter::make(options);
  SLUICE_ASSERT(writer.ok(), "the options make sense");
  std::string file;
  (*writer)->begin(known_sync(), file);
  for (const auto& [key, value] : records) {
    const Status status = (*writer)->append(key, value, file);
    SLUICE_ASSERT(status.ok(), "the value is no longer than allowed");
  }
  (*writer)->finish(file);
  SLUICE_ASSERT((*writer)->file_bytes() == file.size(), "the writer knows how long its file is");
  return file;
}

struct ReadSequence {
  SequenceRecords records;
  Status end;  ///< Of next(), or else of finish().
  std::uint64_t whole_bytes = 0;
};

/// Reads with a window that is never longer than the reader wants, in steps of `step` bytes at
/// least; as one piece without it.
inline ReadSequence read_sequence(std::string_view file, std::size_t step = std::string_view::npos,
                                  std::size_t bytes_max = SequenceFileReader::bytes_max_default) {
  SequenceFileReader reader(bytes_max);
  ReadSequence read;
  std::string_view window = file.substr(0, step);
  for (;;) {
    auto record = reader.next(window);
    SLUICE_ASSERT(window.data() == file.data() + reader.consumed_bytes(),
                  "it takes from the front");
    read.whole_bytes = reader.whole_bytes();
    if (!record.ok()) {
      SLUICE_ASSERT(reader.finish(window).message() == record.status().message(),
                    "it stays failed");
      read.end = record.status();
      return read;
    }
    if (*record) {
      read.records.emplace_back((*record)->key, (*record)->value);
      SLUICE_ASSERT(reader.records() == read.records.size(), "it counts");
      continue;
    }
    const std::string_view rest = file.substr(reader.consumed_bytes());
    if (window.size() == rest.size()) {
      read.end = reader.finish(window);
      return read;
    }
    // Without this a reader could ask for ever.
    SLUICE_ASSERT(reader.wanted_bytes() > window.size(), "it wants more than there was");
    window = rest.substr(0, std::max(reader.wanted_bytes(), step));
  }
}

}  // namespace sluice::testing
