#include "sources/ignored_files.h"

#include "core/base/absolute_path.h"
#include "sources/position_file.h"

namespace sluice {
namespace {

constexpr std::size_t file_bytes_max = 512 << 20;

}  // namespace

void IgnoredFiles::add(const std::string& path, const FileIdentity& identity) {
  if (identity.birth_ns != 0) {
    born_.emplace(identity.inode, identity.birth_ns);
  } else {
    named_.emplace(identity.inode, path);
  }
}

bool IgnoredFiles::contains(const std::string& path, const FileIdentity& identity) const {
  return born_.contains({identity.inode, identity.birth_ns}) ||
         (!named_.empty() && named_.contains({identity.inode, path}));
}

Result<IgnoredFiles> IgnoredFiles::read(InputFiles& input, const std::string& path) {
  auto text = read_whole_file(input, path, file_bytes_max);
  if (!text.ok()) return text.status();
  auto file = parse_position_file(*text);
  if (!file.ok()) return file.status();
  IgnoredFiles ignored;
  for (const FilePosition& each : file->positions)
    ignored.add(absolute_path(each.path), each.identity);
  return ignored;
}

Result<IgnoredFiles> IgnoredFiles::write(FileSystem& files, const std::string& path,
                                         std::vector<Entry> entries) {
  PositionFile file;
  IgnoredFiles ignored;
  for (Entry& entry : entries) {
    ignored.add(entry.path, entry.identity);
    FilePosition position;
    position.id = "ignored";
    position.identity = entry.identity;
    position.path = std::move(entry.path);
    file.positions.push_back(std::move(position));
  }
  Status status = write_position_file(files, path, position_file_text(file));
  if (!status.ok()) return status;
  return ignored;
}

}  // namespace sluice
