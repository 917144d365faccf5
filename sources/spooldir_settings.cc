#include "sources/spooldir_settings.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>

#include "core/base/absolute_path.h"

namespace sluice::spooldir {
namespace {

constexpr std::size_t character_bytes_max = 8;

/// Flume's aliases may be in small letters too.
bool is_deserializer(const Settings& settings, std::string_view alias, std::string_view builder) {
  std::string name = settings.text("deserializer");
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return name == alias || name.ends_with(builder);
}

}  // namespace

bool is_blob(const Settings& settings) {
  const std::string name = settings.text("deserializer");
  return name == "BLOB" || name.ends_with(".BlobDeserializer$Builder");
}

bool is_line(const Settings& settings) {
  return is_deserializer(settings, "LINE", ".LINEDESERIALIZER$BUILDER");
}

bool is_avro(const Settings& settings) {
  return is_deserializer(settings, "AVRO", ".AVROEVENTDESERIALIZER$BUILDER");
}

std::string directory_path(const Settings& settings) {
  std::string path = absolute_path(settings.text("spoolDir"));
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string tracker_path(const Settings& settings) {
  const std::string path = settings.text("trackerDir");
  return path.starts_with('/') ? path : directory_path(settings) + "/" + path;
}

std::string position_path(const Settings& settings) {
  return tracker_path(settings) + "/sluice-" + settings.name() + "-positions.json";
}

std::string ignored_path(const Settings& settings) {
  return tracker_path(settings) + "/sluice-" + settings.name() + "-ignored.json";
}

std::string note_prefix(const Settings& settings) { return "spooldir/" + settings.name() + "/"; }

bool is_same_charset(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

Result<std::shared_ptr<TextDecoder>> make_decoder(const Settings& settings) {
  const std::string charset = settings.text("inputCharset");
  const bool same = is_same_charset(charset, settings.text("deserializer.outputCharset"));
  // UTF-8 is looked at where somebody has said what shall become of what is none.
  const bool passes = TextDecoder::is_utf8(charset) ? !settings.has("decodeErrorPolicy") : same;
  if (passes || !is_line(settings)) return std::shared_ptr<TextDecoder>();
  const std::string policy = settings.text("decodeErrorPolicy");
  auto decoder = TextDecoder::make(charset, policy == "REPLACE"  ? TextDecoder::OnError::Replace
                                            : policy == "IGNORE" ? TextDecoder::OnError::Ignore
                                                                 : TextDecoder::OnError::Fail);
  if (!decoder.ok()) return decoder.status().with_context("inputCharset");
  return std::shared_ptr<TextDecoder>(*std::move(decoder));
}

FileLines::Options lines_options(const Settings& settings, std::shared_ptr<const LineGroups> groups,
                                 std::shared_ptr<TextDecoder> decoder) {
  FileLines::Options options;
  options.name = settings.component();
  options.note_prefix = note_prefix(settings);
  options.blobs = is_blob(settings);
  options.line_bytes_max = settings.bytes(options.blobs       ? "deserializer.maxBlobLength"
                                          : is_avro(settings) ? "deserializer.maxBlockLength"
                                                              : "deserializer.maxLineLength");
  options.trim_cr = false;
  options.may_be_truncated = false;
  options.groups = std::move(groups);
  options.decoder = std::move(decoder);
  // A character must fit.
  if (options.decoder)
    options.line_bytes_max = std::max(options.line_bytes_max, character_bytes_max);
  return options;
}

Result<SpoolDirectory::Options> directory_options(const Settings& settings) {
  auto include = NamePattern::make(settings.text("includePattern"));
  if (!include.ok()) return include.status().with_context("includePattern");
  auto ignore = NamePattern::make(settings.text("ignorePattern"));
  if (!ignore.ok()) return ignore.status().with_context("ignorePattern");
  SpoolDirectory::Options options{directory_path(settings), settings.text("fileSuffix"),
                                  tracker_path(settings), *std::move(include), *std::move(ignore)};
  const std::string order = settings.text("consumeOrder");
  if (order == "youngest") options.order = SpoolDirectory::Order::Youngest;
  if (order == "random") options.order = SpoolDirectory::Order::Random;
  if (settings.text("deletePolicy") == "immediate") {
    options.done = SpoolDirectory::Done::Delete;
  } else if (settings.text("trackingPolicy") == "tracker_dir") {
    options.done = SpoolDirectory::Done::Track;
  }
  options.recursive = settings.boolean("recursiveDirectorySearch");
  return options;
}

}  // namespace sluice::spooldir
