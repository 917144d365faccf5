// Numbers in the bytes of saved state: of accumulators and of sketches.
//
// Every take_...() reads off the front of `in` and returns false, with `in` unspecified, when that
// is not there; none of them trusts what it reads.
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::analytics {

/// Seven bits a byte, least first; one byte for what is below 128, ten at most.
inline void put_number(std::uint64_t number, std::string& out) {
  while (number >= 0x80) {
    out.push_back(static_cast<char>(number | 0x80));
    number >>= 7;
  }
  out.push_back(static_cast<char>(number));
}

inline bool take_number(std::string_view& in, std::uint64_t& number) {
  number = 0;
  for (unsigned shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    if (shift == 63 && byte > 1) return false;  // More than 64 bits.
    number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/// Zigzag: small magnitudes of either sign take few bytes.
inline void put_signed(std::int64_t number, std::string& out) {
  put_number((static_cast<std::uint64_t>(number) << 1) ^ static_cast<std::uint64_t>(number >> 63),
             out);
}

inline bool take_signed(std::string_view& in, std::int64_t& number) {
  std::uint64_t zigzag = 0;
  if (!take_number(in, zigzag)) return false;
  number = static_cast<std::int64_t>((zigzag >> 1) ^ (0 - (zigzag & 1)));
  return true;
}

/// Eight bytes, least first.
inline void put_double(double number, std::string& out) {
  const auto bits = std::bit_cast<std::uint64_t>(number);
  for (unsigned shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(bits >> shift));
}

inline bool take_double(std::string_view& in, double& number) {
  if (in.size() < 8) return false;
  std::uint64_t bits = 0;
  for (unsigned i = 0; i < 8; ++i) {
    bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(in[i])) << (8 * i);
  }
  in.remove_prefix(8);
  number = std::bit_cast<double>(bits);
  return true;
}

/// One byte, which must be at most `max`.
inline bool take_byte(std::string_view& in, unsigned max, unsigned& byte) {
  if (in.empty() || static_cast<unsigned char>(in.front()) > max) return false;
  byte = static_cast<unsigned char>(in.front());
  in.remove_prefix(1);
  return true;
}

/// A length and so many bytes; the view is into `in`.
inline void put_text(std::string_view text, std::string& out) {
  put_number(text.size(), out);
  out.append(text);
}

inline bool take_text(std::string_view& in, std::string_view& text) {
  std::uint64_t bytes = 0;
  if (!take_number(in, bytes) || bytes > in.size()) return false;
  text = in.substr(0, bytes);
  in.remove_prefix(bytes);
  return true;
}

}  // namespace sluice::analytics
