// Joins lines that belong together, as a stack trace does, without moving them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/base/java_pattern.h"
#include "core/config/settings.h"
#include "core/event/batch.h"
#include "core/wire/text_decoder.h"

namespace sluice {

/// What may still come behind the bytes that were read.
enum class InputEnd : unsigned char {
  Open,   ///< More: an unfinished line and the last group of lines wait for it.
  Quiet,  ///< Nothing that belongs to the last group; an unfinished line still waits.
  Over,   ///< Nothing: what stands behind the last line feed is a line too.
};

/// A group is a line, and the lines behind it that do not match the start pattern. It has bounds:
/// the line that would break one begins another group. A line in which the pattern would be looked
/// for for ever begins none. Immutable; one thread at a time.
class LineGroups {
 public:
  struct Options {
    std::string start_pattern;
    std::uint64_t lines_max = 500;
    std::size_t bytes_max = 1 << 20;  ///< A single line may be longer.
  };
  /// Errors: Invalid (the pattern).
  static Result<std::shared_ptr<const LineGroups>> make(const Options& options);
  /// Of a source's `multiline.*` keys; null when it has no start pattern.
  static Result<std::shared_ptr<const LineGroups>> make(const Settings& settings);

  /// Where to look. Offsets count from `base`.
  struct Input {
    const char* base = nullptr;
    std::size_t begin = 0;      ///< Where the first group begins.
    std::size_t scan_from = 0;  ///< [begin, scan_from) was seen before: whole lines, one group.
    std::uint64_t lines = 0;    ///< Their number.
    std::size_t end = 0;
    InputEnd then = InputEnd::Open;
    std::size_t line_bytes_max = 0;
    TextDecoder* decoder = nullptr;  ///< Of the bytes; null: they are UTF-8.
  };
  struct Scan {
    std::size_t events = 0;
    std::uint64_t body_bytes = 0;
    std::size_t group_begin = 0;  ///< Of the unfinished group; `end` when there is none.
    std::size_t scanned_to = 0;   ///< Where its whole lines end; with Over: `end`.
    std::uint64_t lines = 0;      ///< Of the unfinished group, up to there.
    /// The line at group_begin is longer than line_bytes_max; what is behind was not looked at.
    bool line_too_long = false;
  };
  /// Writes an entry for each group that has ended downwards from `top`: entry i to top[-1-i]. A
  /// body reaches from the first line to before the last line's feed; the next one begins behind.
  ///
  /// With Over, a rest without a line feed is left to the caller: [group_begin, end) is one event.
  Scan split(const Input& input, IndexEntry* top, std::size_t entries_max) const;

  std::size_t bytes_max() const noexcept { return options_.bytes_max; }

 private:
  LineGroups(Options options, JavaPattern start)
      : options_(std::move(options)), start_(std::move(start)) {}
  bool ends_before(const Scan& scan, const Input& input, std::size_t end) const;

  const Options options_;
  const JavaPattern start_;
};

/// Keys of every source that groups lines.
inline constexpr Key multiline_start_key{
    .name = "multiline.startPattern",
    .meaning =
        "Join lines to one event, such as a stack trace: a line in which this regular "
        "expression (Java's syntax) is found begins an event, all others go on with it. "
        "Without it each line is an event. Not in Flume."};
inline constexpr Key multiline_lines_key{
    .name = "multiline.maxLines",
    .type = KeyType::Integer,
    .default_value = "500",
    .meaning = "Most lines of a joined event; the next line begins another.",
    .min = 1,
    .max = 1'000'000};
inline constexpr Key multiline_bytes_key{
    .name = "multiline.maxBytes",
    .type = KeyType::Bytes,
    .default_value = "1Mi",
    .meaning = "Longest joined event; the line that would make it longer begins another.",
    .min = 1,
    .max = 1 << 30};
inline constexpr Key multiline_timeout_key{
    .name = "multiline.timeout",
    .type = KeyType::Millis,
    .default_value = "2000",
    .meaning = "How long the last lines wait for more that belong to them when nothing comes.",
    .min = 1};

}  // namespace sluice
