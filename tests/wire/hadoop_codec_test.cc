#include "core/wire/hadoop_codec.h"

#include <lz4.h>
#include <snappy.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/catch.h"
#include "tests/support/compressed.h"

namespace sluice {
namespace {

constexpr std::size_t plenty = 1 << 30;
constexpr std::array<HadoopCodec, 6> all_codecs{HadoopCodec::Gzip,  HadoopCodec::Deflate,
                                                HadoopCodec::Bzip2, HadoopCodec::Snappy,
                                                HadoopCodec::Lz4,   HadoopCodec::Zstandard};

std::string name_of(HadoopCodec codec) { return std::string(hadoop_codec_info(codec).name); }

std::string lines(std::size_t bytes) {
  std::mt19937 random(11);
  std::string text;
  while (text.size() < bytes) text += "a line of a log, number " + std::to_string(random()) + "\n";
  text.resize(bytes);
  return text;
}
std::string noise(std::size_t bytes) {
  std::mt19937 random(12);
  std::string text(bytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

std::string compressed(HadoopCodec codec, std::string_view content) {
  std::string out;
  (*HadoopCompressor::make(codec))->compress(content, out);
  return out;
}
std::string u32(std::uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}
std::uint32_t u32_at(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return value;
}
std::string snappy_block(const std::string& content) {
  std::string out;
  snappy::Compress(content.data(), content.size(), &out);
  return out;
}

/// Reads in pieces, with a bound of `step` bytes a call; what came before an error is in `out`.
Status read_in_pieces(HadoopDecompressor& reader, std::string_view bytes, std::size_t piece,
                      std::size_t step, std::string& out) {
  while (!bytes.empty()) {
    std::string_view window = bytes.substr(0, piece);
    bytes.remove_prefix(window.size());
    for (std::size_t before = out.size();; before = out.size()) {
      if (Status status = reader.read(window, step, out); !status.ok()) return status;
      REQUIRE(out.size() - before <= step);
      if (out.size() - before < step) break;
    }
    REQUIRE(window.empty());
  }
  return {};
}

TEST_CASE("hadoop codec: names are those of Hadoop, whatever their case") {
  const auto parsed = [](std::string_view name) {
    auto codec = parse_hadoop_codec(name);
    INFO(name);
    REQUIRE(codec.ok());
    return *codec;
  };
  for (const char* name :
       {"gzip", "GZip", "GzipCodec", "gzipcodec", "org.apache.hadoop.io.compress.GzipCodec"}) {
    CHECK(parsed(name) == HadoopCodec::Gzip);
  }
  for (const char* name : {"default", "deflate", "DefaultCodec", "DeflateCodec",
                           "org.apache.hadoop.io.compress.DefaultCodec",
                           "org.apache.hadoop.io.compress.DeflateCodec"}) {
    CHECK(parsed(name) == HadoopCodec::Deflate);
  }
  for (const char* name : {"bzip2", "BZip2Codec", "org.apache.hadoop.io.compress.BZip2Codec"}) {
    CHECK(parsed(name) == HadoopCodec::Bzip2);
  }
  for (const char* name : {"snappy", "SnappyCodec"}) CHECK(parsed(name) == HadoopCodec::Snappy);
  for (const char* name : {"lz4", "LZ4Codec"}) CHECK(parsed(name) == HadoopCodec::Lz4);
  for (const char* name :
       {"zstd", "zstandard", "ZStandardCodec", "org.apache.hadoop.io.compress.ZStandardCodec"}) {
    CHECK(parsed(name) == HadoopCodec::Zstandard);
  }
  CHECK_FALSE(parsed("none"));
  CHECK_FALSE(parsed("None"));
}

TEST_CASE("hadoop codec: a name that means nothing here is said, with what to use instead") {
  const auto message = [](std::string_view name) {
    const Status status = parse_hadoop_codec(name).status();
    CHECK(status.code() == Code::Invalid);
    return status.message();
  };
  for (const char* name : {"lzo", "LZOP", "LzoCodec", "com.hadoop.compression.lzo.LzopCodec",
                           "org.apache.hadoop.io.compress.LzoCodec"}) {
    CHECK_THAT(message(name), Catch::Contains(std::string("'") + name + "' is not supported") &&
                                  Catch::Contains("licence") && Catch::Contains("use snappy"));
  }
  CHECK(message("gzpi") ==
        "'gzpi' is no codec known here; did you mean gzip? There are none, gzip, bzip2, deflate, "
        "default, snappy, lz4, zstd");
  CHECK_THAT(message(""), Catch::Contains("There are none, gzip"));
  CHECK_THAT(message("Codec"), Catch::Contains("There are none, gzip"));
  CHECK_THAT(message("com.hadoop.compression.lzo.GzipCodec"), Catch::Contains("no codec known"));
}

TEST_CASE("hadoop codec: a class is found by the name that a SequenceFile has") {
  for (const HadoopCodec codec : all_codecs) {
    const HadoopCodecInfo& info = hadoop_codec_info(codec);
    CHECK(info.codec == codec);
    CHECK(hadoop_codec_of_class(info.java_class) == codec);
    CHECK(*parse_hadoop_codec(info.java_class) == codec);
    CHECK(*parse_hadoop_codec(info.name) == codec);
  }
  CHECK(hadoop_codec_of_class("org.apache.hadoop.io.compress.DeflateCodec") ==
        HadoopCodec::Deflate);
  CHECK_FALSE(hadoop_codec_of_class("gzip"));
  CHECK_FALSE(hadoop_codec_of_class(""));

  const auto java_class = [](HadoopCodec codec) { return hadoop_codec_info(codec).java_class; };
  const std::string package = "org.apache.hadoop.io.compress.";
  CHECK(java_class(HadoopCodec::Gzip) == package + "GzipCodec");
  CHECK(java_class(HadoopCodec::Deflate) == package + "DefaultCodec");
  CHECK(java_class(HadoopCodec::Bzip2) == package + "BZip2Codec");
  CHECK(java_class(HadoopCodec::Snappy) == package + "SnappyCodec");
  CHECK(java_class(HadoopCodec::Lz4) == package + "Lz4Codec");
  CHECK(java_class(HadoopCodec::Zstandard) == package + "ZStandardCodec");
  const auto extension = [](HadoopCodec codec) { return hadoop_codec_info(codec).extension; };
  CHECK(extension(HadoopCodec::Gzip) == ".gz");
  CHECK(extension(HadoopCodec::Deflate) == ".deflate");
  CHECK(extension(HadoopCodec::Bzip2) == ".bz2");
  CHECK(extension(HadoopCodec::Snappy) == ".snappy");
  CHECK(extension(HadoopCodec::Lz4) == ".lz4");
  CHECK(extension(HadoopCodec::Zstandard) == ".zst");
}

TEST_CASE("hadoop codec: levels are those of the library, and make a difference") {
  const std::string text = lines(200'000);
  for (const HadoopCodec codec : all_codecs) {
    const HadoopCodecInfo& info = hadoop_codec_info(codec);
    INFO(info.name);
    CHECK(HadoopCompressor::make(codec, info.level_max + 1).code() == Code::Invalid);
    CHECK(HadoopCompressor::make(codec, info.level_min - 1).code() == Code::Invalid);
    if (info.level_max == 0) {
      CHECK(HadoopCompressor::make(codec, 0).status().message() ==
            std::string(info.name) + " has no levels");
      continue;
    }
    std::string low, high;
    (*HadoopCompressor::make(codec, info.level_min))->compress(text, low);
    (*HadoopCompressor::make(codec, info.level_max))->compress(text, high);
    CHECK(high.size() < low.size());
    for (const std::string& bytes : {low, high}) {
      std::string out;
      CHECK(HadoopDecompressor::make(codec)->decompress(bytes, plenty, out).ok());
      CHECK(out == text);
    }
  }
  CHECK(HadoopCompressor::make(HadoopCodec::Gzip, 10).status().message() ==
        "the levels of gzip are 0 to 9, not 10");
}

TEST_CASE("hadoop codec: what is compressed is read again, whatever the pieces of both") {
  // Around the block of snappy (218,422) and that of lz4 (261,100).
  std::vector<std::string> contents = {"", "x", lines(1000), lines(600'000), noise(230'000)};
  for (const std::size_t edge : {218'422U, 261'100U}) {
    for (const std::size_t size : {edge, edge + 1}) contents.push_back(lines(size));
  }
  for (const HadoopCodec codec : all_codecs) {
    auto writer = HadoopCompressor::make(codec);
    REQUIRE(writer.ok());
    auto reader = HadoopDecompressor::make(codec);
    for (const std::string& content : contents) {
      for (const std::size_t piece : {std::size_t{1000}, std::size_t{219'000}, content.size()}) {
        INFO(name_of(codec) << ", " << content.size() << " bytes in pieces of " << piece);
        std::string bytes = "before";
        if (piece == content.size()) {
          (*writer)->compress(content, bytes);
        } else {
          for (std::size_t at = 0; at < content.size(); at += piece) {
            (*writer)->write(std::string_view(content).substr(at, piece), bytes);
          }
          (*writer)->finish(bytes);
        }
        REQUIRE(bytes.starts_with("before"));
        bytes.erase(0, 6);
        std::string out = "front ";
        CHECK(reader->decompress(bytes, content.size(), out).ok());
        CHECK((out == "front " + content));
        reader->reset();
        out.clear();
        CHECK(read_in_pieces(*reader, bytes, 777, 50'000, out).ok());
        CHECK((out == content));
        CHECK(reader->at_end() ==
              (!bytes.empty() || codec == HadoopCodec::Snappy || codec == HadoopCodec::Lz4));
      }
    }
  }
}

TEST_CASE("hadoop codec: streams one behind the other are read as one") {
  for (const HadoopCodec codec : all_codecs) {
    INFO(name_of(codec));
    auto writer = HadoopCompressor::make(codec);
    REQUIRE(writer.ok());
    std::string bytes, expected;
    for (int i = 0; i < 5; ++i) {
      const std::string part = i == 2 ? "" : lines(static_cast<std::size_t>(20'000 * i + 10));
      (*writer)->write(part, bytes);
      (*writer)->finish(bytes);
      expected += part;
    }
    std::string out;
    CHECK(HadoopDecompressor::make(codec)->decompress(bytes, plenty, out).ok());
    CHECK((out == expected));
  }
}

TEST_CASE("hadoop codec: a stream is the same after others, and after one that was given up") {
  const std::string text = lines(50'000);
  for (const HadoopCodec codec : all_codecs) {
    INFO(name_of(codec));
    const std::string expected = compressed(codec, text);
    auto writer = HadoopCompressor::make(codec);
    REQUIRE(writer.ok());
    std::string out;
    (*writer)->write(noise(400'000), out);
    (*writer)->reset();
    for (int i = 0; i < 3; ++i) {
      out.clear();
      (*writer)->compress(text, out);
      CHECK((out == expected));
    }
    (*writer)->write(noise(100), out);
    (*writer)->reset();
    out.clear();
    (*writer)->write(text, out);
    (*writer)->finish(out);
    std::string back;
    CHECK(HadoopDecompressor::make(codec)->decompress(out, plenty, back).ok());
    CHECK((back == text));
  }
}

TEST_CASE("hadoop codec: the bytes are of the formats that their names say") {
  const std::string text = lines(5000);
  CHECK(compressed(HadoopCodec::Gzip, text) == testing::gzip(text));
  CHECK(compressed(HadoopCodec::Gzip, "").size() == 20);
  CHECK(compressed(HadoopCodec::Deflate, "\x08\x08") ==
        std::string("\x78\x9c\xe3\xe0\0\0\0\x1a\0\x11", 10));
  CHECK(compressed(HadoopCodec::Deflate, "66") ==
        std::string("\x78\x9c\x33\x33\x03\0\0\xa4\0\x6d", 10));
  CHECK(compressed(HadoopCodec::Bzip2, text).starts_with("BZh91AY&SY"));
  // bzip2's own end of an empty file.
  CHECK(compressed(HadoopCodec::Bzip2, "") ==
        std::string("BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0", 14));
  CHECK(compressed(HadoopCodec::Zstandard, text) == testing::zstd(text));
  std::string out;
  CHECK(HadoopDecompressor::make(HadoopCodec::Gzip)
            ->decompress(testing::gzip(text), plenty, out)
            .ok());
  CHECK(HadoopDecompressor::make(HadoopCodec::Zstandard)
            ->decompress(testing::zstd(text), plenty, out)
            .ok());
  CHECK(out == text + text);
}

TEST_CASE("hadoop codec: snappy and lz4 are blocks with their lengths, high byte first") {
  for (const auto& [codec, block_bytes] :
       {std::pair{HadoopCodec::Snappy, 218'422U}, std::pair{HadoopCodec::Lz4, 261'100U}}) {
    INFO(name_of(codec));
    CHECK(compressed(codec, "").empty());
    const std::string text = lines(600'000);
    const std::string bytes = compressed(codec, text);
    std::string back;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::uint32_t block = u32_at(bytes, at);
      const std::uint32_t chunk = u32_at(bytes, at + 4);
      CHECK(block == std::min<std::size_t>(block_bytes, text.size() - back.size()));
      REQUIRE(at + 8 + chunk <= bytes.size());
      std::string content(block, '\0');
      if (codec == HadoopCodec::Snappy) {
        std::size_t length = 0;
        REQUIRE(snappy::GetUncompressedLength(bytes.data() + at + 8, chunk, &length));
        REQUIRE(length == block);
        CHECK(snappy::RawUncompress(bytes.data() + at + 8, chunk, content.data()));
      } else {
        CHECK(::LZ4_decompress_safe(bytes.data() + at + 8, content.data(), static_cast<int>(chunk),
                                    static_cast<int>(block)) == static_cast<int>(block));
      }
      back += content;
      at += 8 + chunk;
    }
    CHECK((back == text));
    // The worst input still fits the buffers of Hadoop's decompressor.
    const std::string worst = compressed(codec, noise(300'000));
    CHECK(u32_at(worst, 4) <= 256 * 1024);
  }
}

TEST_CASE("hadoop codec: Hadoop's own blocks, of several chunks or of none, are read") {
  const std::string a = lines(1000);
  const std::string b = lines(3000);
  const auto chunk = [](const std::string& content) {
    return u32(static_cast<std::uint32_t>(snappy_block(content).size())) + snappy_block(content);
  };
  // Of a write longer than its buffer Hadoop makes one block of several chunks, and then one of
  // none, as it does of an empty stream.
  const std::string bytes =
      u32(4000) + chunk(a) + chunk(b) + u32(0) + u32(1000) + chunk(a) + u32(0);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, bytes.size()}) {
    auto reader = HadoopDecompressor::make(HadoopCodec::Snappy);
    std::string out;
    CHECK(read_in_pieces(*reader, bytes, piece, 100, out).ok());
    CHECK(out == a + b + a);
    CHECK(reader->at_end());
  }
}

TEST_CASE("hadoop codec: lengths that lie are refused, and cost no memory") {
  const auto refused = [](HadoopCodec codec, const std::string& bytes) {
    std::string out;
    const Status status = HadoopDecompressor::make(codec)->decompress(bytes, plenty, out);
    CHECK(status.code() == Code::Invalid);
    CHECK(out.capacity() < 1'000'000);
    return status.message();
  };
  const std::string content = lines(1000);
  const std::string chunk = snappy_block(content);
  const auto size = static_cast<std::uint32_t>(chunk.size());
  for (const HadoopCodec codec : {HadoopCodec::Snappy, HadoopCodec::Lz4}) {
    INFO(name_of(codec));
    CHECK_THAT(refused(codec, u32(0x80000000) + u32(size) + chunk),
               Catch::Contains("negative length"));
    CHECK_THAT(refused(codec, u32(1000) + u32(0)), Catch::Contains("a chunk of 0 bytes"));
    CHECK_THAT(refused(codec, u32(1000) + u32((16 << 20) + 1)),
               Catch::Contains("a chunk of 16777217 bytes"));
    CHECK_THAT(refused(codec, u32(1000) + u32(0xffffffff)), Catch::Contains("a chunk of"));
    // Nothing of what is claimed is there.
    CHECK_THAT(refused(codec, u32(0x7fffffff) + u32(16 << 20)), Catch::Contains("too early"));
  }
  CHECK_THAT(refused(HadoopCodec::Snappy, u32(999) + u32(size) + chunk),
             Catch::Contains("none of its codec"));
  CHECK_THAT(refused(HadoopCodec::Snappy, u32(1001) + u32(size) + chunk),
             Catch::Contains("too early"));
  // A chunk of snappy says itself how much is in it: here 15 MiB in five bytes.
  CHECK_THAT(refused(HadoopCodec::Snappy, u32(15 << 20) + u32(5) + "\x80\x80\xc0\x07x"),
             Catch::Contains("none of its codec"));
}

TEST_CASE("hadoop codec: content far beyond the bound takes no memory") {
  const std::string bomb(20'000'000, 'x');
  for (const HadoopCodec codec : all_codecs) {
    INFO(name_of(codec));
    const std::string bytes = compressed(codec, bomb);
    std::string out;
    auto reader = HadoopDecompressor::make(codec);
    CHECK(reader->decompress(bytes, 1000, out).code() == Code::Invalid);
    CHECK(out.size() <= 1001);
    CHECK(out.capacity() < 200'000);
    // In steps all of it is there.
    reader->reset();
    std::size_t got = 0;
    for (std::string_view left = bytes;;) {
      out.clear();
      REQUIRE(reader->read(left, 100'000, out).ok());
      got += out.size();
      if (out.size() < 100'000 && left.empty()) break;
    }
    CHECK(got == bomb.size());
    CHECK(reader->at_end());
  }
}

TEST_CASE("hadoop codec: a zstd frame whose window is beyond the bound is refused") {
  ZSTD_CCtx* context = ::ZSTD_createCCtx();
  ::ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  ZSTD_inBuffer from{"x", 1, 0};
  std::string frame(1000, '\0');
  ZSTD_outBuffer into{frame.data(), frame.size(), 0};
  // Without the length of the whole the window is as it was set.
  CHECK(::ZSTD_isError(::ZSTD_compressStream2(context, &into, &from, ZSTD_e_flush)) == 0);
  CHECK(::ZSTD_compressStream2(context, &into, &from, ZSTD_e_end) == 0);
  ::ZSTD_freeCCtx(context);
  frame.resize(into.pos);
  std::string out;
  CHECK(HadoopDecompressor::make(HadoopCodec::Zstandard)->decompress(frame, plenty, out).code() ==
        Code::Invalid);
}

TEST_CASE("hadoop codec: formats of zstd before 0.8 are no frames, those to be skipped are") {
  const std::string frame = compressed(HadoopCodec::Zstandard, "content");
  const auto reader = HadoopDecompressor::make(HadoopCodec::Zstandard);
  std::string out;
  for (const char version : {'\x22', '\x23', '\x24', '\x25', '\x26', '\x27', '\x1e'}) {
    std::string old = frame;
    old.front() = version;
    CHECK_THAT(reader->decompress(old, plenty, out).message(), Catch::Contains("no frame of zstd"));
    CHECK(reader->decompress(frame + old, plenty, out).code() == Code::Invalid);
  }
  out.clear();
  const std::string skipped = std::string("\x5f\x2a\x4d\x18\3\0\0\0xyz", 11);
  CHECK(reader->decompress(skipped + frame + skipped + frame, plenty, out).ok());
  CHECK(out == "contentcontent");
}

TEST_CASE("hadoop codec: cut off anywhere, what came is right and the end is missing") {
  const std::string text = lines(3000);
  for (const HadoopCodec codec : all_codecs) {
    INFO(name_of(codec));
    const std::string whole = compressed(codec, text);
    auto reader = HadoopDecompressor::make(codec);
    for (std::size_t size = 1; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      std::string out;
      CHECK(reader->decompress(cut, plenty, out).code() == Code::Invalid);
      reader->reset();
      std::string_view left = cut;
      out.clear();
      CHECK(reader->read(left, plenty, out).ok());
      CHECK_FALSE(reader->at_end());
      CHECK(text.starts_with(out));
    }
    std::string out;
    CHECK(reader->decompress(whole, plenty, out).ok());
    CHECK(out == text);
    CHECK(reader->decompress(whole + "rubbish behind it", plenty, out).code() == Code::Invalid);
  }
}

TEST_CASE("hadoop codec: of a torn stream all comes that can, whatever the room for it") {
  const std::string text = lines(100'000);
  for (const HadoopCodec codec : all_codecs) {
    const std::string whole = compressed(codec, text);
    auto reader = HadoopDecompressor::make(codec);
    // Without its last ten bytes a stream of bzip2 has all of its content, and nothing behind it.
    for (std::size_t missing = 1; missing <= 16; ++missing) {
      INFO(name_of(codec) << " without its last " << missing << " bytes");
      const std::string_view cut = std::string_view(whole).substr(0, whole.size() - missing);
      std::string at_once, in_steps;
      reader->reset();
      CHECK(read_in_pieces(*reader, cut, cut.size(), plenty, at_once).ok());
      CHECK_FALSE(reader->at_end());
      reader->reset();
      CHECK(read_in_pieces(*reader, cut, cut.size(), 1000, in_steps).ok());
      CHECK((in_steps == at_once));
      if (codec == HadoopCodec::Bzip2 && missing <= 10) CHECK((at_once == text));
    }
  }
}

TEST_CASE("hadoop codec: no damage crashes, and after any the reader is as good as new") {
  std::mt19937 random(2026);
  const std::string text = lines(2000);
  for (const HadoopCodec codec : all_codecs) {
    INFO(name_of(codec));
    const std::string whole = compressed(codec, text) + compressed(codec, text);
    auto reader = HadoopDecompressor::make(codec);
    int refused = 0;
    for (int i = 0; i < 1500; ++i) {
      std::string bytes = whole;
      for (std::size_t flips = 1 + random() % 3; flips > 0; --flips) {
        bytes[random() % bytes.size()] ^= static_cast<char>(1 + random() % 255);
      }
      if (random() % 4 == 0) bytes.resize(random() % bytes.size());
      std::string out;
      refused += !reader->decompress(bytes, 1 << 20, out).ok();
      CHECK(out.size() <= (1 << 20) + 1);
    }
    // Snappy and lz4 have no checksum.
    CHECK(refused > 500);
    std::string out;
    CHECK(reader->decompress(whole, plenty, out).ok());
    CHECK(out == text + text);
  }
}

}  // namespace
}  // namespace sluice
