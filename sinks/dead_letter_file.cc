#include "sinks/dead_letter_file.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/log.h"
#include "core/config/source_text.h"
#include "core/event/origin_text.h"
#include "core/wire/base64.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<std::size_t>(slash, 1));
}

/// "2023-11-14T22:13:20.123Z"
std::string iso_time(std::int64_t wall_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(wall_ms / 1000), wall_ms % 1000);
}

/// `key` where the bytes are text, `key`_base64 where they are not.
void put_bytes(Json& json, const std::string& key, std::string_view bytes) {
  if (is_utf8(bytes)) {
    json[key] = bytes;
  } else {
    json[key + "_base64"] = base64(bytes);
  }
}

void append_line(std::string& lines, const DeadLetter& letter, const Rejection& rejection,
                 const std::string& time) {
  Json json;
  json["time"] = time;
  json["sink"] = rejection.sink;
  json["reason"] = rejection.reason;
  json["attempts"] = letter.attempts;
  json["channel"] = rejection.channel;
  json["sequence"] = letter.sequence;
  if (letter.origin) json["origin"] = to_string(*letter.origin);
  Json headers = Json::object();
  letter.event.headers.for_each([&](std::string_view name, std::string_view value) {
    put_bytes(headers, std::string(name), value);
  });
  json["headers"] = std::move(headers);
  put_bytes(json, "body", letter.event.body);
  lines += json.dump(-1, ' ', false, Json::error_handler_t::replace);
  lines += '\n';
}

}  // namespace

DeadLetterFile::DeadLetterFile(Options options, FileSystem& files, const Clock& clock)
    : options_(std::move(options)),
      directory_(parent_of(options_.path)),
      files_(files),
      clock_(clock) {}

Status DeadLetterFile::keep(const Rejection& rejection, Commit& /*taking*/) {
  const std::string time = iso_time(clock_.wall_ms());
  std::string lines;
  for (const DeadLetter& letter : rejection.letters) append_line(lines, letter, rejection, time);
  const std::lock_guard lock(mutex_);
  auto file = open();
  return file.ok() ? append(**file, lines) : file.status();
}

Result<std::unique_ptr<OutputFile>> DeadLetterFile::open() {
  if (Status status = make_directory(); !status.ok()) return status;
  auto file = files_.open_private(options_.path);
  if (!file.ok()) return file;
  if (Status status = cut_torn_line(**file); !status.ok()) return status;
  return file;
}

Status DeadLetterFile::make_directory() {
  if (files_.check_directory(directory_).ok()) return {};
  if (Status status = make_directories(directory_); !status.ok()) return status;
  return files_.sync_directory(parent_of(directory_));
}

/// The take that a torn line belongs to was never committed.
Status DeadLetterFile::cut_torn_line(OutputFile& file) {
  constexpr std::uint64_t read_bytes = 64 * 1024;
  const std::uint64_t size = file.size_bytes();
  std::uint64_t end = size;
  std::uint64_t whole = 0;
  while (end > 0 && whole == 0) {
    // Nearly always the last byte says that nothing is torn.
    const std::uint64_t begin = end == size ? end - 1 : end - std::min(end, read_bytes);
    auto text = files_.read(options_.path, begin, end - begin);
    if (!text.ok()) return text.status();
    const std::size_t line_feed = text->rfind('\n');
    if (line_feed != std::string::npos) whole = begin + line_feed + 1;
    end = begin;
  }
  if (whole == size) return {};
  log::warn("{}: the last line was torn by a crash or a full disk; its {} bytes are cut off",
            options_.path, size - whole);
  return file.truncate(whole);
}

Status DeadLetterFile::append(OutputFile& file, const std::string& lines) {
  const std::uint64_t good_bytes = file.size_bytes();
  const bool fits =
      good_bytes == 0 ? options_.bytes_max > 0 : good_bytes + lines.size() <= options_.bytes_max;
  if (!fits) {
    return Retry("the dead-letter file " + options_.path + " is full (" +
                 std::to_string(good_bytes) + " of " + std::to_string(options_.bytes_max) +
                 " bytes); look into it and move it away, or raise -Dsluice.dead.letter.limit");
  }
  const iovec piece{const_cast<char*>(lines.data()), lines.size()};
  Status status = file.append({&piece, 1});
  if (status.ok()) status = file.sync();
  if (status.ok() && (good_bytes == 0 || !entry_synced_)) {
    status = files_.sync_directory(directory_);
    entry_synced_ = status.ok();
  }
  // They come again. What cannot be cut off now is cut off by the next open(), as far as it is
  // torn.
  if (!status.ok()) static_cast<void>(file.truncate(good_bytes));
  return status;
}

}  // namespace sluice
