#include "analytics/word_splitter.h"

#include <algorithm>
#include <cstring>

#include "core/base/nearest_name.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sluice::analytics {
namespace {

template <typename Predicate>
WordSplitter::ByteSet set_of(Predicate is_separator) {
  WordSplitter::ByteSet set{};
  for (unsigned byte = 0; byte < 0x80; ++byte) {
    if (is_separator(byte)) {
      set[byte & 15U] = static_cast<std::uint8_t>(set[byte & 15U] | 1U << (byte >> 4));
    }
  }
  return set;
}

std::string_view view(const char* begin, const char* end) noexcept {
  return {begin, static_cast<std::size_t>(end - begin)};
}

/// The place itself or, if it is within a character, the start of that, at `least` or behind; the
/// end of a text is one.
const char* character_start(const char* place, const char* least,
                            const char* end = nullptr) noexcept {
  while (place > least && place != end && (static_cast<unsigned char>(*place) & 0xC0U) == 0x80U) {
    --place;
  }
  return place;
}

/// Words on their way out of a loop over bytes.
struct Words {
  Cell* out;
  std::size_t found = 0;
  std::size_t max;
  bool keep_empty;

  bool full() const noexcept { return found == max; }
  // Writes first and counts after: whether a word is empty is hard to foretell.
  void add(const char* begin, const char* end) noexcept {
    out[found].text = {begin, static_cast<std::size_t>(end - begin)};
    found += static_cast<std::size_t>(keep_empty || end != begin);
  }
};

/// Behind the last separator of a text: what is left is a word, but behind the line feed of lines.
void end_text(WordSplitter::Cursor& cursor, Words& words) noexcept {
  if (words.full()) return;
  if (!cursor.lines || cursor.at != cursor.end) words.add(cursor.at, cursor.end);
  cursor.at = cursor.end;
  cursor.done = true;
}

}  // namespace

std::variant<WordSplitter, Problem> WordSplitter::make(std::string_view on) {
  constexpr std::string_view names[] = {"space", "whitespace", "ascii-word", "unicode-word"};
  WordSplitter made;
  const auto at_bytes = [&](auto is_separator, Beyond beyond) {
    made.separators_ = set_of(is_separator);
    made.beyond_ = beyond;
  };
  if (on == "space") {
    made.keep_empty_ = true;
    at_bytes([](unsigned byte) { return byte == ' '; }, Beyond::Word);
  } else if (on == "whitespace") {
    at_bytes([](unsigned byte) { return is_space_character(byte); }, Beyond::Unicode);
  } else if (on == "ascii-word") {
    at_bytes([](unsigned byte) { return !is_word_character(byte); }, Beyond::Separator);
  } else if (on == "unicode-word") {
    made.unicode_words_ = true;
    at_bytes([](unsigned byte) { return !is_word_character(byte); }, Beyond::Unicode);
  } else if (on.starts_with("regex:")) {
    auto pattern = JavaPattern::make(std::string(on.substr(6)));
    if (!pattern.ok()) return Problem{6, on.size() - 6, pattern.status().message()};
    made.way_ = Way::Regex;
    made.keep_empty_ = true;
    made.pattern_ = std::make_unique<JavaPattern>(*std::move(pattern));
  } else {
    std::string_view text = on;
    const bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
    if (quoted) text = text.substr(1, text.size() - 2);
    if (text.empty()) return Problem{0, on.size(), "there is nothing to cut at"};
    const std::string_view near =
        quoted ? "" : nearest_name(text, {std::begin(names), std::end(names)});
    if (!near.empty()) {
      return Problem{0, on.size(), "no way to cut is called so",
                     "did you mean '" + std::string(near) +
                         "'? A text to cut at that looks like "
                         "this one stands in \"double quotes\""};
    }
    made.keep_empty_ = true;
    made.text_ = text;
    const auto byte = static_cast<unsigned char>(text.front());
    if (text.size() == 1 && byte < 0x80) {
      at_bytes([&](unsigned each) { return each == byte; }, Beyond::Word);
    } else {
      made.way_ = Way::Text;
    }
  }
  return made;
}

