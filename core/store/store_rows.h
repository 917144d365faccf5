// Reading of a store's database, whoever opened it.
#pragma once

#include <rocksdb/status.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
struct ReadOptions;
}  // namespace rocksdb

namespace sluice {

// The names of the rows; core/store/store.h says what is in them.
inline constexpr std::string_view format_key = "store/format";
inline constexpr std::string_view format_1 = "1";
inline constexpr std::string_view opening_prefix = "opening/";
inline constexpr std::string_view channel_prefix = "channel/";
inline constexpr std::string_view frames_family = "frames";

/// Channel number and first sequence, big endian, so that they lie in their order.
using FrameKey = std::array<char, sizeof(std::uint32_t) + sizeof(std::uint64_t)>;
FrameKey frame_key(std::uint32_t channel, std::uint64_t sequence) noexcept;

/// For every iterator. RocksDB 7.8 looks for range deletions at the end of each table, and there it
/// forgets that the next one could not be read: what lies in that and behind it would pass for
/// removed (its change 11782). Nothing here deletes ranges, so it need not look.
rocksdb::ReadOptions scan_options();

/// What a failure of the library means: Retry, or Reject when something on disk is damaged.
Status store_failure(std::string_view what, const std::string& path, const rocksdb::Status& status);
/// Ok, or Invalid when the row `store/format` is one of a newer release.
Status check_format(const std::optional<std::string>& format, const std::string& path);

/// The rows and frames of an open database. A view: the database outlives it. Thread-safe.
class StoreRows {
 public:
  StoreRows(rocksdb::DB& db, rocksdb::ColumnFamilyHandle& rows, rocksdb::ColumnFamilyHandle& frames,
            const std::string& path) noexcept
      : db_(db), rows_(rows), frames_(frames), path_(path) {}

  // As the functions of Store that have these names.
  Result<std::optional<std::string>> row(std::string_view key) const;
  Status for_each_row(std::string_view prefix,
                      const std::function<void(std::string_view, std::string_view)>& f) const;
  Status read_frames(std::uint32_t channel, std::uint64_t from, std::uint64_t below,
                     const std::function<bool(std::uint64_t, std::string_view)>& f) const;
  Result<std::uint64_t> next_readable(std::uint32_t channel, std::uint64_t from,
                                      std::uint64_t below) const;
  Result<std::vector<std::pair<std::string, std::uint32_t>>> channels() const;

  /// The first sequence of the channel's last frame that begins at `sequence` or before it.
  /// Errors: as read_frames().
  Result<std::optional<std::uint64_t>> frame_before(std::uint32_t channel,
                                                    std::uint64_t sequence) const;

 private:
  Status scan_frames(std::uint32_t channel, std::uint64_t& at, std::uint64_t below,
                     const std::function<bool(std::uint64_t, std::string_view)>& f) const;
  Result<std::optional<std::string>> look_for_frame(std::uint32_t channel,
                                                    std::uint64_t sequence) const;

  rocksdb::DB& db_;
  rocksdb::ColumnFamilyHandle& rows_;
  rocksdb::ColumnFamilyHandle& frames_;
  const std::string& path_;
};

}  // namespace sluice
