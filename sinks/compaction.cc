#include "sinks/compaction.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <tuple>
#include <utility>

#include "core/base/fail_point.h"
#include "core/base/file_lock.h"
#include "sinks/compaction_content.h"
#include "sinks/compaction_journal.h"
#include "sinks/compaction_name.h"

namespace sluice {
namespace {

constexpr std::size_t write_bytes = 1 << 20;
constexpr std::size_t journal_bytes_max = 1 << 30;
/// Names of files have 255 bytes; another one for a taken name has some more.
constexpr std::size_t name_bytes_max = 255 - sizeof("-1000");
/// A journal is held in memory and checked whole, and a merge is lost work when it is given up.
constexpr std::size_t files_a_merge_max = 100'000;

std::string random_token() {
  std::random_device random;
  return fmt::format("{:08x}{:04x}", random(), random() & 0xffff);
}

bool is_hidden(std::string_view name) { return name.starts_with(".") || name.starts_with("_"); }

/// Files that may become one.
struct Group {
  ContentFormat format;
  std::vector<Original> files;
};
/// Format, prefix and extension.
using GroupKey = std::tuple<std::string, std::string, std::string>;

/// Writes the part, in pieces of a size that disks like.
class Part {
 public:
  explicit Part(OutputFile& file) : file_(file) {}
  Status write(std::string_view bytes) {
    buffer_ += bytes;
    return buffer_.size() < write_bytes ? Status() : flush();
  }
  Status finish() {
    if (Status status = flush(); !status.ok()) return status;
    return file_.sync();
  }

 private:
  Status flush() {
    const iovec piece{buffer_.data(), buffer_.size()};
    Status status = file_.append({&piece, 1});
    buffer_.clear();
    return status;
  }

  OutputFile& file_;
  std::string buffer_;
};

class Compaction {
 public:
  Compaction(std::string directory, const CompactionOptions& options, FileSystem& files,
             InputFiles& inputs, const Clock& clock, CompactionListener& listener)
      : directory_(std::move(directory)),
        options_(options),
        files_(files),
        inputs_(inputs),
        now_ms_(clock.wall_ms()),
        listener_(listener) {}

  Result<CompactionCounts> run() {
    if (Status status = finish_earlier(); !status.ok()) return status;
    auto entries = inputs_.list(directory_);
    if (!entries.ok()) return entries.status();
    for (const DirectoryEntry& entry : *entries) consider(entry);
    for (auto& [key, group] : groups_) {
      if (Status status = merge_group(group); !status.ok()) return status;
    }
    return counts_;
  }

 private:
  std::string path_of(const std::string& name) const { return directory_ + "/" + name; }

  bool is_old(const FileLook& look) const {
    constexpr std::int64_t ns_a_ms = 1'000'000;
    return look.modified_ns / ns_a_ms <= now_ms_ - milliseconds(options_.age_min).count();
  }

  void leave(const std::string& name, const Status& why) {
    listener_.left(name, why.message(), why.code() != Code::Invalid);
  }

  // ---- what an earlier run has left

  Status finish_earlier() {
    auto entries = inputs_.list(directory_);
    if (!entries.ok()) return entries.status();
    // Journals first, all of them: what has none behind this is rubbish.
    for (const DirectoryEntry& entry : *entries) {
      const std::string& name = entry.name;
      if (!name.starts_with(compaction_prefix) || !name.ends_with(compaction_journal_suffix)) {
        continue;
      }
      if (Status status = finish_journal(name); !status.ok()) return status;
    }
    if (options_.dry_run) return {};
    for (const DirectoryEntry& entry : *entries) {
      if (!entry.name.starts_with(compaction_prefix)) continue;
      if (Status status = remove_rubbish(entry.name); !status.ok()) return status;
    }
    return {};
  }

  Status finish_journal(const std::string& name) {
    auto bytes = read_whole_file(inputs_, path_of(name), journal_bytes_max);
    if (!bytes.ok()) return bytes.status();
    auto journal = decode_compaction_journal(name, *bytes);
    // Its part is the only copy of some records, maybe: nobody but a person can tell.
    if (!journal.ok()) return needs_a_person(journal.status());
    if (options_.dry_run) {
      for (const Original& original : journal->originals) decided_.insert(original.name);
      listener_.finished(journal->final_name, journal->originals.size());
      return {};
    }
    auto finished = finish_merge(directory_, *journal, files_, inputs_);
    if (finished.code() == Code::Reject) return needs_a_person(finished.status());
    if (!finished.ok()) return finished.status();
    if (!finished->name.empty()) listener_.finished(finished->name, journal->originals.size());
    tell_changed(*finished);
    return {};
  }

