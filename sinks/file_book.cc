#include "sinks/file_book.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace sluice {
namespace {

constexpr std::string_view version = "1";
constexpr std::string_view empty_field = "%";

/// A field without blanks and line feeds, whatever a path holds.
void append_field(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  if (!out.empty()) out += ' ';
  if (text.empty()) out += empty_field;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || c == '%' || byte == 0x7f) {
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
}

std::optional<std::string> take_field(std::string_view& line) {
  const std::string_view field = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(field.size() + 1, line.size()));
  if (field.empty()) return std::nullopt;
  std::string text;
  if (field == empty_field) return text;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] != '%') {
      text += field[i];
      continue;
    }
    unsigned byte = 0;
    if (i + 2 >= field.size()) return std::nullopt;
    const auto end = field.data() + i + 3;
    if (std::from_chars(field.data() + i + 1, end, byte, 16).ptr != end) return std::nullopt;
    text += static_cast<char>(byte);
    i += 2;
  }
  return text;
}

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return number;
}

/// PREFIXfiles is how many slots there ever were, PREFIX<slot> a file, PREFIX<slot>/bytes its
/// length.
class NoteBook final : public FileBook {
 public:
  NoteBook(Committer& committer, std::string prefix, std::string spools)
      : committer_(committer), prefix_(std::move(prefix)), spools_(std::move(spools)) {}

  Result<std::vector<BookedFile>> read() override {
    std::vector<BookedFile> all;
    slots_ = number_of<std::uint32_t>(committer_.note(prefix_ + "files").value_or("")).value_or(0);
    for (std::uint32_t slot = 0; slot < slots_; ++slot) {
      const std::optional<std::string> text = committer_.note(key(slot));
      if (!text || text->empty()) continue;
      auto file = decode_booked_file(*text, spools_);
      if (!file) {
        return Retry("the note " + key(slot) + " in the channel's store cannot be read: it is of " +
                     "another release, or damaged");
      }
      file->slot = slot;
      const std::string length = committer_.note(key(slot) + "/bytes").value_or("");
      file->bytes = number_of<std::uint64_t>(length).value_or(0);
      all.push_back(*std::move(file));
    }
    return all;
  }

  Status begin(std::span<const BookedFile> files) override {
    Commit commit(&committer_);
    for (const BookedFile& file : files) {
      slots_ = std::max(slots_, file.slot + 1);
      commit.note({key(file.slot), encode(file, spools_)});
      commit.note({key(file.slot) + "/bytes", std::to_string(file.bytes.value_or(0))});
    }
    commit.note({prefix_ + "files", std::to_string(slots_)});
    for (const std::uint32_t slot : ended_) {
      const bool again = std::any_of(files.begin(), files.end(),
                                     [slot](const BookedFile& file) { return file.slot == slot; });
      if (!again) commit.note({key(slot), ""});
    }
    if (Status status = std::move(commit).wait(); !status.ok()) return status;
    ended_.clear();
    return {};
  }

  std::optional<Note> length(std::uint32_t slot, std::uint64_t bytes) override {
    return Note{key(slot) + "/bytes", std::to_string(bytes)};
  }

  void end(std::uint32_t slot) override { ended_.push_back(slot); }
  Status flush() override { return ended_.empty() ? Status() : begin({}); }

 private:
  std::string key(std::uint32_t slot) const { return prefix_ + std::to_string(slot); }

  Committer& committer_;
  const std::string prefix_;
  const std::string spools_;
  std::uint32_t slots_ = 0;
  std::vector<std::uint32_t> ended_;
};

/// A line for each beginning, "slot file", and each end, "slot"; the last one of a slot counts.
class JournalBook final : public FileBook {
 public:
  JournalBook(FileSystem& files, std::string path, std::string spools)
      : files_(files), path_(std::move(path)), spools_(std::move(spools)) {}

  Result<std::vector<BookedFile>> read() override {
    std::vector<BookedFile> all;
    if (path_.empty()) return all;
    const auto bytes = files_.size_of(path_);
    if (!bytes.ok()) return bytes.status();
    if (!bytes.value()) return all;
    auto text = files_.read(path_, 0, *bytes.value());
    if (!text.ok()) return text.status();
    std::string_view rest = *text;
    // What stands behind the last line feed was torn off while it was written: nothing was in that
    // file yet.
    for (std::size_t end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
      std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      const auto slot = number_of<std::uint32_t>(line.substr(0, line.find(' ')));
      if (!slot) continue;
      std::erase_if(all, [&](const BookedFile& file) { return file.slot == *slot; });
      line.remove_prefix(std::min(line.find(' '), line.size() - 1) + 1);
      if (auto file = decode_booked_file(line, spools_)) {
        file->slot = *slot;
        all.push_back(*std::move(file));
      }
    }
    whole_bytes_ = text->size() - rest.size();
    open_ = all;
    return all;
  }

