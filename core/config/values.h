// What the text of a value means: numbers with suffixes, durations, sizes, lists.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/config/component.h"

namespace sluice {

/// Errors of all parsers: Invalid, with a sentence that quotes the text.

/// "1000", "-1", "10k", "2M", "1G" (powers of ten).
Result<std::int64_t> parse_integer(std::string_view text);
/// "true" or "false" in any case.
Result<bool> parse_boolean(std::string_view text);
/// "500", "500ms", "10 s", "5m", "1h", "7d"; a bare number counts in `unit`. -1 and other negative
/// bare numbers are kept: several of Flume's keys use them for "never".
Result<std::chrono::milliseconds> parse_duration(std::string_view text,
                                                 std::chrono::milliseconds unit);
/// "1024", "64k", "64KB", "1Mi", "1 MiB", "2G": k M G T are powers of 1000, Ki Mi Gi Ti of 1024.
Result<std::uint64_t> parse_bytes(std::string_view text);
/// "24h", "10GB", "24h 10GB", "0" for neither. Each needs its unit: a bare number would be a guess.
struct TimeOrSize {
  std::chrono::milliseconds time{0};
  std::uint64_t bytes = 0;
};
Result<TimeOrSize> parse_time_or_size(std::string_view text);
/// 0..65535.
Result<std::uint16_t> parse_port(std::string_view text);
/// Words separated by blanks.
std::vector<std::string> parse_list(std::string_view text);
/// The table's spelling of one of the blank-separated `choices`.
Result<std::string_view> parse_choice(std::string_view text, std::string_view choices);

/// Whether `text` is a value that `key` takes: its type, then its bounds.
///
/// Errors: Invalid, with a sentence to put behind the key's name.
Status check_value(const Key& key, std::string_view text);

}  // namespace sluice
