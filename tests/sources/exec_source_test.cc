#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "core/base/child_process.h"
#include "tests/catch.h"
#include "tests/support/captured_log.h"
#include "tests/support/pipeline.h"

namespace sluice {

extern const SourceType exec_source;

namespace {

using testing::CapturedLog;
using testing::Pipeline;
using testing::TempDirectory;
using testing::wait_for;
using Lines = std::vector<std::string>;
using Values = std::map<std::string, std::string>;

Values shell(const std::string& command, Values more = {}) {
  more["shell"] = "/bin/sh -c";
  more["command"] = command;
  return more;
}

void write_file(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// False once the process is gone, or waits as a zombie for who owns it.
bool alive(int pid) {
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string word;
  std::string state;
  return static_cast<bool>(stat >> word >> word >> state) && state != "Z";
}

bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

TEST_CASE("exec: the lines of a command that ends are events, and the source finishes") {
  const CapturedLog log;
  Pipeline pipeline(exec_source, shell("printf 'one\\ntwo\\n\\nlast'; exit 3"));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(4) == Lines{"one", "two", "", "last"});
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.result.ok());
  CHECK(log.has("exited with status 3 after 4 events"));
  pipeline.stop();
  CHECK_FALSE(has_children());
}

TEST_CASE("exec: without a shell the command is split at blanks and nothing else") {
  const CapturedLog log;
  const TempDirectory directory;
  write_file(directory.path("it's"), "content\n");
  Pipeline pipeline(exec_source, {{"command", "  cat \t " + directory.path("it's") + " "}});
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"content"});
  CHECK(log.has("set shell = /bin/sh -c"));
}

TEST_CASE("exec: any bytes pass as they are") {
  const TempDirectory directory;
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const std::string text = "crlf\r\n" + bytes + "\n" + std::string(201'200, '\xE9') + "\nend";
  write_file(directory.path("data"), text);
  Pipeline pipeline(exec_source, {{"command", "cat " + directory.path("data")}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  std::string joined;
  for (const std::string& line : pipeline.read_rest()) joined += line + "\n";
  CHECK(joined == text + "\n");
}

TEST_CASE("exec: trimCR gives Flume's lines") {
  Pipeline pipeline(exec_source, shell("printf 'a\\r\\nb\\rc\\n'", {{"trimCR", "true"}}));
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(pipeline.read_rest() == Lines{"a", "b", "c"});
}

TEST_CASE("exec: a line is not held back for a batch") {
  Pipeline pipeline(exec_source, shell("echo now; exec sleep 600",
                                       {{"batchSize", "1000"}, {"batchTimeout", "600000"}}));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"now"});
}

TEST_CASE("exec: a program that is not there is named and stays down") {
  Pipeline pipeline(exec_source, {{"command", "/no/such/program -F x"}});
  const Status status = pipeline.start();
  CHECK(status.code() == Code::Invalid);
  CHECK(status.message() == "cannot run /no/such/program: No such file or directory (2)");
  pipeline.stop();
  CHECK_FALSE(has_children());
}

TEST_CASE("exec: a program that is not there is tried again with restart") {
  const CapturedLog log;
  const TempDirectory directory;
  Pipeline pipeline(
      exec_source,
      {{"command", directory.path("late")}, {"restart", "true"}, {"restartThrottle", "10"}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(log.wait_for_text("cannot run"));
  write_file(directory.path("new"), "#!/bin/sh\necho here\nexec sleep 600\n");
  std::filesystem::permissions(directory.path("new"), std::filesystem::perms::owner_all);
  std::filesystem::rename(directory.path("new"), directory.path("late"));
  CHECK(pipeline.read(1) == Lines{"here"});
}

TEST_CASE("exec: restart runs the command again and again") {
  Pipeline pipeline(exec_source,
                    shell("printf 'x\\ny'", {{"restart", "true"}, {"restartThrottle", "5"}}));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(6) == Lines{"x", "y", "x", "y", "x", "y"});
  CHECK_FALSE(pipeline.finished);
}

TEST_CASE("exec: a stop does not wait for restartThrottle") {
  const CapturedLog log;
  Pipeline pipeline(exec_source, shell("true", {{"restart", "true"}}));
  REQUIRE(pipeline.start().ok());
  REQUIRE(log.wait_for_text("is run again in 10000 ms"));
  const auto before = std::chrono::steady_clock::now();
  pipeline.stop();
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(5));
}

TEST_CASE("exec: standard error is logged line by line when wanted") {
  const CapturedLog log;
  Pipeline pipeline(exec_source,
                    shell("echo first >&2; printf second >&2", {{"logStdErr", "true"}}));
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(log.has("[info] StderrLogger[1] = 'first'\n"));
  CHECK(log.has("[info] StderrLogger[2] = 'second'\n"));
  CHECK(pipeline.read_rest().empty());
}

TEST_CASE("exec: standard error is drained when nobody wants it") {
  const CapturedLog log;
  Pipeline pipeline(exec_source, shell("head -c 3000000 /dev/zero >&2; echo done"));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(1) == Lines{"done"});
  REQUIRE(pipeline.wait_finished());
  CHECK_FALSE(log.has("StderrLogger"));
}

