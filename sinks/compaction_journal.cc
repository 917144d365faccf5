#include "sinks/compaction_journal.h"

#include <charconv>
#include <optional>
#include <utility>

#include "core/base/fail_point.h"
#include "core/store/crc32c.h"
#include "sinks/compaction_name.h"

namespace sluice {
namespace {

constexpr std::string_view header = "sluice-compaction 1";
constexpr unsigned name_tries_max = 1000;

void append_field(std::string_view field, std::string& out) {
  out.append(field).push_back('\0');  // The one byte besides '/' that no name has.
}

std::optional<std::string_view> take_field(std::string_view& bytes) {
  const std::size_t end = bytes.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view field = bytes.substr(0, end);
  bytes.remove_prefix(end + 1);
  return field;
}

template <typename Number>
bool take_number(std::string_view& bytes, Number& number) {
  const auto field = take_field(bytes);
  if (!field) return false;
  const char* const end = field->data() + field->size();
  const auto [at, error] = std::from_chars(field->data(), end, number);
  return error == std::errc() && at == end;
}

/// Only what lies in the directory itself.
bool take_name(std::string_view& bytes, std::string& name) {
  const auto field = take_field(bytes);
  if (!field || field->empty() || field->find('/') != std::string_view::npos) return false;
  name = *field;
  return true;
}

std::string in(const std::string& directory, const std::string& name) {
  return directory + "/" + name;
}

/// False: it is another one by now, and stays.
Result<bool> remove_original(const std::string& directory, const Original& original,
                             FileSystem& files, InputFiles& inputs) {
  const std::string path = in(directory, original.name);
  auto look = inputs.look(path);
  if (!look.ok() && look.code() == Code::Closed) return true;
  if (!look.ok()) return look.status();
  if (look->size_bytes != original.size_bytes || look->modified_ns != original.modified_ns) {
    return false;
  }
  if (Status status = files.remove(path); !status.ok()) return status;
  return true;
}

/// A number behind the first original is in the final name, so other names are made of it.
Result<std::string> name_part(const std::string& directory, const CompactionJournal& journal,
                              FileSystem& files) {
  const std::string part = in(directory, journal.part_name());
  const std::uint64_t behind = parse_numbered_name(journal.final_name).behind;
  std::string name = journal.final_name;
  for (unsigned attempt = 1;; ++attempt) {
    const Status status = files.rename_new(part, in(directory, name));
    if (status.ok()) return name;
    if (status.code() != Code::Reject || attempt == name_tries_max) return Retry(status.message());
    name = merged_name(journal.originals.front().name, behind, attempt);
  }
}

}  // namespace

std::string CompactionJournal::part_name() const {
  return std::string(compaction_prefix) + token + std::string(compaction_part_suffix);
}
std::string CompactionJournal::journal_name() const {
  return std::string(compaction_prefix) + token + std::string(compaction_journal_suffix);
}
std::string CompactionJournal::draft_name() const {
  return std::string(compaction_prefix) + token + std::string(compaction_draft_suffix);
}

std::string encode(const CompactionJournal& journal) {
  std::string bytes;
  append_field(header, bytes);
  append_field(journal.final_name, bytes);
  append_field(std::to_string(journal.part_bytes), bytes);
  append_field(std::to_string(journal.originals.size()), bytes);
  for (const Original& original : journal.originals) {
    append_field(original.name, bytes);
    append_field(std::to_string(original.size_bytes), bytes);
    append_field(std::to_string(original.modified_ns), bytes);
  }
  append_field(std::to_string(crc32c(bytes)), bytes);
  return bytes;
}

Result<CompactionJournal> decode_compaction_journal(std::string_view name, std::string_view bytes) {
  const Status damaged = Reject("the journal " + std::string(name) + " is damaged");
  const std::size_t around = compaction_prefix.size() + compaction_journal_suffix.size();
  if (name.size() <= around || !name.starts_with(compaction_prefix)) return damaged;
  CompactionJournal journal;
  journal.token = name.substr(compaction_prefix.size(), name.size() - around);
  std::string_view rest = bytes;
  if (take_field(rest) != header) return damaged;
  std::uint64_t originals = 0;
  if (!take_name(rest, journal.final_name) || !take_number(rest, journal.part_bytes) ||
      !take_number(rest, originals)) {
    return damaged;
  }
  for (; originals > 0; --originals) {
    Original original;
    if (!take_name(rest, original.name) || !take_number(rest, original.size_bytes) ||
        !take_number(rest, original.modified_ns)) {
      return damaged;
    }
    journal.originals.push_back(std::move(original));
  }
  const std::string_view checked = bytes.substr(0, bytes.size() - rest.size());
  std::uint32_t sum = 0;
  if (!take_number(rest, sum) || !rest.empty() || sum != crc32c(checked)) return damaged;
  if (journal.originals.empty()) return damaged;
  return journal;
}

Status write_journal(const std::string& directory, const CompactionJournal& journal,
                     FileSystem& files) {
  // Under another name first: whatever bears a journal's name is a whole one.
  const std::string draft = in(directory, journal.draft_name());
  auto file = files.create(draft, false);
  if (!file.ok()) return Retry(file.status().message());
  std::string bytes = encode(journal);
  const iovec piece{bytes.data(), bytes.size()};
  if (Status status = (*file)->append({&piece, 1}); !status.ok()) return status;
  if (Status status = (*file)->sync(); !status.ok()) return status;
  fail_point(FailPoint::CompactBeforeJournal);
  const std::string name = in(directory, journal.journal_name());
  if (Status status = files.rename(draft, name); !status.ok()) return status;
  return files.sync_directory(directory);
}

Result<FinishedMerge> finish_merge(const std::string& directory, const CompactionJournal& journal,
                                   FileSystem& files, InputFiles& inputs) {
  const std::string journal_path = in(directory, journal.journal_name());
  FinishedMerge finished;
  auto part = files.size_of(in(directory, journal.part_name()));
  if (!part.ok()) return part.status();
  if (!part->has_value()) {
    if (Status status = files.remove(journal_path); !status.ok()) return status;
    return finished;
  }
  if (**part != journal.part_bytes) {
    return Reject(journal.part_name() + " is not as long as its journal says");
  }
  for (const Original& original : journal.originals) {
    auto removed = remove_original(directory, original, files, inputs);
    if (!removed.ok()) return removed.status();
    if (!*removed) finished.changed.push_back(original.name);
    fail_point(FailPoint::CompactBetweenRemovals);
  }
  // Before the part loses its name: without a part no original may come back.
  if (Status status = files.sync_directory(directory); !status.ok()) return status;
  fail_point(FailPoint::CompactBeforeRename);
  auto name = name_part(directory, journal, files);
  if (!name.ok()) return name.status();
  finished.name = std::move(*name);
  fail_point(FailPoint::CompactAfterRename);
  if (Status status = files.sync_directory(directory); !status.ok()) return status;
  if (Status status = files.remove(journal_path); !status.ok()) return status;
  return finished;
}

}  // namespace sluice
