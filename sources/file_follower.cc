#include "sources/file_follower.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/base/rarely.h"

namespace sluice {
namespace {

// A held back file that never stops growing is no copy.
constexpr int graces_max = 30;
constexpr std::size_t young_compared_max = 16;
constexpr std::size_t copies_compared_max = 10'000;

}  // namespace

struct FileFollower::Scan {
  std::map<std::string, std::vector<DirectoryEntry>> listings;  ///< By directory.
  std::map<Inode, Seen> seen;
  std::vector<Seen> fresh;
  std::vector<Replaced> replaced;

  /// The name of this inode in the directory of `path`.
  const DirectoryEntry* find(const std::string& path, std::uint64_t inode) const {
    const auto listing = listings.find(folder_of(path));
    if (listing == listings.end()) return nullptr;
    for (const DirectoryEntry& entry : listing->second) {
      if (entry.inode == inode) return &entry;
    }
    return nullptr;
  }
  bool listed(const std::string& path) const { return listings.contains(folder_of(path)); }
};

FileFollower::FileFollower(Options options, InputFiles& files, const Clock& clock)
    : options_(std::move(options)), files_(files), clock_(clock) {}
FileFollower::~FileFollower() = default;

void FileFollower::restore(std::vector<FilePosition> known) {
  for (FilePosition& position : known) {
    auto generation = std::make_unique<FileGeneration>();
    generation->at = std::move(position);
    generation->delivered = generation->at.mark;
    generation->number = next_number_++;
    generation->active = clock_.steady();
    add(std::move(generation));
  }
}

FileGeneration& FileFollower::add(std::unique_ptr<FileGeneration> generation) {
  FileGeneration& added = *generation;
  by_inode_[{added.at.identity.device, added.at.identity.inode}] = &added;
  by_path_[added.at.path] = &added;
  if (added.file) ++open_files_;
  generations_[added.number] = std::move(generation);
  changed_ = true;
  return added;
}

std::unique_ptr<FileGeneration> FileFollower::remove(std::uint64_t number) {
  auto node = generations_.extract(number);
  std::unique_ptr<FileGeneration> removed = std::move(node.mapped());
  const auto inode = by_inode_.find({removed->at.identity.device, removed->at.identity.inode});
  if (inode != by_inode_.end() && inode->second == removed.get()) by_inode_.erase(inode);
  const auto path = by_path_.find(removed->at.path);
  if (path != by_path_.end() && path->second == removed.get()) by_path_.erase(path);
  close(*removed);
  changed_ = true;
  return removed;
}

Status FileFollower::scan() {
  Scan scan;
  wants_scan_ = false;
  young_.clear();
  Status status = list_groups(scan);
  for (auto& [number, generation] : generations_) {
    if (scan.listed(generation->at.path)) generation->named = false;
  }
  for (auto& [inode, seen] : scan.seen) place(scan, seen);
  if (adopts_) adopt_restored(scan);
  look_for_held_back(scan);
  follow_copies(scan);
  begin_new(scan);
  follow_unnamed(scan);
  close_idle();
  forget_gone();
  // The oldest first, as Flume reads them.
  const auto mtime = [this](std::uint64_t number) {
    const auto found = generations_.find(number);
    return found == generations_.end() ? 0 : found->second->modified_seen;
  };
  std::stable_sort(turns_.begin() + static_cast<std::ptrdiff_t>(next_turn_), turns_.end(),
                   [&](std::uint64_t a, std::uint64_t b) { return mtime(a) < mtime(b); });
  first_scan_ = false;
  return status;
}

Status FileFollower::list_groups(Scan& scan) {
  Status first_error;
  symbolic_links_ = false;
  for (std::size_t i = 0; i < options_.groups.size(); ++i) {
    const std::string& directory = options_.groups[i].directory;
    if (!scan.listings.contains(directory)) {
      auto entries = files_.list(directory);
      if (!entries.ok()) {
        if (first_error.ok()) first_error = Retry(entries.status().message());
        continue;
      }
      scan.listings[directory] = *std::move(entries);
    }
    for (const DirectoryEntry& entry : scan.listings[directory]) see(scan, i, entry);
  }
  return first_error;
}

void FileFollower::see(Scan& scan, std::size_t group, const DirectoryEntry& entry) {
  if (!options_.groups[group].pattern.matches(entry.name)) return;
  std::string path = options_.groups[group].directory + "/" + entry.name;
  auto look = files_.look(path);
  if (!look.ok() || !look->regular) return;
  symbolic_links_ = symbolic_links_ || entry.symbolic_link;
  const Inode inode{look->identity.device, look->identity.inode};
  const auto [at, added] = scan.seen.try_emplace(inode, Seen{path, group, *look, false});
  if (added) return;
  // One file under several names: it keeps the name under which it is known.
  const auto known = by_inode_.find(inode);
  const bool ours = known != by_inode_.end() && known->second->at.path == path;
  const bool others = known != by_inode_.end() && known->second->at.path == at->second.path;
  if (ours || (!others && path < at->second.path))
    at->second = {std::move(path), group, *look, false};
}

void FileFollower::place(Scan& scan, Seen& seen) {
  const auto known = by_inode_.find({seen.look.identity.device, seen.look.identity.inode});
  if (known == by_inode_.end()) {
    scan.fresh.push_back(seen);
    return;
  }
  FileGeneration& generation = *known->second;
  auto still = is_still(generation, seen);
  if (!still.ok()) {
    // Taken for another one it would come twice.
    rename(generation, seen);
    generation.size_seen = std::max(generation.size_seen, seen.look.size_bytes);
    set_aside(generation, still.status());
  } else if (*still) {
    rename(generation, seen);
    grown(generation, seen.look);
  } else {
    scan.replaced.push_back({remove(generation.number), seen});
  }
}

void FileFollower::rename(FileGeneration& generation, const Seen& seen) {
  generation.named = true;
  generation.closed = false;
  generation.at.identity = seen.look.identity;
  generation.group = seen.group;
  by_path_[seen.path] = &generation;
  if (generation.at.path == seen.path) return;
  const auto old = by_path_.find(generation.at.path);
  if (old != by_path_.end() && old->second == &generation) by_path_.erase(old);
  generation.at.path = seen.path;
  generation.headers = {};
  changed_ = true;
}

/// Compares bytes only where something has changed since they were compared. Errors: Retry, they
/// cannot be.
Result<bool> FileFollower::is_still(FileGeneration& generation, const Seen& seen) {
  if (born_apart(generation.at.identity, seen.look.identity)) return false;
  if (seen.look.size_bytes < generation.offset()) return false;
  if (generation.checked && seen.look.size_bytes == generation.size_compared &&
      seen.look.modified_ns == generation.modified_compared) {
    return true;
  }
  // Of which nothing was read there is nothing to compare: whatever it is now, it is new.
  if (generation.offset() == 0 && generation.at.head.bytes == 0) return false;
  if (!generation.file || generation.aside) {
    const Status opened = open_at(generation, seen.path, seen.look.identity);
    // It went meanwhile, or next() will say what is wrong.
    if (!opened.ok() && !generation.file) return true;
  }
  auto same = compare(generation, seen.look);
  if (same.ok() && *same) generation.compared_with(seen.look);
  return same;
}

/// True when the open file holds what was read of it; what was not known of that is learnt.
/// Errors: Retry.
Result<bool> FileFollower::compare(FileGeneration& generation, const FileLook& look) {
  auto same = generation.is_in(*generation.file, look.size_bytes);
  if (!same.ok() || !*same || generation.checked) return same;
  const Status learned = generation.learn();
  if (learned.ok()) return true;
  return learned.code() == Code::Reject ? Result<bool>(false) : learned;
}

/// Positions whose device number has changed (a restart of the machine, a restored directory), or
/// that come from Flume, which keeps none.
void FileFollower::adopt_restored(Scan& scan) {
  adopts_ = false;
  for (auto& [number, generation] : generations_) {
    if (generation->checked || generation->named) continue;
    const bool from_flume = generation->at.identity.device == 0;
    const auto fits = [&, &file = *generation](const Seen& seen) {
      if (from_flume) return seen.look.identity.inode == file.at.identity.inode;
      return seen.path == file.at.path && file.offset() > 0;
    };
    const auto found = std::find_if(scan.fresh.begin(), scan.fresh.end(), fits);
    if (found == scan.fresh.end()) continue;
    Seen seen = *found;
    seen.look.identity.birth_ns = 0;  // another file system may tell another time
    auto still = is_still(*generation, seen);
    if (!still.ok()) {
      // The next scan asks again; until then it is neither gone nor new.
      generation->named = adopts_ = true;
      set_aside(*generation, still.status());
      scan.fresh.erase(found);
      continue;
    }
    if (!*still) {
      close(*generation);
      continue;
    }
    by_inode_.erase({generation->at.identity.device, generation->at.identity.inode});
    by_inode_[{seen.look.identity.device, seen.look.identity.inode}] = generation.get();
    rename(*generation, *found);
    grown(*generation, found->look);
    scan.fresh.erase(found);
  }
}

/// What was truncated after the directory was listed was copied then too: the list is too old to
/// name the copy, which would be a new file in the next one.
void FileFollower::list_again(Scan& scan) {
  Scan later;
  if (!list_groups(later).ok()) return;
  for (auto& [inode, seen] : later.seen) {
    const auto [at, added] = scan.seen.try_emplace(inode, seen);
    if (added) place(scan, at->second);
  }
  scan.listings = std::move(later.listings);
}

/// A file that was truncated or deleted may have been copied just before: the copy is the old
/// generation now.
void FileFollower::follow_copies(Scan& scan) {
  if (!scan.replaced.empty()) list_again(scan);
  for (const Replaced& replaced : scan.replaced) {
    // It may itself be a copy, under a number that was used before.
    scan.fresh.push_back(replaced.now);
    scan.fresh.back().known = true;
  }
  // Of which nothing was taken there is nothing to compare: a new file may be its copy.
  const bool other_new = scan.fresh.size() > scan.replaced.size();
  const auto cut_short = [](const Replaced& one) {
    return one.now.look.size_bytes < one.old->size_seen;
  };
  for (Replaced& replaced : scan.replaced) {
    const bool deleted = born_apart(replaced.old->at.identity, replaced.now.look.identity);
    auto copy = find_copy(*replaced.old, scan, !deleted);
    if (copy) {
      move_to(std::move(replaced.old), *copy);
    } else if (replaced.old->offset() > 0 || ((deleted || cut_short(replaced)) && !other_new)) {
      say_lost(*replaced.old, deleted ? "was deleted" : "was truncated");
    }
  }
  std::vector<std::uint64_t> ended;
  for (const auto& [number, generation] : generations_) {
    const bool looked_for = !generation->named && !generation->closed;
    if (looked_for && is_ended(*generation, scan)) ended.push_back(number);
  }
  if (ended.size() * scan.fresh.size() > copies_compared_max) return;
  for (const std::uint64_t number : ended) {
    const auto found = generations_.find(number);
    if (found == generations_.end()) continue;
    const FilePosition& at = found->second->at;
    const bool deleted = scan.find(at.path, at.identity.inode) == nullptr;
    auto copy = find_copy(*found->second, scan, !deleted);
    if (copy) move_to(remove(number), *copy);
  }
}

/// A file without a name that matches: true when it was deleted, or truncated under another name.
bool FileFollower::is_ended(FileGeneration& generation, const Scan& scan) {
  if (!scan.listed(generation.at.path)) return false;
  const DirectoryEntry* const entry = scan.find(generation.at.path, generation.at.identity.inode);
  if (entry == nullptr) return true;
  Seen seen{folder_of(generation.at.path) + "/" + entry->name, generation.group, {}, false};
  auto look = files_.look(seen.path);
  if (!look.ok() || look->identity.inode != generation.at.identity.inode) return false;
  seen.look = *look;
  auto still = is_still(generation, seen);
  return still.ok() && !*still;
}

/// Among the new files that match, then (for what was truncated) among all others of the directory.
std::optional<FileFollower::Seen> FileFollower::find_copy(const FileGeneration& old, Scan& scan,
                                                          bool hidden_too) {
  // Of which nothing was read, or never by us, there is nothing to compare.
  if (old.offset() == 0 || old.at.head.bytes == 0) return std::nullopt;
  for (auto seen = scan.fresh.begin(); seen != scan.fresh.end(); ++seen) {
    if (auto copy = is_copy(old, *seen); !copy.ok() || !*copy) continue;
    const Seen copy = *seen;
    scan.fresh.erase(seen);
    return copy;
  }
  if (!hidden_too) return std::nullopt;
  const std::string directory = folder_of(old.at.path);
  for (const DirectoryEntry& entry : scan.listings[directory]) {
    Seen seen{directory + "/" + entry.name, old.group, {}, false};
    if (entry.symbolic_link || entry.inode == old.at.identity.inode) continue;
    auto look = files_.look(seen.path);
    if (!look.ok() || !look->regular) continue;
    seen.look = *look;
    const Inode inode{look->identity.device, look->identity.inode};
    if (scan.seen.contains(inode) || is_followed(seen)) continue;
    if (auto copy = is_copy(old, seen); copy.ok() && *copy) return seen;
  }
  return std::nullopt;
}

/// True when a hidden file is one that we know, and not another one under its number.
bool FileFollower::is_followed(const Seen& seen) {
  const auto known = by_inode_.find({seen.look.identity.device, seen.look.identity.inode});
  if (known == by_inode_.end() || known->second->offset() == 0) return false;
  if (born_apart(known->second->at.identity, seen.look.identity)) return false;
  auto same = is_copy(*known->second, seen);
  return !same.ok() || *same;
}

/// Errors: as InputFile::read_at().
Result<bool> FileFollower::is_copy(const FileGeneration& old, const Seen& seen) {
  if (seen.look.size_bytes < old.offset()) return false;
  auto file = files_.open(seen.path);
  if (!file.ok()) return file.status();
  return old.is_in(**file, seen.look.size_bytes);
}

void FileFollower::move_to(std::unique_ptr<FileGeneration> old, const Seen& copy) {
  auto file = files_.open(copy.path);
  if (!file.ok()) return say_lost(*old, "was truncated");
  log::info("{}: {} was truncated or deleted; it is read on in its copy {}", options_.name,
            old->at.path, copy.path);
  const Inode inode{copy.look.identity.device, copy.look.identity.inode};
  held_back_.erase(inode);
  skipped_.erase(inode);
  if (const auto other = by_inode_.find(inode); other != by_inode_.end()) {
    say_lost(*remove(other->second->number), "was deleted");
  }
  old->file = *std::move(file);
  old->at.identity = copy.look.identity;
  old->at.path = copy.path;
  old->headers = {};
  old->named = matches(old->group, copy.path);
  old->queued = false;
  old->looked_to = 0;
  old->compared_with(copy.look);
  grown(add(std::move(old)), copy.look);
}

/// What was held back is a new file or lost, whatever it is called now.
void FileFollower::look_for_held_back(Scan& scan) {
  std::vector<Inode> gone;
  for (const auto& [inode, held] : held_back_) {
    const FileLook& before = held.seen.look;
    const auto named = scan.seen.find(inode);
    if (named != scan.seen.end()) {
      const FileLook& now = named->second.look;
      const bool other = born_apart(before.identity, now.identity);
      if (other || now.size_bytes < before.size_bytes) gone.push_back(inode);
      continue;
    }
    if (!scan.listed(held.seen.path)) continue;
    const DirectoryEntry* const entry = scan.find(held.seen.path, inode.second);
    Seen seen = held.seen;
    if (entry != nullptr) seen.path = folder_of(seen.path) + "/" + entry->name;
    auto look = files_.look(seen.path);
    if (entry == nullptr || !look.ok() || look->identity.inode != inode.second ||
        born_apart(look->identity, before.identity)) {
      gone.push_back(inode);
      continue;
    }
    seen.look = *look;
    scan.fresh.push_back(std::move(seen));
  }
  // Where nothing was taken of a file that is cut short a new one may be its copy.
  for (const Inode& inode : gone) {
    const HeldBack held = held_back_.extract(inode).mapped();
    const bool cut = scan.seen.contains(inode);
    if (cut && scan.fresh.size() > 1) continue;
    const auto like = generations_.find(held.like);
    std::uint64_t known = like == generations_.end() ? 0 : like->second->offset();
    for (const Replaced& one : scan.replaced) {
      if (one.old->number == held.like) known = one.old->size_seen;  // it says so itself
    }
    if (known >= held.seen.look.size_bytes) continue;
    say_lost(held.seen.path, held.seen.look.size_bytes - known,
             cut ? "was truncated" : "was deleted");
  }
}

void FileFollower::begin_new(Scan& scan) {
  std::sort(scan.fresh.begin(), scan.fresh.end(), [](const Seen& a, const Seen& b) {
    return std::pair(a.look.modified_ns, std::string_view(a.path)) <
           std::pair(b.look.modified_ns, std::string_view(b.path));
  });
  std::vector<FileGeneration*> known;
  for (auto& [number, generation] : generations_) {
    if (!generation->named) continue;
    if (generation->offset() > 0) known.push_back(generation.get());
    // Its first event is still a group that waits: nothing was taken, but its bytes can be
    // compared.
    if (generation->offset() == 0 && holding_.contains(number)) young_.push_back(generation.get());
  }
  std::map<Inode, HeldBack> held_back;
  held_back.swap(held_back_);  // those that are not seen any more are forgotten
  // A long time in which nobody looked tells little about who was quiet, or is still the same file.
  const SteadyTime now = clock_.steady();
  const auto blind = now - std::exchange(last_scan_, now) - options_.copy_grace;
  for (auto& [inode, held] : held_back) {
    if (blind <= blind.zero()) break;
    held.since += blind;
    held.until_quiet += blind;
  }
  std::erase_if(skipped_, [&](const auto& skipped) {
    return scan.listed(skipped.second.path) && !scan.seen.contains(skipped.first);
  });
  for (const Seen& seen : scan.fresh) {
    // An empty file is nobody yet: it may become the copy of another.
    if (seen.look.size_bytes == 0) continue;
    const Inode inode{seen.look.identity.device, seen.look.identity.inode};
    const auto before = held_back.find(inode);
    if (before != held_back.end()) held_back_.insert(*before);
    if (first_scan_ && options_.skip_to_end && !seen.known) skipped_.try_emplace(inode, seen);
    if (hold_back(seen, known)) continue;
    held_back_.erase(inode);
    begin(seen);
  }
}

bool FileFollower::hold_back(const Seen& seen, const std::vector<FileGeneration*>& known) {
  const SteadyTime now = clock_.steady();
  if (known.empty() && young_.empty()) return false;
  auto alike = resembles(seen, known);
  // Begun now, and a copy as it turns out, it would come twice.
  if (!alike.ok()) {
    say_unreadable(seen.path, alike.status());
    return true;
  }
  if (*alike == nullptr) return false;
  const Inode inode{seen.look.identity.device, seen.look.identity.inode};
  HeldBack fresh{now, now + options_.copy_grace, seen, (*alike)->number};
  HeldBack& held = held_back_.try_emplace(inode, fresh).first->second;
  if (held.seen.look.size_bytes != seen.look.size_bytes) held.until_quiet = fresh.until_quiet;
  held.seen = seen;
  held.like = (*alike)->number;
  return now < held.until_quiet && now - held.since < graces_max * options_.copy_grace;
}

/// The generation that the file begins like, so that it may be, or become, a copy of it; null:
/// none. Errors: Retry.
Result<const FileGeneration*> FileFollower::resembles(const Seen& seen,
                                                      const std::vector<FileGeneration*>& known) {
  auto file = files_.open(seen.path);
  if (file.code() == Code::Closed) return nullptr;
  if (!file.ok()) return file.status();
  auto beginning = FileBeginning::read(**file);
  if (!beginning.ok()) return beginning.status();
  for (const FileGeneration* const one : known) {
    if (!beginning->holds(one->at.head)) continue;
    auto same = one->is_in(**file, seen.look.size_bytes);
    if (seen.look.size_bytes < one->offset() || !same.ok() || *same) return one;
  }
  for (const FileGeneration* const young : young_) {
    if (resembles_young(*young, seen.path, beginning->bytes())) return young;
  }
  return nullptr;
}

/// A file and its copy may both be new. Where many are, only names that go together are compared.
bool FileFollower::resembles_young(const FileGeneration& young, std::string_view path,
                                   std::string_view head) {
  if (young_.size() > young_compared_max && !path.starts_with(young.at.path)) return false;
  auto file = files_.open(young.at.path);
  auto its = file.ok() ? FileBeginning::read(**file) : Result<FileBeginning>(file.status());
  const std::size_t bytes = its.ok() ? std::min(its->bytes().size(), head.size()) : 0;
  return bytes > 0 && head.substr(0, bytes) == its->bytes().substr(0, bytes);
}

/// The size that a file had in the first scan, when it is one to be skipped.
std::uint64_t FileFollower::take_skipped(const Seen& seen) {
  const auto found = skipped_.find({seen.look.identity.device, seen.look.identity.inode});
  if (found == skipped_.end()) return 0;
  const FileLook then = found->second.look;
  skipped_.erase(found);
  const bool anew = born_apart(then.identity, seen.look.identity);
  return anew || seen.look.size_bytes < then.size_bytes ? 0 : then.size_bytes;
}

void FileFollower::begin(const Seen& seen) {
  auto generation = std::make_unique<FileGeneration>();
  generation->at.id = random_id();
  generation->at.identity = seen.look.identity;
  generation->at.path = seen.path;
  generation->number = next_number_++;
  generation->group = seen.group;
  generation->named = matches(seen.group, seen.path);
  generation->checked = true;
  generation->compared_with(seen.look);
  generation->active = clock_.steady();
  FileGeneration& begun = add(std::move(generation));
  young_.push_back(&begun);
  if (const std::uint64_t skipped = take_skipped(seen); skipped > 0) {
    begun.at.mark.offset = begun.delivered.offset = skipped;
    // Where it cannot be read just now, the look that compares its bytes learns them.
    begun.checked = false;
    if (open(begun)) {
      if (Status status = begun.learn(); !status.ok()) set_aside(begun, status);
    }
  }
  grown(begun, seen.look);
}

/// Generations to which no matching name leads: renamed away, or deleted.
void FileFollower::follow_unnamed(const Scan& scan) {
  std::vector<std::uint64_t> over;
  for (auto& [number, generation] : generations_) {
    FileGeneration& unnamed = *generation;
    if (unnamed.named || !scan.listed(unnamed.at.path)) continue;
    const DirectoryEntry* const entry = scan.find(unnamed.at.path, unnamed.at.identity.inode);
    const bool open_still = unnamed.file && follow_open(unnamed);
    if (open_still) continue;
    if (entry != nullptr && find_by_inode(unnamed, entry)) continue;
    if (entry == nullptr) over.push_back(number);
  }
  for (const std::uint64_t number : over) {
    const auto gone = remove(number);
    say_lost(*gone, "was deleted");
  }
}

/// True while the open handle may bring more.
bool FileFollower::follow_open(FileGeneration& generation) {
  auto look = generation.file->look();
  if (!look.ok() || look->size_bytes < generation.offset() ||
      !(generation.checked || generation.aside)) {
    close(generation);
    return false;
  }
  grown(generation, *look);
  if (generation.has_unread() && !generation.closed) return true;
  if (clock_.steady() - generation.active < options_.idle_timeout) return true;
  // Nobody writes any more: what stands behind the last line feed is a line too.
  if (!generation.closed && generation.size_seen > generation.offset()) {
    generation.closed = true;
    generation.looked_to = 0;
    read_later(generation);
    return true;
  }
  generation.closed = true;
  if (generation.queued) return true;
  close(generation);
  return false;
}

/// A file that was renamed to a name that does not match; it is kept in mind as long as it is
/// there, because it may be renamed back. True while there is something to read of it.
bool FileFollower::find_by_inode(FileGeneration& generation, const DirectoryEntry* entry) {
  if (generation.closed) return false;
  Seen seen{folder_of(generation.at.path) + "/" + entry->name, generation.group, {}, false};
  auto look = files_.look(seen.path);
  if (!look.ok() || look->identity.inode != generation.at.identity.inode) return false;
  seen.look = *look;
  auto still = is_still(generation, seen);
  if (!still.ok()) {
    set_aside(generation, still.status());
    return true;
  }
  if (!*still) {
    say_lost(generation, "was truncated");
    generation.size_seen = generation.offset();  // said once
    close(generation);
    generation.closed = true;
    return false;
  }
  generation.at.path = seen.path;
  grown(generation, seen.look);
  return true;
}

void FileFollower::grown(FileGeneration& generation, const FileLook& look) {
  const bool longer = look.size_bytes != generation.size_seen;
  if (longer || look.modified_ns != generation.modified_seen) {
    generation.active = clock_.steady();
    generation.closed = generation.quiet = false;
  }
  // An unfinished line can be taken back without a trace.
  if (look.size_bytes < generation.looked_to) generation.looked_to = 0;
  generation.size_held = std::min(generation.size_held, look.size_bytes);
  generation.size_seen = look.size_bytes;
  generation.modified_seen = look.modified_ns;
  if (generation.has_unread()) read_later(generation);
}

bool FileFollower::look_at(const std::string& path) {
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) {
    const std::size_t slash = path.rfind('/');
    return std::none_of(options_.groups.begin(), options_.groups.end(), [&](const auto& group) {
      return path.compare(0, slash, group.directory) == 0 &&
             group.pattern.matches(std::string_view(path).substr(slash + 1));
    });
  }
  FileGeneration& generation = *found->second;
  auto look = generation.file ? generation.file->look() : files_.look(path);
  // Of another file under its number nothing belongs to it.
  if (!look.ok() || look->identity.inode != generation.at.identity.inode ||
      born_apart(look->identity, generation.at.identity) ||
      look->size_bytes < generation.offset()) {
    return false;
  }
  // Written to, and no longer than before: it may have been truncated and be just as long again.
  if (look->size_bytes <= generation.size_seen) {
    if (!generation.file) return false;
    auto same = generation.is_in(*generation.file, look->size_bytes);
    if (!same.ok()) {
      set_aside(generation, same.status());
      return true;
    }
    generation.checked = *same;
    if (!*same) return false;
  }
  grown(generation, *look);
  return true;
}