std::size_t WordSplitter::cut(Cursor& cursor, Cell* out, std::size_t max) {
  switch (way_) {
    case Way::Text: return cut_at_text(cursor, out, max);
    case Way::Regex: return cut_at_pattern(cursor, out, max);
    case Way::Bytes: break;
  }
#if defined(__x86_64__)
  static const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                           __builtin_cpu_supports("bmi2");
  if (avx2 && wide_) return cut_bytes_wide(cursor, out, max);
#endif
  return cut_bytes(cursor, out, max);
}

bool WordSplitter::separates(const Character& character) const noexcept {
  if (!character.valid()) return false;
  return unicode_words_ ? !is_word_character(character.code) : is_space_character(character.code);
}

std::size_t WordSplitter::cut_bytes(Cursor& cursor, Cell* out, std::size_t max) const {
  Words words{out, 0, max, keep_empty_};
  for (const char* at = cursor.at; at < cursor.end && !words.full();) {
    const auto byte = static_cast<unsigned char>(*at);
    std::size_t bytes = 1;
    bool separator = in_set(byte) || (cursor.lines && byte == '\n');
    if (byte >= 0x80 && beyond_ == Beyond::Separator) separator = true;
    if (byte >= 0x80 && beyond_ == Beyond::Unicode) {
      const Character character = first_character(view(at, cursor.end));
      bytes = character.bytes;
      separator = separates(character);
    }
    if (separator) {
      words.add(cursor.at, at);
      cursor.at = at + bytes;
    }
    at += bytes;
  }
  end_text(cursor, words);
  return words.found;
}

std::size_t WordSplitter::cut_at_text(Cursor& cursor, Cell* out, std::size_t max) const {
  Words words{out, 0, max, keep_empty_};
  while (!words.full()) {
    const std::string_view rest = view(cursor.at, cursor.end);
    const std::size_t found = rest.find(text_);
    if (found == std::string_view::npos) {
      end_text(cursor, words);
      break;
    }
    words.add(cursor.at, cursor.at + found);
    cursor.at += found + text_.size();
  }
  return words.found;
}

std::size_t WordSplitter::cut_at_pattern(Cursor& cursor, Cell* out, std::size_t max) const {
  // Each look reads what it is shown from end to end, so it is shown no more than it may need: what
  // stands in front decides on ^ and \b, and a separator is not long.
  constexpr std::ptrdiff_t before = 256;
  constexpr std::ptrdiff_t behind = 16 * 1024;
  Words words{out, 0, max, keep_empty_};
  const char* from = cursor.at;
  while (!words.full()) {
    const char* const shown =
        character_start(from - std::min(before, from - cursor.text), cursor.text);
    const char* const shown_end =
        character_start(from + std::min(behind, cursor.end - from), from, cursor.end);
    JavaPattern::Range where;
    const auto found =
        pattern_->find(view(shown, shown_end), static_cast<std::size_t>(from - shown), where);
    const bool goes_on = shown + where.end == shown_end && shown_end < cursor.end;
    if (found == JavaPattern::Answer::Yes && goes_on && shown + where.begin > from) {
      from = shown + where.begin;  // more of it may follow
    } else if (found == JavaPattern::Answer::Yes && where.end > where.begin) {
      words.add(cursor.at, shown + where.begin);
      from = cursor.at = shown + where.end;
    } else if (found == JavaPattern::Answer::Yes && shown + where.end < shown_end) {
      from = shown + where.end + 1;  // a match of nothing separates nothing
    } else if (shown_end < cursor.end && shown_end > from) {
      from = shown_end;
    } else {
      end_text(cursor, words);
      break;
    }
  }
  return words.found;
}

