// Connections between processes of one machine.

#include "core/net/local_socket.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/catch.h"
#include "tests/support/captured_log.h"

namespace sluice {
namespace {

using testing::TempDirectory;

Deadline soon() { return Deadline::in(milliseconds(20'000)); }

iovec piece_of(std::string& bytes) { return {bytes.data(), bytes.size()}; }

/// All until the other side has finished.
std::string read_all(LocalStream& stream, const StopSignal& stop) {
  std::string all;
  std::string some(1000, '\0');
  for (;;) {
    const auto got = stream.read_some(some, soon(), stop);
    if (!got.ok()) return all;
    all.append(some, 0, got.value());
  }
}

struct Pair {
  Pair() {
    auto listener = LocalListener::listen(path);
    REQUIRE(listener.ok());
    auto connected = LocalStream::connect(path);
    REQUIRE(connected.ok());
    auto accepted = listener->accept(stop);
    REQUIRE(accepted.ok());
    here.emplace(*std::move(connected));
    there.emplace(*std::move(accepted));
  }
  const TempDirectory directory;
  const std::string path = directory.path("socket");
  const StopSignal stop;
  std::optional<LocalStream> here;
  std::optional<LocalStream> there;
};

TEST_CASE("local socket: more than fits at once arrives whole, both ways") {
  Pair pair;
  std::string much(5'000'000, 'x');
  for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<char>(i * 31 >> 7);
  std::string little = "answer";
  std::thread writer([&] {
    const iovec piece = piece_of(much);
    CHECK(pair.here->write_all({&piece, 1}, soon(), pair.stop).ok());
    pair.here->finish_writing();
  });
  CHECK(read_all(*pair.there, pair.stop) == much);
  writer.join();
  CHECK(pair.there->peer_has_finished());
  const iovec piece = piece_of(little);
  REQUIRE(pair.there->write_all({&piece, 1}, soon(), pair.stop).ok());
  CHECK_FALSE(pair.here->peer_has_finished());
  pair.there.reset();
  CHECK(read_all(*pair.here, pair.stop) == little);
}

TEST_CASE("local socket: waits end with the deadline, the signal, and the other side") {
  Pair pair;
  std::string much(5'000'000, 'x');
  const iovec piece = piece_of(much);
  const Deadline now = Deadline::in(milliseconds(1));
  std::string some(10, '\0');
  CHECK(pair.here->read_some(some, now, pair.stop).value() == 0);
  CHECK(pair.here->write_all({&piece, 1}, now, pair.stop).code() == Code::Retry);
  CHECK_FALSE(pair.here->peer_has_finished());
  std::thread stopper([&] { pair.stop.set(); });
  CHECK(pair.here->read_some(some, soon(), pair.stop).code() == Code::Closed);
  CHECK(pair.here->write_all({&piece, 1}, soon(), pair.stop).code() == Code::Closed);
  stopper.join();
  pair.there.reset();
  const StopSignal never;
  CHECK(pair.here->write_all({&piece, 1}, soon(), never).code() == Code::Retry);
}

TEST_CASE("local socket: nobody listens, a dead one's socket, a path that is long") {
  const TempDirectory directory;
  const StopSignal stop;
  std::string deep = directory.path("d");
  while (deep.size() < 300) deep += "/directory";
  std::filesystem::create_directories(deep);
  const std::string path = deep + "/socket";
  CHECK(LocalStream::connect(path).code() == Code::Closed);
  CHECK(LocalStream::connect(directory.path("none") + "/socket").code() == Code::Closed);
  CHECK(LocalListener::listen(directory.path("none") + "/socket").code() == Code::Retry);
  std::ofstream(path) << "what a dead agent left";
  CHECK(LocalStream::connect(path).code() == Code::Closed);
  {
    auto listener = LocalListener::listen(path);
    REQUIRE(listener.ok());
    struct stat found {};
    REQUIRE(::stat(path.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777U) == 0600U);
    CHECK(LocalStream::connect(path).ok());
    CHECK(listener->accept(stop).ok());
    std::thread stopper([&] { stop.set(); });
    CHECK(listener->accept(stop).code() == Code::Closed);
    stopper.join();
  }
  CHECK_FALSE(std::filesystem::exists(path));
  CHECK(LocalStream::connect(path).code() == Code::Closed);
}

}  // namespace
}  // namespace sluice
