// A byte that says which codec, and bytes as its streams: reading must end, within bounds, and must
// not depend on the pieces. The same bytes as content must survive the codec.

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/wire/hadoop_codec.h"
#include "fuzz/byte_file.h"

namespace sluice {
namespace {

constexpr std::size_t content_bytes_max = 4 << 20;

struct Got {
  std::string content;
  bool ok = true;
  bool at_end = false;
};

Got read(HadoopDecompressor& reader, std::string_view bytes, std::size_t piece, std::size_t step) {
  Got got;
  reader.reset();
  while (got.ok && !bytes.empty() && got.content.size() < content_bytes_max) {
    std::string_view window = bytes.substr(0, piece);
    bytes.remove_prefix(window.size());
    for (std::size_t before = got.content.size();; before = got.content.size()) {
      const std::size_t room = std::min(step, content_bytes_max - before);
      const std::size_t left = window.size();
      got.ok = reader.read(window, room, got.content).ok();
      const std::size_t come = got.content.size() - before;
      require(come <= room && window.size() <= left, "it keeps its bounds");
      if (!got.ok || got.content.size() == content_bytes_max) break;
      if (come == room) continue;
      require(window.empty(), "with room it takes all");
      break;
    }
  }
  got.at_end = reader.at_end();
  return got;
}

/// Kept over the runs: what was read before makes no difference either, and bzip2 takes megabytes.
struct Kept {
  std::unique_ptr<HadoopDecompressor> reader;
  std::unique_ptr<HadoopCompressor> writer;
};
Kept& kept(HadoopCodec codec) {
  static std::array<Kept, 6> all;
  Kept& one = all[static_cast<std::size_t>(codec)];
  if (one.reader == nullptr) {
    one = {HadoopDecompressor::make(codec), *HadoopCompressor::make(codec)};
  }
  return one;
}

void check(HadoopCodec codec, std::string_view bytes) {
  const auto& [reader, writer] = kept(codec);
  const Got whole = read(*reader, bytes, bytes.size(), content_bytes_max);
  for (const std::size_t piece : {1, 100}) {
    const Got other = read(*reader, bytes, piece, 777);
    require(other.ok == whole.ok, "the pieces make no difference");
    if (whole.ok) require(other.content == whole.content, "nor do they to the content");
    if (whole.ok && whole.content.size() < content_bytes_max) {
      require(other.at_end == whole.at_end, "nor to the end");
    }
  }

  std::string streams;
  writer->compress(bytes, streams);
  writer->write(bytes.substr(0, bytes.size() / 3), streams);
  writer->write(bytes.substr(bytes.size() / 3), streams);
  writer->finish(streams);
  std::string back;
  require(reader->decompress(streams, 2 * bytes.size(), back).ok(), "its streams are read");
  require(back == std::string(bytes) + std::string(bytes), "and hold what went in");
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  sluice::check(static_cast<sluice::HadoopCodec>(data[0] % 6),
                {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