TEST_CASE("exec: a stop ends the command and all that it started") {
  const TempDirectory directory;
  Pipeline pipeline(exec_source, shell("sleep 600 & echo $!; sleep 600 | cat; true"));
  REQUIRE(pipeline.start().ok());
  const Lines pid = pipeline.read(1);
  REQUIRE(pid.size() == 1);
  REQUIRE(alive(std::stoi(pid[0])));
  const auto before = std::chrono::steady_clock::now();
  pipeline.stop();
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::milliseconds(1900));
  CHECK(wait_for([&] { return !alive(std::stoi(pid[0])); }));
  CHECK_FALSE(has_children());
}

TEST_CASE("exec: what a command prints when it is told to end is not lost") {
  Pipeline pipeline(
      exec_source,
      shell("trap 'echo goodbye; exit' TERM; echo hello; while :; do sleep 0.05; done"));
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.read(1) == Lines{"hello"});
  pipeline.stop();
  CHECK(pipeline.read_rest() == Lines{"goodbye"});
}

TEST_CASE("exec: a command that does not listen to SIGTERM is killed") {
  const CapturedLog log;
  Pipeline pipeline(exec_source, shell("trap '' TERM; echo $$; while :; do sleep 1; done"));
  REQUIRE(pipeline.start().ok());
  const Lines pid = pipeline.read(1);
  REQUIRE(pid.size() == 1);
  const auto before = std::chrono::steady_clock::now();
  pipeline.stop();
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(10));
  CHECK_FALSE(alive(std::stoi(pid[0])));
  CHECK(log.has("has not ended after SIGTERM and is killed"));
  CHECK_FALSE(has_children());
}

