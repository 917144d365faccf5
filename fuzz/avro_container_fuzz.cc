// Bytes as an Avro container file: reading must end, within bounds, and give nothing but whole
// datums of the file's schema, the same whatever the pieces are in which they are read.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "fuzz/byte_file.h"
#include "sources/avro_file.h"

namespace sluice {
namespace {

constexpr std::size_t block_bytes_max = 1 << 20;
constexpr std::size_t content_bytes_max = 1 << 20;

void check(const std::string& bytes) {
  auto whole = open_avro_file(std::make_unique<ByteFile>(bytes), block_bytes_max);
  if (!whole.ok()) return;
  const AvroSchema& schema = *whole->schema;
  // The text that goes into a header is the same schema.
  auto again = AvroSchema::parse(schema.text());
  require(again.ok(), "the text of a schema is a schema");
  require((*again)->fingerprint() == schema.fingerprint(), "and the same one");

  Status end;
  const std::string content = read_all(*whole->datums, content_bytes_max, 100'000, end);
  std::string_view rest = content;
  while (!rest.empty()) {
    const AvroSchema::Datum datum = schema.measure(rest);
    if (datum.extent == AvroSchema::Extent::Cut && content.size() >= content_bytes_max) break;
    require(datum.extent == AvroSchema::Extent::Whole, "what is read are whole datums");
    require(datum.bytes > 0 && datum.bytes <= rest.size(), "of some bytes");
    rest.remove_prefix(datum.bytes);
  }
  auto other = open_avro_file(std::make_unique<ByteFile>(bytes), block_bytes_max);
  Status other_end;
  require(read_all(*other->datums, content_bytes_max, 777, other_end) == content,
          "the pieces make no difference");
  require(end.message() == other_end.message(), "nor does the end");
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
