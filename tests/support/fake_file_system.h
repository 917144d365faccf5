// A file system in memory that runs full, tears writes, refuses directories and loses its power.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/file.h"

namespace sluice {

/// Thread-safe. Content is looked at with files().
class FakeFileSystem final : public FileSystem {
 public:
  /// So many bytes fit from now on; what is beyond is torn off the write.
  void bytes_left(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    bytes_left_ = bytes;
  }
  void directory_is_there(bool there) {
    const std::lock_guard lock(mutex_);
    directory_ = there;
  }
  void truncate_works(bool works) {
    const std::lock_guard lock(mutex_);
    truncate_ = works;
  }
  void sync_works(bool works) {
    const std::lock_guard lock(mutex_);
    sync_ = works;
  }
  /// A sync says that it worked and does nothing.
  void sync_lies(bool lies) {
    const std::lock_guard lock(mutex_);
    lies_ = lies;
  }
  void rename_works(bool works) {
    const std::lock_guard lock(mutex_);
    rename_ = works;
  }
  /// The n-th change from now on is torn or left out, and then nothing changes any more: as if the
  /// process had died there.
  void die_at(std::uint64_t n) {
    const std::lock_guard lock(mutex_);
    left_ = n;
  }
  /// Asked at every change: when it says so, the process dies at it, with whatever else has no
  /// power any more.
  void die_when(std::function<bool()> gone) {
    const std::lock_guard lock(mutex_);
    gone_ = std::move(gone);
  }
  /// Counts as a change that somebody else makes: false when the process dies at it.
  bool change_elsewhere() {
    const std::lock_guard lock(mutex_);
    return !dies();
  }
  bool is_dead() const {
    const std::lock_guard lock(mutex_);
    return left_ == 0;
  }
  void revive() {
    const std::lock_guard lock(mutex_);
    left_ = UINT64_MAX;
  }
  /// Of files and directories, made and written so far: only what was synced is left.
  void cut_power() {
    const std::lock_guard lock(mutex_);
    names_ = durable_names_;
    changes_.clear();
    for (auto& [path, node] : names_) node->content = node->synced;
    lose_new_paths([] { return false; });
  }
  /// The same on a disk that writes names in an order of its own: of the changes of names that were
  /// not synced each has happened when `draw` says so, whatever happened to those before it.
  void cut_power_in_any_order(const std::function<bool()>& draw) {
    const std::lock_guard lock(mutex_);
    names_ = durable_names_;
    for (const Change& change : changes_) {
      if (!draw()) continue;
      names_.erase(change.gone);
      if (change.node) names_[change.come] = change.node;
    }
    changes_.clear();
    durable_names_ = names_;
    for (auto& [path, node] : names_) node->content = node->synced;
    lose_new_paths(draw);
  }
  /// Syncs of files and directories that were asked for and worked.
  std::uint64_t syncs() const {
    const std::lock_guard lock(mutex_);
    return syncs_;
  }
  /// As if somebody else had written it.
  void put_file(const std::string& path, std::string content) {
    const std::lock_guard lock(mutex_);
    names_[path] = std::make_shared<Node>(Node{content, content});
    durable_names_[path] = names_[path];
  }
  std::map<std::string, std::string> files() const {
    const std::lock_guard lock(mutex_);
    std::map<std::string, std::string> all;
    for (const auto& [path, node] : names_) all[path] = node->content;
    return all;
  }
  /// All content, in the order of the names.
  std::string content() const {
    std::string all;
    for (const auto& [path, bytes] : files()) all += bytes;
    return all;
  }

