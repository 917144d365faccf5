// Bytes as a compressed file: reading must end and must not depend on the pieces in which it is
// done, nor on what was read before.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "fuzz/byte_file.h"
#include "sources/decompressed_file.h"

namespace sluice {
namespace {

constexpr std::size_t content_bytes_max = 1 << 20;

std::unique_ptr<InputFile> open(const std::string& bytes) {
  auto file = decompressed_if_compressed(std::make_unique<ByteFile>(bytes));
  require(file.ok(), "any bytes can be opened");
  return *std::move(file);
}

void check(const std::string& bytes) {
  const auto file = open(bytes);
  Status end;
  const std::string content = read_all(*file, content_bytes_max, 100'000, end);
  Status other_end;
  require(read_all(*open(bytes), content_bytes_max, 777, other_end) == content,
          "the pieces make no difference");
  require(end.message() == other_end.message(), "nor does the end");
  if (content.empty()) return;
  std::string piece(std::min<std::size_t>(content.size(), 100), '\0');
  for (const std::size_t offset : {content.size() / 2, content.size() / 3, std::size_t{0}}) {
    auto got = file->read_at(offset, piece);
    require(got.ok() && *got > 0, "what was read once can be read again");
    require(content.compare(offset, *got, piece, 0, *got) == 0, "and is the same");
  }
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
