#include "sources/avro_file.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "core/wire/avro_container.h"
#include "sources/content_file.h"

namespace sluice {
namespace {

constexpr std::size_t chunk_bytes = 64 * 1024;
// A block that says that it is longer than any bound that one can set has a damaged head.
constexpr std::uint64_t block_bytes_most = 1 << 30;

/// The bytes of a file from some place on, which only moves forward.
class Window {
 public:
  explicit Window(InputFile& file) noexcept : file_(file) {}

  std::string_view bytes() const noexcept { return std::string_view(in_).substr(front_); }
  /// Where bytes() begin in the file.
  std::uint64_t offset() const noexcept { return end_ - bytes().size(); }
  /// Why the file ends where it does; Ok when that is its end.
  const Status& damage() const noexcept { return damage_; }

  /// Reads on until there are so many bytes, or all there are. Errors: Retry, Closed.
  Status want(std::size_t wanted) {
    while (bytes().size() < wanted && !over_) {
      in_.erase(0, front_);
      front_ = 0;
      const std::size_t before = in_.size();
      in_.resize(before + std::max(wanted - before, chunk_bytes));
      auto got = file_.read_at(end_, {in_.data() + before, in_.size() - before});
      // The end of a compressed file shows its damage only to those who read there.
      over_ = !got.ok() || *got == 0;
      in_.resize(before + (got.ok() ? *got : 0));
      end_ += in_.size() - before;
      if (got.ok()) continue;
      if (got.code() != Code::Reject) {
        over_ = false;
        return got.status();
      }
      damage_ = got.status();
    }
    return {};
  }
  void drop(std::size_t bytes) noexcept { front_ += bytes; }
  void begin_at(std::uint64_t offset) {
    in_.clear();
    front_ = 0;
    end_ = offset;
    over_ = false;
    damage_ = {};
  }

 private:
  InputFile& file_;
  std::string in_;  ///< The first front_ bytes were dropped.
  std::size_t front_ = 0;
  std::uint64_t end_ = 0;  ///< Offset behind in_.
  bool over_ = false;
  Status damage_;
};

class Datums final : public ContentFile {
 public:
  Datums(std::unique_ptr<InputFile> from, AvroHeader header, std::unique_ptr<AvroCodec> codec,
         std::shared_ptr<const AvroSchema> schema, std::size_t block_bytes_max)
      : ContentFile(std::move(from)),
        header_(std::move(header)),
        codec_(std::move(codec)),
        schema_(std::move(schema)),
        block_bytes_max_(block_bytes_max),
        window_(file()) {
    window_.begin_at(header_.bytes);
  }

 private:
  void begin_again() override {
    window_.begin_at(header_.bytes);
    left_out_ = 0;
    first_damage_ = {};
  }

  /// Makes the datums of one block.
  Result<bool> make_some(std::string& content, Status& damage) override {
    if (Status status = window_.want(AvroBlockHead::bytes_max); !status.ok()) return status;
    if (window_.bytes().empty()) {
      damage = end();
      return false;
    }
    const auto head = parse_avro_block_head(window_.bytes());
    if (!head || head->data_bytes > block_bytes_most)
      return leave_out(Reject("its head is damaged"));
    if (head->data_bytes > block_bytes_max_) {
      damage = too_long();
      return false;
    }
    const std::size_t block_bytes = head->bytes + head->data_bytes;
    if (Status status = window_.want(block_bytes + avro_sync_bytes); !status.ok()) return status;
    const std::string_view block = window_.bytes().substr(0, block_bytes + avro_sync_bytes);
    if (block.size() < block_bytes + avro_sync_bytes) return leave_out(Reject("it is cut off"));
    if (block.substr(block_bytes) != sync()) {
      return leave_out(Reject("no sync marker is behind it"));
    }
    const std::size_t before = content.size();
    Status status = append(content, head->datums, block.substr(head->bytes, head->data_bytes));
    if (!status.ok()) content.resize(before);
    if (status.code() == Code::Invalid) {
      damage = too_long();
      return false;
    }
    if (!status.ok()) note_left_out(status);
    window_.drop(block.size());
    return true;
  }

