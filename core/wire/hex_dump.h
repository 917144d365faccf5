// Bytes as hexadecimal rows, in the form of Flume's logger sink.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

/// Appends rows of 16 bytes: a blank, each byte as two upper-case digits and a blank, missing ones
/// as three blanks, then the bytes as ASCII with '.' for what is not printable.
///
/// Rows after the first begin with a line feed and their offset in eight digits. No line feed
/// stands at the end; no bytes append nothing. (Apache Commons' HexDump without the first row's
/// offset.)
void append_hex_dump(std::string& out, std::string_view bytes);

}  // namespace sluice
