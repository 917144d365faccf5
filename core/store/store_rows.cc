#include "core/store/store_rows.h"

#include <rocksdb/db.h>
#include <rocksdb/metadata.h>
#include <rocksdb/sst_file_reader.h>

#include <charconv>
#include <cstring>
#include <memory>

#include "core/event/frame.h"

namespace sluice {
namespace {

rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
rocksdb::Slice slice(const FrameKey& key) { return {key.data(), key.size()}; }
std::string_view view(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

/// Nothing when no frame has such a key.
std::optional<std::uint64_t> sequence_of(const rocksdb::Slice& key) {
  if (key.size() != FrameKey().size()) return std::nullopt;
  std::uint64_t low = 0;
  std::memcpy(&low, key.data() + sizeof(std::uint32_t), sizeof low);
  return __builtin_bswap64(low);
}

Status strange_key(const std::string& path) {
  return Reject("the store " + path + " has a frame under a key that is none");
}

}  // namespace

FrameKey frame_key(std::uint32_t channel, std::uint64_t sequence) noexcept {
  const std::uint32_t high = __builtin_bswap32(channel);
  const std::uint64_t low = __builtin_bswap64(sequence);
  FrameKey key;
  std::memcpy(key.data(), &high, sizeof high);
  std::memcpy(key.data() + sizeof high, &low, sizeof low);
  return key;
}

rocksdb::ReadOptions scan_options() {
  rocksdb::ReadOptions options;
  options.ignore_range_deletions = true;
  return options;
}

Status store_failure(std::string_view what, const std::string& path,
                     const rocksdb::Status& status) {
  const std::string text =
      "cannot " + std::string(what) + " the store " + path + ": " + status.ToString();
  if (text.find("Input/output error") != std::string::npos)
    return Retry(text + "; see to the disk");
  if (status.IsNoSpace()) return Retry(text + "; free some space, it goes on by itself");
  // A file that is gone comes back no more than bytes that have changed.
  if (status.IsCorruption() || status.IsPathNotFound()) return Reject(text);
  return Retry(text);
}

Status check_format(const std::optional<std::string>& format, const std::string& path) {
  if (!format || *format == format_1) return {};
  return Invalid("the store " + path + " has format " + *format +
                 ", which this release does not know; it was written by a newer one");
}

Result<std::optional<std::string>> StoreRows::row(std::string_view key) const {
  std::string value;
  const auto status = db_.Get(rocksdb::ReadOptions(), &rows_, slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return store_failure("read", path_, status);
  return std::optional<std::string>(std::move(value));
}

Status StoreRows::for_each_row(
    std::string_view prefix,
    const std::function<void(std::string_view, std::string_view)>& f) const {
  const std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(scan_options(), &rows_));
  for (it->Seek(slice(prefix)); it->Valid() && it->key().starts_with(slice(prefix)); it->Next()) {
    f(view(it->key()), view(it->value()));
  }
  return it->status().ok() ? Status() : store_failure("read", path_, it->status());
}

Status StoreRows::read_frames(std::uint32_t channel, std::uint64_t from, std::uint64_t below,
                              const std::function<bool(std::uint64_t, std::string_view)>& f) const {
  for (std::uint64_t at = from;;) {
    Status status = scan_frames(channel, at, below, f);
    if (status.code() != Code::Reject || at >= below) return status;
    // A seek asks every table for what is behind it, so that a damaged block hides what lies before
    // it in sound tables, too. Where the next frame has to be is known: they follow each other.
    auto frame = look_for_frame(channel, at);
    if (!frame.ok()) return frame.status();
    if (!frame->has_value()) return status;
    if (!f(at, **frame)) return {};
    const auto info = peek_frame(**frame);
    if (!info.ok()) return status;
    at += info->events;
  }
}

/// The frame at this place in any table that can be read, one by one: a newer one whose damage may
/// be where it has the same key hides nothing. A frame that was removed is asked for by nobody.
Result<std::optional<std::string>> StoreRows::look_for_frame(std::uint32_t channel,
                                                             std::uint64_t sequence) const {
  const FrameKey key = frame_key(channel, sequence);
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  std::string frame;
  rocksdb::Status status = db_.Get(options, &frames_, slice(key), &frame);
  if (status.ok()) return std::optional(std::move(frame));
  if (!status.IsNotFound() && !status.IsCorruption()) return store_failure("read", path_, status);
  std::vector<rocksdb::LiveFileMetaData> tables;
  db_.GetLiveFilesMetaData(&tables);
  for (const auto& table : tables) {
    if (table.column_family_name != frames_.GetName() || table.smallestkey > view(slice(key)) ||
        table.largestkey < view(slice(key))) {
      continue;
    }
    rocksdb::SstFileReader reader(db_.GetOptions(&frames_));
    status = reader.Open(table.db_path + table.name);
    if (status.ok()) {
      const std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(options));
      it->Seek(slice(key));
      if (it->Valid() && it->key() == slice(key)) return std::optional(it->value().ToString());
      status = it->status();
    }
    // Also when the table went meanwhile: its frames are in another one then.
    if (!status.ok() && !status.IsCorruption()) {
      return Retry("cannot read a table of the store " + path_ + ": " + status.ToString());
    }
  }
  return std::optional<std::string>();
}

/// As read_frames(), in one look; `at` becomes the sequence behind the last frame that was read.
Status StoreRows::scan_frames(std::uint32_t channel, std::uint64_t& at, std::uint64_t below,
                              const std::function<bool(std::uint64_t, std::string_view)>& f) const {
  const FrameKey end = frame_key(channel, below);
  const rocksdb::Slice bound = slice(end);
  rocksdb::ReadOptions options = scan_options();
  options.iterate_upper_bound = &bound;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(options, &frames_));
  for (it->Seek(slice(frame_key(channel, at))); it->Valid(); it->Next()) {
    const auto sequence = sequence_of(it->key());
    if (!sequence) return strange_key(path_);
    if (!f(*sequence, view(it->value()))) return {};
    const auto info = peek_frame(view(it->value()));
    at = info.ok() ? *sequence + info->events : below;
  }
  return it->status().ok() ? Status() : store_failure("read", path_, it->status());
}

