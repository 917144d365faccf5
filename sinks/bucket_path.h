// Which directory and which file name an event belongs to: Flume's escapes in hdfs.path and
// hdfs.filePrefix.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/base/time_zone.h"
#include "core/event/headers.h"

namespace sluice {

/// Cuts the time of an event down, as hdfs.round does: in the calendar of its zone, by value.
struct RoundDown {
  enum class Unit : unsigned char { Never, Second, Minute, Hour };
  Unit unit = Unit::Never;
  int value = 1;
};

/// Expands a path and a file prefix for one event after the other. One thread.
///
/// The escapes are Flume's: %{header}, %[localhost], %[ip], %[fqdn], %% and letters for parts of
/// the time, in English. The time is the header `timestamp` in milliseconds, or now. A letter that
/// Flume does not know is empty, as there, and a warning.
///
/// An event that has the headers and, as far as the path tells it, the time of the one before costs
/// a look at its headers; another one is written into memory that is used again.
class BucketPath {
 public:
  struct Options {
    std::string path;
    std::string prefix;
    TimeZone zone;
    RoundDown round = {};
    bool local_time = false;         ///< Now instead of the header.
    std::size_t bytes_beside = 100;  ///< What the sink adds to the prefix of a file name.
    bool hadoop_names = false;       ///< None that Hadoop refuses: with ":", ".", ".snapshot".
  };
  /// Errors: Invalid, which names the escape that cannot be read.
  static Result<std::unique_ptr<BucketPath>> make(Options options);

  /// What the author of the path should know; sentences without an end.
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }
  /// Some events need the header `timestamp`.
  bool needs_timestamp() const noexcept { return uses_time_ && !options_.local_time; }
  /// All events go to one bucket for ever.
  bool constant() const noexcept { return headers_.empty() && !uses_time_; }

  enum class Answer : unsigned char {
    Same,    ///< As the event before.
    Other,   ///< Look at directory() and prefix() again.
    Refuse,  ///< This event belongs nowhere: see why().
  };
  /// `now_ms` since 1970 UTC. A header's value may make directories by its slashes, but it never
  /// leads out of one with "..".
  Answer find(const HeaderView& headers, std::int64_t now_ms);

  /// Of the last event that was not refused. A prefix with slashes has moved into the directory.
  const std::string& directory() const noexcept { return directory_; }
  const std::string& prefix() const noexcept { return prefix_; }
  /// One text for both, which no other pair has.
  const std::string& key() const noexcept { return key_; }
  /// Why the last event was refused.
  const std::string& why() const noexcept { return why_; }

 private:
  enum class Kind : unsigned char { Literal, Header, Timestamp, Time, HostName, Address, Fqdn };
  struct Piece {
    Kind kind = Kind::Literal;
    char letter = 0;        ///< Time.
    std::string text = {};  ///< Literal.
    std::size_t slot = 0;   ///< Header: in headers_.
  };
  using Template = std::vector<Piece>;
  struct Header {
    std::string name;
    std::string value;  ///< Of the last event.
  };
  struct Part {
    std::size_t begin = 0;
    std::size_t end = 0;
  };

  explicit BucketPath(Options options) : options_(std::move(options)) {}

  Status parse(const std::string& text, const char* what, Template& pieces);
  Status add_escape(std::string_view& rest, const char* what, Template& pieces);
  Status add_named(std::string_view inside, char opening, const char* what, Template& pieces);
  void add_letter(char letter, const char* what, Template& pieces);
  bool see_headers(const HeaderView& headers);
  bool see_time(const HeaderView& headers, std::int64_t now_ms, bool& changed);
  void see_moment(std::int64_t seconds);
  std::int64_t rounded(std::int64_t seconds) const;
  void render(const Template& pieces, std::string& out);
  const std::string& host_text(Kind kind);
  bool check();
  Answer refuse(std::string why);

  Options options_;
  std::vector<std::string> warnings_;
  Template path_;
  Template name_;
  std::vector<Header> headers_;
  bool uses_time_ = false;
  bool uses_timestamp_text_ = false;
  std::int64_t step_seconds_ = 1;  ///< Of the finest part of the time that the path tells.

  bool valid_ = false;  ///< What follows is that of the last event.
  std::string timestamp_;
  std::int64_t same_from_ = 0;  ///< Seconds that the path tells as one: [same_from_, same_to_).
  std::int64_t same_to_ = 0;
  std::int64_t rounded_seconds_ = 0;
  CivilTime time_;
  std::vector<Part> from_headers_;  ///< Of the text that is being rendered.
  std::string host_texts_[3];
  std::string directory_;
  std::string prefix_;
  std::string key_;
  std::string why_;
};

}  // namespace sluice
