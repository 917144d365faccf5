// A store that is only looked at, beside the agent that works on it or without one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/store/account.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace sluice {

/// The rows and frames of a store as they were when it was opened here.
///
/// Takes no lock and writes nothing, so it works beside a running agent, with the right to read
/// alone, and on a copy. What it sees is what a start after a kill -9 at that moment would find:
/// every commit that was complete, and maybe some that were under way. While it is open, files that
/// the agent deletes keep their room on the disk. Needs memory for what is in the store's log (at
/// most about 200 MB), whatever else lies in it.
///
/// Thread-safe.
class StoreReader {
 public:
  /// `files`: none are the machine's; tests spoil theirs.
  /// Errors: Invalid (no store there, or one of a newer release), Retry (no right to read it, or
  /// not just now), Reject (so damaged that nothing can be read).
  static Result<std::unique_ptr<StoreReader>> open(
      const std::string& path, std::shared_ptr<rocksdb::FileSystem> files = nullptr);
  ~StoreReader();

  const std::string& path() const noexcept;
  /// What was found damaged when it was opened, a sentence each: what lies behind it in the log
  /// cannot be seen.
  const std::vector<std::string>& damage() const noexcept;

  struct Size {
    std::uint64_t files = 0;
    std::uint64_t table_bytes = 0;
    std::uint64_t log_bytes = 0;
  };
  Size size() const noexcept;
  /// How often an agent has opened it.
  Result<std::uint64_t> openings() const;

  // As the functions of Store that have these names.
  Result<std::vector<std::pair<std::string, std::uint32_t>>> channels() const;
  Status for_each_row(std::string_view prefix,
                      const std::function<void(std::string_view, std::string_view)>& f) const;
  Status read_frames(std::uint32_t channel, std::uint64_t from, std::uint64_t below,
                     const std::function<bool(std::uint64_t, std::string_view)>& f) const;
  Result<std::uint64_t> next_readable(std::uint32_t channel, std::uint64_t from,
                                      std::uint64_t below) const;

  /// An empty one when the channel never took part in a commit. Errors: Reject (damaged, or of a
  /// newer release), Retry.
  Result<Account> account(std::uint32_t channel) const;
  /// The first sequence of the channel's last frame that begins at `sequence` or before it.
  /// Errors: as read_frames().
  Result<std::optional<std::uint64_t>> frame_before(std::uint32_t channel,
                                                    std::uint64_t sequence) const;

 private:
  struct Database;
  explicit StoreReader(std::unique_ptr<Database> database);
  std::unique_ptr<Database> database_;
};

}  // namespace sluice
