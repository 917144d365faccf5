// Where positions of files are kept between two runs.
#pragma once

#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "sources/deliveries.h"
#include "sources/file_generation.h"
#include "sources/position_file.h"
#include "sources/source.h"

namespace sluice {

/// Reads the positions at start and writes them as events arrive.
///
/// Behind durable channels they are notes in the store, one for each generation, written with its
/// events by FileLines; this class adds the list of them ("<note_prefix>files"), and the position
/// file is only a report. Behind memory channels the position file is all there is, and says so; it
/// never says more than what the sinks have committed. One thread.
class FilePositions {
 public:
  using Generations = std::map<std::uint64_t, std::unique_ptr<FileGeneration>>;
  struct Options {
    std::string name;         ///< Of the source, for messages.
    std::string note_prefix;  ///< As that of FileLines.
    std::string path;         ///< Of the position file.
    milliseconds write_interval{3000};
  };
  FilePositions(Options options, const SourceContext& context, Deliveries& deliveries);

  /// Positions of the last run; none is no error. An unreadable file is said and kept aside.
  std::vector<FilePosition> read();

  /// Takes note of what has arrived, and of files that came and went; writes the file when it is
  /// due. Errors: Closed (stop), Fatal; a file that cannot be written is said.
  Status update(const Generations& generations, const std::stop_token& stop);
  /// A generation came or went: what is kept changes with the next update().
  void files_changed() noexcept { changed_ = true; }
  /// The same without the store, which is not there any more when a source is destroyed.
  void write_last(const Generations& generations);

 private:
  std::vector<FilePosition> read_notes_and_file();
  std::vector<FilePosition> read_notes() const;
  PositionFile read_file(bool needed);
  void take_arrived(const Generations& generations);
  Status write_list(const Generations& generations, const std::stop_token& stop);
  void write_file(const Generations& generations);

  const Options options_;
  const SourceContext context_;
  Deliveries& deliveries_;
  std::map<std::uint64_t, std::string> noted_;  ///< Ids in the store's list, by number.
  SteadyTime write_at_{};
  bool changed_ = false;  ///< The list in the store is old.
  bool dirty_ = false;    ///< The file is old.
  std::uint64_t failures_ = 0;
};

}  // namespace sluice
