#include "sources/line_groups.h"

#include <cstring>
#include <utility>

namespace sluice {
namespace {

/// Ends the group before `end`, which is where a line begins.
void close_group(LineGroups::Scan& scan, IndexEntry* top, std::size_t end) noexcept {
  const std::size_t bytes = end - 1 - scan.group_begin;
  top[-1 - static_cast<std::ptrdiff_t>(scan.events++)] = {
      static_cast<std::uint32_t>(scan.group_begin), static_cast<std::uint32_t>(bytes)};
  scan.body_bytes += bytes;
  scan.group_begin = end;
  scan.lines = 0;
}

}  // namespace

Result<std::shared_ptr<const LineGroups>> LineGroups::make(const Options& options) {
  auto start = LinePattern::make(options.start_pattern);
  if (!start.ok()) return start.status();
  return std::shared_ptr<const LineGroups>(new LineGroups(options, *std::move(start)));
}

Result<std::shared_ptr<const LineGroups>> LineGroups::make(const Settings& settings) {
  const std::string key(multiline_start_key.name);
  const std::string pattern = settings.text(key);
  if (pattern.empty()) return std::shared_ptr<const LineGroups>();
  auto groups =
      make({pattern, static_cast<std::uint64_t>(settings.integer(multiline_lines_key.name)),
            settings.bytes(multiline_bytes_key.name)});
  if (!groups.ok()) return groups.status().with_context(key);
  return groups;
}

/// True when the line [at, end) is no part of the group before it.
bool LineGroups::ends_before(const Scan& scan, const char* base, std::size_t at,
                             std::size_t end) const noexcept {
  return scan.lines >= options_.lines_max || end - scan.group_begin > options_.bytes_max ||
         start_.is_in({base + at, end - at});
}

LineGroups::Scan LineGroups::split(const Input& input, IndexEntry* top,
                                   std::size_t entries_max) const noexcept {
  Scan scan{.group_begin = input.begin, .scanned_to = input.scan_from, .lines = input.lines};
  std::size_t& at = scan.scanned_to;
  while (at < input.end && scan.events < entries_max) {
    const char* const feed =
        static_cast<const char*>(std::memchr(input.base + at, '\n', input.end - at));
    const std::size_t end =
        feed == nullptr ? input.end : static_cast<std::size_t>(feed - input.base);
    const bool too_long = end - at > input.line_bytes_max;
    if (feed == nullptr && input.then != InputEnd::Over) {
      // Whatever becomes of this line: there may be no room for it in the group.
      const bool full = too_long || end - scan.group_begin > options_.bytes_max;
      if (scan.lines > 0 && (full || input.then == InputEnd::Quiet)) close_group(scan, top, at);
      scan.line_too_long = too_long && scan.lines == 0;
      return scan;
    }
    if (scan.lines > 0 && (too_long || ends_before(scan, input.base, at, end))) {
      close_group(scan, top, at);
      continue;
    }
    if (too_long) {
      scan.line_too_long = true;
      return scan;
    }
    ++scan.lines;
    at = feed == nullptr ? end : end + 1;
    if (feed == nullptr) return scan;
  }
  const bool over = at == input.end && input.then != InputEnd::Open;
  const bool full = scan.lines >= options_.lines_max;
  if (scan.lines > 0 && scan.events < entries_max && (over || full)) close_group(scan, top, at);
  return scan;
}

}  // namespace sluice
