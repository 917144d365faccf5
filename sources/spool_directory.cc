#include "sources/spool_directory.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>

namespace sluice {
namespace {

/// What spooldir sources write into their trackerDir: complete, in the making, or kept aside.
bool holds_state(std::string_view name) {
  if (!name.starts_with("sluice-")) return false;
  for (const std::string_view end : {".new", ".unreadable"}) {
    if (name.ends_with(end)) name.remove_suffix(end.size());
  }
  return name.ends_with("-positions.json") || name.ends_with("-ignored.json");
}

std::string directory_of(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

}  // namespace

SpoolDirectory::SpoolDirectory(Options options, InputFiles& input, FileSystem& files)
    : options_(std::move(options)), input_(input), files_(files) {}

Result<std::vector<SpoolDirectory::File>> SpoolDirectory::list() {
  // By what they are and not by how they are spelt: there may be links in either path.
  if (auto look = input_.look(options_.tracker_directory); look.ok()) tracker_ = look->identity;
  auto look = input_.look(options_.directory);
  holds_tracker_ = look.ok() && look->identity == tracker_;
  std::vector<File> found;
  if (Status status = list_below(options_.directory, found); !status.ok()) return status;
  const auto older = [](const File& a, const File& b) {
    return std::tie(a.look.modified_ns, a.path) < std::tie(b.look.modified_ns, b.path);
  };
  const auto younger = [](const File& a, const File& b) {
    return std::tie(b.look.modified_ns, a.path) < std::tie(a.look.modified_ns, b.path);
  };
  switch (options_.order) {
    case Order::Oldest: std::sort(found.begin(), found.end(), older); break;
    case Order::Youngest: std::sort(found.begin(), found.end(), younger); break;
    case Order::Random: std::shuffle(found.begin(), found.end(), random_); break;
  }
  return found;
}

Status SpoolDirectory::list_below(const std::string& directory, std::vector<File>& found) {
  auto entries = input_.list(directory);
  if (!entries.ok()) {
    // Others, below, may go or be closed to us at any time.
    return directory == options_.directory ? Retry(entries.status().message()) : Status();
  }
  const bool among_states = holds_tracker_ && directory == options_.directory;
  for (const DirectoryEntry& entry : *entries) {
    if (entry.name.front() == '.' || (among_states && holds_state(entry.name))) continue;
    if (options_.ignore.matches(entry.name)) continue;  // a directory with all that is in it
    const std::string path = directory + "/" + entry.name;
    const bool wanted = waits(path, entry.name);
    if (!wanted && !options_.recursive) continue;
    auto look = input_.look(path);
    if (!look.ok()) continue;
    // As in Flume, not through links: one that leads back would make every file many.
    const bool goes_in = options_.recursive && !entry.symbolic_link && look->identity != tracker_;
    if (look->directory && goes_in) {
      if (Status status = list_below(path, found); !status.ok()) return status;
    }
    if (look->regular && wanted) found.push_back({path, *look});
  }
  return {};
}

bool SpoolDirectory::waits(const std::string& path, const std::string& name) const {
  if (options_.done == Done::Track && input_.look(tracker_of(path)).ok()) return false;
  return !name.ends_with(options_.suffix) && options_.include.matches(name);
}

std::string SpoolDirectory::tracker_of(const std::string& path) const {
  return options_.tracker_directory + path.substr(options_.directory.size()) + options_.suffix;
}

Status SpoolDirectory::make_tracker() { return make_path(options_.tracker_directory); }

Status SpoolDirectory::put_away(const std::string& path) {
  if (options_.done == Done::Track) return track(path);
  changed_.insert(directory_of(path));
  if (options_.done == Done::Delete) return files_.remove(path);
  const std::string done = path + options_.suffix;
  if (input_.look(done).ok()) {
    return Reject(done + " is there already: the name was used for two files");
  }
  return files_.rename(path, done);
}

Result<bool> SpoolDirectory::is_put_away(const std::string& path, const FileIdentity& identity) {
  // A position may be one of another spoolDir.
  const bool tracks = options_.done == Done::Track && path.starts_with(options_.directory + "/");
  const std::string tracker = tracks ? tracker_of(path) : "";
  const bool tracked = tracks && input_.look(tracker).ok();
  auto look = input_.look(path);
  if (!tracked && !look.ok() && look.code() != Code::Closed) return look.status();
  if (!tracked && look.ok() && look->identity == identity) return false;
  changed_.insert(directory_of(tracked ? tracker : path));
  return true;
}

Status SpoolDirectory::sync() {
  // One that has gone has taken its names with it.
  std::erase_if(changed_, [this](const std::string& directory) {
    return input_.look(directory).code() == Code::Closed;
  });
  const std::vector<std::string> directories(changed_.begin(), changed_.end());
  Status status = files_.sync_together({}, directories);
  if (status.ok()) changed_.clear();
  return status;
}

Status SpoolDirectory::track(const std::string& path) {
  const std::string tracker = tracker_of(path);
  if (Status status = make_path(directory_of(tracker)); !status.ok()) return status;
  changed_.insert(directory_of(tracker));
  return files_.create(tracker, true).status();
}

Status SpoolDirectory::make_path(const std::string& directory) {
  auto made_in = files_.make_path(directory);
  if (!made_in.ok()) return made_in.status();
  changed_.insert(made_in->begin(), made_in->end());
  return {};
}

}  // namespace sluice
