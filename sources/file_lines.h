// Makes events out of the lines (or records) of files, with the positions behind them.
#pragma once

#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/event/batch_builder.h"
#include "core/wire/line_splitter.h"
#include "core/wire/text_decoder.h"
#include "sources/deliveries.h"
#include "sources/file_generation.h"
#include "sources/line_groups.h"
#include "sources/source.h"

namespace sluice {

/// Reads whole lines straight into the slab and puts them; what stands behind the last line feed
/// stays in the file. One thread.
///
/// Behind durable channels the position goes into the commit of its events (as the note
/// note_prefix + id); behind memory channels each batch carries a receipt. Either way `deliveries`
/// hears when a batch has arrived.
///
/// A line that is longer than line_bytes_max is cut into events of that size, so that a batch needs
/// no more memory than that beside a slab.
///
/// Of a generation that has a schema, datums are read where this speaks of lines; they stand one
/// behind the other, and none is longer than line_bytes_max.
class FileLines {
 public:
  struct Options {
    std::string name;         ///< Of the source, for messages.
    std::string note_prefix;  ///< "taildir/r1/"
    std::size_t line_bytes_max = 16 << 20;
    bool trim_cr = true;  ///< One '\r' before the line feed is no part of the line.
    std::shared_ptr<const LineGroups> groups;  ///< Joins lines to events; null: none.
    std::shared_ptr<TextDecoder> decoder;      ///< Makes lines UTF-8; null: they pass as they are.
    bool blobs = false;  ///< Not lines: the whole file is one event, or pieces of line_bytes_max.
    /// Then NULs before the first line are what a truncation left, and what was read counts only
    /// when the file is still the same afterwards.
    bool may_be_truncated = true;
    bool byte_offset_header = false;  ///< Costs a copy of every line.
    std::uint64_t reads_max = 16;     ///< Of one file, before it is the turn of the next.
  };
  FileLines(Options options, const SourceContext& context, std::shared_ptr<Deliveries> deliveries);

  struct Turn {
    bool at_end = false;
    std::uint64_t looked_to = 0;  ///< at_end: the end; behind the offset when a line is unfinished.
    bool holds_group = false;     ///< at_end: whole lines wait for more that belong to them.
  };
  /// Reads on from generation.offset(); `then` says what may come behind the end of the file.
  /// Of a file that is truncated meanwhile nothing is put, and it is not `at_end`: whoever compares
  /// it again sees that it is another generation.
  /// Errors: Retry (the file cannot be read), Reject (the line at the offset cannot be decoded, or
  /// is no datum; those before it were put), Closed (stop), Fatal.
  Result<Turn> read(FileGeneration& generation, InputEnd then, const std::stop_token& stop);

  /// Lets go of the slabs.
  void close();

 private:
  /// Bytes of the file that were read and not yet put.
  struct Piece {
    std::size_t begin = 0;  ///< In the slab.
    std::size_t bytes = 0;
    InputEnd then = InputEnd::Open;  ///< Behind its bytes.
  };
  /// Events whose index entries are written, but not marked.
  struct Found {
    std::size_t events = 0;
    std::uint64_t body_bytes = 0;
    std::size_t consumed = 0;
    bool lines = true;     ///< As BatchBuilder::marked() means it.
    bool damaged = false;  ///< There will be no event, whatever comes behind the piece.
  };
  std::size_t piece_bytes_max() const noexcept;
  std::span<char> space();
  std::span<char> space_for_blob(const FileGeneration& generation);
  Result<bool> skip_hole(FileGeneration& generation);
  Result<bool> line_has_ended(FileGeneration& generation);
  Status put_lines(FileGeneration& generation, Piece& piece, const std::stop_token& stop);
  Found find(const FileGeneration& generation, const Piece& piece);
  Found find_groups(const FileGeneration& generation, const Piece& piece, std::size_t entries_max);
  Found find_datums(const AvroSchema& schema, const Piece& piece, std::size_t entries_max);
  std::size_t cut_bytes(const Piece& piece);
  Found find_one(const Piece& piece, std::size_t bytes);
  void leave_out_from_too_long(Found& found, const Piece& piece);
  void trim(Found& found);
  Status begin_text(FileGeneration& generation);
  LineScan split(const Piece& piece, std::size_t entries_max);
  Status decode(const FileGeneration& generation, const Piece& piece, Found& found);
  Batch seal_decoded();
  Batch seal(const Piece& piece, const Found& found);
  Provenance places(const FileGeneration& generation, std::uint64_t offset, const Piece& piece,
                    const Found& found);
  Batch seal_with_offsets(std::uint64_t offset, const Piece& piece, const Found& found);
  Status put(FileGeneration& generation, Batch batch, const std::stop_token& stop);
  void warn_of_cut(const FileGeneration& generation);

  const Options options_;
  const SourceContext context_;
  const std::shared_ptr<Deliveries> deliveries_;
  BatchBuilder builder_;
  BatchBuilder copies_;                    ///< For events that cannot stay where they were read.
  std::string decoded_;                    ///< Lines as UTF-8, one behind the other.
  std::vector<std::size_t> decoded_ends_;  ///< Where each of them ends.
  std::size_t text_begin_ = 0;             ///< Behind the byte-order mark of the file.
  std::uint64_t text_of_ = 0;              ///< The generation whose mark that is.
  std::size_t wanted_ = 0;                 ///< Room for a long line; 0: what a slab has.
  bool holds_group_ = false;  ///< The last piece ended within a group, behind a whole line.
  std::uint64_t cut_lines_ = 0;
};

}  // namespace sluice
