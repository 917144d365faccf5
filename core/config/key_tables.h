// Key tables made of parts that several components share.
#pragma once

#include <array>
#include <cstddef>

#include "core/config/component.h"

namespace sluice {

/// One table of several, in their order: what a ComponentInfo takes as its keys.
///
///   constexpr Key own_keys[] = {...};
///   constexpr auto keys = joined_keys(own_keys, tls_server_keys);
template <std::size_t... sizes>
constexpr auto joined_keys(const Key (&... tables)[sizes]) {
  std::array<Key, (sizes + ...)> all{};
  std::size_t end = 0;
  const auto add = [&](const auto& table) {
    for (const Key& each : table) all[end++] = each;
  };
  (add(tables), ...);
  return all;
}

}  // namespace sluice
