#include "core/config/diagnostics.h"

#include <algorithm>
#include <cstddef>

namespace sluice {

std::string_view to_string(Severity severity) noexcept {
  switch (severity) {
    case Severity::Note: return "note";
    case Severity::Warning: return "warning";
    case Severity::Error: return "error";
  }
  return "error";
}

bool has_errors(const std::vector<Diagnostic>& diagnostics) noexcept {
  return std::any_of(diagnostics.begin(), diagnostics.end(),
                     [](const Diagnostic& each) { return each.severity == Severity::Error; });
}

std::string printable(std::string_view text, std::size_t length_max) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (result.size() >= length_max && (byte & 0xC0) != 0x80) {
      result += "...";
      break;
    }
    // C1 controls (U+0080..U+009F) steer terminals as well; in UTF-8 they are C2 80 .. C2 9F.
    const bool c1 =
        byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || c1) {
      const unsigned char shown = c1 ? static_cast<unsigned char>(text[++i]) : byte;
      result += "\\x";
      result += kHex[shown >> 4];
      result += kHex[shown & 15];
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string in_quotes(std::string_view text) {
  std::string result = printable(text, 120);
  result.insert(result.begin(), '\'');
  result += '\'';
  return result;
}

}  // namespace sluice
