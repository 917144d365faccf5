// Bytes of a fuzzer as a file, and what targets that read files have in common.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include "core/base/input_file.h"

namespace sluice {

inline void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

class ByteFile final : public InputFile {
 public:
  explicit ByteFile(std::string bytes) : bytes_(std::move(bytes)) {}

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
    const std::size_t at = std::min<std::uint64_t>(offset, bytes_.size());
    return bytes_.copy(into.data(), into.size(), at);
  }
  Result<FileLook> look() override { return FileLook{.identity = {}, .size_bytes = bytes_.size()}; }
  std::uint64_t skip_hole(std::uint64_t offset) override { return offset; }

 private:
  const std::string bytes_;
};

/// What is in the file, in pieces of `step` bytes, or its first `bytes_max`; `end` is what the last
/// read said.
inline std::string read_all(InputFile& file, std::size_t bytes_max, std::size_t step, Status& end) {
  std::string all;
  std::string piece(step, '\0');
  while (all.size() < bytes_max) {
    auto got = file.read_at(all.size(), {piece.data(), std::min(step, bytes_max - all.size())});
    end = got.status();
    if (!got.ok() || *got == 0) break;
    all.append(piece, 0, *got);
  }
  return all;
}

}  // namespace sluice
