#include "sources/position_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>

namespace sluice {
namespace {

void append_quoted(std::string& text, std::string_view value) {
  text += '"';
  for (const char c : value) {
    if (c == '"' || c == '\\') {
      (text += '\\') += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escaped{};
      std::snprintf(escaped.data(), escaped.size(), "\\u%04x", static_cast<unsigned>(c));
      text += escaped.data();
    } else {
      text += c;
    }
  }
  text += '"';
}

void append_utf8(std::string& text, unsigned code) {
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    text += static_cast<char>(0xE0 | code >> 12);
    text += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
}

/// Just enough JSON: a list of flat objects.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  bool take(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }
  std::optional<std::string> string();
  std::optional<std::uint64_t> number();
  /// The value is `true`; it is not taken.
  bool is_true() {
    skip_blanks();
    return rest_.starts_with("true");
  }
  /// A value of any kind but lists and objects.
  bool skip_value() {
    skip_blanks();
    if (!rest_.empty() && rest_.front() == '"') return string().has_value();
    const std::size_t end = rest_.find_first_of(",}]");
    if (end == 0 || end == std::string_view::npos) return false;
    rest_.remove_prefix(end);
    return true;
  }

 private:
  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
  }
  bool escape(std::string& into);
  std::string_view rest_;
};

std::optional<std::uint64_t> Reader::number() {
  skip_blanks();
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  if (error != std::errc()) return std::nullopt;
  rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
  return value;
}

std::optional<std::string> Reader::string() {
  if (!take('"')) return std::nullopt;
  std::string value;
  while (!rest_.empty()) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '"') return value;
    if (c != '\\') {
      value += c;
    } else if (!escape(value)) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

bool Reader::escape(std::string& into) {
  if (rest_.empty()) return false;
  constexpr std::string_view names = "bfnrt";
  constexpr std::string_view values = "\b\f\n\r\t";
  const char c = rest_.front();
  rest_.remove_prefix(1);
  if (c == 'u') {
    unsigned code = 0;
    if (rest_.size() < 4) return false;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, code, 16);
    if (error != std::errc() || end != rest_.data() + 4) return false;
    rest_.remove_prefix(4);
    append_utf8(into, code);
    return true;
  }
  const std::size_t at = names.find(c);
  into += at == std::string_view::npos ? c : values[at];
  return true;
}

/// The members of one object, behind its brace.
std::optional<FilePosition> read_entry(Reader& reader, bool& alone) {
  FilePosition flume;
  std::optional<FilePosition> ours;
  do {
    const auto name = reader.string();
    if (!name || !reader.take(':')) return std::nullopt;
    if (*name == "inode" || *name == "pos") {
      const auto value = reader.number();
      if (!value) return std::nullopt;
      (*name == "inode" ? flume.identity.inode : flume.mark.offset) = *value;
    } else if (*name == "file" || *name == "sluice") {
      auto value = reader.string();
      if (!value) return std::nullopt;
      if (*name == "sluice") ours = decode_position(*value);
      if (*name == "file") flume.path = *std::move(value);
    } else {
      alone = alone || (*name == "alone" && reader.is_true());
      if (!reader.skip_value()) return std::nullopt;
    }
  } while (reader.take(','));
  if (!reader.take('}')) return std::nullopt;
  const bool edited = ours && (ours->identity.inode != flume.identity.inode ||
                               ours->mark.offset != flume.mark.offset);
  if (ours && !edited) return ours;
  flume.id = random_id();
  return flume;
}

}  // namespace

std::string position_file_text(const PositionFile& file) {
  std::string text = "[";
  for (const FilePosition& position : file.positions) {
    if (text.size() > 1) text += ",\n";
    text += "{\"inode\":" + std::to_string(position.identity.inode) +
            ",\"pos\":" + std::to_string(position.mark.offset) + ",\"file\":";
    append_quoted(text, position.path);
    text += ",\"sluice\":";
    append_quoted(text, encode(position));
    if (file.alone) text += ",\"alone\":true";
    text += '}';
  }
  return text + "]\n";
}

Result<PositionFile> parse_position_file(std::string_view text) {
  Reader reader(text);
  PositionFile file;
  const Status bad = Reject("it is no list of positions");
  if (!reader.take('[')) return bad;
  if (reader.take(']')) return file;
  do {
    auto entry = reader.take('{') ? read_entry(reader, file.alone) : std::nullopt;
    if (!entry) return bad;
    file.positions.push_back(*std::move(entry));
  } while (reader.take(','));
  if (!reader.take(']') || !reader.at_end()) return bad;
  return file;
}

Status write_position_file(FileSystem& files, const std::string& path, std::string_view text) {
  const std::string fresh = path + ".new";
  auto file = files.create(fresh, true);
  if (!file.ok()) return file.status();
  if (Status status = (*file)->truncate(0); !status.ok()) return status;
  const iovec piece{const_cast<char*>(text.data()), text.size()};
  if (Status status = (*file)->append({&piece, 1}); !status.ok()) return status;
  if (Status status = (*file)->sync(); !status.ok()) return status;
  if (Status status = files.rename(fresh, path); !status.ok()) return status;
  return files.sync_directory(path.substr(0, path.rfind('/') + 1));
}

}  // namespace sluice
