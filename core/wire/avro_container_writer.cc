#include "core/wire/avro_container_writer.h"

#include <utility>

#include "core/wire/avro_schema.h"

namespace sluice {
namespace {

constexpr std::string_view magic("Obj\x01", 4);

void append_text(std::string_view text, std::string& out) {
  append_avro_long(static_cast<std::int64_t>(text.size()), out);
  out += text;
}

}  // namespace

Result<std::unique_ptr<AvroContainerWriter>> AvroContainerWriter::make(Options options) {
  auto compressor = AvroCompressor::make(options.codec);
  if (!compressor.ok()) return compressor.status();
  return std::unique_ptr<AvroContainerWriter>(
      new AvroContainerWriter(std::move(options), *std::move(compressor)));
}

void AvroContainerWriter::begin(std::string_view schema, std::string& out) {
  out += magic;
  // In the order in which Avro's Java library writes them.
  constexpr std::int64_t entries = 2;
  append_avro_long(entries, out);
  append_text("avro.schema", out);
  append_text(schema, out);
  append_text("avro.codec", out);
  append_text(options_.codec, out);
  append_avro_long(0, out);
  out.append(options_.sync.data(), options_.sync.size());
}

void AvroContainerWriter::append(std::string_view datum, std::string& out) {
  data_ += datum;
  ++datums_;
  if (data_.size() >= options_.block_bytes) write_block(out);
}

void AvroContainerWriter::finish(std::string& out) {
  if (datums_ > 0) write_block(out);
}

void AvroContainerWriter::write_block(std::string& out) {
  compressed_.clear();
  compressor_->compress(data_, compressed_);
  append_avro_long(datums_, out);
  append_text(compressed_, out);
  out.append(options_.sync.data(), options_.sync.size());
  data_.clear();
  datums_ = 0;
}

}  // namespace sluice
