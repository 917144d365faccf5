#include "core/base/input_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace sluice {
namespace {

constexpr unsigned int wanted = STATX_BASIC_STATS | STATX_BTIME;

Status failed(const char* what, const std::string& path) {
  const int error = errno;
  std::string message = std::string("cannot ") + what + " " + path + ": " + errno_text(error);
  if (error == ENOENT || error == ENOTDIR || error == ESTALE) return Closed(std::move(message));
  if (error == EACCES) message += "; the agent's user must be allowed to read it";
  if (error == EMFILE || error == ENFILE) message += "; raise the limit of open files";
  return Retry(std::move(message));
}

bool is_link(const dirent& entry, DIR* directory) noexcept {
  if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_LNK;
  // Some file systems do not say it with the name.
  struct stat info {};
  return ::fstatat(::dirfd(directory), entry.d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISLNK(info.st_mode);
}

std::int64_t nanoseconds(const statx_timestamp& time) noexcept {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

FileLook look_of(const struct statx& info) noexcept {
  FileLook look;
  look.identity.device = ::makedev(info.stx_dev_major, info.stx_dev_minor);
  look.identity.inode = info.stx_ino;
  if ((info.stx_mask & STATX_BTIME) != 0) look.identity.birth_ns = nanoseconds(info.stx_btime);
  look.size_bytes = info.stx_size;
  look.modified_ns = nanoseconds(info.stx_mtime);
  look.regular = S_ISREG(info.stx_mode);
  look.directory = S_ISDIR(info.stx_mode);
  return look;
}

class RealInputFile final : public InputFile {
 public:
  RealInputFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~RealInputFile() override { ::close(fd_); }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) override {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got =
          ::pread(fd_, into.data() + done, into.size() - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read", path_);
      if (got == 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }
  Result<FileLook> look() override {
    struct statx info {};
    if (::statx(fd_, "", AT_EMPTY_PATH, wanted, &info) != 0) return failed("look at", path_);
    return look_of(info);
  }
  std::uint64_t skip_hole(std::uint64_t offset) override {
    const off_t data = ::lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
    if (data >= 0) return static_cast<std::uint64_t>(data);
    if (errno != ENXIO) return offset;
    const off_t end = ::lseek(fd_, 0, SEEK_END);
    return end < 0 ? offset : static_cast<std::uint64_t>(end);
  }

 private:
  const int fd_;
  const std::string path_;
};

class RealInputFiles final : public InputFiles {
 public:
  Result<std::unique_ptr<InputFile>> open(const std::string& path) override {
    // A pipe that matches a pattern must not hold the agent up: O_NONBLOCK.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return failed("open", path);
    return std::unique_ptr<InputFile>(std::make_unique<RealInputFile>(fd, path));
  }
  Result<FileLook> look(const std::string& path) override {
    struct statx info {};
    if (::statx(AT_FDCWD, path.c_str(), 0, wanted, &info) != 0) return failed("look at", path);
    return look_of(info);
  }
  Result<std::vector<DirectoryEntry>> list(const std::string& directory) override {
    DIR* const handle = ::opendir(directory.c_str());
    if (handle == nullptr) return failed("list", directory);
    std::vector<DirectoryEntry> entries;
    errno = 0;
    while (const dirent* entry = ::readdir(handle)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        entries.push_back({std::string(name), entry->d_ino, is_link(*entry, handle)});
      }
      errno = 0;
    }
    const Status status = errno == 0 ? Status() : failed("list", directory);
    ::closedir(handle);
    if (!status.ok()) return status;
    return entries;
  }
  Status make_directories(const std::string& directory) override {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (!error) return {};
    return Retry("cannot create directory " + directory + ": " + errno_text(error.value()));
  }
};

}  // namespace

InputFiles& InputFiles::real() noexcept {
  static RealInputFiles files;
  return files;
}

Result<std::string> read_whole_file(InputFiles& files, const std::string& path,
                                    std::size_t bytes_max) {
  auto file = files.open(path);
  if (!file.ok()) return file.status();
  auto look = (*file)->look();
  if (!look.ok()) return look.status();
  if (look->size_bytes > bytes_max) return Reject(path + " is too large to be what it should be");
  std::string content(look->size_bytes, '\0');
  auto got = (*file)->read_at(0, content);
  if (!got.ok()) return got.status();
  content.resize(*got);
  return content;
}

}  // namespace sluice
