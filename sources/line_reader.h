// Makes events out of one byte stream, a line each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>

#include "core/wire/line_splitter.h"
#include "sources/line_groups.h"
#include "sources/outlet.h"

namespace sluice {

/// Reads lines of one stream straight into the slab: whoever owns the stream reads into space() and
/// calls took(). Lines are put after every read, never held back for more. One thread.
///
/// A line ends at '\n', which is no part of it; with trim_cr also at '\r' and "\r\n". An unfinished
/// line stays in the slab; one that is longer than line_bytes_max is cut into events of that size,
/// and its line is counted. So memory is bounded by three times line_bytes_max (or what a group may
/// have, if that is more) beside the slabs.
class LineReader {
 public:
  struct Options {
    std::size_t line_bytes_max = 16 << 20;
    bool trim_cr = false;
    /// Joins lines to events; null: none. With it only '\n' ends a line, whatever trim_cr says.
    std::shared_ptr<const LineGroups> groups = nullptr;
  };
  LineReader(Outlet& outlet, Options options) : outlet_(outlet), options_(std::move(options)) {}

  /// Where to read to next; never empty.
  std::span<char> space();
  /// So many bytes are in space(): puts the lines that they complete. Errors: as Outlet::put().
  Status took(std::size_t bytes, const std::stop_token& stop);

  /// Some whole lines wait for more that belong to them.
  bool holds_group() const noexcept { return group_lines_ > 0; }
  /// Nothing more belongs to them: puts them.
  Status end_group(const std::stop_token& stop) { return take(InputEnd::Quiet, stop); }
  /// The stream has ended well: what stands behind the last line feed is a line too.
  Status finish(const std::stop_token& stop);
  /// The stream broke: forgets the unfinished line and says how long it was.
  std::size_t drop_unfinished() noexcept;
  /// Forgets the unfinished line and closes the outlet.
  void close();

  /// Lines that were cut because they are too long.
  std::uint64_t cut_lines() const noexcept { return cut_lines_; }

 private:
  struct Split {
    LineScan scan;
    bool line_feeds = true;  ///< As BatchBuilder::marked() means it.
    bool too_long = false;  ///< The line at line_begin is; what stands behind it was not looked at.
    std::size_t scanned_to = 0;  ///< No event ends in [line_begin, scanned_to).
  };
  Status take(InputEnd then, const std::stop_token& stop);
  Split split(std::size_t entries_max, InputEnd then) noexcept;
  Split split_groups(std::size_t entries_max, InputEnd then) noexcept;
  Split split_at_feeds(std::size_t entries_max) noexcept;
  Split split_at_returns(std::size_t entries_max) noexcept;
  void leave_out_from_too_long(Split& found) noexcept;
  void cut();
  void warn_of_cut();
  Status make_room(const std::stop_token& stop);
  void move_to_fresh_slab();

  Outlet& outlet_;
  const Options options_;
  std::size_t begin_ = 0;          ///< Of the unfinished line, in the builder's slab.
  std::size_t scan_from_ = 0;      ///< No event ends in [begin_, scan_from_).
  std::uint64_t group_lines_ = 0;  ///< Whole lines of a group in there.
  bool after_return_ = false;      ///< A '\r' has ended a line; a '\n' that follows belongs to it.
  bool cutting_ = false;           ///< The unfinished line is the rest of a cut one.
  std::uint64_t cut_lines_ = 0;
};

}  // namespace sluice