TEST_CASE("exec: a full channel blocks the command, and nothing is lost") {
  Pipeline pipeline(exec_source, shell("seq 1 300000; echo end >&2", {{"logStdErr", "true"}}),
                    {.channel = {{.name = "c1", .capacity_events = 50}}});
  const CapturedLog log;
  REQUIRE(pipeline.start().ok());
  REQUIRE(wait_for([&] { return pipeline.channel.counters().put_waits.get() > 0; }));
  // About 2 MB were printed if nothing held the command back; the pipe holds 256 KiB of it.
  CHECK(pipeline.channel.size_events() <= 50);
  CHECK_FALSE(log.has("'end'"));
  const Lines lines = pipeline.read(300'000);
  REQUIRE(lines.size() == 300'000);
  for (std::size_t i = 0; i < lines.size(); ++i) REQUIRE(lines[i] == std::to_string(i + 1));
  REQUIRE(pipeline.wait_finished());
  CHECK(log.has("'end'"));
}

TEST_CASE("exec: a stop with a full channel ends and counts what is lost") {
  Pipeline pipeline(exec_source, {{"command", "seq 1 100000"}},
                    {.channel = {{.name = "c1", .capacity_events = 50}}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(wait_for([&] { return pipeline.channel.counters().put_waits.get() > 0; }));
  pipeline.stop();
  CHECK(pipeline.counters.rejected_lines.get() > 0);
  CHECK_FALSE(has_children());
}

TEST_CASE("exec: a long line is cut at maxLineLength") {
  const CapturedLog log;
  Pipeline pipeline(
      exec_source, shell("head -c 2500 /dev/zero | tr '\\0' x; echo", {{"maxLineLength", "1024"}}));
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  const Lines lines = pipeline.read_rest();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].size() == 1024);
  CHECK(lines[2].size() == 2500 - 2 * 1024);
  CHECK(log.has("longer than 1024 bytes"));
}

TEST_CASE("exec: a charset other than UTF-8 is warned of") {
  const CapturedLog log;
  Pipeline pipeline(exec_source, {{"command", "true"}, {"charset", "GBK"}});
  REQUIRE(pipeline.start().ok());
  REQUIRE(pipeline.wait_finished());
  CHECK(log.has("charset = GBK has no effect"));
}

/// Starts `command` from a process of its own, which is then killed like an agent with kill -9.
/// Returns the numbers that the command printed first.
std::vector<int> start_and_kill_starter(const std::string& command, std::size_t numbers,
                                        bool through_shell) {
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  const pid_t agent = ::fork();
  REQUIRE(agent >= 0);
  if (agent == 0) {
    std::vector<std::string> arguments{"/bin/sh", "-c", command};
    if (!through_shell) arguments = {"/bin/sleep", "600"};
    auto child = ChildProcess::start(arguments);
    if (!child.ok()) ::_exit(1);
    if (!through_shell) {
      const std::string pid = std::to_string(child->pid()) + "\n";
      if (::write(fds[1], pid.data(), pid.size()) < 0) ::_exit(1);
    }
    for (;;) {
      child->wait(Deadline::in(milliseconds(1000)), {});
      char bytes[256];
      const auto got = child->read_some(ChildProcess::Output::Standard, bytes);
      if (got.ok() && got.value() > 0 && ::write(fds[1], bytes, got.value()) < 0) ::_exit(1);
    }
  }
  ::close(fds[1]);
  std::string text;
  while (static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) < numbers) {
    char c;
    if (::read(fds[0], &c, 1) != 1) break;
    text += c;
  }
  ::close(fds[0]);
  ::kill(agent, SIGKILL);
  ::waitpid(agent, nullptr, 0);
  std::istringstream words(text);
  std::vector<int> pids;
  for (int pid; words >> pid;) pids.push_back(pid);
  return pids;
}

TEST_CASE("exec: the command dies with an agent that is killed with -9") {
  const std::vector<int> pids = start_and_kill_starter("", 1, false);
  REQUIRE(pids.size() == 1);
  CHECK(wait_for([&] { return !alive(pids[0]); }));
}

TEST_CASE("exec: what a shell started dies with an agent that is killed with -9") {
  const std::vector<int> pids =
      start_and_kill_starter("sleep 600 & echo $!; echo $$; sleep 600 | cat; true", 2, true);
  REQUIRE(pids.size() == 2);
  CHECK(wait_for([&] { return !alive(pids[0]) && !alive(pids[1]); }));
}

TEST_CASE("exec: a command starts with ordinary signals and no descriptors of the agent") {
  // As the agent's main thread has it: some signals blocked, SIGPIPE ignored.
  sigset_t blocked;
  sigset_t before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto handler = ::signal(SIGPIPE, SIG_IGN);
  int fds[2];
  REQUIRE(::pipe(fds) == 0);
  const auto lines_of = [](const std::map<std::string, std::string>& values) {
    Pipeline pipeline(exec_source, values);
    REQUIRE(pipeline.start().ok());
    REQUIRE(pipeline.wait_finished());
    return pipeline.read_rest();
  };
  // Shells clear their own mask, so they would hide one that was inherited.
  CHECK(lines_of({{"command", "grep SigBlk /proc/self/status"}}) ==
        Lines{"SigBlk:\t0000000000000000"});
  CHECK(lines_of({{"command", "grep SigIgn /proc/self/status"}}) ==
        Lines{"SigIgn:\t0000000000000000"});
  // 3 is the folder that ls reads.
  CHECK(lines_of({{"command", "ls /proc/self/fd"}}) == Lines{"0", "1", "2", "3"});
  ::close(fds[0]);
  ::close(fds[1]);
  ::signal(SIGPIPE, handler);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("exec: lines of a stack trace are one event, the last one after its time") {
  const Values multiline{{"multiline.startPattern", "^S"}, {"multiline.timeout", "20"}};
  Pipeline pipeline(exec_source,
                    shell("printf 'S one\\n at a\\nS two\\n at b\\n'; sleep 600", multiline));
  REQUIRE(pipeline.start().ok());
  CHECK(pipeline.read(2) == Lines{"S one\n at a", "S two\n at b"});
  pipeline.stop();
  Pipeline ends(exec_source,
                shell("printf 'S one\\n at a\\n at b'",
                      {{"multiline.startPattern", "^S"}, {"multiline.timeout", "1h"}}));
  REQUIRE(ends.start().ok());
  CHECK(ends.read(1) == Lines{"S one\n at a\n at b"});
}

}  // namespace
}  // namespace sluice
