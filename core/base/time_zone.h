// What the clocks on the walls of a place say.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/status.h"

namespace sluice {

/// A moment as a calendar and a clock of one place have it.
struct CivilTime {
  std::int64_t year = 1970;
  int month = 1;  ///< 1..12
  int day = 1;    ///< 1..31
  int hour = 0;
  int minute = 0;
  int second = 0;
  int weekday = 4;         ///< 0 is Sunday.
  int day_of_year = 1;     ///< 1..366
  int offset_seconds = 0;  ///< East of Greenwich.
};

/// A time zone of the machine's tz database. A value, immutable: any thread.
class TimeZone {
 public:
  /// By what Java calls it: "America/Los_Angeles", "GMT+8", "GMT-05:30", "UTC", "PST"; "" is the
  /// zone of this machine. Reads the database once a zone. Errors: Invalid (there is none of this
  /// name; Java would silently take GMT).
  static Result<TimeZone> find(const std::string& name);

  /// `seconds` since 1970 UTC.
  CivilTime at(std::int64_t seconds) const;
  /// Since 1970 UTC. Of a time that comes twice the later one, of one that is left out what it
  /// would have been without the change, both as Java has it.
  std::int64_t seconds_of(const CivilTime& time) const;

 private:
  struct Zone;
  explicit TimeZone(std::shared_ptr<const Zone> zone) noexcept : zone_(std::move(zone)) {}
  std::shared_ptr<const Zone> zone_;
};

}  // namespace sluice
