// The store that durable channels share, as a committer.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "channels/commit.h"
#include "core/store/group_commit.h"
#include "core/store/store.h"

namespace sluice {

/// One store: opened by the first channel that needs it, closed when the last user is gone.
/// Thread-safe. Outlives its channels; REQUIRES: nothing is in flight when it is destroyed.
class SharedStore final : public Committer {
 public:
  SharedStore(Store::Options store, GroupCommit::Options commits)
      : store_options_(std::move(store)), commit_options_(commits) {}

  /// Another user's wishes: the strictest hold. REQUIRES: not open yet.
  void tighten(const Store::Options& store, const GroupCommit::Options& commits);
  /// Ok when it is open. Errors: as Store::open().
  Status open();
  /// REQUIRES: open() was Ok.
  Store& store() noexcept { return *store_; }
  GroupCommit& commits() noexcept { return *commits_; }
  const std::string& path() const noexcept { return store_options_.path; }
  bool is_open() const;
  /// Ok, or why commits are refused just now. Thread-safe.
  Status health() const;

  void submit(Commit commit) override;
  std::optional<std::string> note(std::string_view key) const override;
  std::vector<std::pair<std::string, std::string>> notes(std::string_view prefix) const override;

 private:
  Store::Options store_options_;
  GroupCommit::Options commit_options_;
  mutable std::mutex mutex_;
  std::unique_ptr<Store> store_;          // set once, under mutex_
  std::unique_ptr<GroupCommit> commits_;  // set once, under mutex_
};

/// The stores of an agent, one a directory. One thread.
class Stores {
 public:
  /// `directory`: of the store that channels without a directory of their own share.
  explicit Stores(std::string directory) : directory_(std::move(directory)) {}

  const std::string& directory() const noexcept { return directory_; }
  /// The store in this directory; of the options of all who ask the strictest hold.
  SharedStore& at(const Store::Options& options, const GroupCommit::Options& commits);
  /// Those that are open.
  std::vector<SharedStore*> open_ones() const;

 private:
  const std::string directory_;
  std::map<std::string, std::unique_ptr<SharedStore>, std::less<>> stores_;
};

}  // namespace sluice
