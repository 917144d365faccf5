// What the encoders of the hdfs sink add to their codecs: SequenceFiles by blocks with zstd, and
// text in gzip, each beside a loop that does nothing but call the library on the same bytes.

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/micro.h"
#include "core/base/assert.h"
#include "core/wire/hadoop_codec.h"
#include "core/wire/hadoop_vint.h"
#include "core/wire/sequence_file.h"

namespace sluice::bench {
namespace {

constexpr std::size_t text_bytes = 16 << 20;
constexpr std::size_t span_bytes = 256 * 1024;
constexpr std::int64_t first_key = 1'700'000'000'000;

/// Lines of a log, of about 200 bytes, with their line feeds.
std::string log_text() {
  std::mt19937 random(1);
  std::string text;
  text.reserve(text_bytes + 400);
  while (text.size() < text_bytes) {
    text += "192.0.2." + std::to_string(random() % 256) +
            " - - [20/Nov/2023:23:47:" + std::to_string(10 + random() % 50) +
            " +0000] \"GET /images/" + std::to_string(random() % 100'000) + ".png HTTP/1.1\" " +
            std::to_string(200 + random() % 5) + " " + std::to_string(random() % 1'000'000) +
            " \"https://www.example.org/page/" + std::to_string(random() % 1000) +
            "\" \"Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0\"\n";
  }
  return text;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return lines;
}

/// Of this process's CPU, so that what else runs on the machine is not counted.
template <typename Round>
double seconds_of(Round& round) {
  const std::clock_t begin = std::clock();
  round();
  return static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
}

/// Both in turn, so that caches and clocks that others change hit both; the best of each counts.
template <typename Ours, typename Plain>
void compare(const char* what, std::size_t bytes, Ours ours, Plain plain) {
  constexpr int rounds = 9;
  double ours_best = 1e9;
  double plain_best = 1e9;
  for (int i = 0; i < rounds; ++i) {
    ours_best = std::min(ours_best, seconds_of(ours));
    plain_best = std::min(plain_best, seconds_of(plain));
  }
  const double megabytes = static_cast<double>(bytes) / 1e6;
  std::printf("%-44s %9.1f MB/s, the codec alone %9.1f MB/s: %.2f of it\n", what,
              megabytes / ours_best, megabytes / plain_best, plain_best / ours_best);
}

/// What the codec gets, as the writer puts it together: values, or the four groups of each block.
std::vector<std::string> streams_of(SequenceCompression compression,
                                    const std::vector<std::string_view>& lines) {
  std::vector<std::string> streams;
  std::array<std::string, 4> groups;
  auto& [key_lengths, keys, value_lengths, values] = groups;
  std::int64_t key = first_key;
  for (const std::string_view line : lines) {
    std::string value = std::string(3, '\0') + static_cast<char>(line.size());
    value += line;
    if (compression == SequenceCompression::Record) {
      streams.push_back(std::move(value));
      continue;
    }
    key_lengths += '\x08';
    for (int shift = 56; shift >= 0; shift -= 8) keys += static_cast<char>(key >> shift & 0xff);
    ++key;
    append_hadoop_vint(static_cast<std::int64_t>(value.size()), value_lengths);
    values += value;
    if (keys.size() + values.size() < SequenceFileWriter::block_bytes) continue;
    for (std::string& group : groups) streams.push_back(std::exchange(group, {}));
  }
  for (std::string& group : groups) streams.push_back(std::move(group));
  return streams;
}

void sequence_file(SequenceCompression compression, const std::vector<std::string_view>& lines,
                   std::size_t bytes) {
  const std::vector<std::string> streams = streams_of(compression, lines);
  auto writer = SequenceFileWriter::make(
      {SequenceValue::Writable, compression, HadoopCodec::Zstandard, std::nullopt});
  SLUICE_ASSERT(writer.ok(), "zstd is known");
  std::string out;
  const auto ours = [&] {
    out.clear();
    (*writer)->begin(SequenceSync{}, out);
    std::int64_t key = first_key;
    for (const std::string_view line : lines) {
      SLUICE_ASSERT((*writer)->append(key++, line, out).ok(), "a line is short");
    }
    (*writer)->finish(out);
    keep(out.size());
  };
  ZSTD_CCtx* const context = ::ZSTD_createCCtx();
  std::string to(::ZSTD_compressBound(2 * SequenceFileWriter::block_bytes), '\0');
  const auto plain = [&] {
    for (const std::string& stream : streams) {
      keep(::ZSTD_compress2(context, to.data(), to.size(), stream.data(), stream.size()));
    }
  };
  compare(compression == SequenceCompression::Block ? "SequenceFile by blocks, zstd"
                                                    : "SequenceFile by records, zstd",
          bytes, ours, plain);
  ::ZSTD_freeCCtx(context);
}

void gzip_text(const std::string& text, const std::vector<std::string_view>& lines) {
  auto writer = HadoopCompressor::make(HadoopCodec::Gzip);
  SLUICE_ASSERT(writer.ok(), "gzip is known");
  std::string out;
  const auto by_spans = [&] {
    out.clear();
    for (std::size_t at = 0; at < text.size(); at += span_bytes) {
      (*writer)->write(std::string_view(text).substr(at, span_bytes), out);
    }
    (*writer)->finish(out);
    keep(out.size());
  };
  const auto by_lines = [&] {
    out.clear();
    for (const std::string_view line : lines) {
      // The line feed stands behind it.
      (*writer)->write({line.data(), line.size() + 1}, out);
    }
    (*writer)->finish(out);
    keep(out.size());
  };
  z_stream stream{};
  constexpr int gzip_window_bits = 15 + 16;
  constexpr int memory_level = 8;
  ::deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip_window_bits, memory_level,
                 Z_DEFAULT_STRATEGY);
  std::string to(2 * text.size(), '\0');
  const auto plain = [&] {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(to.data());
    stream.avail_out = static_cast<uInt>(to.size());
    keep(::deflate(&stream, Z_FINISH));
    ::deflateReset(&stream);
  };
  compare("text in gzip, 256 KiB a call", text.size(), by_spans, plain);
  compare("text in gzip, a line a call", text.size(), by_lines, plain);
  ::deflateEnd(&stream);
}

}  // namespace
}  // namespace sluice::bench

int main() {
  using sluice::SequenceCompression;
  const std::string text = sluice::bench::log_text();
  const auto lines = sluice::bench::lines_of(text);
  sluice::bench::sequence_file(SequenceCompression::Block, lines, text.size());
  sluice::bench::sequence_file(SequenceCompression::Record, lines, text.size());
  sluice::bench::gzip_text(text, lines);
}
