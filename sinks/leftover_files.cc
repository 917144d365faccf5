#include "sinks/leftover_files.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/log.h"
#include "sinks/doubtful_names.h"

namespace sluice {
namespace {

constexpr int name_tries_max = 10'000;

class Leftover {
 public:
  Leftover(const Leftovers& options, FileSystem& files, BookedFile& file)
      : options_(options), files_(files), file_(file) {}

  enum class Fate : unsigned char {
    Over,
    Unfinished,  ///< The finisher's.
    Kept,        ///< Nothing can be done about it now.
  };
  Result<Fate> finish() {
    if (!file_.spool.empty() && file_.making.empty()) {  // it is of no use any more
      if (Status status = remove(file_.spool); !status.ok()) return status;
      file_.spool.clear();
    }
    if (!file_.spool.empty()) {
      const auto found = files_.size_of(file_.spool);
      if (!found.ok()) return found.status();
      if (!found.value() && file_.bytes.value_or(0) > 0) return lost_spool();
      measure_spool(found.value().value_or(0));
      if (*file_.bytes > 0) return hold_name();
      if (Status status = remove(file_.spool); !status.ok()) return status;
      if (!is_here()) return Fate::Over;
    }
    if (!is_here()) return Fate::Unfinished;  // its name may be missing
    if (file_.in_use == file_.final_name && file_.bytes.value_or(0) > 0) {
      const auto found = files_.size_of(file_.in_use);
      if (!found.ok()) return found.status();
      if (!found.value()) return lost_file();
    }
    if (Status status = finish_in_place(); !status.ok()) return status;
    return Fate::Over;
  }

 private:
  Status finish_in_place() {
    const auto found = files_.size_of(file_.in_use);
    if (!found.ok()) return found.status();
    // Without it, it has its final name already.
    if (const std::optional<std::uint64_t> there = found.value()) {
      const std::uint64_t counts = file_.bytes.value_or(*there);
      if (*there < counts) tell_of_loss(file_.in_use, *there, counts);
      Status status =
          counts == 0 ? files_.remove(file_.in_use) : complete(std::min(counts, *there));
      if (!status.ok()) return status;
    }
    // In each case: before, a power cut could give it its old name again.
    return sync_names({directory_of(file_.in_use)});
  }

  bool is_here() const { return !is_elsewhere(file_.in_use); }

  /// A directory that is not mounted looks like this, too.
  Fate lost_file() {
    log::warn(
        "{}: {} is not there, and {} bytes were delivered into it: has somebody taken it, or is "
        "its directory not mounted? It is looked for again at the next start",
        options_.component, file_.in_use, *file_.bytes);
    return Fate::Kept;
  }

  Fate lost_spool() {
    log::error(
        "{}: {} is not there, and {} bytes were delivered into it, for {}: is the state directory "
        "another one, or not mounted? They are looked for again at the next start",
        options_.component, file_.spool, *file_.bytes, file_.final_name);
    return Fate::Kept;
  }

  void measure_spool(std::uint64_t there) {
    const std::uint64_t counts = file_.bytes.value_or(there);
    if (there < counts) tell_of_loss(file_.spool, there, counts);
    file_.bytes = std::min(there, counts);
  }

  /// It is made later, and meanwhile nobody else may take its name.
  Result<Fate> hold_name() {
    if (!is_here()) return Fate::Unfinished;
    auto made = files_.make_path(directory_of(file_.in_use));
    if (!made.ok()) return made.status();
    auto file = files_.create(file_.in_use, true);
    if (!file.ok()) return file.status();
    if (Status status = sync_names(*std::move(made)); !status.ok()) return status;
    return Fate::Unfinished;
  }

  /// In these, and of the directory of the file.
  Status sync_names(std::vector<std::string> directories) {
    for (std::string& above : doubtful_above(files_, directory_of(file_.in_use))) {
      directories.push_back(std::move(above));
    }
    return sync_those_there(files_, {}, std::move(directories));
  }

