// The agent's log in a file of the test's own, to read what a user would.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "tests/support/pipeline.h"

namespace sluice::testing {

/// A directory that is gone with its owner.
class TempDirectory {
 public:
  TempDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "sluice-test-XXXXXX").string();
    SLUICE_ASSERT(::mkdtemp(name.data()) != nullptr, "no temporary directory");
    path_ = name;
  }
  ~TempDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Catches the log for as long as it lives; afterwards it goes to stderr again.
class CapturedLog {
 public:
  explicit CapturedLog(log::Level level = log::Level::Info) {
    const Status status =
        log::configure({.level = level, .console = false, .file_path = directory_.path("log")});
    SLUICE_ASSERT(status.ok(), "the log file can be opened");
  }
  ~CapturedLog() {
    const Status status = log::configure({});
    SLUICE_ASSERT(status.ok(), "stderr is there");
  }
  CapturedLog(const CapturedLog&) = delete;
  CapturedLog& operator=(const CapturedLog&) = delete;

  std::string text() const {
    log::flush();
    std::ifstream file(directory_.path("log"));
    std::ostringstream whole;
    whole << file.rdbuf();
    return whole.str();
  }
  bool has(const std::string& words) const { return text().find(words) != std::string::npos; }
  bool wait_for_text(const std::string& words) const {
    return wait_for([&] { return has(words); });
  }
  /// The number behind `words`, once they are there; 0 when they never are.
  int number_after(const std::string& words) const {
    if (!wait_for_text(words)) return 0;
    const std::string all = text();
    return std::atoi(all.c_str() + all.find(words) + words.size());
  }

 private:
  TempDirectory directory_;
};

}  // namespace sluice::testing
