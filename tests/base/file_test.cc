// Files of the machine, behind their small face.

#include "core/base/file.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

class Directory {
 public:
  Directory() { REQUIRE(::mkdtemp(path_) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path_); }
  std::string operator/(const char* name) const { return std::string(path_) + "/" + name; }
  std::string path() const { return path_; }

 private:
  char path_[32] = "/tmp/sluice-file-XXXXXX";
};

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

Status append(OutputFile& file, std::string text) {
  const iovec piece{text.data(), text.size()};
  return file.append({&piece, 1});
}

TEST_CASE("what is appended behind a truncation goes to the new end") {
  const Directory directory;
  auto file = FileSystem::real().create(directory / "a", false);
  REQUIRE(file.ok());
  OutputFile& a = **file;
  REQUIRE(append(a, "one two").ok());
  CHECK(a.size_bytes() == 7);
  REQUIRE(a.truncate(4).ok());
  CHECK(a.size_bytes() == 4);
  REQUIRE(append(a, "three").ok());
  CHECK(a.sync().ok());
  CHECK(content(a.path()) == "one three");
}

/// Bytes 'a', "bb", "ccc", ... in pieces of their own, some of them empty.
struct Pieces {
  explicit Pieces(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      texts.emplace_back(i % 10, static_cast<char>('a' + i % 26));
      whole += texts.back();
    }
    for (std::string& text : texts) views.push_back({text.data(), text.size()});
  }
  std::vector<std::string> texts;
  std::vector<iovec> views;
  std::string whole;
};

/// System calls of this process that have written, as the system counts them.
std::uint64_t writes_so_far() {
  std::ifstream file("/proc/self/io");
  std::string word;
  std::uint64_t count = 0;
  while (file >> word) {
    if (word == "syscw:") file >> count;
  }
  return count;
}

TEST_CASE("many pieces are written in order, many with one system call") {
  const Directory directory;
  const Pieces pieces(5000);
  auto file = FileSystem::real().create(directory / "a", false);
  REQUIRE(file.ok());
  const std::uint64_t before = writes_so_far();
  REQUIRE((*file)->append(pieces.views).ok());
  CHECK(writes_so_far() - before <= 5000 / 100);
  CHECK((*file)->append({}).ok());
  CHECK((*file)->size_bytes() == pieces.whole.size());
  CHECK((content(directory / "a") == pieces.whole));
}

TEST_CASE("a write that ends inside a piece says how much is in the file") {
  const Directory directory;
  const Pieces pieces(1000);
  auto file = FileSystem::real().create(directory / "a", false);
  REQUIRE(file.ok());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit small = before;
  small.rlim_cur = 2003;
  const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const Status status = (*file)->append(pieces.views);
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, signal_before);
  CHECK(status.code() == Code::Retry);
  CHECK((*file)->size_bytes() == 2003);
  CHECK((content(directory / "a") == pieces.whole.substr(0, 2003)));
}

TEST_CASE("a file that exists is not taken for a new one, with content or empty") {
  const Directory directory;
  std::ofstream(directory / "empty").flush();
  CHECK(FileSystem::real().create(directory / "empty", false).code() == Code::Reject);
  std::ofstream(directory / "a") << "old";
  CHECK(FileSystem::real().create(directory / "a", false).code() == Code::Reject);
  CHECK(content(directory / "a") == "old");
  auto file = FileSystem::real().create(directory / "a", true);
  REQUIRE(file.ok());
  CHECK((*file)->size_bytes() == 3);
  REQUIRE(append(**file, "+new").ok());
  CHECK(content(directory / "a") == "old+new");
}

TEST_CASE("what is wrong with a directory is said") {
  const Directory directory;
  FileSystem& files = FileSystem::real();
  CHECK(files.check_directory(directory.path()).ok());
  CHECK(files.sync_directory(directory.path()).ok());
  const Status missing = files.check_directory(directory / "none");
  CHECK(missing.code() == Code::Retry);
  CHECK(missing.message().find("No such file") != std::string::npos);
  std::ofstream(directory / "file") << "x";
  CHECK(files.check_directory(directory / "file").message().find("not a directory") !=
        std::string::npos);
  CHECK(files.create(directory / "none/a", false).code() == Code::Retry);
}

TEST_CASE("files are renamed and removed") {
  const Directory directory;
  std::ofstream(directory / "a") << "x";
  REQUIRE(FileSystem::real().rename(directory / "a", directory / "b").ok());
  CHECK(content(directory / "b") == "x");
  REQUIRE(FileSystem::real().remove(directory / "b").ok());
  CHECK_FALSE(FileSystem::real().remove(directory / "b").ok());
}

#ifdef __linux__
TEST_CASE("a full disk is Retry with advice") {
  auto file = FileSystem::real().create("/dev/full", true);
  REQUIRE(file.ok());
  const Status status = append(**file, "x");
  CHECK(status.code() == Code::Retry);
  CHECK(status.message().find("free some space") != std::string::npos);
}
#endif

TEST_CASE("a rename that may not replace leaves the other file alone") {
  const Directory directory;
  FileSystem& files = FileSystem::real();
  REQUIRE(append(**files.create(directory / "a", false), "a").ok());
  REQUIRE(append(**files.create(directory / "b", false), "b").ok());
  CHECK(files.rename_new(directory / "a", directory / "b").code() == Code::Reject);
  CHECK(content(directory / "a") == "a");
  CHECK(content(directory / "b") == "b");
  CHECK(files.rename_new(directory / "a", directory / "c").ok());
  CHECK(content(directory / "c") == "a");
  CHECK(files.rename_new(directory / "none", directory / "d").code() == Code::Retry);
}

TEST_CASE("the size of a file, or that there is none") {
  const Directory directory;
  FileSystem& files = FileSystem::real();
  REQUIRE(append(**files.create(directory / "a", false), "four").ok());
  CHECK(files.size_of(directory / "a").value() == 4U);
  CHECK_FALSE(files.size_of(directory / "b").value().has_value());
  CHECK_FALSE(files.size_of(directory / "a/under").value().has_value());
}

TEST_CASE("a path is made as far as it is missing") {
  const Directory directory;
  FileSystem& files = FileSystem::real();
  const auto made = files.make_path(directory / "x/y/z");
  REQUIRE(made.ok());
  CHECK(made.value().size() == 3);
  CHECK(made.value()[0] == directory.path() + "/");
  CHECK(made.value()[2] == directory / "x/y/");
  CHECK(std::filesystem::is_directory(directory / "x/y/z"));
  CHECK(files.make_path(directory / "x/y/z").value().empty());
  CHECK(files.make_path(directory / "x/y/w").value().size() == 1);
  REQUIRE(append(**files.create(directory / "file", false), "").ok());
  CHECK(files.make_path(directory / "file/under").code() == Code::Retry);
}

TEST_CASE("few files are synced one by one and many together") {
  const Directory directory;
  FileSystem& files = FileSystem::real();
  for (const int count : {0, 1, 40}) {
    std::vector<std::unique_ptr<OutputFile>> open;
    std::vector<OutputFile*> pointers;
    for (int i = 0; i < count; ++i) {
      const std::string name = std::to_string(count) + "-" + std::to_string(i);
      open.push_back(*files.create(directory / name.c_str(), false));
      REQUIRE(append(*open.back(), "x").ok());
      pointers.push_back(open.back().get());
    }
    const std::vector<std::string> names{directory.path()};
    CHECK(files.sync_together(pointers, names).ok());
    const std::vector<std::string> none{directory / "none"};
    CHECK(files.sync_together(pointers, none).code() == Code::Retry);
  }
}

}  // namespace
}  // namespace sluice
