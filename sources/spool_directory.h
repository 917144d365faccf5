// Finds the files of a spooling directory, and puts away those that are done.
#pragma once

#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "core/base/file.h"
#include "core/base/input_file.h"
#include "core/base/name_pattern.h"

namespace sluice {

/// A directory into which finished files are put, and where they get a suffix (or go, or are noted
/// down in a tracker directory) once they are delivered. One thread.
class SpoolDirectory {
 public:
  enum class Order : unsigned char { Oldest, Youngest, Random };
  enum class Done : unsigned char { Rename, Delete, Track };
  struct Options {
    std::string directory;
    std::string suffix;
    std::string tracker_directory;  ///< Of which nothing is read, wherever it lies.
    NamePattern include;
    NamePattern ignore;  ///< Of directories too.
    Order order = Order::Oldest;
    Done done = Done::Rename;
    bool recursive = false;
  };
  struct File {
    std::string path;
    FileLook look;
  };
  SpoolDirectory(Options options, InputFiles& input, FileSystem& files);

  /// Files that wait to be read, in the order in which they should be. Errors: Retry.
  Result<std::vector<File>> list();

  /// Makes the tracker directory. Errors: Retry.
  Status make_tracker();

  /// Marks a delivered file as done. Errors: Reject (the name that it would get is taken: nothing
  /// was changed), Retry.
  Status put_away(const std::string& path);
  /// True when a file that was there is not to be read any more: it has gone from its name, or is
  /// noted down as done. The next sync() makes that outlive a power cut. Errors: Retry.
  Result<bool> is_put_away(const std::string& path, const FileIdentity& identity);
  /// Ok: what was put away stays so when the power is cut. Each directory in which names have
  /// changed since is synced once. Errors: Retry, some of them were not.
  Status sync();

  const Options& options() const noexcept { return options_; }

 private:
  Status list_below(const std::string& directory, std::vector<File>& found);
  bool waits(const std::string& path, const std::string& name) const;
  std::string tracker_of(const std::string& path) const;
  Status track(const std::string& path);
  Status make_path(const std::string& directory);

  const Options options_;
  InputFiles& input_;
  FileSystem& files_;
  FileIdentity tracker_;
  bool holds_tracker_ = false;     ///< The directory is the tracker's.
  std::set<std::string> changed_;  ///< Directories with names that a power cut may take back.
  std::mt19937_64 random_{std::random_device()()};
};

}  // namespace sluice
