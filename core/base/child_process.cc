#include "core/base/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <climits>
#include <cstring>
#include <utility>

#include "core/base/descriptor.h"
#include "core/base/fail_point.h"
#include "core/base/stop_signal.h"

namespace sluice {
namespace {

/// Moves a descriptor out of the way of the three standard ones, which an agent may lack.
Descriptor above_standard(int fd) noexcept {
  if (fd < 0 || fd > STDERR_FILENO) return Descriptor(fd);
  const Descriptor low(fd);
  return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

struct Pipe {
  Descriptor read;
  Descriptor write;
  bool open() noexcept {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    read = above_standard(fds[0]);
    write = above_standard(fds[1]);
    return read.get() >= 0 && write.get() >= 0;
  }
};

// A reader that waits for room in a channel lets the program run ahead by so much.
constexpr int pipe_bytes = 256 * 1024;

// Reads the group's number, which the program's process writes before it becomes the program: none
// runs that the guard has not heard of. Then waits for a line (all is well) or for the end of the
// pipe (the agent is gone). The number cannot be another's while one of the group lives.
constexpr const char* guard_script =
    "trap '' TERM INT HUP; read -r group || exit; read -r done && exit; "
    "kill -s TERM -- \"-$group\" 2>/dev/null || exit; "
    "sleep 5; kill -s KILL -- \"-$group\" 2>/dev/null";

/// What both children do first. Between fork() and exec() of a process with threads only calls that
/// are safe in signal handlers are allowed, so nothing below allocates.
void become_ordinary() noexcept {
  ::setpgid(0, 0);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
}

/// To the guard: the group that it guards from now on.
bool tell_group(int guard) noexcept {
  if (guard < 0) return true;
  std::array<char, 16> line{};
  char* const end = std::to_chars(line.begin(), line.end() - 1, ::getpid()).ptr;
  *end = '\n';
  const auto size = static_cast<std::size_t>(end - line.data()) + 1;
  return ::write(guard, line.data(), size) == static_cast<ssize_t>(size);
}

[[noreturn]] void run_program(char* const* arguments, int in, int out, int err, int report,
                              int guard, pid_t agent) noexcept {
  become_ordinary();
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  // The agent may have died before the line above.
  if (::getppid() != agent) ::_exit(127);
  if (tell_group(guard)) ::execvp(arguments[0], arguments);
  const int why = errno;
  if (::write(report, &why, sizeof why) < 0) ::_exit(126);
  ::_exit(127);
}

[[noreturn]] void run_guard(char* const* arguments, int in, int null) noexcept {
  become_ordinary();
  ::dup2(in, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

/// 0, or why the program could not be executed.
int read_report(int fd) noexcept {
  int why = 0;
  ssize_t got;
  do {
    got = ::read(fd, &why, sizeof why);
  } while (got < 0 && errno == EINTR);
  return got == sizeof why ? why : 0;
}

bool is_users_mistake(int error) noexcept {
  return error != EAGAIN && error != ENOMEM && error != EMFILE && error != ENFILE && error != EIO &&
         error != ETXTBSY;
}

void wait_for_end(pid_t pid) noexcept {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::string ChildProcess::Exit::text() const {
  if (!signalled) return "exited with status " + std::to_string(number);
  const char* const name = ::strsignal(number);
  return "was killed by signal " + std::to_string(number) + " (" + (name ? name : "?") + ")";
}

class ChildProcess::Impl {
 public:
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (pid > 0 && !exit) ::kill(-pid, SIGKILL);
    // Reaping gives the number free, so the guard goes first.
    dismiss_guard();
    if (pid > 0) wait_for_end(pid);
  }

  Status start(const std::vector<std::string>& arguments);
  void start_guard(int null) noexcept;
  /// Tells the guard that there is nothing left to guard.
  void dismiss_guard() noexcept {
    if (guard <= 0) return;
    // Two lines, as no program may have told its group.
    if (::write(life.write.get(), "\n\n", 2) < 0) ::kill(guard, SIGKILL);
    wait_for_end(guard);
    guard = -1;
  }

  pid_t pid = -1;
  pid_t guard = -1;
  Pipe life;  ///< To the guard, which waits while the agent has it open.
  Descriptor out;
  Descriptor err;
  StopSignal signal;
  std::optional<Exit> exit;
};

Status ChildProcess::Impl::start(const std::vector<std::string>& arguments) {
  const auto failed = [&](const char* what, int error) {
    return Retry("cannot run " + arguments[0] + ": " + what + ": " + errno_text(error));
  };
  if (Status status = signal.status(); !status.ok()) {
    return status.with_context("cannot run " + arguments[0]);
  }
  Pipe output;
  Pipe errors;
  Pipe report;
  const Descriptor null = above_standard(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!output.open() || !errors.open() || !report.open() || null.get() < 0) {
    return failed("no descriptor left", errno);
  }
  ::fcntl(output.write.get(), F_SETPIPE_SZ, pipe_bytes);
  ::fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
  ::fcntl(errors.read.get(), F_SETFL, O_NONBLOCK);
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  start_guard(null.get());
  const pid_t agent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return failed("no process", errno);
  if (child == 0) {
    run_program(pointers.data(), null.get(), output.write.get(), errors.write.get(),
                report.write.get(), life.write.get(), agent);
  }
  report.write.reset();
  const int why = read_report(report.read.get());
  fail_point(FailPoint::ProgramStarted);
  if (why != 0) {
    dismiss_guard();
    wait_for_end(child);
    if (!is_users_mistake(why)) return failed("exec", why);
    return Invalid("cannot run " + arguments[0] + ": " + errno_text(why));
  }
  pid = child;
  out = std::move(output.read);
  err = std::move(errors.read);
  life.read.reset();
  return {};
}

/// Without a guard (no /bin/sh, no process left) the kernel's signal remains.
void ChildProcess::Impl::start_guard(int null) noexcept {
  if (!life.open()) return;
  const std::array<char*, 5> arguments{const_cast<char*>("/bin/sh"), const_cast<char*>("-c"),
                                       const_cast<char*>(guard_script),
                                       const_cast<char*>("sluice-guard"), nullptr};
  const pid_t child = ::fork();
  if (child == 0) run_guard(arguments.data(), life.read.get(), null);
  if (child < 0) {
    life = {};
    return;
  }
  guard = child;
}

ChildProcess::ChildProcess(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
ChildProcess::ChildProcess(ChildProcess&&) noexcept = default;
ChildProcess& ChildProcess::operator=(ChildProcess&&) noexcept = default;
ChildProcess::~ChildProcess() = default;

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments) {
  SLUICE_ASSERT(!arguments.empty(), "a program without a name");
  auto impl = std::make_unique<Impl>();
  if (Status status = impl->start(arguments); !status.ok()) return status;
  return ChildProcess(std::move(impl));
}

int ChildProcess::pid() const noexcept { return impl_->pid; }

ChildProcess::Ready ChildProcess::wait(Deadline deadline, const std::stop_token& stop) {
  constexpr milliseconds poll_max{60'000};
  const std::stop_callback wake(stop, [this] { impl_->signal.set(); });
  const bool stoppable = stop.stop_possible();
  std::array<pollfd, 3> fds{pollfd{impl_->out.get(), POLLIN, 0},
                            pollfd{impl_->err.get(), POLLIN, 0},
                            pollfd{stoppable ? impl_->signal.fd() : -1, POLLIN, 0}};
  while (!stop.stop_requested()) {
    const auto left = deadline.left(poll_max);
    const int ready = ::poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    if (ready > 0) return {fds[0].revents != 0, fds[1].revents != 0};
    if (deadline.passed()) break;
  }
  return {};
}

Result<std::size_t> ChildProcess::read_some(Output which, std::span<char> into) {
  Descriptor& from = which == Output::Standard ? impl_->out : impl_->err;
  if (from.get() < 0) return Closed("the output has ended");
  for (;;) {
    const ssize_t got = ::read(from.get(), into.data(), into.size());
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return std::size_t{0};
    const int error = errno;
    from.reset();
    if (got == 0) return Closed("the output has ended");
    return Retry("cannot read from a pipe: " + errno_text(error));
  }
}

std::optional<ChildProcess::Exit> ChildProcess::poll_exit() {
  // The destructor reaps: until then the number of the group cannot become another's.
  siginfo_t info{};
  if (!impl_->exit &&
      ::waitid(P_PID, static_cast<id_t>(impl_->pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == impl_->pid) {
    impl_->exit = Exit{info.si_code != CLD_EXITED, info.si_status};
  }
  return impl_->exit;
}

void ChildProcess::terminate() noexcept { ::kill(-impl_->pid, SIGTERM); }

void ChildProcess::kill() noexcept { ::kill(-impl_->pid, SIGKILL); }

}  // namespace sluice