  Status needs_a_person(const Status& status) const {
    return Retry(directory_ + ": " + status.message() +
                 "; nothing is merged here until it and the .part beside it are moved away");
  }

  void tell_changed(const FinishedMerge& finished) {
    for (const std::string& name : finished.changed) {
      leave(name, Retry("it was changed while it was merged; what it had before is in " +
                        finished.name + " too"));
    }
  }

  Status remove_rubbish(const std::string& name) {
    if (!name.ends_with(compaction_part_suffix) && !name.ends_with(compaction_draft_suffix)) {
      return {};
    }
    auto look = inputs_.look(path_of(name));
    if (!look.ok() && look.code() == Code::Closed) return {};  // It has its last name by now.
    if (!look.ok()) return look.status();
    return is_old(*look) ? files_.remove(path_of(name)) : Status();
  }

  // ---- what may be merged

  void consider(const DirectoryEntry& entry) {
    const std::string& name = entry.name;
    if (is_hidden(name) || entry.symbolic_link || decided_.count(name) > 0) return;
    const std::string path = path_of(name);
    auto look = inputs_.look(path);
    if (!look.ok() && look.code() == Code::Closed) return;
    if (!look.ok()) return leave(name, look.status());
    if (!look->regular) return;
    if (name.ends_with(".tmp")) return count(counts_.in_use);
    if (look->size_bytes == 0) return count(counts_.empty);
    if (look->size_bytes >= options_.size_bytes / 2) return count(counts_.large);
    if (!is_old(*look)) return count(counts_.young);
    if (is_open_for_writing(path)) return count(counts_.in_use);
    auto file = inputs_.open(path);
    if (!file.ok()) return leave(name, file.status());
    auto format = format_of(**file, name);
    if (!format.ok()) return leave(name, format.status());
    const NumberedName parts = parse_numbered_name(name);
    Group& group = groups_[GroupKey(format->key(), parts.prefix, parts.extension)];
    group.format = std::move(*format);
    group.files.push_back({name, look->size_bytes, look->modified_ns});
  }

  static void count(std::uint64_t& counter) { ++counter; }

  Status merge_group(Group& group) {
    std::sort(group.files.begin(), group.files.end(), [](const Original& one, const Original& two) {
      return is_before(one.name, two.name);
    });
    if (group.files.size() == 1) return alone(1);
    std::vector<Original> neighbours;
    std::uint64_t bytes = 0;
    for (Original& file : group.files) {
      if (const Status why = check(file, group.format); !why.ok()) {
        leave(file.name, why);
        continue;
      }
      bytes += file.size_bytes;
      neighbours.push_back(std::move(file));
      if (bytes < options_.size_bytes && neighbours.size() < files_a_merge_max) continue;
      if (Status status = merge(group.format, neighbours, bytes); !status.ok()) return status;
      neighbours.clear();
      bytes = 0;
    }
    if (neighbours.size() < 2) return alone(neighbours.size());
    return merge(group.format, neighbours, bytes);
  }

  Status alone(std::size_t files) {
    counts_.alone += files;
    return {};
  }

  Status check(const Original& original, const ContentFormat& format) {
    auto file = inputs_.open(path_of(original.name));
    if (!file.ok()) return file.status();
    return check_content(**file, format);
  }

  // ---- a merge

  Status merge(const ContentFormat& format, const std::vector<Original>& originals,
               std::uint64_t bytes) {
    const std::string& first = originals.front().name;
    Merge made{first, originals.back().name, originals.size(), bytes, {}, 0};
    made.name = final_name(originals);
    if (made.name.size() > name_bytes_max) {
      leave(first, Invalid("the name of the merged file would be too long: " + made.name));
      return {};
    }
    if (!options_.dry_run) {
      auto done = replace(format, originals, made);
      if (!done.ok() && done.code() == Code::Closed) {
        leave(first, Retry(gave_up(originals) + done.status().message()));
        return {};
      }
      if (!done.ok()) return done.status();
      if (!*done) return {};
    }
    listener_.merged(made);
    return {};
  }

  static std::string gave_up(const std::vector<Original>& originals) {
    return fmt::format("the merge of {} files up to {} is given up, and they stay: ",
                       originals.size(), originals.back().name);
  }

  /// The first of the possible names that is free now; finish_merge() looks again.
  std::string final_name(const std::vector<Original>& originals) {
    constexpr unsigned tries_max = 1000;
    std::uint64_t behind = originals.size() - 1;
    for (const Original& original : originals) behind += parse_numbered_name(original.name).behind;
    std::string name;
    for (unsigned attempt = 0; attempt < tries_max; ++attempt) {
      name = merged_name(originals.front().name, behind, attempt);
      auto taken = files_.size_of(path_of(name));
      if (!taken.ok() || !taken->has_value()) break;
    }
    return name;
  }