  Status begin(std::span<const BookedFile> files) override {
    if (path_.empty()) return {};
    std::string lines;
    for (const std::uint32_t slot : ended_) lines += std::to_string(slot) + "\n";
    for (const BookedFile& file : files) {
      lines += std::to_string(file.slot) + " " + encode(file, spools_) + "\n";
    }
    if (Status status = append(lines); !status.ok()) return status;
    for (const std::uint32_t slot : ended_) forget(slot);
    ended_.clear();
    for (const BookedFile& file : files) {
      forget(file.slot);
      open_.push_back(file);
    }
    return {};
  }

  std::optional<Note> length(std::uint32_t, std::uint64_t) override { return std::nullopt; }

  void end(std::uint32_t slot) override {
    if (!path_.empty()) ended_.push_back(slot);
  }
  Status flush() override { return ended_.empty() ? Status() : begin({}); }

 private:
  static constexpr std::uint64_t bytes_max = 1 << 20;

  void forget(std::uint32_t slot) {
    std::erase_if(open_, [slot](const BookedFile& file) { return file.slot == slot; });
  }

  Status append(const std::string& lines) {
    if (!file_) {
      const auto made = files_.make_path(path_.substr(0, path_.rfind('/')));
      if (!made.ok()) return made.status();
      auto opened = files_.open_private(path_);
      if (!opened.ok()) return opened.status();
      file_ = *std::move(opened);
      // A torn line would swallow the next one.
      if (file_->size_bytes() > whole_bytes_ && !file_->truncate(whole_bytes_).ok()) {
        const std::string path = file_->path();
        file_.reset();
        return Retry("cannot cut the torn end of " + path);
      }
    }
    const std::uint64_t good_bytes = file_->size_bytes();
    if (good_bytes > bytes_max) return shorten(lines);
    const iovec piece{const_cast<char*>(lines.data()), lines.size()};
    Status status = file_->append({&piece, 1});
    if (!status.ok() && !file_->truncate(good_bytes).ok()) file_.reset();
    whole_bytes_ = status.ok() ? good_bytes + lines.size() : good_bytes;
    return status;
  }

  /// The same without what is over, under another name first.
  Status shorten(const std::string& lines) {
    std::string text;
    for (const BookedFile& file : open_) {
      text += std::to_string(file.slot) + " " + encode(file, spools_) + "\n";
    }
    text += lines;
    const std::string fresh = path_ + ".new";
    auto opened = files_.open_private(fresh);
    if (!opened.ok()) return opened.status();
    if (Status status = (*opened)->truncate(0); !status.ok()) return status;
    const iovec piece{text.data(), text.size()};
    if (Status status = (*opened)->append({&piece, 1}); !status.ok()) return status;
    if (Status status = files_.rename(fresh, path_); !status.ok()) return status;
    file_ = *std::move(opened);
    whole_bytes_ = text.size();
    return {};
  }

  FileSystem& files_;
  const std::string path_;
  const std::string spools_;
  std::unique_ptr<OutputFile> file_;
  std::uint64_t whole_bytes_ = 0;  ///< Of the journal's lines that are whole.
  std::vector<BookedFile> open_;
  std::vector<std::uint32_t> ended_;
};

}  // namespace

std::string encode(const BookedFile& file, const std::string& spools) {
  std::string line(version);
  const bool there = !spools.empty() && file.spool.starts_with(spools + "/");
  const std::string spool = there ? file.spool.substr(spools.size() + 1) : file.spool;
  for (const std::string* each : {&file.in_use, &file.final_name, &spool, &file.making}) {
    append_field(line, *each);
  }
  return line;
}

std::optional<BookedFile> decode_booked_file(std::string_view line, const std::string& spools) {
  if (take_field(line) != version) return std::nullopt;
  BookedFile file;
  for (std::string* each : {&file.in_use, &file.final_name, &file.spool, &file.making}) {
    auto field = take_field(line);
    if (!field) return std::nullopt;
    *each = *std::move(field);
  }
  if (!line.empty()) return std::nullopt;  // two lines, of which the first was torn
  const bool by_name = !file.spool.empty() && file.spool.find('/') == file.spool.npos;
  if (by_name && !spools.empty()) file.spool.insert(0, spools + "/");
  return file;
}

std::unique_ptr<FileBook> make_note_book(Committer& committer, const std::string& prefix,
                                         const std::string& spools) {
  return std::make_unique<NoteBook>(committer, prefix, spools);
}

std::unique_ptr<FileBook> make_journal_book(FileSystem& files, const std::string& path,
                                            const std::string& spools) {
  return std::make_unique<JournalBook>(files, path, spools);
}

}  // namespace sluice
