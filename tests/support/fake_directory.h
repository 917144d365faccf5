// Reading the files of a FakeFileSystem, with times of one's own.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/input_file.h"
#include "tests/support/fake_file_system.h"

namespace sluice {

/// Not thread-safe. Every file was modified in 1970, unless modified_ns says otherwise.
class FakeDirectory final : public InputFiles {
 public:
  explicit FakeDirectory(FakeFileSystem& files) : files_(files) {}

  std::map<std::string, std::int64_t> modified_ns;
  std::vector<std::string> links;  ///< Paths of names that are symbolic links.
  /// Called with each path that is opened, before it is.
  std::function<void(const std::string&)> on_open = [](const std::string&) {};

  Result<std::unique_ptr<InputFile>> open(const std::string& path) override {
    on_open(path);
    const auto all = files_.files();
    const auto found = all.find(path);
    if (found == all.end()) return Closed("no file " + path);
    return std::unique_ptr<InputFile>(std::make_unique<File>(found->second));
  }
  Result<FileLook> look(const std::string& path) override {
    const auto all = files_.files();
    const auto found = all.find(path);
    if (found == all.end()) return Closed("no file " + path);
    FileLook look;
    look.size_bytes = found->second.size();
    const auto known = modified_ns.find(path);
    look.modified_ns = known == modified_ns.end() ? 0 : known->second;
    return look;
  }
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override {
    std::vector<DirectoryEntry> entries;
    for (const auto& [path, content] : files_.files()) {
      const std::size_t slash = path.rfind('/');
      if (path.substr(0, slash) != directory) continue;
      const bool is_link = std::find(links.begin(), links.end(), path) != links.end();
      entries.push_back({path.substr(slash + 1), 1, is_link});
    }
    return entries;
  }
  Status make_directories(const std::string& /*directory*/) override { return {}; }

 private:
  class File final : public InputFile {
   public:
    explicit File(std::string content) : content_(std::move(content)) {}
    Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
      if (offset >= content_.size()) return std::size_t{0};
      return content_.copy(into.data(), into.size(), offset);
    }
    Result<FileLook> look() override {
      FileLook look;
      look.size_bytes = content_.size();
      return look;
    }
    std::uint64_t skip_hole(std::uint64_t offset) override { return offset; }

   private:
    const std::string content_;
  };

  FakeFileSystem& files_;
};

}  // namespace sluice
