#include "core/net/peer_names.h"

#include <netdb.h>

#include <array>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/clock.h"
#include "core/base/thread.h"

namespace sluice {
namespace {

constexpr int lookups_at_once_max = 8;
constexpr std::size_t remembered_max = 4096;
constexpr std::chrono::seconds patience{5};
constexpr std::chrono::seconds remembered_for{60};

/// Whether the name is one of the address, so that it is not just claimed.
bool leads_back(const char* name, const std::string& address) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* first = nullptr;
  if (::getaddrinfo(name, nullptr, &hints, &first) != 0) return false;
  bool found = false;
  for (const addrinfo* each = first; each != nullptr && !found; each = each->ai_next) {
    found = SocketAddress(each->ai_addr, each->ai_addrlen).host_text() == address;
  }
  ::freeaddrinfo(first);
  return found;
}

std::string ask_system(const SocketAddress& address) {
  std::array<char, NI_MAXHOST> name{};
  const std::string text = address.host_text();
  const int error = ::getnameinfo(address.data(), address.size(), name.data(), name.size(), nullptr,
                                  0, NI_NAMEREQD);
  return error == 0 && leads_back(name.data(), text) ? name.data() : text;
}

}  // namespace

/// Outlives the PeerNames while a look-up runs.
struct PeerNames::Shared {
  struct Known {
    std::optional<std::string> name;  ///< Nothing: being looked up.
    SteadyTime since;                 ///< When the look-up began, then when it ended.
  };
  LookUp look_up;
  std::mutex mutex;
  std::map<std::string, Known, std::less<>> known;  // guarded by mutex, as what follows
  int running = 0;

  void forget_old(SteadyTime now) {
    std::erase_if(known, [&](const auto& each) {
      return each.second.name && now - each.second.since > remembered_for;
    });
    if (known.size() < remembered_max) return;
    std::erase_if(known, [](const auto& each) { return each.second.name.has_value(); });
  }
};

PeerNames::PeerNames(std::shared_ptr<Shared> shared) noexcept : shared_(std::move(shared)) {}

std::shared_ptr<PeerNames> PeerNames::make(LookUp look_up) {
  auto shared = std::make_shared<Shared>();
  shared->look_up = look_up ? std::move(look_up) : LookUp(ask_system);
  return std::shared_ptr<PeerNames>(new PeerNames(std::move(shared)));
}

std::optional<std::string> PeerNames::find(const SocketAddress& address) {
  const std::string text = address.host_text();
  const SteadyTime now = Clock::system().steady();
  const std::lock_guard lock(shared_->mutex);
  const auto found = shared_->known.find(text);
  if (found != shared_->known.end()) {
    const auto& [name, since] = found->second;
    if (!name && now - since < patience) return std::nullopt;
    if (!name) return text;
    if (now - since < remembered_for) return name;
  }
  if (shared_->running >= lookups_at_once_max) return std::nullopt;
  shared_->forget_old(now);
  try {
    std::thread([shared = shared_, address, text] {
      name_this_thread("peer names");
      std::string name = shared->look_up(address);
      const std::lock_guard own_lock(shared->mutex);
      shared->known[text] = {std::move(name), Clock::system().steady()};
      --shared->running;
    }).detach();
  } catch (const std::system_error&) {
    return std::nullopt;  // no thread just now
  }
  ++shared_->running;
  shared_->known[text] = {std::nullopt, now};
  return std::nullopt;
}

}  // namespace sluice
