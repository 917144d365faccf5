#include "core/wire/hex_dump.h"

#include <cstddef>
#include <cstdint>

namespace sluice {
namespace {

constexpr std::size_t row_bytes = 16;
constexpr char digits[] = "0123456789ABCDEF";

void append_offset(std::string& out, std::size_t offset) {
  for (int shift = 28; shift >= 0; shift -= 4) out += digits[(offset >> shift) & 0xF];
}

void append_row(std::string& out, std::string_view row) {
  out += ' ';
  for (const char c : row) {
    const auto byte = static_cast<std::uint8_t>(c);
    out += digits[byte >> 4];
    out += digits[byte & 0xF];
    out += ' ';
  }
  out.append(3 * (row_bytes - row.size()), ' ');
  for (const char c : row) out += c >= ' ' && c <= '~' ? c : '.';
}

}  // namespace

void append_hex_dump(std::string& out, std::string_view bytes) {
  for (std::size_t offset = 0; offset < bytes.size(); offset += row_bytes) {
    if (offset > 0) {
      out += '\n';
      append_offset(out, offset);
    }
    append_row(out, bytes.substr(offset, row_bytes));
  }
}

}  // namespace sluice
