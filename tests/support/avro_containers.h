// What is in an Avro container file, by the reader of the file sources.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/wire/avro_container.h"
#include "core/wire/avro_schema.h"
#include "tests/catch.h"

namespace sluice::testing {

struct AvroContent {
  std::string schema;
  std::string codec;
  std::string sync;
  std::vector<std::string> datums;
  std::vector<std::uint64_t> blocks;  ///< Datums in each.
};

inline AvroContent read_avro_file(std::string_view content) {
  auto header = parse_avro_header(content);
  INFO(header.status().message());
  REQUIRE(header.ok());
  REQUIRE(header->has_value());
  AvroContent read{(*header)->schema,
                   (*header)->codec,
                   std::string((*header)->sync.begin(), (*header)->sync.end()),
                   {},
                   {}};
  auto schema = AvroSchema::parse(read.schema);
  REQUIRE(schema.ok());
  auto codec = AvroCodec::make(read.codec);
  REQUIRE(codec.ok());
  content.remove_prefix((*header)->bytes);
  while (!content.empty()) {
    const auto head = parse_avro_block_head(content);
    REQUIRE(head);
    content.remove_prefix(head->bytes);
    REQUIRE(content.size() >= head->data_bytes + avro_sync_bytes);
    std::string data;
    REQUIRE((*codec)->decompress(content.substr(0, head->data_bytes), 1 << 30, data).ok());
    content.remove_prefix(head->data_bytes);
    REQUIRE(content.substr(0, avro_sync_bytes) == read.sync);
    content.remove_prefix(avro_sync_bytes);
    std::string_view rest = data;
    for (std::uint64_t i = 0; i < head->datums; ++i) {
      const AvroSchema::Datum datum = (*schema)->measure(rest);
      REQUIRE(datum.extent == AvroSchema::Extent::Whole);
      read.datums.emplace_back(rest.substr(0, datum.bytes));
      rest.remove_prefix(datum.bytes);
    }
    REQUIRE(rest.empty());
    read.blocks.push_back(head->datums);
  }
  return read;
}

}  // namespace sluice::testing
