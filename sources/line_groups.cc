#include "sources/line_groups.h"

#include <cstring>
#include <utility>

namespace sluice {
namespace {

std::size_t feed_bytes(const LineGroups::Input& input) noexcept {
  return input.decoder == nullptr ? 1 : input.decoder->feed_bytes();
}

/// Where the line that begins at `at` has its line feed; null when it has none.
const char* find_feed(const LineGroups::Input& input, std::size_t at) noexcept {
  const std::string_view rest(input.base + at, input.end - at);
  if (input.decoder != nullptr && !input.decoder->feed_is_ascii()) {
    const std::size_t feed = input.decoder->find_feed(rest);
    return feed == rest.size() ? nullptr : rest.data() + feed;
  }
  return static_cast<const char*>(std::memchr(rest.data(), '\n', rest.size()));
}

/// Ends the group before `end`, which is where a line begins.
void close_group(LineGroups::Scan& scan, const LineGroups::Input& input, IndexEntry* top,
                 std::size_t end) noexcept {
  const std::size_t bytes = end - feed_bytes(input) - scan.group_begin;
  top[-1 - static_cast<std::ptrdiff_t>(scan.events++)] = {
      static_cast<std::uint32_t>(scan.group_begin), static_cast<std::uint32_t>(bytes)};
  scan.body_bytes += bytes;
  scan.group_begin = end;
  scan.lines = 0;
}

}  // namespace

Result<std::shared_ptr<const LineGroups>> LineGroups::make(const Options& options) {
  auto start = JavaPattern::make(options.start_pattern);
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

/// True when the line up to `end`, which comes next, is no part of the group before it.
bool LineGroups::ends_before(const Scan& scan, const Input& input, std::size_t end) const {
  if (scan.lines >= options_.lines_max || end - scan.group_begin > options_.bytes_max) return true;
  const std::string_view line(input.base + scan.scanned_to, end - scan.scanned_to);
  return start_.find(input.decoder == nullptr ? line : input.decoder->utf8(line)) ==
         JavaPattern::Answer::Yes;
}

LineGroups::Scan LineGroups::split(const Input& input, IndexEntry* top,
                                   std::size_t entries_max) const {
  Scan scan{.group_begin = input.begin, .scanned_to = input.scan_from, .lines = input.lines};
  std::size_t& at = scan.scanned_to;
  while (at < input.end && scan.events < entries_max) {
    const char* const feed = find_feed(input, at);
    const std::size_t end =
        feed == nullptr ? input.end : static_cast<std::size_t>(feed - input.base);
    const bool too_long = end - at > input.line_bytes_max;
    if (feed == nullptr && input.then != InputEnd::Over) {
      // Whatever becomes of this line: there may be no room for it in the group.
      const bool full = too_long || end - scan.group_begin > options_.bytes_max;
      if (scan.lines > 0 && (full || input.then == InputEnd::Quiet))
        close_group(scan, input, top, at);
      scan.line_too_long = too_long && scan.lines == 0;
      return scan;
    }
    if (scan.lines > 0 && (too_long || ends_before(scan, input, end))) {
      close_group(scan, input, top, at);
      continue;
    }
    if (too_long) {
      scan.line_too_long = true;
      return scan;
    }
    ++scan.lines;
    at = feed == nullptr ? end : end + feed_bytes(input);
    if (feed == nullptr) return scan;
  }
  const bool over = at == input.end && input.then != InputEnd::Open;
  const bool full = scan.lines >= options_.lines_max;
  if (scan.lines > 0 && scan.events < entries_max && (over || full))
    close_group(scan, input, top, at);
  return scan;
}

}  // namespace sluice