  Result<std::unique_ptr<OutputFile>> create(const std::string& path, bool may_exist) override {
    const std::lock_guard lock(mutex_);
    if (!directory_ || dies()) return Retry("cannot create " + path + ": no such directory");
    const auto [file, is_new] = names_.try_emplace(path);
    if (!is_new && !may_exist) return Reject(path + " exists");
    if (is_new) file->second = std::make_shared<Node>();
    if (is_new) changes_.push_back({"", path, file->second});
    return std::unique_ptr<OutputFile>(std::make_unique<File>(*this, path, file->second));
  }
  Result<std::unique_ptr<OutputFile>> open_private(const std::string& path) override {
    return create(path, true);
  }
  Result<std::string> read(const std::string& path, std::uint64_t offset,
                           std::size_t bytes) override {
    const std::lock_guard lock(mutex_);
    const auto file = names_.find(path);
    if (file == names_.end()) return Retry("cannot open " + path + ": no such file");
    const std::string& content = file->second->content;
    return content.substr(std::min<std::size_t>(offset, content.size()), bytes);
  }
  Status check_directory(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    return directory_ ? Status() : Retry("cannot use directory " + path);
  }
  Status sync_directory(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    return directory_synced(path);
  }
  Status rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(mutex_);
    if (!rename_ || dies()) return Retry("cannot rename " + from);
    names_[to] = names_[from];
    names_.erase(from);
    changes_.push_back({from, to, names_[to]});
    return {};
  }
  Status rename_new(const std::string& from, const std::string& to) override {
    {
      const std::lock_guard lock(mutex_);
      if (names_.count(to) > 0) return Reject(to + " exists");
      if (names_.count(from) == 0) return Retry("cannot rename " + from + ": no such file");
    }
    return rename(from, to);
  }
  Status remove(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    if (dies()) return Retry("cannot remove " + path);
    names_.erase(path);
    changes_.push_back({path, "", nullptr});
    return {};
  }
  Result<std::optional<std::uint64_t>> size_of(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    const auto file = names_.find(path);
    if (file != names_.end()) return std::optional<std::uint64_t>(file->second->content.size());
    if (paths_.count(path) > 0) return std::optional<std::uint64_t>(0);
    return std::optional<std::uint64_t>();
  }
  Result<std::vector<std::string>> make_path(const std::string& path) override {
    const std::lock_guard lock(mutex_);
    const std::string plain = without_slash(path);
    if (directory_ && paths_.count(plain) > 0) return std::vector<std::string>{};
    if (!directory_ || dies()) return Retry("cannot make directory " + path);
    paths_.insert(plain);
    new_paths_.insert(plain);
    removed_.erase(plain);
    return std::vector<std::string>{parent_of(plain)};
  }
  Status sync_together(std::span<OutputFile* const> files,
                       std::span<const std::string> directories) override {
    for (OutputFile* const file : files) {
      if (Status status = file->sync(); !status.ok()) return status;
    }
    for (const std::string& directory : directories) {
      if (Status status = sync_directory(directory); !status.ok()) return status;
    }
    return {};
  }
  /// With all that is in it, as somebody else does it.
  void remove_directory(const std::string& path) {
    const std::lock_guard lock(mutex_);
    for (Names* const names : {&names_, &durable_names_}) {
      std::erase_if(*names, [&](const auto& file) { return is_in(file.first, path); });
    }
    paths_.erase(path);
    removed_.insert(path);
  }
  /// Those that were made.
  std::set<std::string> paths() const {
    const std::lock_guard lock(mutex_);
    return paths_;
  }

 private:
  struct Node {
    std::string content;
    std::string synced;
  };
  using Names = std::map<std::string, std::shared_ptr<Node>>;
  /// A file made, removed or renamed: one step for the disk.
  struct Change {
    std::string gone;
    std::string come;
    std::shared_ptr<Node> node;  ///< Null: nothing comes.
  };

  /// Counts a change; true when it shall not happen.
  bool dies() {
    if (left_ == 0) return true;
    if (gone_ && gone_()) left_ = 1;
    if (left_ == UINT64_MAX) return false;
    torn_ = false;
    return --left_ == 0;
  }

  static std::string without_slash(const std::string& path) {
    return path.size() > 1 && path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  }
  static std::string parent_of(const std::string& path) {
    return path.substr(0, std::max<std::size_t>(1, path.rfind('/')));
  }
  /// Of directories that were made the names were not synced, so all in them may be gone.
  void lose_new_paths(const std::function<bool()>& draw) {
    for (const std::string& directory : std::exchange(new_paths_, {})) {
      if (draw()) continue;
      for (Names* const names : {&names_, &durable_names_}) {
        std::erase_if(*names, [&](const auto& file) { return is_in(file.first, directory); });
      }
      paths_.erase(directory);
    }
  }

