// The floor for start-up time and memory: a program that is linked to every library the finished
// agent will need, uses a symbol of each so that the linker keeps it, listens, and does nothing.
//
//   empty_program PORT

#include <curl/curl.h>
#include <librdkafka/rdkafka.h>
#include <lz4.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <rocksdb/db.h>
#include <snappy-c.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>
#include <zlib.h>
#include <zstd.h>

#include <cstdio>
#include <cstdlib>

namespace {

/// Never true, which the compiler cannot know.
bool libraries_wanted(int argc) { return argc > 1000; }

int use_every_library() {
  rocksdb::DB* db = nullptr;
  const bool opened = rocksdb::DB::Open(rocksdb::Options(), "/dev/null", &db).ok();
  spdlog::info("{} {} {}", opened, rd_kafka_version_str(), curl_version());
  std::printf("%s %d %s %u\n", zlibVersion(), LZ4_versionNumber(), ZSTD_versionString(),
              static_cast<unsigned>(snappy_max_compressed_length(1)));
  return YAML::Load("a: 1")["a"].as<int>() + (SSL_CTX_new(TLS_method()) != nullptr ? 1 : 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (libraries_wanted(argc)) return use_every_library();
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0));
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return 1;
  if (listen(listener, 16) != 0) return 1;
  for (;;) pause();
}
