#include "sinks/file_place.h"

#include <utility>

namespace sluice {
namespace {

class LocalPlace final : public FilePlace {
 public:
  explicit LocalPlace(FileSystem& files) : files_(files) {}

  Result<std::uint64_t> write(const std::string& name, Content& content) override {
    if (Status status = content.begin(); !status.ok()) return status;
    auto created = files_.create(name, true);
    if (!created.ok()) return created.status();
    OutputFile& file = **created;
    if (Status status = file.truncate(0); !status.ok()) return status;
    for (std::string piece;; piece.clear()) {
      if (Status status = content.more(piece); !status.ok()) return status;
      if (piece.empty()) break;
      const iovec bytes{piece.data(), piece.size()};
      if (Status status = file.append({&bytes, 1}); !status.ok()) return status;
    }
    if (Status status = file.sync(); !status.ok()) return status;
    // Where somebody has removed the empty one, its name is new.
    if (Status status = files_.sync_directory(directory_of(name)); !status.ok()) return status;
    return file.size_bytes();
  }
  Result<std::optional<std::uint64_t>> size_of(const std::string& name) override {
    return files_.size_of(name);
  }
  Status rename_new(const std::string& from, const std::string& to) override {
    return files_.rename_new(from, to);
  }
  Status remove(const std::string& name) override { return files_.remove(name); }

 private:
  FileSystem& files_;
};

}  // namespace

std::unique_ptr<FilePlace> make_local_place(FileSystem& files) {
  return std::make_unique<LocalPlace>(files);
}

bool is_elsewhere(const std::string& name) {
  return name.starts_with("hdfs://") || name.starts_with("webhdfs://") ||
         name.starts_with("swebhdfs://");
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace sluice