  /// Puts the merged file in the place of the others. Errors: Retry; Closed (one of them changed,
  /// so that none of them was touched).
  Result<bool> replace(const ContentFormat& format, const std::vector<Original>& originals,
                       Merge& made) {
    CompactionJournal journal{random_token(), made.name, 0, originals};
    Status status = write_part(format, journal);
    if (status.ok()) status = look_again(originals);
    if (status.ok()) status = write_journal(directory_, journal, files_);
    if (!status.ok()) {
      take_back(journal);
      if (status.code() == Code::Closed) return status;
      return Retry(gave_up(originals) + status.message());
    }
    fail_point(FailPoint::CompactAfterJournal);
    auto finished = finish_merge(directory_, journal, files_, inputs_);
    if (!finished.ok()) {
      return finished.status().with_context(
          "a merge is decided, but not at its end; the next run "
          "finishes it");
    }
    fail_point(FailPoint::CompactAfterAll);
    made.name = finished->name;
    made.bytes_after = journal.part_bytes;
    tell_changed(*finished);
    return true;
  }

  Status write_part(const ContentFormat& format, CompactionJournal& journal) {
    const std::string path = path_of(journal.part_name());
    auto created = files_.create(path, false);
    if (!created.ok()) return Retry(created.status().message());
    fail_point(FailPoint::CompactBeforePart);
    copy_owner(path_of(journal.originals.front().name), path);
    OutputFile& file = **created;
    Part part(file);
    const auto merger =
        ContentMerger::make(format, [&part](std::string_view bytes) { return part.write(bytes); });
    if (Status status = merger->begin(); !status.ok()) return status;
    for (const Original& original : journal.originals) {
      auto input = inputs_.open(path_of(original.name));
      if (!input.ok()) return input.status();
      Status status = merger->add(**input);
      // It was whole a moment ago.
      if (status.code() == Code::Reject || status.code() == Code::Invalid) {
        return Closed(original.name + " has changed: " + status.message());
      }
      if (!status.ok()) return status;
    }
    if (Status status = merger->finish(); !status.ok()) return status;
    if (Status status = part.finish(); !status.ok()) return status;
    journal.part_bytes = file.size_bytes();
    fail_point(FailPoint::CompactAfterPart);
    return {};
  }

  Status look_again(const std::vector<Original>& originals) {
    for (const Original& original : originals) {
      const std::string path = path_of(original.name);
      auto look = inputs_.look(path);
      if (!look.ok()) return look.status();
      if (look->size_bytes != original.size_bytes || look->modified_ns != original.modified_ns) {
        return Closed(original.name + " has changed");
      }
      if (is_open_for_writing(path)) return Closed(original.name + " is open for writing");
    }
    return {};
  }

  /// Nothing has been removed yet. What cannot be taken back the next run finishes or removes; the
  /// journal goes first, because one without a part means nothing.
  void take_back(const CompactionJournal& journal) {
    for (const std::string& name :
         {journal.journal_name(), journal.draft_name(), journal.part_name()}) {
      auto there = files_.size_of(path_of(name));
      if (there.ok() && there->has_value()) static_cast<void>(files_.remove(path_of(name)));
    }
  }

  const std::string directory_;
  const CompactionOptions& options_;
  FileSystem& files_;
  InputFiles& inputs_;
  const std::int64_t now_ms_;
  CompactionListener& listener_;
  std::set<std::string> decided_;  ///< With dry_run: what an earlier merge would remove.
  std::map<GroupKey, Group> groups_;
  CompactionCounts counts_;
};

}  // namespace

Result<CompactionCounts> compact_directory(const std::string& directory,
                                           const CompactionOptions& options, FileSystem& files,
                                           InputFiles& inputs, const Clock& clock,
                                           CompactionListener& listener) {
  return Compaction(directory, options, files, inputs, clock, listener).run();
}

Result<std::vector<std::string>> directories_below(const std::string& directory, InputFiles& inputs,
                                                   std::vector<Status>& unread) {
  std::vector<std::string> found = {directory};
  for (std::size_t next = 0; next < found.size(); ++next) {
    auto entries = inputs.list(found[next]);
    if (!entries.ok() && next == 0) return entries.status();
    if (!entries.ok()) {
      unread.push_back(entries.status());
      continue;
    }
    for (const DirectoryEntry& entry : *entries) {
      if (is_hidden(entry.name) || entry.symbolic_link) continue;
      const std::string path = found[next] + "/" + entry.name;
      auto look = inputs.look(path);
      if (look.ok() && look->directory) found.push_back(path);
    }
  }
  std::sort(found.begin(), found.end(), is_before);
  return found;
}

}  // namespace sluice
