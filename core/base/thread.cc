#include "core/base/thread.h"

#include <pthread.h>

#include <algorithm>
#include <array>

namespace sluice {

void name_this_thread(std::string_view name) noexcept {
  std::array<char, 16> text{};
  std::copy_n(name.begin(), std::min(name.size(), text.size() - 1), text.begin());
  pthread_setname_np(pthread_self(), text.data());
}

}  // namespace sluice
