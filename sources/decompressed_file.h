// Compressed files, read as what is in them.
#pragma once

#include <memory>
#include <string_view>

#include "core/base/input_file.h"

namespace sluice {

/// True when a file that begins so is gzip or zstd.
bool is_compressed(std::string_view first_bytes) noexcept;

/// The content of the file when its first bytes are those of gzip or zstd, otherwise the file
/// itself. Several members or frames, one behind the other, are one content.
///
/// Offsets of the content count decompressed bytes. Reading on is cheap; reading before the last
/// read's offset, or far behind it, decompresses all that lies before. A file that is damaged or
/// ends too early reads like a shorter one, but a read at the place of the damage is an error:
/// Reject. look() is that of the file. Memory: twice the largest read, and what the codec needs
/// (zstd: at most 128 MiB, so much of its window a file may ask for).
///
/// Errors: as InputFile::read_at() of the file.
Result<std::unique_ptr<InputFile>> decompressed_if_compressed(std::unique_ptr<InputFile> file);

}  // namespace sluice
