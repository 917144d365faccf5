#include "sources/decompressed_file.h"

#include <zlib.h>
#include <zstd.h>

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/assert.h"
#include "sources/content_file.h"

namespace sluice {
namespace {

constexpr std::size_t chunk_bytes = 64 * 1024;
constexpr std::string_view gzip_magic = "\x1f\x8b\x08";
constexpr std::string_view zstd_magic = "\x28\xb5\x2f\xfd";

/// What one call of a codec did.
struct Step {
  std::size_t consumed = 0;
  std::size_t produced = 0;
  bool ended = false;  ///< A member or frame is complete; another may follow.
  std::string damage;  ///< What is wrong behind what was produced; empty: nothing.
};

class Codec {
 public:
  virtual ~Codec() = default;
  virtual Step run(std::string_view in, std::span<char> out) = 0;
  virtual void restart() = 0;
};

class Gzip final : public Codec {
 public:
  Gzip() {
    constexpr int window_bits = 15;
    constexpr int gzip_only = 16;
    const int rc = ::inflateInit2(&stream_, window_bits + gzip_only);
    SLUICE_ASSERT(rc == Z_OK, "zlib is the one this was compiled for, and there is memory");
  }
  ~Gzip() override { ::inflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  Step run(std::string_view in, std::span<char> out) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int rc = ::inflate(&stream_, Z_NO_FLUSH);
    Step step{in.size() - stream_.avail_in, out.size() - stream_.avail_out, rc == Z_STREAM_END, {}};
    if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
      step.damage = stream_.msg != nullptr ? stream_.msg : "zlib refuses it";
    }
    if (step.ended) ::inflateReset(&stream_);
    return step;
  }
  void restart() override { ::inflateReset(&stream_); }

 private:
  z_stream stream_{};
};

class Zstd final : public Codec {
 public:
  Zstd() : stream_(::ZSTD_createDStream(), ::ZSTD_freeDStream) {
    SLUICE_ASSERT(stream_ != nullptr, "there is memory");
  }
  Step run(std::string_view in, std::span<char> out) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    const std::size_t rc = ::ZSTD_decompressStream(stream_.get(), &to, &from);
    if (::ZSTD_isError(rc) != 0) return {from.pos, to.pos, false, ::ZSTD_getErrorName(rc)};
    return {from.pos, to.pos, rc == 0, {}};
  }
  void restart() override { ::ZSTD_DCtx_reset(stream_.get(), ZSTD_reset_session_only); }

 private:
  const std::unique_ptr<ZSTD_DStream, std::size_t (*)(ZSTD_DStream*)> stream_;
};

class DecompressedFile final : public ContentFile {
 public:
  DecompressedFile(std::unique_ptr<InputFile> file, std::unique_ptr<Codec> codec)
      : ContentFile(std::move(file)), codec_(std::move(codec)) {}

 private:
  void begin_again() override {
    codec_->restart();
    in_begin_ = in_end_ = 0;
    file_offset_ = 0;
    within_ = false;
  }

  Result<bool> make_some(std::string& content, Status& damage) override {
    if (in_begin_ == in_end_) {
      auto got = file().read_at(file_offset_, in_);
      if (!got.ok()) return got.status();
      in_begin_ = 0;
      in_end_ = *got;
      file_offset_ += *got;
    }
    // Tapes and block devices leave zeros behind the last member.
    while (!within_ && in_begin_ < in_end_ && in_[in_begin_] == '\0') ++in_begin_;
    if (in_begin_ == in_end_) {
      if (in_end_ == in_.size()) return true;
      if (within_) damage = Reject("its compressed content ends too early: it is truncated");
      return false;
    }
    const std::size_t before = content.size();
    content.resize(before + chunk_bytes);
    Step step = codec_->run({in_.data() + in_begin_, in_end_ - in_begin_},
                            {content.data() + before, chunk_bytes});
    content.resize(before + step.produced);
    if (step.consumed == 0 && step.produced == 0 && step.damage.empty())
      step.damage = "no progress";
    if (!step.damage.empty()) damage = Reject("its compressed content is damaged: " + step.damage);
    in_begin_ += step.consumed;
    within_ = !step.ended;
    return damage.ok();
  }

  const std::unique_ptr<Codec> codec_;
  std::array<char, chunk_bytes> in_;
  std::size_t in_begin_ = 0;
  std::size_t in_end_ = 0;
  std::uint64_t file_offset_ = 0;  ///< Where in_ ends.
  bool within_ = false;            ///< A member has begun and not ended.
};

}  // namespace

bool is_compressed(std::string_view first_bytes) noexcept {
  return first_bytes.starts_with(gzip_magic) || first_bytes.starts_with(zstd_magic);
}

Result<std::unique_ptr<InputFile>> decompressed_if_compressed(std::unique_ptr<InputFile> file) {
  std::array<char, 4> first{};
  auto got = file->read_at(0, first);
  if (!got.ok()) return got.status();
  const std::string_view magic(first.data(), *got);
  std::unique_ptr<Codec> codec;
  if (magic.starts_with(gzip_magic)) codec = std::make_unique<Gzip>();
  if (magic.starts_with(zstd_magic)) codec = std::make_unique<Zstd>();
  if (!codec) return file;
  return std::unique_ptr<InputFile>(
      std::make_unique<DecompressedFile>(std::move(file), std::move(codec)));
}

}  // namespace sluice