#if defined(__x86_64__)
#define SLUICE_AVX2 __attribute__((target("avx2,bmi,bmi2"), always_inline)) inline

namespace {

/// Bits for 64 bytes: which are in the set, and which are beyond ASCII.
struct Look {
  std::uint64_t separators;
  std::uint64_t beyond;
};

/// Which of 32 bytes are in the set. Bytes from 0x80 on are not: their high half has no bit.
SLUICE_AVX2 std::uint32_t in_set_of(__m256i bytes, __m256i rows, __m256i bits) noexcept {
  const __m256i low_half = _mm256_set1_epi8(0x0F);
  const __m256i row = _mm256_shuffle_epi8(rows, _mm256_and_si256(bytes, low_half));
  const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), low_half);
  const __m256i bit = _mm256_shuffle_epi8(bits, high);
  const __m256i none = _mm256_cmpeq_epi8(_mm256_and_si256(row, bit), _mm256_setzero_si256());
  return ~static_cast<std::uint32_t>(_mm256_movemask_epi8(none));
}

SLUICE_AVX2 Look look_at(const char* block, __m256i rows, __m256i bits) noexcept {
  const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block));
  const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32));
  const std::uint64_t separators =
      std::uint64_t{in_set_of(high, rows, bits)} << 32 | in_set_of(low, rows, bits);
  const auto beyond_low = static_cast<std::uint32_t>(_mm256_movemask_epi8(low));
  const auto beyond_high = static_cast<std::uint32_t>(_mm256_movemask_epi8(high));
  return {separators, std::uint64_t{beyond_high} << 32 | beyond_low};
}

}  // namespace

__attribute__((target("avx2,bmi,bmi2"))) std::size_t WordSplitter::cut_bytes_wide(
    Cursor& cursor, Cell* out, std::size_t max) const {
  ByteSet set = separators_;
  if (cursor.lines) set['\n' & 15] = static_cast<std::uint8_t>(set['\n' & 15] | 1U << ('\n' >> 4));
  const __m256i rows =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(set.data())));
  const __m256i bits = _mm256_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2,
                                        4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
  constexpr std::size_t slow_words = 8;
  Words words{out, 0, max, keep_empty_};
  const char* begin = cursor.at;
  for (const char* at = begin; at < cursor.end; at += 64) {
    const auto left = static_cast<std::size_t>(cursor.end - at);
    alignas(32) char tail[64];
    const char* block = at;
    if (left < 64) {
      std::memcpy(tail, at, left);
      std::memset(tail + left, 'a', 64 - left);
      block = tail;
    }
    Look look = look_at(block, rows, bits);
    if (left < 64) look.separators &= (std::uint64_t{1} << left) - 1;
    if (beyond_ == Beyond::Separator) look.separators |= look.beyond;
    if (look.beyond != 0 && beyond_ == Beyond::Unicode) {
      // The rest, character by character, as far as this block reaches and its last word goes on.
      Cursor slow{begin, cursor.end, false, cursor.lines, cursor.text};
      words.found +=
          cut_bytes(slow, out + words.found, std::min(words.max - words.found, slow_words));
      begin = slow.at;
      at = begin - 64;
      if (words.full() || slow.done) {
        cursor.at = begin;
        cursor.done = slow.done;
        return words.found;
      }
      continue;
    }
    for (std::uint64_t rest = look.separators; rest != 0; rest &= rest - 1) {
      if (words.full()) break;
      const char* const end = at + __builtin_ctzll(rest);
      words.add(begin, end);
      begin = end + 1;
    }
    if (words.full()) break;
  }
  cursor.at = begin;
  end_text(cursor, words);
  return words.found;
}
#else
std::size_t WordSplitter::cut_bytes_wide(Cursor& cursor, Cell* out, std::size_t max) const {
  return cut_bytes(cursor, out, max);
}
#endif

}  // namespace sluice::analytics
