#include "core/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "core/base/descriptor.h"
#include "core/base/piece_window.h"

namespace sluice {
namespace {

constexpr mode_t file_mode = 0644;
constexpr mode_t private_mode = 0600;

Status failed(const char* what, const std::string& path) {
  const int error = errno;
  const char* advice = "";
  if (error == ENOSPC || error == EDQUOT) advice = "; free some space, writing goes on by itself";
  if (error == EACCES || error == EROFS) advice = "; check owner and mode for the agent's user";
  if (error == ENOENT) advice = "; create the directory";
  return Retry(std::string("cannot ") + what + " " + path + ": " + errno_text(error) + advice);
}

class RealFile final : public OutputFile {
 public:
  RealFile(Descriptor fd, std::string path, std::uint64_t bytes)
      : fd_(std::move(fd)), path_(std::move(path)), bytes_(bytes) {}

  Status append(std::span<const iovec> pieces) override {
    PieceWindow window(pieces);
    for (auto next = window.next(); !next.empty(); next = window.next()) {
      const ssize_t written = ::writev(fd_.get(), next.data(), static_cast<int>(next.size()));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("write to", path_);
      window.written(static_cast<std::size_t>(written));
      bytes_ += static_cast<std::uint64_t>(written);
    }
    return {};
  }
  Status truncate(std::uint64_t bytes) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(bytes)) != 0) return failed("shorten", path_);
    bytes_ = bytes;
    return {};
  }
  Status sync() override { return ::fdatasync(fd_.get()) == 0 ? Status() : failed("sync", path_); }
  std::uint64_t size_bytes() const noexcept override { return bytes_; }
  const std::string& path() const noexcept override { return path_; }

 private:
  const Descriptor fd_;
  const std::string path_;
  std::uint64_t bytes_;
};

class RealFileSystem final : public FileSystem {
 public:
  Result<std::unique_ptr<OutputFile>> create(const std::string& path, bool may_exist) override {
    // O_EXCL: an empty one may have been begun by somebody else a moment ago.
    return open_to_append(path, may_exist ? 0 : O_EXCL, file_mode);
  }

  Result<std::unique_ptr<OutputFile>> open_private(const std::string& path) override {
    return open_to_append(path, 0, private_mode);
  }

  Result<std::string> read(const std::string& path, std::uint64_t offset,
                           std::size_t bytes) override {
    const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return failed("open", path);
    std::string text(bytes, '\0');
    std::size_t got = 0;
    while (got < bytes) {
      const ssize_t n =
          ::pread(fd.get(), text.data() + got, bytes - got, static_cast<off_t>(offset + got));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed("read", path);
      if (n == 0) break;
      got += static_cast<std::size_t>(n);
    }
    text.resize(got);
    return text;
  }

  Status check_directory(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return failed("use directory", path);
    if (!S_ISDIR(info.st_mode)) return Retry("cannot use " + path + ": it is not a directory");
    if (::access(path.c_str(), W_OK | X_OK) != 0) return failed("write into directory", path);
    return {};
  }

  Status sync_directory(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open directory", path);
    const Status status = ::fsync(fd) == 0 ? Status() : failed("sync directory", path);
    ::close(fd);
    return status;
  }

  Status rename(const std::string& from, const std::string& to) override {
    return std::rename(from.c_str(), to.c_str()) == 0 ? Status() : failed("rename", from);
  }
  Status remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? Status() : failed("remove", path);
  }

 private:
  static Result<std::unique_ptr<OutputFile>> open_to_append(const std::string& path, int more_flags,
                                                            mode_t mode) {
    // O_APPEND: after a truncate() the next write goes to the new end.
    Descriptor fd(
        ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | more_flags, mode));
    if (fd.get() < 0 && errno == EEXIST) {
      return Reject("cannot create " + path + ": a file of this name exists");
    }
    if (fd.get() < 0) return failed("create", path);
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return failed("look at", path);
    const auto bytes = static_cast<std::uint64_t>(info.st_size);
    return std::unique_ptr<OutputFile>(std::make_unique<RealFile>(std::move(fd), path, bytes));
  }
};

}  // namespace

Status make_directories(const std::string& path) {
  constexpr mode_t directory_mode = 0750;
  for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    const std::string part = path.substr(0, end);
    if (::mkdir(part.c_str(), directory_mode) != 0 && errno != EEXIST) {
      // An existing one above may be closed to us; what counts is whether the last one can be made.
      if (end == std::string::npos || errno != EACCES) return failed("make directory", part);
    }
    if (end == std::string::npos) return FileSystem::real().check_directory(path);
  }
}

Status write_whole_file(const std::string& path, std::string_view content) {
  const std::string directory = path.substr(0, path.rfind('/'));
  if (Status status = make_directories(directory); !status.ok()) return status;
  FileSystem& files = FileSystem::real();
  auto file = files.create(path, true);
  if (!file.ok()) return file.status();
  if (Status status = (*file)->truncate(0); !status.ok()) return status;
  const iovec piece{const_cast<char*>(content.data()), content.size()};
  if (Status status = (*file)->append({&piece, 1}); !status.ok()) return status;
  if (Status status = (*file)->sync(); !status.ok()) return status;
  return files.sync_directory(directory);
}

std::string canonical_path(const std::string& path) {
  std::error_code error;
  auto name = std::filesystem::absolute(path, error);
  if (error) return path;
  const auto canonical = std::filesystem::weakly_canonical(name, error);
  name = error ? name.lexically_normal() : canonical;
  const bool ends_in_slash = !name.has_filename() && name.has_relative_path();
  return (ends_in_slash ? name.parent_path() : name).string();
}

std::vector<std::string> file_names_in(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    names.push_back(entry.path().filename().string());
  }
  return names;
}

FileSystem& FileSystem::real() noexcept {
  static RealFileSystem files;
  return files;
}

}  // namespace sluice