  static bool is_in(const std::string& path, const std::string& directory) {
    const std::size_t slash = path.rfind('/');
    return slash != std::string::npos && path.compare(0, slash, directory) == 0;
  }
  Status directory_synced(const std::string& path) {
    const std::string directory = without_slash(path);
    if (removed_.count(directory) > 0) return Retry("cannot open " + directory + ": not there");
    if (!sync_ || dies()) return Retry("cannot sync " + directory + ": input/output error");
    ++syncs_;
    std::erase_if(new_paths_,
                  [&](const std::string& made) { return parent_of(made) == directory; });
    std::erase_if(changes_, [&](const Change& change) {
      return is_in(change.node ? change.come : change.gone, directory);
    });
    for (auto name = durable_names_.begin(); name != durable_names_.end();) {
      name = is_in(name->first, directory) ? durable_names_.erase(name) : std::next(name);
    }
    for (const auto& [name, node] : names_) {
      if (is_in(name, directory)) durable_names_[name] = node;
    }
    return {};
  }

  class File final : public OutputFile {
   public:
    File(FakeFileSystem& owner, std::string path, std::shared_ptr<Node> node)
        : owner_(owner),
          path_(std::move(path)),
          node_(std::move(node)),
          bytes_(node_->content.size()) {}
    Status append(std::span<const iovec> pieces) override {
      const std::lock_guard lock(owner_.mutex_);
      std::string& content = node_->content;
      const bool dies = owner_.dies();
      for (const iovec& piece : pieces) {
        if (dies) {  // a part of the first piece, if it was this change that died
          if (std::exchange(owner_.torn_, true)) return Retry("dead");
          content.append(static_cast<const char*>(piece.iov_base), piece.iov_len / 2);
          return Retry("dead");
        }
        const auto fits = std::min<std::uint64_t>(piece.iov_len, owner_.bytes_left_);
        content.append(static_cast<const char*>(piece.iov_base), fits);
        owner_.bytes_left_ -= fits;
        bytes_ = content.size();
        if (fits < piece.iov_len) return Retry("cannot write to " + path_ + ": no space left");
      }
      return {};
    }
    Status truncate(std::uint64_t bytes) override {
      const std::lock_guard lock(owner_.mutex_);
      if (!owner_.truncate_ || owner_.dies()) return Retry("cannot shorten " + path_);
      owner_.bytes_left_ += node_->content.size() - bytes;
      node_->content.resize(bytes);
      bytes_ = bytes;
      return {};
    }
    Status sync() override {
      const std::lock_guard lock(owner_.mutex_);
      if (!owner_.sync_ || owner_.dies()) return Retry("cannot sync " + path_ + ": I/O error");
      ++owner_.syncs_;
      if (!owner_.lies_) node_->synced = node_->content;
      return {};
    }
    std::uint64_t size_bytes() const noexcept override { return bytes_; }
    const std::string& path() const noexcept override { return path_; }

   private:
    FakeFileSystem& owner_;
    const std::string path_;
    const std::shared_ptr<Node> node_;
    std::uint64_t bytes_;
  };

  mutable std::mutex mutex_;
  Names names_;                                // guarded by mutex_
  Names durable_names_;                        // guarded by mutex_
  std::vector<Change> changes_;                // guarded by mutex_; of names, not synced
  std::set<std::string> paths_;                // guarded by mutex_
  std::set<std::string> new_paths_;            // guarded by mutex_; whose names are not synced
  std::set<std::string> removed_;              // guarded by mutex_; directories
  std::uint64_t bytes_left_ = UINT64_MAX / 2;  // guarded by mutex_
  bool directory_ = true;                      // guarded by mutex_
  bool truncate_ = true;                       // guarded by mutex_
  bool lies_ = false;                          // guarded by mutex_
  bool sync_ = true;                           // guarded by mutex_
  bool rename_ = true;                         // guarded by mutex_
  std::uint64_t syncs_ = 0;                    // guarded by mutex_
  std::uint64_t left_ = UINT64_MAX;            // guarded by mutex_; changes until it dies
  std::function<bool()> gone_;                 // guarded by mutex_
  bool torn_ = false;                          // guarded by mutex_; by the change that died
};

}  // namespace sluice
