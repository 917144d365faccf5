#include "core/net/deflate_stream.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace sluice {
namespace {

constexpr std::size_t read_bytes = 8 * 1024;
constexpr std::size_t written_bytes = 16 * 1024;
// Blocks may be empty. An honest sender makes one a flush; who sends so much of them only wants to
// keep us busy.
constexpr std::size_t barren_bytes_max = 1 << 20;

struct Shape {
  int window_bits;
  int memory_level;
};

constexpr Shape shape_of(DeflateStream::Memory memory) noexcept {
  return memory == DeflateStream::Memory::Full ? Shape{15, 8} : Shape{12, 5};
}

uInt size_for_zlib(std::size_t bytes) noexcept {
  return static_cast<uInt>(std::min<std::size_t>(bytes, std::numeric_limits<uInt>::max()));
}

Bytef* bytes_for_zlib(const char* bytes) noexcept {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes));  // zlib only reads them
}

}  // namespace

struct DeflateStream::Inflater {
  ~Inflater() { ::inflateEnd(&zlib); }
  z_stream zlib{};
  std::array<char, read_bytes> input;
  std::size_t barren_bytes = 0;  ///< Since the last byte that came out.
  bool more_inside = false;      ///< The last span was too short for what zlib has ready.
};

struct DeflateStream::Deflater {
  ~Deflater() { ::deflateEnd(&zlib); }
  z_stream zlib{};
  bool unflushed = false;
  bool finished = false;
};

DeflateStream::DeflateStream(std::unique_ptr<ByteStream> below, int level, Memory memory)
    : below_(std::move(below)), level_(level), memory_(memory) {}

DeflateStream::~DeflateStream() = default;

bool DeflateStream::holds_input() const noexcept {
  const bool own = inflater_ && (inflater_->zlib.avail_in > 0 || inflater_->more_inside);
  // An end or an error behind what was read is still to be told.
  return own || !failed_.ok() || below_->holds_input();
}

/// More input for the inflater; false when there is none just now.
Result<bool> DeflateStream::fetch() {
  if (!inflater_) {
    std::array<char, read_bytes> first;
    auto got = below_->read_some(first);
    if (!got.ok()) return got.status();
    if (*got == 0) return false;
    auto made = std::make_unique<Inflater>();
    if (::inflateInit(&made->zlib) != Z_OK) return Retry("no memory to inflate what came");
    inflater_ = std::move(made);
    std::copy_n(first.begin(), *got, inflater_->input.begin());
    inflater_->zlib.avail_in = static_cast<uInt>(*got);
  } else {
    auto got = below_->read_some(inflater_->input);
    // A peer that has not yet said anything may leave as it likes; a stream has an end.
    if (got.code() == Code::Closed) {
      return Retry("the connection was cut off: its compressed stream has no end");
    }
    if (!got.ok()) return got.status();
    inflater_->zlib.avail_in = static_cast<uInt>(*got);
  }
  inflater_->zlib.next_in = bytes_for_zlib(inflater_->input.data());
  return inflater_->zlib.avail_in > 0;
}

Result<std::size_t> DeflateStream::read_some(std::span<char> into) {
  if (!failed_.ok()) return failed_;
  while (!into.empty()) {
    if (!inflater_ || (inflater_->zlib.avail_in == 0 && !inflater_->more_inside)) {
      auto fetched = fetch();
      if (!fetched.ok()) return failed_ = fetched.status();
      if (!*fetched) return std::size_t{0};
    }
    z_stream& zlib = inflater_->zlib;
    const uInt room = size_for_zlib(into.size());
    const uInt input_bytes = zlib.avail_in;
    zlib.next_out = reinterpret_cast<Bytef*>(into.data());
    zlib.avail_out = room;
    const int outcome = ::inflate(&zlib, Z_SYNC_FLUSH);
    const std::size_t made_bytes = room - zlib.avail_out;
    inflater_->more_inside = zlib.avail_out == 0;
    inflater_->barren_bytes = made_bytes > 0 ? 0 : inflater_->barren_bytes + input_bytes;
    if (outcome == Z_STREAM_END) {
      zlib.avail_in = 0;
      inflater_->more_inside = false;
      failed_ = Closed("the peer has finished");
      if (made_bytes == 0) return failed_;
    } else if (outcome != Z_OK && outcome != Z_BUF_ERROR) {
      failed_ = Retry(std::string("what came is not compressed, or broken (zlib: ") +
                      (zlib.msg != nullptr ? zlib.msg : "no reason") +
                      "); compression-type must be the same on both sides");
      return failed_;
    } else if (inflater_->barren_bytes > barren_bytes_max) {
      failed_ = Retry("a compressed stream in which there is nothing");
      return failed_;
    }
    if (made_bytes > 0) return made_bytes;
  }
  return std::size_t{0};
}

Status DeflateStream::compress(std::string_view bytes, int how) {
  if (!deflater_) {
    auto made = std::make_unique<Deflater>();
    const Shape shape = shape_of(memory_);
    if (::deflateInit2(&made->zlib, level_, Z_DEFLATED, shape.window_bits, shape.memory_level,
                       Z_DEFAULT_STRATEGY) != Z_OK) {
      return Retry("no memory to compress what is sent");
    }
    deflater_ = std::move(made);
  }
  z_stream& zlib = deflater_->zlib;
  std::array<char, written_bytes> out;
  do {
    if (zlib.avail_in == 0) {
      zlib.next_in = bytes_for_zlib(bytes.data());
      zlib.avail_in = size_for_zlib(bytes.size());
      bytes.remove_prefix(zlib.avail_in);
    }
    zlib.next_out = reinterpret_cast<Bytef*>(out.data());
    zlib.avail_out = static_cast<uInt>(out.size());
    static_cast<void>(::deflate(&zlib, how));  // no progress is not an error here
    if (Status status = below_->write({out.data(), out.size() - zlib.avail_out}); !status.ok()) {
      return status;
    }
  } while (zlib.avail_out == 0 || zlib.avail_in > 0 || !bytes.empty());
  return {};
}

Status DeflateStream::write(std::string_view bytes) {
  if (bytes.empty()) return {};
  if (Status status = compress(bytes, Z_NO_FLUSH); !status.ok()) return status;
  deflater_->unflushed = true;
  return {};
}

Status DeflateStream::flush() {
  if (deflater_ && std::exchange(deflater_->unflushed, false)) {
    if (Status status = compress({}, Z_SYNC_FLUSH); !status.ok()) return status;
  }
  return below_->flush();
}

Status DeflateStream::finish() {
  if (!deflater_ || !deflater_->finished) {
    if (Status status = compress({}, Z_FINISH); !status.ok()) return status;
    deflater_->finished = true;
    deflater_->unflushed = false;
  }
  return below_->finish();
}

}  // namespace sluice
