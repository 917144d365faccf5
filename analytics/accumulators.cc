#include "analytics/accumulators.h"

#include <xxhash.h>

#include <bit>
#include <cstring>
#include <limits>

namespace sluice::analytics {
namespace {

constexpr std::size_t header_bytes = sizeof(std::uint64_t);
constexpr std::size_t room_min = 24;

std::uint64_t room_of(const char* block) noexcept {
  std::uint64_t room = 0;
  std::memcpy(&room, block, header_bytes);
  return room;
}

/// Half as much again, so that ever longer texts do not cost an allocation each.
std::uint64_t room_for(std::string_view text) noexcept {
  return std::max(room_min, text.size() + text.size() / 2);
}

}  // namespace

std::string_view OwnedText::view() const noexcept { return {block_ + header_bytes, bytes_}; }

std::uint64_t OwnedText::growth(std::string_view text) const noexcept {
  if (block_ == nullptr) return header_bytes + room_for(text);
  return room_of(block_) < text.size() ? room_for(text) - room_of(block_) : 0;
}

void OwnedText::assign(std::string_view text, AccumulatorContext& context) {
  if (block_ == nullptr || room_of(block_) < text.size()) {
    destroy(context);
    const std::uint64_t room = room_for(text);
    block_ = new char[header_bytes + room];
    std::memcpy(block_, &room, header_bytes);
    context.owned_bytes += header_bytes + room;
  }
  if (!text.empty()) std::memcpy(block_ + header_bytes, text.data(), text.size());
  bytes_ = text.size();
}

void OwnedText::destroy(AccumulatorContext& context) noexcept {
  if (block_ == nullptr) return;
  context.owned_bytes -= header_bytes + room_of(block_);
  delete[] block_;
  block_ = nullptr;
  bytes_ = 0;
}

std::size_t Collected::bytes_with(std::string_view text) const noexcept {
  const auto bits = static_cast<std::size_t>(std::bit_width(text.size() | 1));
  const std::size_t needed = texts.size() + (bits + 6) / 7 + text.size();
  return needed <= texts.capacity() ? texts.capacity() : std::max(2 * texts.capacity(), needed);
}

void Collected::add(std::string_view text) {
  texts.reserve(bytes_with(text));
  put_text(text, texts);
  ++count;
}

void Collected::add_some(const Collected& from, std::size_t limit) {
  std::string_view rest = from.texts;
  std::string_view text;
  while (count < limit && take_text(rest, text)) add(text);
}

std::string_view Collected::list(TextArena& arena) const {
  // A length before each text takes a byte at least, and ", " takes two.
  char* const begin = arena.room(texts.size() + count + 2);
  char* end = begin;
  *end++ = '[';
  std::string_view rest = texts;
  std::string_view text;
  for (bool is_first = true; take_text(rest, text); is_first = false) {
    if (!is_first) {
      *end++ = ',';
      *end++ = ' ';
    }
    if (!text.empty()) std::memcpy(end, text.data(), text.size());
    end += text.size();
  }
  *end++ = ']';
  return {begin, static_cast<std::size_t>(end - begin)};
}

void Collected::encode(std::string& out) const {
  put_number(count, out);
  out.append(texts);
}

bool Collected::decode(std::string_view& in, std::size_t limit) {
  std::uint64_t wanted = 0;
  if (!take_number(in, wanted)) return false;
  std::string_view text;
  for (std::uint64_t i = 0; i < wanted; ++i) {
    if (!take_text(in, text)) return false;
    if (count < limit) add(text);  // It may have been saved under a higher one.
  }
  return true;
}

std::uint64_t hash_of(std::uint64_t bits) noexcept {
  // The finalizer of SplitMix64: every int has a hash of its own.
  bits += 0x9e3779b97f4a7c15;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

std::uint64_t hash_of(std::string_view text) noexcept {
  return XXH3_64bits(text.data(), text.size());
}

std::uint64_t hash_of(double value) noexcept {
  if (value == 0) value = 0;
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  return hash_of(std::bit_cast<std::uint64_t>(value));
}

}  // namespace sluice::analytics
