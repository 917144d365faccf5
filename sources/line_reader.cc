#include "sources/line_reader.h"

#include <algorithm>
#include <string>

#include "core/base/log.h"

namespace sluice {
namespace {

// Less room than this is not worth a system call.
constexpr std::size_t read_bytes_min = 16 * 1024;

}  // namespace

std::span<char> LineReader::space() {
  BatchBuilder& builder = outlet_.builder();
  if (builder.space().size() < read_bytes_min) move_to_fresh_slab();
  return builder.space();
}

/// Leaves the slab; the unfinished line moves on. REQUIRES: nothing marked.
void LineReader::move_to_fresh_slab() {
  BatchBuilder& builder = outlet_.builder();
  const std::size_t left = builder.position() - begin_;
  std::string rest;
  if (left > 0) rest.assign(builder.base() + begin_, left);
  // What is long doubles its slab each time, so that it is moved seldom.
  const std::size_t most =
      std::max(options_.line_bytes_max, options_.groups ? options_.groups->bytes_max() : 0);
  builder.renew(std::max(left, std::min(2 * left, most)) + 4 * read_bytes_min);
  std::copy(rest.begin(), rest.end(), builder.base());
  builder.written(left);
  scan_from_ -= begin_;
  begin_ = 0;
}

Status LineReader::took(std::size_t bytes, const std::stop_token& stop) {
  BatchBuilder& builder = outlet_.builder();
  builder.written(bytes);
  return take(InputEnd::Open, stop);
}

/// Puts what has ended, when `then` follows.
Status LineReader::take(InputEnd then, const std::stop_token& stop) {
  BatchBuilder& builder = outlet_.builder();
  while (builder.position() > begin_) {
    if (Status status = make_room(stop); !status.ok()) return status;
    const std::size_t entries_max = std::min(outlet_.room_events(), builder.entries_left());
    const Split found = split(entries_max, then);
    if (found.scan.events > 0) cutting_ = false;
    builder.marked(found.scan.events, found.scan.body_bytes, found.line_feeds);
    begin_ = found.scan.line_begin;
    scan_from_ = found.scanned_to;
    if (found.scan.events == entries_max) continue;
    if (!found.too_long) break;
    cut();
  }
  return outlet_.put(stop);
}

/// Makes sure that an event can be marked.
Status LineReader::make_room(const std::stop_token& stop) {
  BatchBuilder& builder = outlet_.builder();
  if (outlet_.room_events() > 0 && builder.entries_left() > 0) return {};
  Status status = outlet_.put(stop);
  // Very short lines: the index has eaten the slab.
  if (status.ok() && builder.entries_left() == 0) move_to_fresh_slab();
  return status;
}

LineReader::Split LineReader::split(std::size_t entries_max, InputEnd then) noexcept {
  if (options_.groups) return split_groups(entries_max, then);
  Split found = options_.trim_cr ? split_at_returns(entries_max) : split_at_feeds(entries_max);
  if (found.scan.events == entries_max || found.too_long) {
    found.scanned_to = found.scan.line_begin;
  } else {
    found.scanned_to = outlet_.builder().position();
    found.too_long = found.scanned_to - found.scan.line_begin > options_.line_bytes_max;
  }
  return found;
}

LineReader::Split LineReader::split_groups(std::size_t entries_max, InputEnd then) noexcept {
  BatchBuilder& builder = outlet_.builder();
  const LineGroups::Scan scan =
      options_.groups->split({builder.base(), begin_, scan_from_, group_lines_, builder.position(),
                              then, options_.line_bytes_max},
                             builder.index_top(), entries_max);
  group_lines_ = scan.lines;
  return {.scan = {.events = scan.events,
                   .body_bytes = scan.body_bytes,
                   .line_begin = scan.group_begin},
          .too_long = scan.line_too_long,
          .scanned_to = scan.scanned_to};
}

LineReader::Split LineReader::split_at_feeds(std::size_t entries_max) noexcept {
  BatchBuilder& builder = outlet_.builder();
  Split found;
  found.scan = split_lines({builder.base(), begin_, scan_from_, builder.position()},
                           builder.index_top(), entries_max);
  if (found.scan.longest > options_.line_bytes_max) leave_out_from_too_long(found);
  return found;
}

/// As Java's BufferedReader: a '\r' ends a line at once, and a '\n' right behind it is skipped.
LineReader::Split LineReader::split_at_returns(std::size_t entries_max) noexcept {
  BatchBuilder& builder = outlet_.builder();
  char* const base = builder.base();
  IndexEntry* const top = builder.index_top();
  Split found;
  LineScan& scan = found.scan;
  scan.line_begin = begin_;
  std::size_t last_end = begin_;
  for (std::size_t at = scan_from_; at < builder.position() && scan.events < entries_max; ++at) {
    if (base[at] != '\n' && base[at] != '\r') {
      after_return_ = false;
      continue;
    }
    if (base[at] == '\n' && after_return_ && at == scan.line_begin) {
      after_return_ = false;
      scan.line_begin = at + 1;
      continue;
    }
    const std::size_t bytes = at - scan.line_begin;
    if (bytes > options_.line_bytes_max) {
      found.too_long = true;
      break;
    }
    after_return_ = base[at] == '\r';
    // Sinks write a body and the line feed behind it in one piece.
    base[at] = '\n';
    found.line_feeds = found.line_feeds && (scan.events == 0 || scan.line_begin == last_end);
    top[-1 - static_cast<std::ptrdiff_t>(scan.events++)] = {
        static_cast<std::uint32_t>(scan.line_begin), static_cast<std::uint32_t>(bytes)};
    scan.body_bytes += bytes;
    scan.line_begin = last_end = at + 1;
  }
  return found;
}

void LineReader::leave_out_from_too_long(Split& found) noexcept {
  const IndexEntry* const top = outlet_.builder().index_top();
  std::size_t i = 0;
  std::uint64_t body_bytes = 0;
  while (top[-1 - static_cast<std::ptrdiff_t>(i)].bytes <= options_.line_bytes_max) {
    body_bytes += top[-1 - static_cast<std::ptrdiff_t>(i++)].bytes;
  }
  const std::size_t line_begin = top[-1 - static_cast<std::ptrdiff_t>(i)].offset;
  found.scan = {.events = i, .body_bytes = body_bytes, .line_begin = line_begin};
  found.too_long = true;
}

/// Marks a piece of the line at begin_, which is too long. REQUIRES: room for an event.
void LineReader::cut() {
  if (!cutting_) warn_of_cut();
  cutting_ = true;
  outlet_.builder().mark(begin_, options_.line_bytes_max);
  begin_ += options_.line_bytes_max;
  scan_from_ = std::max(scan_from_, begin_);
}

/// Said at the first, second, fourth, ... line.
void LineReader::warn_of_cut() {
  ++cut_lines_;
  if ((cut_lines_ & (cut_lines_ - 1)) != 0) return;
  log::warn(
      "{}: a line is longer than {} bytes and is cut into events of that size ({} such lines "
      "since the start)",
      outlet_.name(), options_.line_bytes_max, cut_lines_);
}

Status LineReader::finish(const std::stop_token& stop) {
  BatchBuilder& builder = outlet_.builder();
  if (options_.groups) {
    if (Status status = take(InputEnd::Over, stop); !status.ok()) return status;
  }
  after_return_ = cutting_ = false;
  group_lines_ = 0;
  const std::size_t bytes = builder.position() - begin_;
  if (bytes == 0) return {};
  if (Status status = make_room(stop); !status.ok()) return status;
  builder.mark(begin_, bytes);
  begin_ = scan_from_ = builder.position();
  return outlet_.put(stop);
}

std::size_t LineReader::drop_unfinished() noexcept {
  BatchBuilder& builder = outlet_.builder();
  const std::size_t bytes = builder.position() - begin_;
  if (bytes > 0) builder.rewind(begin_);
  after_return_ = cutting_ = false;
  group_lines_ = 0;
  begin_ = scan_from_ = builder.position();
  return bytes;
}

void LineReader::close() {
  after_return_ = cutting_ = false;
  group_lines_ = 0;
  begin_ = scan_from_ = 0;
  outlet_.close();
}

}  // namespace sluice
