#include "core/base/process_stats.h"

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "core/base/clock.h"
#include "tests/catch.h"

namespace sluice {

TEST_CASE("the fields of /proc/PID/stat are found behind any program name") {
  const std::string figures =
      " S -1 1 1 0 -1 4194560 900 0 3 0 250 50 0 0 20 0 7 0 123456 1048576 512 "
      "18446744073709551615 1";
  for (const char* name : {"(sluice)", "(a b)", "(odd) R 1 2 (x))"}) {
    INFO(name);
    const auto line = parse_proc_stat("4711 " + std::string(name) + figures + "\n");
    REQUIRE(line);
    CHECK(line->cpu_ticks == 300);
    CHECK(line->threads == 7);
    CHECK(line->start_ticks == 123456);
    CHECK(line->virtual_bytes == 1048576);
    CHECK(line->resident_pages == 512);
  }
}

TEST_CASE("what is cut short is no line of /proc/PID/stat") {
  CHECK_FALSE(parse_proc_stat(""));
  CHECK_FALSE(parse_proc_stat("4711 (sluice"));
  CHECK_FALSE(parse_proc_stat("4711 (sluice) S 1 1 1 0 -1"));
}

TEST_CASE("this process has a start, memory, threads and files") {
  // A sanitizer may start a thread of its own with the first one of the program; and a joined
  // thread is counted a moment longer. So the first one runs to the end of the test.
  const std::jthread first([](const std::stop_token& stop) {
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any().wait(lock, stop, [] { return false; });
  });
  const auto before = read_process_stats();
  REQUIRE(before);
  const double now = static_cast<double>(Clock::system().wall_ms()) / 1000;
  CHECK(before->start_time_seconds <= now + 1);
  CHECK(before->start_time_seconds > now - 3600);
  CHECK(before->resident_bytes > 0);
  CHECK(before->virtual_bytes > before->resident_bytes);
  CHECK(before->open_files >= 1);
  CHECK(before->open_files_max >= before->open_files);
  std::optional<ProcessStats> beside;
  std::thread([&beside] { beside = read_process_stats(); }).join();
  REQUIRE(beside);
  CHECK(beside->threads == before->threads + 1);
  CHECK(beside->start_time_seconds == before->start_time_seconds);
  CHECK(beside->cpu_seconds >= before->cpu_seconds);
}

}  // namespace sluice
