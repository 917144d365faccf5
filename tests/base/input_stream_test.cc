#include "core/base/input_stream.h"

#include <unistd.h>

#include <array>
#include <fstream>
#include <string>
#include <thread>

#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

std::string read_once(InputStream& stream) {
  std::array<char, 100> bytes{};
  auto got = stream.read_some(bytes);
  REQUIRE(got.ok());
  return {bytes.data(), *got};
}

/// Another process's end of our standard input, for as long as it lives.
class Typist {
 public:
  Typist() : before_(::dup(STDIN_FILENO)) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    REQUIRE(::dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
    ::close(ends[0]);
    writer_ = Descriptor(ends[1]);
  }
  ~Typist() { ::dup2(before_.get(), STDIN_FILENO); }
  Typist(const Typist&) = delete;
  Typist& operator=(const Typist&) = delete;
  void type(const std::string& text) const {
    REQUIRE(::write(writer_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void finish() noexcept { writer_.reset(); }

 private:
  Descriptor before_;
  Descriptor writer_;
};

TEST_CASE("a file is ready to its end and beyond") {
  const testing::TempDirectory directory;
  std::ofstream(directory.path("f")) << "all of it";
  auto stream = InputStream::open(directory.path("f"));
  REQUIRE(stream.ok());
  CHECK(stream->name() == directory.path("f"));
  CHECK(stream->is_ready());
  CHECK(read_once(*stream) == "all of it");
  CHECK(stream->is_ready());
  CHECK(read_once(*stream).empty());
}

TEST_CASE("what cannot be opened or read is said with its name") {
  const testing::TempDirectory directory;
  auto missing = InputStream::open(directory.path("missing"));
  CHECK(missing.code() == Code::Retry);
  CHECK(missing.status().message().find("cannot open " + directory.path("missing")) == 0);
  auto folder = InputStream::open(directory.path(""));
  REQUIRE(folder.ok());
  std::array<char, 10> bytes{};
  CHECK(folder->read_some(bytes).status().message().find("cannot read " + directory.path("")) == 0);
}

TEST_CASE("standard input is ready when somebody has typed, or has gone") {
  Typist typist;
  InputStream stream = InputStream::standard_input();
  CHECK_FALSE(stream.is_ready());
  typist.type("a line\n");
  CHECK(stream.is_ready());
  const StopSignal never;
  stream.wait(never);  // not long
  CHECK(read_once(stream) == "a line\n");
  CHECK_FALSE(stream.is_ready());
  typist.finish();
  CHECK(stream.is_ready());
  CHECK(read_once(stream).empty());
}

TEST_CASE("a stop ends the wait for standard input") {
  const Typist typist;
  const InputStream stream = InputStream::standard_input();
  const StopSignal stop;
  std::jthread stopper([&] { stop.set(); });
  stream.wait(stop);
  CHECK_FALSE(stream.is_ready());
}

}  // namespace
}  // namespace sluice
