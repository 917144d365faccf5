#include "sources/file_generation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <random>
#include <utility>
#include <vector>

namespace sluice {
namespace {

constexpr std::string_view version = "1";

void append_hex(std::string& text, std::uint64_t value) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
  text.append(digits.data(), end);
}

/// Takes the word up to the next blank off `text`.
std::string_view word(std::string_view& text) {
  const std::size_t end = std::min(text.find(' '), text.size());
  const std::string_view found = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return found;
}

template <typename Number>
bool number(std::string_view& text, Number& value, int base = 10) {
  const std::string_view digits = word(text);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  return error == std::errc() && end == digits.data() + digits.size() && !digits.empty();
}

/// `bytes` bytes at `offset`; shorter when the file is, or damaged there. Errors: Retry.
Result<std::string> read_piece(InputFile& file, std::uint64_t offset, std::size_t bytes) {
  std::string piece(bytes, '\0');
  auto got = read_held(file, offset, piece);
  if (!got.ok() && got.code() != Code::Reject) return got.status();
  piece.resize(got.ok() ? *got : 0);
  return piece;
}

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t from) noexcept {
  constexpr std::uint64_t prime = 0x100000001b3U;
  for (const char c : bytes) from = (from ^ static_cast<unsigned char>(c)) * prime;
  return from;
}

Result<std::size_t> read_held(InputFile& file, std::uint64_t offset, std::span<char> into) {
  auto got = file.read_at(offset, into);
  if (got.code() == Code::Closed) return Retry(got.status().message());
  return got;
}

Result<FileBeginning> FileBeginning::read(InputFile& file) {
  FileBeginning beginning;
  beginning.bytes_.resize(FileHead::bytes_max);
  auto got = read_held(file, 0, beginning.bytes_);
  if (!got.ok()) return got.status();
  beginning.bytes_.resize(*got);
  for (const char& byte : beginning.bytes_) {
    beginning.hashes_.push_back(hash_bytes({&byte, 1}, beginning.hashes_.back()));
  }
  return beginning;
}

std::string random_id() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 4; ++i) {
    std::string digits;
    append_hex(digits, random());
    id.append(8 - digits.size(), '0').append(digits);
  }
  return id;
}

std::string encode(const FilePosition& position) {
  std::string text(version);
  const auto add = [&text](auto value) { text += " " + std::to_string(value); };
  const auto add_hash = [&text](std::uint64_t hash) { append_hex(text += ' ', hash); };
  text += " " + position.id;
  add(position.identity.device);
  add(position.identity.inode);
  add(position.identity.birth_ns);
  add(position.head.bytes);
  add_hash(position.head.hash);
  add(position.mark.offset);
  add(position.mark.tail_bytes);
  add_hash(position.mark.tail_hash);
  return text + " " + position.path;
}

std::optional<FilePosition> decode_position(std::string_view text) {
  FilePosition position;
  if (word(text) != version) return std::nullopt;
  position.id = word(text);
  const bool good =
      number(text, position.identity.device) && number(text, position.identity.inode) &&
      number(text, position.identity.birth_ns) && number(text, position.head.bytes) &&
      number(text, position.head.hash, 16) && number(text, position.mark.offset) &&
      number(text, position.mark.tail_bytes) && number(text, position.mark.tail_hash, 16);
  if (!good || position.id.empty() || position.head.bytes > FileHead::bytes_max ||
      position.mark.tail_bytes > FileMark::tail_bytes_max) {
    return std::nullopt;
  }
  position.path = text;
  return position;
}

void FileGeneration::advance(std::string_view bytes) {
  FileHead& head = at.head;
  if (head.bytes == offset() && head.bytes < FileHead::bytes_max) {
    const auto more = std::min<std::size_t>(FileHead::bytes_max - head.bytes, bytes.size());
    head.hash = hash_bytes(bytes.substr(0, more), head.hash);
    head.bytes += static_cast<std::uint32_t>(more);
  }
  at.mark = mark_behind(bytes);
  const std::size_t last = std::min<std::size_t>(bytes.size(), FileMark::tail_bytes_max);
  tail_.append(bytes.substr(bytes.size() - last));
  if (tail_.size() > FileMark::tail_bytes_max) {
    tail_.erase(0, tail_.size() - FileMark::tail_bytes_max);
  }
  looked_to = std::max(looked_to, offset());
  size_seen = std::max(size_seen, offset());
  checked = true;
}