Result<std::uint64_t> StoreRows::next_readable(std::uint32_t channel, std::uint64_t from,
                                               std::uint64_t below) const {
  // A damaged table block hides all its frames, and only what lies behind it can be found.
  Status failure;
  const auto readable = [&](std::uint64_t at) -> std::optional<std::uint64_t> {
    std::uint64_t found = below;
    const Status status = read_frames(channel, at, below, [&](std::uint64_t first, auto) {
      found = first;
      return false;
    });
    if (!status.ok() && status.code() != Code::Reject) failure = status;
    if (!status.ok()) return std::nullopt;
    return found;
  };
  if (const auto next = readable(from)) return *next;
  std::uint64_t damaged = from;
  std::uint64_t good = below;
  std::uint64_t next = below;  // what a read from `good` on finds first
  const auto look_at = [&](std::uint64_t at) {
    const auto found = readable(at);
    (found ? good : damaged) = at;
    next = found.value_or(next);
    return found.has_value();
  };
  for (std::uint64_t step = 1; from + step < below && !look_at(from + step); step *= 2) continue;
  while (good - damaged > 1) look_at(damaged + (good - damaged) / 2);
  if (!failure.ok()) return failure;  // a disk that cannot be read just now is no damage
  return next;
}

Result<std::vector<std::pair<std::string, std::uint32_t>>> StoreRows::channels() const {
  std::vector<std::pair<std::string, std::uint32_t>> all;
  const Status status =
      for_each_row(channel_prefix, [&](std::string_view key, std::string_view value) {
        std::uint32_t number = 0;
        std::from_chars(value.data(), value.data() + value.size(), number);
        all.emplace_back(key.substr(channel_prefix.size()), number);
      });
  if (!status.ok()) return status;
  return all;
}

Result<std::optional<std::uint64_t>> StoreRows::frame_before(std::uint32_t channel,
                                                             std::uint64_t sequence) const {
  const FrameKey begin = frame_key(channel, 0);
  const rocksdb::Slice bound = slice(begin);
  rocksdb::ReadOptions options = scan_options();
  options.iterate_lower_bound = &bound;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> it(db_.NewIterator(options, &frames_));
  it->SeekForPrev(slice(frame_key(channel, sequence)));
  if (!it->status().ok()) return store_failure("read", path_, it->status());
  if (!it->Valid()) return std::optional<std::uint64_t>();
  const auto found = sequence_of(it->key());
  if (!found) return strange_key(path_);
  return found;
}

}  // namespace sluice
