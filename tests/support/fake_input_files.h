// One directory tree in memory, with inodes that are used again, as ext4 does it.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/input_file.h"

namespace sluice {

/// Not thread-safe. A file lives as long as it has a name or is open; then its inode is free again,
/// and the next new file gets it.
class FakeInputFiles final : public InputFiles {
 public:
  struct Node {
    Node(FakeInputFiles& files, FileIdentity its, std::uint64_t number)
        : owner(files), identity(its), serial(number) {}
    ~Node() { owner.free_inodes_.push_back(identity.inode); }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    FakeInputFiles& owner;
    const FileIdentity identity;
    const std::uint64_t serial;  ///< Never used again, as the inode is.
    std::string content;
    std::int64_t modified_ns = 0;
  };
  using NodeRef = std::shared_ptr<Node>;

  /// Without it files look like those of a file system that does not know when they were born.
  bool births = true;
  /// Paths that cannot be read just now.
  std::vector<std::string> broken;
  /// Called once, in the midst of the next read of more than a few bytes: between its first half
  /// and its second.
  std::function<void()> during_read;
  /// Called once, when a directory has been listed and its files were not looked at yet.
  std::function<void()> after_list;
  /// Called whenever a file shows that it holds so many bytes: what a reader may know of it.
  std::function<void(const Node&, std::uint64_t bytes)> shown;
  /// Names that are symbolic links to another path.
  std::map<std::string, std::string> links;

  NodeRef create(const std::string& path) {
    std::uint64_t inode = ++last_inode_;
    if (!free_inodes_.empty()) {
      --last_inode_;
      inode = free_inodes_.back();
      free_inodes_.pop_back();
    }
    ++time_;
    auto node = std::make_shared<Node>(*this, FileIdentity{1, inode, births ? time_ : 0},
                                       static_cast<std::uint64_t>(time_));
    names_[path] = node;
    return node;
  }
  NodeRef find(const std::string& path) const {
    const auto link = links.find(path);
    const auto found = names_.find(link == links.end() ? path : link->second);
    return found == names_.end() ? nullptr : found->second;
  }
  void append(const NodeRef& node, std::string_view bytes) {
    node->content += bytes;
    node->modified_ns = ++time_;
  }
  void truncate(const NodeRef& node) {
    node->content.clear();
    node->modified_ns = ++time_;
  }
  void rename(const std::string& from, const std::string& to) {
    NodeRef node = find(from);
    names_.erase(from);
    names_[to] = std::move(node);
  }
  void link(const std::string& from, const std::string& to) { names_[to] = find(from); }
  void remove(const std::string& path) { names_.erase(path); }
  const std::map<std::string, NodeRef>& names() const noexcept { return names_; }

  Result<std::unique_ptr<InputFile>> open(const std::string& path) override {
    if (std::find(broken.begin(), broken.end(), path) != broken.end()) return Retry("EIO " + path);
    NodeRef node = find(path);
    if (!node) return Closed("no file " + path);
    return std::unique_ptr<InputFile>(std::make_unique<File>(std::move(node)));
  }
  Result<FileLook> look(const std::string& path) override {
    const NodeRef node = find(path);
    if (!node) return Closed("no file " + path);
    return look_of(*node);
  }
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override {
    std::vector<DirectoryEntry> entries;
    const auto add = [&](const std::string& path, std::uint64_t inode, bool symbolic) {
      const std::size_t slash = path.rfind('/');
      if (path.substr(0, slash) == directory) {
        entries.push_back({path.substr(slash + 1), inode, symbolic});
      }
    };
    for (const auto& [path, node] : names_) add(path, node->identity.inode, false);
    for (const auto& [path, target] : links) add(path, 0, true);
    if (after_list) std::exchange(after_list, nullptr)();
    return entries;
  }
  Status make_directories(const std::string&) override { return {}; }

 private:
  static FileLook look_of(const Node& node) {
    if (node.owner.shown) node.owner.shown(node, node.content.size());
    return {node.identity, node.content.size(), node.modified_ns, true, false};
  }
  class File final : public InputFile {
   public:
    explicit File(NodeRef node) : node_(std::move(node)) {}
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
      if (into.size() <= few_bytes || !node_->owner.during_read) return copy(offset, into);
      // Half of what there is.
      const std::size_t size = node_->content.size();
      const std::size_t half = offset < size ? std::min(size - offset, into.size()) / 2 : 0;
      const std::size_t got = copy(offset, into.first(half));
      std::exchange(node_->owner.during_read, nullptr)();
      return got + copy(offset + got, into.subspan(got));
    }
    Result<FileLook> look() override { return look_of(*node_); }
    std::uint64_t skip_hole(std::uint64_t offset) override { return offset; }

   private:
    static constexpr std::size_t few_bytes = 4096;  // what is read to recognise a file
    std::size_t copy(std::uint64_t offset, std::span<char> into) const {
      if (offset >= node_->content.size()) return 0;
      const std::size_t got = node_->content.copy(into.data(), into.size(), offset);
      if (node_->owner.shown) node_->owner.shown(*node_, offset + got);
      return got;
    }
    const NodeRef node_;
  };

  std::vector<std::uint64_t> free_inodes_;  // before names_: nodes give theirs back
  std::map<std::string, NodeRef> names_;
  std::uint64_t last_inode_ = 10;
  std::int64_t time_ = 0;
};

}  // namespace sluice