FileMark FileGeneration::mark_behind(std::string_view bytes) const {
  const std::size_t fresh = std::min<std::size_t>(bytes.size(), FileMark::tail_bytes_max);
  const std::size_t old = std::min<std::size_t>(tail_.size(), FileMark::tail_bytes_max - fresh);
  FileMark mark;
  mark.offset = offset() + bytes.size();
  mark.tail_bytes = static_cast<std::uint32_t>(old + fresh);
  mark.tail_hash = hash_bytes(std::string_view(tail_).substr(tail_.size() - old));
  mark.tail_hash = hash_bytes(bytes.substr(bytes.size() - fresh), mark.tail_hash);
  return mark;
}

Result<bool> FileGeneration::stands_before(const FileMark& mark, InputFile& in) {
  auto tail = read_piece(in, mark.offset - mark.tail_bytes, mark.tail_bytes);
  if (!tail.ok()) return tail.status();
  return tail->size() == mark.tail_bytes && hash_bytes(*tail) == mark.tail_hash;
}

Result<bool> FileGeneration::is_in(InputFile& from, std::uint64_t size_bytes) const {
  if (size_bytes < std::max(offset(), at.furthest.offset) || size_bytes < at.head.bytes) {
    return false;
  }
  auto head = read_piece(from, 0, at.head.bytes);
  if (!head.ok()) return head.status();
  if (head->size() != at.head.bytes || hash_bytes(*head) != at.head.hash) return false;
  auto same = stands_before(at.mark, from);
  if (!same.ok() || !*same || at.furthest.offset <= offset()) return same;
  return stands_before(at.furthest, from);
}

Result<bool> FileGeneration::still_holds(std::string_view bytes) const {
  // A file only grows until it is truncated. So what stood before the bytes when they were read,
  // and still does, vouches for them; at the beginning the first of them do it themselves.
  if (offset() > 0) return is_in(*file, offset() + bytes.size());
  if (hole > 0) {
    auto last = read_piece(*file, hole - 1, 1);
    if (!last.ok()) return last.status();
    if (bytes.starts_with('\0') || *last != std::string(1, 0)) return false;
  }
  const std::string_view first = bytes.substr(0, FileHead::bytes_max);
  auto now = read_piece(*file, next_line(), first.size());
  if (!now.ok()) return now.status();
  return *now == first;
}

Status FileGeneration::learn() {
  if (at.head.bytes == 0) {
    const auto bytes = std::min<std::uint64_t>(FileHead::bytes_max, offset());
    auto head = read_piece(*file, 0, bytes);
    if (!head.ok()) return head.status();
    at.head = {static_cast<std::uint32_t>(head->size()), hash_bytes(*head)};
  }
  const auto bytes = std::min<std::uint64_t>(FileMark::tail_bytes_max, offset());
  auto tail = read_piece(*file, offset() - bytes, bytes);
  if (!tail.ok()) return tail.status();
  if (tail->size() != bytes) return Reject(at.path + " is shorter than its position");
  // It may have been truncated and written anew since somebody compared.
  if (at.mark.tail_bytes == bytes && at.mark.tail_hash != hash_bytes(*tail)) {
    return Reject(at.path + " is not what it was");
  }
  tail_ = *std::move(tail);
  at.mark = mark_behind({});
  if (delivered.offset == offset()) delivered = at.mark;
  checked = true;
  return {};
}

void FileGeneration::pass_hole() {
  const std::string nuls(std::min<std::uint64_t>(FileHead::bytes_max, hole), '\0');
  at.head = {static_cast<std::uint32_t>(nuls.size()), hash_bytes(nuls)};
  tail_ = nuls.substr(0, FileMark::tail_bytes_max);
  at.mark.offset = hole;
  at.mark = mark_behind({});
  checked = true;
}

}  // namespace sluice