/// Groups of files that have not grown for long enough are over.
void FileFollower::release_quiet() {
  const SteadyTime now = clock_.steady();
  if (now < quiet_at_) return;
  quiet_at_ = SteadyTime::max();
  for (auto number = holding_.begin(); number != holding_.end();) {
    const auto found = generations_.find(*number);
    const bool gone = found == generations_.end();
    if (!gone && found->second->active + options_.group_timeout > now) {
      quiet_at_ = std::min(quiet_at_, found->second->active + options_.group_timeout);
      ++number;
      continue;
    }
    number = holding_.erase(number);
    if (gone) continue;
    found->second->quiet = true;
    read_later(*found->second);
  }
}

FileGeneration* FileFollower::next() {
  release_quiet();
  while (next_turn_ < turns_.size()) {
    const auto found = generations_.find(turns_[next_turn_++]);
    if (found == generations_.end()) continue;
    FileGeneration& generation = *found->second;
    generation.queued = false;
    if (!open(generation)) continue;
    auto look = generation.file->look();
    auto same = look.ok() ? compare(generation, *look) : Result<bool>(look.status());
    if (!same.ok()) {
      set_aside(generation, same.status());
      continue;
    }
    generation.aside = false;
    if (*same) {
      if (look->size_bytes != generation.size_seen) generation.quiet = false;
      generation.size_seen = generation.size_held = look->size_bytes;
      return &generation;
    }
    generation.checked = generation.quiet = false;
    // Written anew it may be the new bytes of which the size was seen; cut short it is the old
    // ones.
    const bool cut = look->size_bytes < generation.offset();
    if (!cut) generation.size_seen = std::max(generation.offset(), generation.size_held);
    wants_scan_ = true;
  }
  turns_.clear();
  next_turn_ = 0;
  return nullptr;
}

