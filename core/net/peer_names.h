// Names of the hosts that connect, looked up beside and remembered for a while.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/net/resolver.h"

namespace sluice {

/// Names for addresses. Thread-safe.
///
/// A look-up runs on a thread of its own, a few at once; nobody waits for it. What it found is
/// remembered for a minute, of some thousand addresses.
class PeerNames {
 public:
  /// The name of an address, or its text when there is none; may take as long as it likes.
  using LookUp = std::function<std::string(const SocketAddress&)>;

  /// By default the system is asked, and believed only when the name leads back to the address:
  /// otherwise anybody could call himself what he likes.
  static std::shared_ptr<PeerNames> make(LookUp look_up = {});

  /// Nothing: not known yet, ask again in a moment. The address itself when there is no name, or
  /// none within 5 s.
  std::optional<std::string> find(const SocketAddress& address);

 private:
  struct Shared;
  explicit PeerNames(std::shared_ptr<Shared> shared) noexcept;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace sluice
