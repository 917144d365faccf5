// Which calls the machine's files make, and what they do where the system lacks one.
// test: alone

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "tests/catch.h"

namespace {

/// What the calls below do: 0, what the system does; else they fail so.
struct Failing {
  int renameat2 = 0;
  int link = 0;
  int syncfs = 0;
} failing;

/// How often they were called.
struct Calls {
  int link = 0;
  int rename = 0;
  int syncfs = 0;
  int fdatasync = 0;
  int fsync = 0;
} calls;

int end(long result) { return static_cast<int>(result); }
int fail(int error) {
  errno = error;
  return -1;
}

}  // namespace

// These stand before those of the C library.
extern "C" {
int renameat2(int from_directory, const char* from, int to_directory, const char* to,
              unsigned flags) noexcept {
  if (failing.renameat2 != 0) return fail(failing.renameat2);
  return end(::syscall(SYS_renameat2, from_directory, from, to_directory, to, flags));
}
int rename(const char* from, const char* to) noexcept {
  ++calls.rename;
  return end(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int link(const char* from, const char* to) noexcept {
  ++calls.link;
  if (failing.link != 0) return fail(failing.link);
  return end(::syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int syncfs(int fd) noexcept {
  ++calls.syncfs;
  if (failing.syncfs != 0) return fail(failing.syncfs);
  return end(::syscall(SYS_syncfs, fd));
}
int fdatasync(int fd) {
  ++calls.fdatasync;
  return end(::syscall(SYS_fdatasync, fd));
}
int fsync(int fd) {
  ++calls.fsync;
  return end(::syscall(SYS_fsync, fd));
}
}

namespace sluice {
namespace {

class Directory {
 public:
  Directory() { REQUIRE(::mkdtemp(path_) != nullptr); }
  ~Directory() {
    failing = {};
    std::filesystem::remove_all(path_);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string operator/(const std::string& name) const { return std::string(path_) + "/" + name; }
  std::string path() const { return path_; }
  void put(const char* name) const { std::ofstream(*this / name) << name; }
  std::string content(const char* name) const {
    std::ifstream file(*this / name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  bool has(const char* name) const {
    return std::filesystem::symlink_status(*this / name).type() !=
           std::filesystem::file_type::not_found;
  }

 private:
  char path_[32] = "/tmp/sluice-calls-XXXXXX";
};

FileSystem& files() { return FileSystem::real(); }

TEST_CASE("where a rename cannot refuse to replace, a link does") {
  for (const int error : {EINVAL, ENOSYS}) {
    const Directory directory;
    failing.renameat2 = error;
    calls = {};
    directory.put("a");
    directory.put("b");
    CHECK(files().rename_new(directory / "a", directory / "b").code() == Code::Reject);
    CHECK(directory.content("a") == "a");
    CHECK(directory.content("b") == "b");
    CHECK(files().rename_new(directory / "a", directory / "c").ok());
    CHECK_FALSE(directory.has("a"));
    CHECK(directory.content("c") == "a");
    CHECK(calls.link == 2);
    CHECK(calls.rename == 0);
  }
}

TEST_CASE("a rename by link that died halfway is finished by the next one") {
  const Directory directory;
  failing.renameat2 = EINVAL;
  directory.put("a");
  REQUIRE(::link((directory / "a").c_str(), (directory / "b").c_str()) == 0);
  CHECK(files().rename_new(directory / "a", directory / "b").ok());
  CHECK_FALSE(directory.has("a"));
  CHECK(directory.content("b") == "a");
  // A file is not moved onto itself, which would remove it.
  CHECK(files().rename_new(directory / "b", directory / "b").code() == Code::Reject);
  CHECK(directory.content("b") == "a");
}

TEST_CASE("where there are no links either, a rename looks first") {
  for (const int error : {EPERM, EOPNOTSUPP}) {
    const Directory directory;
    failing.renameat2 = EINVAL;
    failing.link = error;
    calls = {};
    directory.put("a");
    directory.put("b");
    REQUIRE(::symlink("nothing", (directory / "dangling").c_str()) == 0);
    CHECK(files().rename_new(directory / "a", directory / "b").code() == Code::Reject);
    CHECK(files().rename_new(directory / "a", directory / "dangling").code() == Code::Reject);
    CHECK(calls.rename == 0);
    CHECK(files().rename_new(directory / "a", directory / "c").ok());
    CHECK_FALSE(directory.has("a"));
    CHECK(directory.content("b") == "b");
    CHECK(directory.content("c") == "a");
    CHECK(calls.rename == 1);
    CHECK(files().rename_new(directory / "a", directory / "d").code() == Code::Retry);
  }
}

TEST_CASE("a rename that fails for another reason is not tried in another way") {
  const Directory directory;
  failing.renameat2 = EIO;
  calls = {};
  directory.put("a");
  CHECK(files().rename_new(directory / "a", directory / "b").code() == Code::Retry);
  CHECK(calls.link == 0);
  CHECK(directory.has("a"));
}

bool syncs_as_a_whole(const std::string& directory) {
  struct statfs info {};
  REQUIRE(::statfs(directory.c_str(), &info) == 0);
  constexpr decltype(info.f_type) xfs_magic = 0x58465342;
  return info.f_type == EXT4_SUPER_MAGIC || info.f_type == xfs_magic ||
         info.f_type == BTRFS_SUPER_MAGIC;
}

struct Open {
  Open(const Directory& directory, int count) {
    for (int i = 0; i < count; ++i) {
      auto file = files().create(directory / std::to_string(i), false);
      REQUIRE(file.ok());
      std::string text = "x";
      const iovec piece{text.data(), text.size()};
      REQUIRE((*file)->append({&piece, 1}).ok());
      open.push_back(*std::move(file));
      pointers.push_back(open.back().get());
    }
  }
  std::vector<std::unique_ptr<OutputFile>> open;
  std::vector<OutputFile*> pointers;
};

TEST_CASE("up to sixteen files and directories are synced one by one") {
  const Directory directory;
  const Open some(directory, 15);
  const std::vector<std::string> names{directory.path()};
  calls = {};
  CHECK(files().sync_together(some.pointers, names).ok());
  CHECK(calls.fdatasync == 15);
  CHECK(calls.fsync == 1);
  CHECK(calls.syncfs == 0);
}

TEST_CASE("more files are synced by one call where the file system keeps a journal") {
  const Directory directory;
  const bool whole = syncs_as_a_whole(directory.path());
  if (!whole) std::cout << "/tmp is neither ext4, XFS nor Btrfs: syncfs is not called\n";
  const Open many(directory, 16);
  const std::vector<std::string> names{directory.path()};
  calls = {};
  CHECK(files().sync_together(many.pointers, names).ok());
  CHECK(calls.syncfs == (whole ? 1 : 0));
  CHECK(calls.fdatasync == (whole ? 0 : 16));
  CHECK(calls.fsync == (whole ? 0 : 1));
  failing.syncfs = EIO;
  CHECK(files().sync_together(many.pointers, names).ok() != whole);
}

TEST_CASE("files on a file system without a journal are synced beside those on one with it") {
  // Most have this one; it keeps nothing, and syncing it as a whole would say too much.
  const std::string memory = "/dev/shm";
  if (!std::filesystem::is_directory(memory) || syncs_as_a_whole(memory)) return;
  const Directory directory;
  const Open many(directory, 20);
  auto beside = files().create(memory + "/sluice-calls-" + std::to_string(::getpid()), false);
  REQUIRE(beside.ok());
  std::vector<OutputFile*> all = many.pointers;
  all.push_back(beside->get());
  calls = {};
  CHECK(files().sync_together(all, {}).ok());
  CHECK(calls.syncfs == (syncs_as_a_whole(directory.path()) ? 1 : 0));
  CHECK(calls.fdatasync == (syncs_as_a_whole(directory.path()) ? 1 : 21));
  CHECK(files().remove((*beside)->path()).ok());
}

}  // namespace
}  // namespace sluice
