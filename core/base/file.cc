#include "core/base/file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
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

// Where syncfs(2) does what fsync(2) of every file would do, and reports the same errors. In
// others, such as FUSE, it does nothing at all and says that all is well.
bool syncs_as_a_whole(int fd) {
  struct statfs info {};
  if (::fstatfs(fd, &info) != 0) return false;
  constexpr decltype(info.f_type) xfs_magic = 0x58465342;
  return info.f_type == EXT4_SUPER_MAGIC || info.f_type == xfs_magic ||
         info.f_type == BTRFS_SUPER_MAGIC;
}

class RealFile final : public OutputFile {
 public:
  RealFile(Descriptor fd, std::string path, const struct stat& info)
      : fd_(std::move(fd)),
        path_(std::move(path)),
        device_(info.st_dev),
        bytes_(static_cast<std::uint64_t>(info.st_size)) {}

  dev_t device() const noexcept { return device_; }
  bool syncs_as_a_whole() const { return sluice::syncs_as_a_whole(fd_.get()); }
  /// REQUIRES: syncs_as_a_whole().
  Status sync_file_system() {
    return ::syncfs(fd_.get()) == 0 ? Status() : failed("sync the file system of", path_);
  }

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
  const dev_t device_;
  std::uint64_t bytes_;
};

bool is_same_file(const std::string& one, const std::string& other) {
  struct stat first {};
  struct stat second {};
  return ::lstat(one.c_str(), &first) == 0 && ::lstat(other.c_str(), &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

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
    // EINVAL: a file system that has no such call for directories, so nobody can do more.
    const bool synced = ::fsync(fd) == 0 || errno == EINVAL;
    const Status status = synced ? Status() : failed("sync directory", path);
    ::close(fd);
    return status;
  }

  Status rename(const std::string& from, const std::string& to) override {
    return std::rename(from.c_str(), to.c_str()) == 0 ? Status() : failed("rename", from);
  }
  Status remove(const std::string& path) override {
    return ::unlink(path.c_str()) == 0 ? Status() : failed("remove", path);
  }

  Status rename_new(const std::string& from, const std::string& to) override {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno == EEXIST) return Reject("cannot rename " + from + ": " + to + " exists");
    if (errno != EINVAL && errno != ENOSYS) return failed("rename", from);
    // A file system that cannot do it in one step: a link is never made over another name.
    if (::link(from.c_str(), to.c_str()) == 0) return remove(from);
    if (errno == EEXIST) {
      // Our own link of another time, behind which the old name could not be removed?
      if (from != to && is_same_file(from, to)) return remove(from);
      return Reject("cannot rename " + from + ": " + to + " exists");
    }
    // Nor links: what is left is to look first.
    struct stat info {};
    if (::lstat(to.c_str(), &info) == 0) {
      return Reject("cannot rename " + from + ": " + to + " exists");
    }
    return rename(from, to);
  }

  Result<std::optional<std::uint64_t>> size_of(const std::string& path) override {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) {
      return std::optional<std::uint64_t>(static_cast<std::uint64_t>(info.st_size));
    }
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<std::uint64_t>();
    return failed("look at", path);
  }

  Result<std::vector<std::string>> make_path(const std::string& path) override {
    constexpr mode_t directory_mode = 0755;
    std::vector<std::string> changed;
    if (path.empty()) return changed;
    // Mostly it is there.
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return changed;
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(0, end);
      if (::mkdir(part.c_str(), directory_mode) == 0) {
        const std::size_t slash = part.find_last_of('/', part.find_last_not_of('/'));
        changed.push_back(slash == std::string::npos ? "." : part.substr(0, slash + 1));
      } else if (errno != EEXIST && (end == std::string::npos || errno != EACCES)) {
        return failed("make directory", part);
      }
      if (end == std::string::npos) break;
    }
    if (Status status = check_directory(path); !status.ok()) return status;
    return changed;
  }

  Status sync_together(std::span<OutputFile* const> files,
                       std::span<const std::string> directories) override {
    // Below, one call each is cheaper than writing what others have on the same disk.
    constexpr std::size_t one_by_one_max = 16;
    const bool many = files.size() + directories.size() > one_by_one_max;
    std::map<dev_t, bool> whole;  // of each device: all of it is synced
    for (OutputFile* const each : files) {
      // They are this file system's own. Of each device the first was opened first, so it hears of
      // every error since any of them was written.
      auto& file = static_cast<RealFile&>(*each);
      const auto [known, is_first] = whole.try_emplace(file.device(), false);
      if (is_first && many && file.syncs_as_a_whole()) {
        if (Status status = file.sync_file_system(); !status.ok()) return status;
        known->second = true;
      }
      if (known->second) continue;
      if (Status status = file.sync(); !status.ok()) return status;
    }
    for (const std::string& directory : directories) {
      struct stat info {};
      const auto known =
          ::stat(directory.c_str(), &info) == 0 ? whole.find(info.st_dev) : whole.end();
      if (known != whole.end() && known->second) continue;
      if (Status status = sync_directory(directory); !status.ok()) return status;
    }
    return {};
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
    return std::unique_ptr<OutputFile>(std::make_unique<RealFile>(std::move(fd), path, info));
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

void copy_owner(const std::string& from, const std::string& to) noexcept {
  constexpr mode_t permissions = 0777;
  struct stat info {};
  if (::stat(from.c_str(), &info) != 0) return;
  // A group of one's own may be given where the owner may not; the mode comes last, because a new
  // owner clears bits of it.
  constexpr auto same_owner = static_cast<uid_t>(-1);
  if (::chown(to.c_str(), info.st_uid, info.st_gid) != 0 &&
      ::chown(to.c_str(), same_owner, info.st_gid) != 0) {
    // It stays ours.
  }
  ::chmod(to.c_str(), info.st_mode & permissions);
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