  /// Errors: those of AvroCodec::decompress(); Reject, it is not so many datums.
  Status append(std::string& content, std::uint64_t datums, std::string_view data) {
    const std::size_t begin = content.size();
    if (Status status = codec_->decompress(data, block_bytes_max_, content); !status.ok()) {
      return status;
    }
    std::string_view rest = std::string_view(content).substr(begin);
    for (; datums > 0; --datums) {
      const AvroSchema::Datum datum = schema_->measure(rest);
      if (datum.extent != AvroSchema::Extent::Whole)
        return Reject("its records do not fit the schema");
      rest.remove_prefix(datum.bytes);
    }
    return rest.empty() ? Status() : Reject("there is more in it than its records");
  }

  /// Goes on behind the next sync marker. Always true: whether there is more shows later.
  Result<bool> leave_out(const Status& why) {
    note_left_out(why);
    for (;;) {
      const std::size_t found = window_.bytes().find(sync());
      if (found != std::string_view::npos) {
        window_.drop(found + avro_sync_bytes);
        return true;
      }
      // A part of the marker may be the last that was read.
      const std::size_t kept = std::min(window_.bytes().size(), avro_sync_bytes - 1);
      window_.drop(window_.bytes().size() - kept);
      if (Status status = window_.want(kept + chunk_bytes); !status.ok()) return status;
      if (window_.bytes().size() > kept) continue;
      window_.drop(kept);
      return true;
    }
  }

  void note_left_out(const Status& why) {
    if (left_out_++ > 0) return;
    first_damage_ = why.with_context("the first one, at byte " + std::to_string(window_.offset()));
  }

  /// What is said about the content when all of it was made.
  Status end() const {
    if (!window_.damage().ok()) return window_.damage();
    if (left_out_ == 0) return {};
    return Reject("damaged blocks of it were left out: " + std::to_string(left_out_) + " (" +
                  first_damage_.message() + ")");
  }

  Status too_long() const {
    return Reject("its block at byte " + std::to_string(window_.offset()) + " is longer than " +
                  std::to_string(block_bytes_max_) + " bytes (deserializer.maxBlockLength)");
  }

  std::string_view sync() const noexcept { return {header_.sync.data(), header_.sync.size()}; }

  const AvroHeader header_;
  const std::unique_ptr<AvroCodec> codec_;
  const std::shared_ptr<const AvroSchema> schema_;
  const std::size_t block_bytes_max_;
  Window window_;
  std::uint64_t left_out_ = 0;
  Status first_damage_;
};

Result<AvroHeader> read_header(InputFile& file) {
  Window window(file);
  for (std::size_t wanted = chunk_bytes;; wanted *= 2) {
    if (Status status = window.want(wanted); !status.ok()) return status;
    auto header = parse_avro_header(window.bytes());
    if (!header.ok()) return header.status();
    if (*header) return **std::move(header);
    if (window.bytes().size() >= wanted) continue;
    return window.damage().ok() ? Reject("it ends within the header of an Avro file")
                                : window.damage();
  }
}

}  // namespace

Result<AvroFile> open_avro_file(std::unique_ptr<InputFile> file, std::size_t block_bytes_max) {
  auto header = read_header(*file);
  if (!header.ok()) return header.status();
  auto schema = AvroSchema::parse(header->schema);
  if (!schema.ok()) return schema.status();
  if ((*schema)->is_empty()) return Reject("records of its schema have no bytes");
  auto codec = AvroCodec::make(header->codec);
  if (!codec.ok()) return codec.status();
  AvroFile opened{nullptr, *schema};
  opened.datums = std::make_unique<Datums>(std::move(file), *std::move(header), *std::move(codec),
                                           *std::move(schema), block_bytes_max);
  return opened;
}

}  // namespace sluice
