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

  /// Marks a delivered file as done. Errors: Reject (the name that it would get is taken: nothing
  /// was changed), Retry.
  Status put_away(const std::string& path);

  const Options& options() const noexcept { return options_; }

 private:
  Status list_below(const std::string& directory, std::vector<File>& found);
  bool waits(const std::string& path, const std::string& name) const;
  std::string tracker_of(const std::string& path) const;
  Status track(const std::string& path);

  const Options options_;
  InputFiles& input_;
  FileSystem& files_;
  FileIdentity tracker_;
  bool holds_tracker_ = false;  ///< The directory is the tracker's.
  std::mt19937_64 random_{std::random_device()()};
};

}  // namespace sluice
