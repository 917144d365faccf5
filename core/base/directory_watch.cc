#include "core/base/directory_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <utility>

namespace sluice {
namespace {

constexpr std::uint32_t names_mask =
    IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
// A read(2) of events that goes on for longer than this is a storm: the rest waits for its turn.
constexpr int reads_max = 64;

/// What an administrator can do about it.
std::string advice(int error, const char* limit) {
  if (error == EMFILE) return std::string("; raise ") + limit + " or the limit of open files";
  if (error == ENOSPC) return std::string("; raise ") + limit;
  return "";
}

class InotifyWatch final : public DirectoryWatch {
 public:
  explicit InotifyWatch(const System& system)
      : system_(system), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~InotifyWatch() override {
    if (inotify_ >= 0) ::close(inotify_);
    if (wake_ >= 0) ::close(wake_);
  }

  Status add(const std::string& directory) override {
    if (inotify_ < 0) inotify_ = system_.init(IN_CLOEXEC | IN_NONBLOCK);
    if (inotify_ < 0) {
      const int error = errno;
      return Retry("cannot watch " + directory + ": no inotify: " + errno_text(error) +
                   advice(error, "fs.inotify.max_user_instances"));
    }
    const int watch = system_.add(inotify_, directory.c_str(),
                                  names_mask | IN_MODIFY | IN_ONLYDIR | IN_EXCL_UNLINK);
    if (watch < 0) {
      const int error = errno;
      return Retry("cannot watch " + directory + ": " + errno_text(error) +
                   advice(error, "fs.inotify.max_user_watches"));
    }
    directories_[watch] = directory;
    return {};
  }

  Changes wait(Deadline deadline, const std::stop_token& stop) override {
    const std::stop_callback wake(stop, [this] {
      const std::uint64_t one = 1;
      [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
    });
    constexpr milliseconds longest{60'000};
    std::array<pollfd, 2> ready{pollfd{wake_, POLLIN, 0}, pollfd{inotify_, POLLIN, 0}};
    const auto most = static_cast<int>(deadline.left(longest).count());
    // A negative descriptor (no inotify) is passed over by poll().
    ::poll(ready.data(), ready.size(), stop.stop_requested() ? 0 : most);
    Changes changes;
    for (int i = 0; i < reads_max && read_events(changes); ++i) {
    }
    return changes;
  }

 private:
  /// One read; false when there was nothing.
  bool read_events(Changes& changes) {
    alignas(inotify_event) std::array<char, 16 * 1024> bytes;
    if (inotify_ < 0) return false;
    const ssize_t got = ::read(inotify_, bytes.data(), bytes.size());
    if (got <= 0) return false;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      inotify_event event{};
      std::memcpy(&event, bytes.data() + at, sizeof event);
      take(event, bytes.data() + at + sizeof event, changes);
      at += sizeof event + event.len;
    }
    return true;
  }

  void take(const inotify_event& event, const char* name, Changes& changes) {
    if ((event.mask & (names_mask | IN_Q_OVERFLOW | IN_IGNORED)) != 0) changes.names = true;
    if ((event.mask & IN_IGNORED) != 0) directories_.erase(event.wd);
    const auto directory = directories_.find(event.wd);
    if ((event.mask & IN_MODIFY) == 0 || directory == directories_.end()) return;
    std::string path = directory->second + "/" + name;
    if (changes.written.empty() || changes.written.back() != path) {
      changes.written.push_back(std::move(path));
    }
  }

  const System system_;
  int inotify_ = -1;
  const int wake_;
  std::map<int, std::string> directories_;
};

}  // namespace

std::unique_ptr<DirectoryWatch> DirectoryWatch::make() {
  return make({::inotify_init1, ::inotify_add_watch});
}

std::unique_ptr<DirectoryWatch> DirectoryWatch::make(const System& system) {
  return std::make_unique<InotifyWatch>(system);
}

}  // namespace sluice
