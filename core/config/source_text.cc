#include "core/config/source_text.h"

#include <algorithm>
#include <utility>

namespace sluice {
namespace {

unsigned char byte_at(std::string_view bytes, std::size_t i) noexcept {
  return static_cast<unsigned char>(bytes[i]);
}

/// Length of the well-formed sequence at `i`, or 0.
std::size_t sequence_length(std::string_view bytes, std::size_t i) noexcept {
  const unsigned char lead = byte_at(bytes, i);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char second_min = 0x80;
  unsigned char second_max = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) length = 2;
  if (lead >= 0xE0 && lead <= 0xEF) length = 3;
  if (lead >= 0xF0 && lead <= 0xF4) length = 4;
  if (length == 0 || i + length > bytes.size()) return 0;
  if (lead == 0xE0) second_min = 0xA0;  // shorter forms exist
  if (lead == 0xED) second_max = 0x9F;  // surrogates
  if (lead == 0xF0) second_min = 0x90;
  if (lead == 0xF4) second_max = 0x8F;  // beyond U+10FFFF
  if (byte_at(bytes, i + 1) < second_min || byte_at(bytes, i + 1) > second_max) return 0;
  for (std::size_t j = 2; j < length; ++j) {
    if ((byte_at(bytes, i + j) & 0xC0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

bool is_utf8(std::string_view bytes) noexcept {
  for (std::size_t i = 0; i < bytes.size();) {
    const std::size_t length = sequence_length(bytes, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

std::string latin1_to_utf8(std::string_view bytes) {
  std::string result;
  result.reserve(bytes.size() + bytes.size() / 8);
  for (char c : bytes) append_utf8(result, static_cast<unsigned char>(c));
  return result;
}

void append_utf8(std::string& out, std::uint32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = 0xFFFD;
  const auto put = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::size_t count_characters(std::string_view utf8) noexcept {
  return static_cast<std::size_t>(std::count_if(utf8.begin(), utf8.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

SourceText::SourceText(std::string file, std::string bytes) : file_(std::move(file)) {
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.erase(0, 3);
  was_latin1_ = !is_utf8(bytes);
  text_ = was_latin1_ ? latin1_to_utf8(bytes) : std::move(bytes);
  line_starts_.push_back(0);
  for (std::size_t i = 0; i < text_.size(); ++i) {
    const bool lone_cr = text_[i] == '\r' && (i + 1 == text_.size() || text_[i + 1] != '\n');
    if (text_[i] == '\n' || lone_cr) line_starts_.push_back(i + 1);
  }
}

std::size_t SourceText::line_end(std::size_t index) const noexcept {
  std::size_t end = index + 1 < line_starts_.size() ? line_starts_[index + 1] : text_.size();
  while (end > line_starts_[index] && (text_[end - 1] == '\n' || text_[end - 1] == '\r')) --end;
  return end;
}

Position SourceText::at(std::size_t begin, std::size_t end) const {
  begin = std::min(begin, text_.size());
  const auto after = std::upper_bound(line_starts_.begin(), line_starts_.end(), begin);
  const auto index = static_cast<std::size_t>(after - line_starts_.begin()) - 1;
  const std::size_t start = line_starts_[index];
  end = std::clamp(end, begin, std::max(begin, line_end(index)));
  const std::string_view text = text_;
  Position position;
  position.file = file_;
  position.line = static_cast<std::uint32_t>(index + 1);
  position.column =
      static_cast<std::uint32_t>(count_characters(text.substr(start, begin - start)) + 1);
  position.length = static_cast<std::uint32_t>(count_characters(text.substr(begin, end - begin)));
  return position;
}

std::string_view SourceText::line(std::uint32_t number) const noexcept {
  if (number == 0 || number > line_starts_.size()) return {};
  const std::size_t start = line_starts_[number - 1];
  return std::string_view(text_).substr(start, line_end(number - 1) - start);
}

}  // namespace sluice