  /// So many of its bytes count.
  Status complete(std::uint64_t bytes) {
    auto file = files_.create(file_.in_use, true);
    if (!file.ok()) return file.status();
    if ((*file)->size_bytes() > bytes) {
      if (Status status = (*file)->truncate(bytes); !status.ok()) return status;
    }
    if (Status status = (*file)->sync(); !status.ok()) return status;
    std::string final_name = file_.final_name;
    for (int i = 1; file_.in_use != final_name; ++i) {
      Status status = files_.rename_new(file_.in_use, final_name);
      if (status.ok()) break;
      if (status.code() != Code::Reject || i == name_tries_max) return Retry(status.message());
      final_name = file_.final_name + "." + std::to_string(i);
    }
    log::info("{}: {} was left by the agent before this one; it is complete now, with {} bytes",
              options_.component, final_name, bytes);
    return {};
  }

  Status remove(const std::string& path) {
    const auto known = files_.size_of(path);
    if (!known.ok()) return known.status();
    return known.value() ? files_.remove(path) : Status();
  }

  void tell_of_loss(const std::string& path, std::uint64_t there, std::uint64_t counts) {
    log::error(
        "{}: {} has {} bytes, and {} were delivered into it: somebody has cut it, or the disk "
        "has lost them",
        options_.component, path, there, counts);
  }

  const Leftovers& options_;
  FileSystem& files_;
  BookedFile& file_;
};

bool belongs_elsewhere(const Leftovers& options, const BookedFile& file) {
  return is_elsewhere(file.in_use) &&
         (options.file_system.empty() || !file.in_use.starts_with(options.file_system + "/"));
}

/// A sink that had another kind of channel has them in another book.
void tell_of_unknown_spools(const Leftovers& options, FileSystem& files,
                            const std::vector<BookedFile>& known) {
  std::size_t unknown = 0;
  for (const std::string& name : file_names_in(options.spool_directory)) {
    if (!name.ends_with(".spool")) continue;
    const std::string path = options.spool_directory + "/" + name;
    const bool is_known = std::any_of(
        known.begin(), known.end(), [&path](const BookedFile& file) { return file.spool == path; });
    if (is_known) continue;
    // One that was made and never told the book of is empty.
    const auto bytes = files.size_of(path);
    const bool empty = bytes.ok() && bytes.value() == std::optional<std::uint64_t>(0);
    if (!empty || !files.remove(path).ok()) ++unknown;
  }
  if (unknown == 0) return;
  log::warn(
      "{}: {} spools in {} belong to no file that is known: what is in them is not written. Had "
      "the sink another channel? With that one it writes them",
      options.component, unknown, options.spool_directory);
}

}  // namespace

Result<std::vector<std::uint32_t>> finish_leftovers(const Leftovers& options, FileSystem& files,
                                                    FileBook& book, FileFinisher& finisher) {
  auto left = book.read();
  if (!left.ok()) return left.status();
  std::vector<std::uint32_t> kept;
  std::vector<FileFinisher::Complete> unfinished;
  for (BookedFile& each : *left) {
    if (belongs_elsewhere(options, each)) {
      log::error(
          "{}: {} was left by the agent before this one, and hdfs.path leads to another file "
          "system now; what is in it stays {}. With the old hdfs.path it is written",
          options.component, each.final_name,
          each.spool.empty() ? "there, under its in-use name" : "in " + each.spool);
      kept.push_back(each.slot);
      continue;
    }
    const auto fate = Leftover(options, files, each).finish();
    if (!fate.ok()) return fate.status();
    if (fate.value() == Leftover::Fate::Over) continue;
    kept.push_back(each.slot);
    if (fate.value() == Leftover::Fate::Unfinished) {
      unfinished.push_back({.booked = each, .events = 1, .left = true});
    }
  }
  tell_of_unknown_spools(options, files, *left);
  for (const BookedFile& each : *left) {
    if (std::find(kept.begin(), kept.end(), each.slot) == kept.end()) book.end(each.slot);
  }
  if (Status status = book.flush(); !status.ok()) return status;
  for (FileFinisher::Complete& each : unfinished) finisher.add(std::move(each));
  return kept;
}

}  // namespace sluice
