#include "core/wire/hadoop_codec.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/base/assert.h"
#include "core/base/nearest_name.h"

namespace sluice {
namespace {

// The levels of zstd above 19 need windows that readers with the usual bounds refuse.
constexpr std::array<HadoopCodecInfo, 6> codecs{{
    {HadoopCodec::Gzip, "gzip", "org.apache.hadoop.io.compress.GzipCodec", ".gz", 0, 9},
    {HadoopCodec::Deflate, "deflate", "org.apache.hadoop.io.compress.DefaultCodec", ".deflate", 0,
     9},
    {HadoopCodec::Bzip2, "bzip2", "org.apache.hadoop.io.compress.BZip2Codec", ".bz2", 1, 9},
    {HadoopCodec::Snappy, "snappy", "org.apache.hadoop.io.compress.SnappyCodec", ".snappy", 0, 0},
    {HadoopCodec::Lz4, "lz4", "org.apache.hadoop.io.compress.Lz4Codec", ".lz4", 0, 0},
    {HadoopCodec::Zstandard, "zstd", "org.apache.hadoop.io.compress.ZStandardCodec", ".zst", 1, 19},
}};

constexpr std::string_view package = "org.apache.hadoop.io.compress.";
constexpr std::string_view lzo_package = "com.hadoop.compression.lzo.";

struct Alias {
  std::string_view name;  ///< Without package and "Codec".
  HadoopCodec codec;
};
// DeflateCodec is DefaultCodec by another name.
constexpr std::array<Alias, 8> aliases{{{"gzip", HadoopCodec::Gzip},
                                        {"default", HadoopCodec::Deflate},
                                        {"deflate", HadoopCodec::Deflate},
                                        {"bzip2", HadoopCodec::Bzip2},
                                        {"snappy", HadoopCodec::Snappy},
                                        {"lz4", HadoopCodec::Lz4},
                                        {"zstandard", HadoopCodec::Zstandard},
                                        {"zstd", HadoopCodec::Zstandard}}};

bool take_prefix(std::string_view& name, std::string_view prefix) {
  if (!equal_ignoring_case(name.substr(0, prefix.size()), prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

std::string_view without_codec(std::string_view name) {
  constexpr std::string_view codec = "Codec";
  if (name.size() <= codec.size()) return name;
  const std::size_t begin = name.size() - codec.size();
  return equal_ignoring_case(name.substr(begin), codec) ? name.substr(0, begin) : name;
}

Status unknown(std::string_view name) {
  constexpr std::string_view choice = "none, gzip, bzip2, deflate, default, snappy, lz4, zstd";
  std::string message = "'" + std::string(name) + "' is no codec known here; ";
  const std::string_view near = nearest_name(
      name, {"none", "gzip", "bzip2", "deflate", "default", "snappy", "lz4", "zstd", "zstandard"});
  if (!near.empty()) message += "did you mean " + std::string(near) + "? ";
  return Invalid(message + "There are " + std::string(choice));
}

}  // namespace

const HadoopCodecInfo& hadoop_codec_info(HadoopCodec codec) noexcept {
  const auto& info = codecs[static_cast<std::size_t>(codec)];
  SLUICE_ASSERT(info.codec == codec, "the table has the order of the enumerators");
  return info;
}

Result<std::optional<HadoopCodec>> parse_hadoop_codec(std::string_view name) {
  if (equal_ignoring_case(name, "none")) return std::optional<HadoopCodec>();
  std::string_view lzo = name;
  if (!take_prefix(lzo, package)) take_prefix(lzo, lzo_package);
  lzo = without_codec(lzo);
  if (equal_ignoring_case(lzo, "lzo") || equal_ignoring_case(lzo, "lzop")) {
    return Invalid("'" + std::string(name) +
                   "' is not supported, because the licence of its library (GPL) does not go with "
                   "this one's; use snappy or lz4, which are as fast, or zstd, which is smaller");
  }
  std::string_view short_name = name;
  take_prefix(short_name, package);
  short_name = without_codec(short_name);
  for (const Alias& alias : aliases) {
    if (equal_ignoring_case(alias.name, short_name)) return std::optional(alias.codec);
  }
  return unknown(name);
}

std::optional<HadoopCodec> hadoop_codec_of_class(std::string_view java_class) noexcept {
  for (const HadoopCodecInfo& info : codecs) {
    if (info.java_class == java_class) return info.codec;
  }
  if (java_class == "org.apache.hadoop.io.compress.DeflateCodec") return HadoopCodec::Deflate;
  return std::nullopt;
}

}  // namespace sluice
