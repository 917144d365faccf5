// One life of one file: what it is recognised by, and how far it was read.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/input_file.h"
#include "core/event/headers.h"
#include "core/wire/avro_schema.h"
#include "sources/line_groups.h"

namespace sluice {

/// FNV-1a: small, and goes on where it stopped. It tells files apart, it keeps nobody out.
constexpr std::uint64_t hash_basis = 0xcbf29ce484222325U;
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t from = hash_basis) noexcept;

/// The first bytes of a file, as many as were read of it and at most `bytes_max`.
struct FileHead {
  static constexpr std::uint32_t bytes_max = 1024;
  std::uint32_t bytes = 0;
  std::uint64_t hash = hash_basis;
};

inline bool born_apart(const FileIdentity& a, const FileIdentity& b) noexcept {
  return a.birth_ns != 0 && b.birth_ns != 0 && a.birth_ns != b.birth_ns;
}
/// The directory of an absolute path, without a slash behind it; empty for the root.
inline std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// What stands at the beginning of a file, to be compared with heads.
class FileBeginning {
 public:
  /// Errors: as read_held().
  static Result<FileBeginning> read(InputFile& file);
  bool holds(const FileHead& head) const noexcept {
    return head.bytes < hashes_.size() && hashes_[head.bytes] == head.hash;
  }
  std::string_view bytes() const noexcept { return bytes_; }

 private:
  std::string bytes_;
  std::vector<std::uint64_t> hashes_{hash_basis};  ///< Of its first bytes, by their number.
};

/// A place in a file, and what stands right before it.
struct FileMark {
  static constexpr std::uint32_t tail_bytes_max = 256;
  std::uint64_t offset = 0;
  std::uint32_t tail_bytes = 0;
  std::uint64_t tail_hash = hash_basis;

  friend bool operator==(const FileMark&, const FileMark&) = default;
};

/// All that is kept of a generation from one start to the next.
struct FilePosition {
  std::string id;  ///< Random, 32 hexadecimal digits: its name in the store.
  FileIdentity identity;
  std::string path;
  FileHead head;
  FileMark mark;
  /// Where there are several stores, what the one that is ahead has of the file; not kept itself.
  FileMark furthest = {};
};

/// "1 <id> <device> ...": version first, path last. Grammar: docs/formats/file-positions.md.
std::string encode(const FilePosition& position);
/// Nothing when the text is not what encode() writes.
std::optional<FilePosition> decode_position(std::string_view text);

/// As InputFile::read_at(), but with Retry where the file has gone from under its handle: Closed
/// would say that the agent stops.
Result<std::size_t> read_held(InputFile& file, std::uint64_t offset, std::span<char> into);

/// 128 random bits in hexadecimal digits.
std::string random_id();

/// A file from when it came (or was truncated) until it goes: the bytes of a generation only grow.
///
/// Belongs to a FileFollower, whose thread alone touches it.
struct FileGeneration {
  FilePosition at;     ///< `mark` is how far it was read; its hash is made by mark().
  FileMark delivered;  ///< Everything before it has arrived. Kept up to date by the source.
  std::uint64_t number = 0;
  std::size_t group = 0;
  HeaderBlock headers;
  std::unique_ptr<InputFile> file;           ///< Null while nothing is to be read.
  std::shared_ptr<const AvroSchema> schema;  ///< The file holds datums of it; null: lines.

  std::uint64_t size_seen = 0;
  std::int64_t modified_seen = 0;
  std::uint64_t size_compared = 0;  ///< What the system said when bytes were compared last.
  std::int64_t modified_compared = 0;
  std::uint64_t hole = 0;       ///< While offset() is 0: NULs that stand before the first line.
  std::uint64_t looked_to = 0;  ///< No event ends in [mark.offset, looked_to).
  std::uint64_t size_held = 0;  ///< The bytes before it are its own: compared or read since.
  SteadyTime active{};          ///< When it last grew.
  bool named = false;           ///< A name that matches leads to it.
  bool checked = false;         ///< Its bytes were compared (or read) by this process.
  bool queued = false;          ///< Waits for its turn to be read.
  bool quiet = false;           ///< Its last group of lines has waited long enough for more.
  bool aside = false;           ///< It could not be read, or compared, when that was tried last.
  bool closed = false;  ///< Gone and read to its end: its last line is one without a line feed.

  std::uint64_t offset() const noexcept { return at.mark.offset; }
  /// Where the first line that was not read begins.
  std::uint64_t next_line() const noexcept { return std::max(offset(), hole); }
  bool has_unread() const noexcept {
    return size_seen > (quiet ? offset() : std::max(offset(), looked_to));
  }
  /// What may still be written behind what is there.
  InputEnd end() const noexcept {
    return closed ? InputEnd::Over : quiet ? InputEnd::Quiet : InputEnd::Open;
  }
  /// The bytes are those of this generation in the file that looks so.
  void compared_with(const FileLook& look) noexcept {
    size_compared = size_held = look.size_bytes;
    modified_compared = look.modified_ns;
  }
  /// These bytes, which stand at offset(), were read.
  void advance(std::string_view bytes);
  /// The place that advance() by these bytes would lead to.
  FileMark mark_behind(std::string_view bytes) const;

  /// True when `from` holds, as far as the marks tell, what was read of this generation, by those
  /// who were further as well.
  /// Errors: Retry, it cannot be read, so that nobody knows.
  Result<bool> is_in(InputFile& from, std::uint64_t size_bytes) const;
  /// True when `bytes`, read at next_line() of the open file before this call, are of this
  /// generation: the file was not truncated and written anew in the meantime. Errors: Retry.
  Result<bool> still_holds(std::string_view bytes) const;
  /// Reads head and tail out of the open file, after a position was taken from elsewhere.
  /// Errors: Retry, Reject (they are not those of the position, or not any more).
  Status learn();
  /// The bytes up to `hole`, which are NULs, were read.
  void pass_hole();

 private:
  static Result<bool> stands_before(const FileMark& mark, InputFile& in);

  std::string tail_;  ///< The bytes before offset(), at most tail_bytes_max.
};

}  // namespace sluice
