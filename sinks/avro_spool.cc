#include "sinks/avro_spool.h"

#include <charconv>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/base/assert.h"
#include "core/wire/avro_container_writer.h"
#include "core/wire/avro_rpc.h"

namespace sluice {
namespace {

constexpr std::string_view avro_word = "avro ";
constexpr std::size_t length_bytes = sizeof(std::uint32_t);

void set_length(std::string& out, std::size_t begin, std::size_t bytes) {
  const auto length = static_cast<std::uint32_t>(bytes);
  std::memcpy(out.data() + begin, &length, sizeof length);
}

void append_record(std::string_view bytes, std::string& out) {
  out.append(length_bytes, '\0');
  set_length(out, out.size() - length_bytes, bytes.size());
  out += bytes;
}

/// Both write a schema, then datums.
class AvroEncoder : public EventEncoder {
 public:
  explicit AvroEncoder(std::string schema) : schema_(std::move(schema)) {}

  void begin(std::string& out) final { append_record(schema_, out); }
  std::span<const iovec> append(const Batch& batch, std::span<const std::uint32_t> events) final {
    text_.clear();
    for (const std::uint32_t i : events) append_datum(batch, i, text_);
    whole_ = {text_.data(), text_.size()};
    return {&whole_, 1};
  }

 private:
  virtual void append_datum(const Batch& batch, std::uint32_t event, std::string& out) = 0;
  const std::string schema_;
  std::string text_;
  iovec whole_{};
};

class EventRecords final : public AvroEncoder {
 public:
  EventRecords() : AvroEncoder(std::string(flume_event_schema())) {}

 private:
  void append_datum(const Batch& batch, std::uint32_t event, std::string& out) override {
    const std::size_t begin = out.size();
    out.append(length_bytes, '\0');
    append_avro_event(batch.headers(event), batch.body(event), out);
    set_length(out, begin, out.size() - begin - length_bytes);
  }
};

class Bodies final : public AvroEncoder {
 public:
  using AvroEncoder::AvroEncoder;

 private:
  void append_datum(const Batch& batch, std::uint32_t event, std::string& out) override {
    append_record(batch.body(event), out);
  }
};

class AvroMaker final : public FileMaker {
 public:
  AvroMaker(std::unique_ptr<AvroContainerWriter> writer,
            std::unique_ptr<HadoopCompressor> compressor)
      : writer_(std::move(writer)), compressor_(std::move(compressor)) {}

  void begin(std::string&) override {}
  Status add(std::string_view& bytes, std::string& out) override {
    std::string& file = compressor_ ? inside_ : out;
    while (bytes.size() >= length_bytes) {
      std::uint32_t length = 0;
      std::memcpy(&length, bytes.data(), sizeof length);
      if (bytes.size() - length_bytes < length) break;
      const std::string_view record = bytes.substr(length_bytes, length);
      if (std::exchange(begun_, true)) {
        writer_->append(record, file);
      } else {
        writer_->begin(record, file);
      }
      bytes.remove_prefix(length_bytes + length);
    }
    compress(out);
    return {};
  }
  void finish(std::string& out) override {
    writer_->finish(compressor_ ? inside_ : out);
    compress(out);
    if (compressor_) compressor_->finish(out);
  }

 private:
  void compress(std::string& out) {
    if (!compressor_) return;
    compressor_->write(inside_, out);
    inside_.clear();
  }

  const std::unique_ptr<AvroContainerWriter> writer_;
  const std::unique_ptr<HadoopCompressor> compressor_;  ///< May be null.
  std::string inside_;                                  ///< What is to be compressed.
  bool begun_ = false;
};

/// Up to the next blank, which is taken off as well.
std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

}  // namespace

std::string_view flume_event_schema() noexcept {
  return R"({"type":"record","name":"Event","fields":[{"name":"headers","type":{"type":"map",)"
         R"("values":"string"}},{"name":"body","type":"bytes"}]})";
}

std::unique_ptr<EventEncoder> make_avro_event_encoder() { return std::make_unique<EventRecords>(); }

std::unique_ptr<EventEncoder> make_avro_datum_encoder(std::string schema) {
  return std::make_unique<Bodies>(std::move(schema));
}

std::string avro_recipe(const AvroRecipe& recipe) {
  std::string text =
      std::string(avro_word) + recipe.codec + " " + std::to_string(recipe.block_bytes);
  if (recipe.around) text += " " + std::string(hadoop_codec_info(*recipe.around).name);
  return text;
}

bool is_avro_recipe(std::string_view recipe) noexcept { return recipe.starts_with(avro_word); }

Result<std::unique_ptr<FileMaker>> make_avro_maker(std::string_view recipe) {
  const Status other = Invalid("a spool of another release: " + std::string(recipe));
  if (!is_avro_recipe(recipe)) return other;
  recipe.remove_prefix(avro_word.size());
  AvroContainerWriter::Options options{.codec = std::string(take_word(recipe)),
                                       .sync = random_sequence_sync()};
  const std::string_view bytes = take_word(recipe);
  const auto [stopped, error] =
      std::from_chars(bytes.data(), bytes.data() + bytes.size(), options.block_bytes);
  if (error != std::errc() || stopped != bytes.data() + bytes.size()) return other;
  auto writer = AvroContainerWriter::make(std::move(options));
  if (!writer.ok()) return other;
  std::unique_ptr<HadoopCompressor> compressor;
  if (!recipe.empty()) {
    auto codec = parse_hadoop_codec(recipe);
    if (!codec.ok() || !codec.value()) return other;
    auto made = HadoopCompressor::make(**codec);
    if (!made.ok()) return made.status();
    compressor = *std::move(made);
  }
  return std::unique_ptr<FileMaker>(
      std::make_unique<AvroMaker>(*std::move(writer), std::move(compressor)));
}

}  // namespace sluice
