// Who may connect: Flume's ipFilterRules.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/net/peer_names.h"
#include "core/net/resolver.h"

namespace sluice {

/// Rules `allow|deny:ip|name:pattern` with commas between them; in a pattern `*` is any run of
/// characters and `?` any one. The first rule that fits decides; a peer that none fits is accepted.
///
/// Rules about names need a look-up, which ask() never waits for. `name:localhost` needs none: it
/// fits this machine's own addresses 127.0.0.0/8 and ::1, and the address of its own name. Names
/// are compared in any case. Addresses of version 6 fit in the short form and in Java's long one.
/// One thread.
class IpFilter {
 public:
  enum class Answer : unsigned char {
    Accept,
    Refuse,
    AskAgain,  ///< A name is being looked up; within seconds there is one, or none.
  };

  /// Errors: Invalid, with the rule. `names` is how names are found.
  static Result<std::shared_ptr<IpFilter>> parse(
      std::string_view rules, std::shared_ptr<PeerNames> names = PeerNames::make());

  Answer ask(const SocketAddress& peer);

 private:
  struct Rule {
    bool allow = false;
    bool by_name = false;
    std::string pattern;  ///< Names: in lower case.
  };
  IpFilter(std::vector<Rule> rules, std::shared_ptr<PeerNames> names, std::string own_address);
  static Result<Rule> parse_rule(std::string_view text);
  bool is_this_machine(std::string_view address) const;

  const std::vector<Rule> rules_;
  const std::shared_ptr<PeerNames> names_;
  const std::string own_address_;  ///< Empty: no rule needs it.
};

}  // namespace sluice