void FileFollower::read_later(FileGeneration& generation) {
  if (generation.queued) return;
  generation.queued = true;
  turns_.push_back(generation.number);
}

void FileFollower::at_end(FileGeneration& generation, std::uint64_t looked_to, bool holds_group) {
  say_readable(generation.at.path);
  generation.looked_to = looked_to;
  generation.size_held = std::max(generation.size_held, looked_to);
  generation.quiet = false;
  if (holds_group) {
    holding_.insert(generation.number);
    quiet_at_ = std::min(quiet_at_, generation.active + options_.group_timeout);
  } else {
    holding_.erase(generation.number);
  }
  generation.size_seen = std::max(generation.size_seen, looked_to);
  if (generation.has_unread()) return read_later(generation);
  if (generation.named && open_files_ > options_.open_files_max) close(generation);
}

void FileFollower::set_aside(FileGeneration& generation, const Status& why) {
  generation.aside = true;
  // Nothing else leads to a file without a name, or to one that is deleted meanwhile.
  if (generation.named && open_files_ > options_.open_files_max) close(generation);
  say_unreadable(generation.at.path, why);
}

/// What was set aside is opened anew, for the handle may be what is bad; where that is not
/// possible the old handle stays.
bool FileFollower::open(FileGeneration& generation) {
  if (generation.file && !generation.aside) return true;
  const Status status = open_at(generation, generation.at.path, generation.at.identity);
  if (status.ok() || generation.file) return true;
  if (status.code() == Code::Retry) set_aside(generation, status);
  wants_scan_ = wants_scan_ || status.code() == Code::Closed;
  return false;
}

