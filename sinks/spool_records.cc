#include "sinks/spool_records.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "sinks/avro_spool.h"

namespace sluice {
namespace {

constexpr std::string_view plain_word = "plain";
constexpr std::string_view stream_word = "stream ";
constexpr std::string_view sequence_word = "sequence ";
constexpr std::string_view records_word = "sequence-records ";
constexpr std::string_view text_word = " text";
constexpr std::string_view writable_word = " writable";

class PlainMaker final : public FileMaker {
 public:
  void begin(std::string&) override {}
  Status add(std::string_view& bytes, std::string& out) override {
    out += bytes;
    bytes = {};
    return {};
  }
  void finish(std::string&) override {}
};

class StreamMaker final : public FileMaker {
 public:
  explicit StreamMaker(std::unique_ptr<HadoopCompressor> compressor)
      : compressor_(std::move(compressor)) {}

  void begin(std::string&) override {}
  Status add(std::string_view& bytes, std::string& out) override {
    compressor_->write(bytes, out);
    bytes = {};
    return {};
  }
  void finish(std::string& out) override { compressor_->finish(out); }

 private:
  const std::unique_ptr<HadoopCompressor> compressor_;
};

class SequenceMaker final : public FileMaker {
 public:
  explicit SequenceMaker(std::unique_ptr<SequenceFileWriter> writer) : writer_(std::move(writer)) {}

  void begin(std::string& out) override { writer_->begin(random_sequence_sync(), out); }
  Status add(std::string_view& bytes, std::string& out) override {
    constexpr std::size_t head_bytes = sizeof(std::int64_t) + sizeof(std::uint32_t);
    while (bytes.size() >= head_bytes) {
      std::int64_t key = 0;
      std::uint32_t length = 0;
      std::memcpy(&key, bytes.data(), sizeof key);
      std::memcpy(&length, bytes.data() + sizeof key, sizeof length);
      if (bytes.size() - head_bytes < length) break;
      Status status = writer_->append(key, bytes.substr(head_bytes, length), out);
      if (!status.ok()) return status;
      bytes.remove_prefix(head_bytes + length);
    }
    return {};
  }
  void finish(std::string& out) override { writer_->finish(out); }

 private:
  const std::unique_ptr<SequenceFileWriter> writer_;
};

Result<HadoopCodec> codec_of(std::string_view name) {
  auto codec = parse_hadoop_codec(name);
  if (!codec.ok()) return codec.status();
  const std::optional<HadoopCodec> found = codec.value();
  if (!found) return Invalid("a spool names no codec");
  return *found;
}

}  // namespace

Result<std::unique_ptr<FileMaker>> FileMaker::make(std::string_view recipe) {
  if (recipe == plain_word) return std::unique_ptr<FileMaker>(std::make_unique<PlainMaker>());
  if (is_avro_recipe(recipe)) return make_avro_maker(recipe);
  if (recipe.starts_with(stream_word)) {
    auto codec = codec_of(recipe.substr(stream_word.size()));
    if (!codec.ok()) return codec.status();
    auto compressor = HadoopCompressor::make(*codec);
    if (!compressor.ok()) return compressor.status();
    return std::unique_ptr<FileMaker>(std::make_unique<StreamMaker>(*std::move(compressor)));
  }
  const bool text = recipe.ends_with(text_word);
  const bool records = recipe.starts_with(records_word);
  if ((!records && !recipe.starts_with(sequence_word)) ||
      (!text && !recipe.ends_with(writable_word))) {
    return Invalid("a spool of another release: " + std::string(recipe));
  }
  recipe.remove_prefix(records ? records_word.size() : sequence_word.size());
  recipe.remove_suffix(text ? text_word.size() : writable_word.size());
  auto codec = codec_of(recipe);
  if (!codec.ok()) return codec.status();
  SequenceFileWriter::Options options;
  options.value = text ? SequenceValue::Text : SequenceValue::Writable;
  options.compression = records ? SequenceCompression::Record : SequenceCompression::Block;
  options.codec = *codec;
  auto writer = SequenceFileWriter::make(options);
  if (!writer.ok()) return writer.status();
  return std::unique_ptr<FileMaker>(std::make_unique<SequenceMaker>(*std::move(writer)));
}

std::string plain_recipe() { return std::string(plain_word); }

std::string stream_recipe(HadoopCodec codec) {
  return std::string(stream_word) + std::string(hadoop_codec_info(codec).name);
}

std::string sequence_recipe(HadoopCodec codec, SequenceValue value,
                            SequenceCompression compression) {
  const bool records = compression == SequenceCompression::Record;
  return std::string(records ? records_word : sequence_word) +
         std::string(hadoop_codec_info(codec).name) +
         std::string(value == SequenceValue::Text ? text_word : writable_word);
}

void append_spool_record(std::int64_t key, std::string_view value, std::string& out) {
  const auto length = static_cast<std::uint32_t>(value.size());
  out.append(reinterpret_cast<const char*>(&key), sizeof key);
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  out += value;
}

SequenceSync random_sequence_sync() {
  std::random_device random;
  SequenceSync sync{};
  for (char& byte : sync) byte = static_cast<char>(random());
  return sync;
}

}  // namespace sluice
