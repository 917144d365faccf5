// A spooling directory, filled as it should be.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>

#include "tests/support/captured_log.h"
#include "tests/support/pipeline.h"

namespace sluice::testing {

class Spool {
 public:
  using Values = std::map<std::string, std::string>;

  std::string path(const std::string& name) const { return directory_.path(name); }
  Values settings(Values more = {}) const {
    more.insert({{"spoolDir", path("")}, {"pollDelay", "10"}});
    return more;
  }
  /// Written elsewhere, then renamed into the directory.
  void put(const std::string& name, std::string_view text, int age_s = 0) const {
    std::ofstream(path(".new"), std::ios::binary) << text;
    const auto time = std::filesystem::last_write_time(path(".new")) - std::chrono::seconds(age_s);
    std::filesystem::last_write_time(path(".new"), time);
    std::filesystem::rename(path(".new"), path(name));
  }
  bool wait_for_file(const std::string& name) const {
    return wait_for([&] { return std::filesystem::exists(path(name)); });
  }

 private:
  const TempDirectory directory_;
};

}  // namespace sluice::testing
