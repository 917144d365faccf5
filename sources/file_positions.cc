#include "sources/file_positions.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/base/absolute_path.h"
#include "core/base/log.h"
#include "core/base/rarely.h"

namespace sluice {
namespace {

constexpr std::size_t file_bytes_max = 64 << 20;

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) found.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

/// Of a time without a store, between two with it: each file counts as far as either says.
void add_newer(std::vector<FilePosition>& positions, const std::vector<FilePosition>& newer) {
  for (const FilePosition& each : newer) {
    const auto known = std::find_if(positions.begin(), positions.end(),
                                    [&](const auto& position) { return position.id == each.id; });
    if (known == positions.end()) {
      positions.push_back(each);
    } else if (known->mark.offset < each.mark.offset) {
      *known = each;
    }
  }
}

}  // namespace

FilePositions::FilePositions(Options options, const SourceContext& context, Deliveries& deliveries)
    : options_(std::move(options)), context_(context), deliveries_(deliveries) {}

std::vector<FilePosition> FilePositions::read() {
  std::vector<FilePosition> positions = read_notes_and_file();
  // Releases before this one kept paths as the configuration spelt them.
  for (FilePosition& each : positions) each.path = absolute_path(each.path);
  return positions;
}

std::vector<FilePosition> FilePositions::read_notes_and_file() {
  std::vector<FilePosition> positions = read_notes();
  PositionFile file = read_file(positions.empty());
  // A memory channel, the first start behind a durable one, or Flume's own file.
  if (positions.empty()) return std::move(file.positions);
  if (file.alone) add_newer(positions, file.positions);
  return positions;
}

std::vector<FilePosition> FilePositions::read_notes() const {
  std::vector<FilePosition> positions;
  if (!context_.out.keeps_notes()) return positions;
  std::set<std::string> ids;
  for (const std::string& list : context_.out.notes(options_.note_prefix + "files")) {
    for (std::string& id : words(list)) ids.insert(std::move(id));
  }
  for (const std::string& id : ids) {
    std::optional<FilePosition> lowest;
    FileHead head;
    FileMark furthest;
    for (const std::string& note : context_.out.notes(options_.note_prefix + id)) {
      auto position = decode_position(note);
      if (!position) continue;
      if (position->head.bytes > head.bytes) head = position->head;
      if (position->mark.offset > furthest.offset) furthest = position->mark;
      if (lowest && lowest->mark.offset <= position->mark.offset) continue;
      lowest = std::move(position);
    }
    // Goes on where the last one stands, under the id that all of them know; but only if the file
    // still holds what the first one has, which would take other bytes for those.
    if (lowest) {
      lowest->head = head;
      lowest->furthest = furthest;
    }
    if (lowest) positions.push_back(*std::move(lowest));
  }
  return positions;
}

PositionFile FilePositions::read_file(bool needed) {
  auto text = read_whole_file(context_.input, options_.path, file_bytes_max);
  if (text.code() == Code::Closed) return {};
  auto file = text.ok() ? parse_position_file(*text) : text.status();
  if (file.ok()) return *std::move(file);
  if (!needed) return {};
  const std::string aside = options_.path + ".unreadable";
  const Status kept = context_.files.rename(options_.path, aside);
  log::error("{}: the position file {} cannot be read: {}; files are read from their beginning{}",
             options_.name, options_.path, file.status().message(),
             kept.ok() ? ", it is kept as " + aside : "");
  return {};
}

Status FilePositions::update(const Generations& generations, const std::stop_token& stop) {
  take_arrived(generations);
  dirty_ = dirty_ || changed_;
  if (std::exchange(changed_, false) && context_.out.keeps_notes()) {
    if (Status status = write_list(generations, stop); !status.ok()) return status;
  }
  const SteadyTime time = context_.clock.steady();
  if (!dirty_ || time < write_at_) return {};
  write_at_ = time + options_.write_interval;
  write_file(generations);
  return {};
}

void FilePositions::write_last(const Generations& generations) {
  take_arrived(generations);
  if (dirty_ || changed_) write_file(generations);
}

void FilePositions::take_arrived(const Generations& generations) {
  for (const auto& [number, mark] : deliveries_.take_advanced()) {
    const auto found = generations.find(number);
    if (found == generations.end()) continue;
    found->second->delivered = mark;
    dirty_ = true;
  }
}

/// One commit: the list, first notes of those that are new to it, and an empty note for those that
/// have gone.
Status FilePositions::write_list(const Generations& generations, const std::stop_token& stop) {
  Notes notes;
  std::string list;
  for (const auto& [number, generation] : generations) {
    list += (list.empty() ? "" : " ") + generation->at.id;
    if (!noted_.emplace(number, generation->at.id).second) continue;
    // What was read before is in commits before this one, so this is never ahead of them.
    notes.push_back({options_.note_prefix + generation->at.id, encode(generation->at)});
  }
  for (auto noted = noted_.begin(); noted != noted_.end();) {
    if (generations.contains(noted->first)) {
      ++noted;
      continue;
    }
    notes.push_back({options_.note_prefix + noted->second, ""});
    deliveries_.forget(noted->first);
    noted = noted_.erase(noted);
  }
  notes.push_back({options_.note_prefix + "files", std::move(list)});
  if (context_.out.wants_origins())
    return context_.out.process_and_wait({}, stop, std::move(notes));
  return context_.out.process({}, stop, nullptr, std::move(notes));
}

void FilePositions::write_file(const Generations& generations) {
  PositionFile file{.positions = {}, .alone = !context_.out.keeps_notes()};
  for (const auto& [number, generation] : generations) {
    FilePosition position = generation->at;
    position.mark = generation->delivered;
    file.positions.push_back(std::move(position));
  }
  const Status status =
      write_position_file(context_.files, options_.path, position_file_text(file));
  dirty_ = !status.ok();
  if (!status.ok() && worth_saying(++failures_)) {
    log::error("{}: the position file is not written: {} (failure {})", options_.name,
               status.message(), failures_);
  }
}

}  // namespace sluice
