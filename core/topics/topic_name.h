// The name of the topic that an event goes to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/base/time_zone.h"
#include "core/event/headers.h"

namespace sluice {

/// A topic's name with Flume's escapes in it: %{header}, %[localhost], %[ip], %[fqdn], and letters
/// for parts of the time that the header `timestamp` says in milliseconds, in this machine's zone.
class KafkaTopicName {
 public:
  /// Errors: Invalid (an escape that cannot be read, a name that no topic can have).
  static Result<KafkaTopicName> make(std::string_view text, bool may_have_escapes);

  /// What the author of the name should know; sentences without an end.
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }
  bool fixed() const noexcept { return pieces_.size() == 1 && pieces_[0].kind == Kind::Literal; }
  /// REQUIRES: fixed().
  const std::string& text() const noexcept { return pieces_[0].text; }
  /// A header that is not there is empty, as in Flume. Errors: Reject (the time is not known).
  Status append_for(const HeaderView& headers, std::string& out) const;

 private:
  enum class Kind : unsigned char { Literal, Header, Timestamp, Time, HostName, Address, Fqdn };
  struct Piece {
    Kind kind = Kind::Literal;
    std::string text = {};  ///< Or the header's name.
    char letter = 0;        ///< Time.
  };
  /// What of the time an event says.
  struct Moment {
    std::string_view text;
    std::int64_t seconds = 0;
    CivilTime civil;
  };

  Status parse(std::string_view text);
  Status add_escape(std::string_view& rest);
  Status add_letter(char letter);
  void add_literal(std::string_view text);
  void append(const HeaderView& headers, const Moment& moment, std::string& out) const;
  Result<Moment> moment_of(const HeaderView& headers) const;

  std::vector<Piece> pieces_;
  std::vector<std::string> warnings_;
  std::optional<TimeZone> zone_;  ///< Where the time stands in the name.
};

}  // namespace sluice
