// Gives a source what it reads, so that the same conformance suite can run them all.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sources/source.h"

namespace sluice {

/// How one type of source is fed "0\n", "1\n", ... by a test.
struct SourceUnderTest {
  std::string type;
  /// Settings of an instance and a function that feeds it lines; called once an instance.
  struct Instance {
    Settings settings;
    /// Sends the lines; blocks while the source holds the sender back; ends early when it is gone.
    std::function<void(std::uint64_t first, std::uint64_t count)> feed;
    /// What keeps files and sockets alive.
    std::shared_ptr<void> keep;
  };
  std::function<Instance()> make;
  /// False: its events are only counted, they do not say which they are.
  bool numbered = true;
  /// Empty: under test. Otherwise why the harness cannot run it.
  std::string skipped_because = {};
  /// Its batches wait for room as a whole, so a channel may stay less than full.
  bool whole_batches = false;
};

const std::vector<SourceUnderTest>& sources_under_test();

}  // namespace sluice