/// Errors: as InputFiles::open(), and Closed when another file is there.
Status FileFollower::open_at(FileGeneration& generation, const std::string& path,
                             const FileIdentity& identity) {
  auto file = files_.open(path);
  if (!file.ok()) return file.status();
  auto look = (*file)->look();
  if (!look.ok()) return look.status();
  const FileIdentity& its = look->identity;
  if (its.device != identity.device || its.inode != identity.inode || born_apart(its, identity)) {
    return Closed(path + " is another file");
  }
  if (!generation.file) ++open_files_;
  generation.file = *std::move(file);
  return {};
}

void FileFollower::close(FileGeneration& generation) {
  if (!generation.file) return;
  generation.file.reset();
  --open_files_;
}

void FileFollower::close_idle() {
  const SteadyTime now = clock_.steady();
  for (auto& [number, generation] : generations_) {
    if (!generation->file || !generation->named || generation->has_unread()) continue;
    const bool idle = now - generation->active >= options_.idle_timeout;
    if (idle || open_files_ > options_.open_files_max) close(*generation);
  }
}

void FileFollower::say_unreadable(const std::string& path, const Status& why) {
  ++read_failures_;
  const std::uint64_t failures = ++unreadable_[path];
  if (!worth_saying(failures)) return;
  log::error("{}: {}; the file waits and is tried again, the others are read on (failure {})",
             options_.name, why.message(), failures);
}

void FileFollower::say_readable(const std::string& path) {
  const auto failed = unreadable_.find(path);
  if (failed == unreadable_.end()) return;
  log::info("{}: {} can be read again, after {} failures", options_.name, path, failed->second);
  unreadable_.erase(failed);
}

void FileFollower::forget_gone() {
  std::erase_if(unreadable_, [this](const auto& failed) {
    return !by_path_.contains(failed.first) && files_.look(failed.first).code() == Code::Closed;
  });
}

bool FileFollower::matches(std::size_t group, std::string_view path) const {
  return options_.groups[group].pattern.matches(path.substr(path.rfind('/') + 1));
}

void FileFollower::say_lost(const FileGeneration& generation, const char* how) {
  if (generation.size_seen <= generation.offset()) return;
  say_lost(generation.at.path, generation.size_seen - generation.offset(), how);
}

void FileFollower::say_lost(const std::string& path, std::uint64_t bytes, const char* how) {
  lost_bytes_ += bytes;
  log::error("{}: {} {} before its last {} bytes could be read; they are lost ({} since the start)",
             options_.name, path, how, bytes, lost_bytes_);
}

}  // namespace sluice
