// Hadoop's numbers of variable length (WritableUtils): one byte for -112 to 127, up to nine else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

constexpr std::size_t hadoop_vint_bytes_max = 9;

/// Writes `value` to `to`, where hadoop_vint_bytes_max bytes have room; returns how many it used.
std::size_t write_hadoop_vint(std::int64_t value, char* to) noexcept;

void append_hadoop_vint(std::int64_t value, std::string& out);

/// Takes a number from the front of `bytes`. False, and nothing taken, when they end within it; any
/// nine bytes begin with a number.
bool take_hadoop_vint(std::string_view& bytes, std::int64_t& value) noexcept;

}  // namespace sluice
