// Avro container files, made by hand.
#pragma once

#include <snappy.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.h"
#include "tests/support/compressed.h"

namespace sluice::testing {

inline std::string avro_long(std::int64_t value) {
  auto rest = static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
  std::string bytes;
  for (; rest > 0x7f; rest >>= 7) bytes += static_cast<char>((rest & 0x7f) | 0x80);
  return bytes + static_cast<char>(rest);
}
inline std::string avro_text(std::string_view text) {
  return avro_long(static_cast<std::int64_t>(text.size())) + std::string(text);
}

/// As the codec of that name has it in a block.
inline std::string avro_compressed(const std::string& codec, const std::string& data) {
  if (codec == "zstandard") return zstd(data);
  if (codec == "snappy") {
    std::string out;
    snappy::Compress(data.data(), data.size(), &out);
    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
    for (const int shift : {24, 16, 8, 0}) out += static_cast<char>(crc >> shift & 0xff);
    return out;
  }
  if (codec == "deflate") {
    // What gzip has between its header of ten bytes and its end of eight.
    const std::string out = gzip(data);
    return out.substr(10, out.size() - 18);
  }
  SLUICE_ASSERT(codec == "null", "one of these four");
  return data;
}

inline const std::string avro_sync = "0123456789abcdef";

inline std::string avro_header(std::string_view schema, std::string_view codec) {
  return std::string("Obj\x01") + avro_long(2) + avro_text("avro.schema") + avro_text(schema) +
         avro_text("avro.codec") + avro_text(codec) + avro_long(0) + avro_sync;
}
inline std::string avro_block(const std::string& codec, const std::vector<std::string>& datums) {
  std::string data;
  for (const std::string& datum : datums) data += datum;
  return avro_long(static_cast<std::int64_t>(datums.size())) +
         avro_text(avro_compressed(codec, data)) + avro_sync;
}
inline std::string avro_file(std::string_view schema, const std::string& codec,
                             const std::vector<std::vector<std::string>>& blocks) {
  std::string file = avro_header(schema, codec);
  for (const auto& datums : blocks) file += avro_block(codec, datums);
  return file;
}

inline std::string unhex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

/// A file that Avro's Java library 1.8.2 has written: recursive records with all of its types. The
/// bodies, hash and canonical form are what that library says of it.
inline std::string java_tree_file(const std::string& codec) {
  const char* const source = std::getenv("SLUICE_SOURCE");
  std::ifstream file(
      std::string(source != nullptr ? source : ".") + "/fuzz/corpus/avro_container/tree-" + codec,
      std::ios::binary);
  SLUICE_ASSERT(file.is_open(), "the seeds of the fuzz target are there");
  return {std::istreambuf_iterator<char>(file), {}};
}
inline const std::string java_tree_hash = "c4c57519830a1de9";
inline const std::string java_tree_canonical =
    R"({"name":"org.example.Tree","type":"record","fields":[{"name":"id","type":"long"})"
    R"(,{"name":"name","type":["null","string"]},{"name":"kind","type":{"name":"org.exa)"
    R"(mple.Kind","type":"enum","symbols":["LEAF","NODE"]}},{"name":"hash","type":{"nam)"
    R"(e":"other.Hash","type":"fixed","size":3}},{"name":"when","type":"int"},{"name":")"
    R"(ok","type":"boolean"},{"name":"f","type":"float"},{"name":"d","type":"double"},{)"
    R"("name":"raw","type":"bytes"},{"name":"tags","type":{"type":"map","values":"strin)"
    R"(g"}},{"name":"nothing","type":"null"},{"name":"last","type":["null","org.example)"
    R"(.Kind"]},{"name":"children","type":{"type":"array","items":"org.example.Tree"}}])"
    R"(})";
inline const std::string java_tree_literal =
    R"({"type":"record","name":"Tree","namespace":"org.example","doc":"a \"tree\" of th)"
    R"(ings","fields":[{"name":"id","type":"long"},{"name":"name","type":["null","strin)"
    R"(g"],"default":null},{"name":"kind","type":{"type":"enum","name":"Kind","symbols")"
    R"(:["LEAF","NODE"]}},{"name":"hash","type":{"type":"fixed","name":"Hash","namespac)"
    R"(e":"other","size":3}},{"name":"when","type":{"type":"int","logicalType":"date"}})"
    R"(,{"name":"ok","type":"boolean"},{"name":"f","type":"float"},{"name":"d","type":")"
    R"(double"},{"name":"raw","type":"bytes"},{"name":"tags","type":{"type":"map","valu)"
    R"(es":"string"}},{"name":"nothing","type":"null"},{"name":"last","type":["null","K)"
    R"(ind"]},{"name":"children","type":{"type":"array","items":"Tree"}}]})";
inline std::vector<std::string> java_tree_bodies() {
  return {
      unhex("000000010200c0b802010000c03f00000000000004c000000000"),
      unhex("85897a02046e3102010201c2b802000000c03f00000000000004c0020002046b3004763000020202"
            "85897a02046e3100010201c2b802000000c03f00000000000004c0020002046b3004763000020200"
            "00"),
      unhex("8b92f4010002010202c4b802010000c03f00000000000004c004000004046b30047630046b310476"
            "310000048b92f4010002010202c4b802010000c03f00000000000004c004000004046b3004763004"
            "6b310476310000028b92f4010000010202c4b802010000c03f00000000000004c004000004046b30"
            "047630046b3104763100000000919bee0202046e3302010203c6b802000000c03f00000000000004"
            "c00600000006046b30047630046b31047631046b3204763200020202919bee0202046e3300010203"
            "c6b802000000c03f00000000000004c00600000006046b30047630046b31047631046b3204763200"
            "0202000000"),
      unhex("919bee0202046e3300010203c6b802000000c03f00000000000004c00600000006046b3004763004"
            "6b31047631046b3204763200020200"),
      unhex("97a4e8030002010204c8b802010000c03f00000000000004c0080000000008046b30047630046b31"
            "047631046b32047632046b3304763300000297a4e8030000010204c8b802010000c03f0000000000"
            "0004c0080000000008046b30047630046b31047631046b32047632046b3304763300000000"),
  };
}

}  // namespace sluice::testing
