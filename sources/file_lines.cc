#include "sources/file_lines.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/wire/line_splitter.h"

namespace sluice {
namespace {

// Less room than this is not worth a system call.
constexpr std::size_t read_bytes_min = 16 * 1024;
// An unfinished line of more than this is not read from its beginning each time it grows.
constexpr std::size_t reread_bytes_max = 64 * 1024;
constexpr std::size_t index_bytes = 4096;

const IndexEntry& entry(BatchBuilder& builder, std::size_t i) {
  return builder.index_top()[-1 - static_cast<std::ptrdiff_t>(i)];
}

}  // namespace

FileLines::FileLines(Options options, const SourceContext& context,
                     std::shared_ptr<Deliveries> deliveries)
    : options_(std::move(options)),
      context_(context),
      deliveries_(std::move(deliveries)),
      builder_(context.pool, EventHeaders::Shared, &context.window),
      copies_(context.pool, EventHeaders::Own, &context.window) {}

Result<FileLines::Turn> FileLines::read(FileGeneration& generation, InputEnd then,
                                        const std::stop_token& stop) {
  if (generation.offset() == 0 && options_.may_be_truncated) {
    auto begun = skip_hole(generation);
    if (!begun.ok()) return begun.status();
    if (!*begun) return Turn{true, generation.looked_to, false};
  }
  if (Status status = begin_text(generation); !status.ok()) return status;
  wanted_ = 0;
  for (std::uint64_t reads = 0; reads < options_.reads_max;) {
    auto ended = line_has_ended(generation);
    if (!ended.ok()) return ended.status();
    if (!*ended && then == InputEnd::Open) {
      return Turn{true, generation.looked_to, options_.groups != nullptr};
    }
    const std::uint64_t from = generation.next_line();
    const std::span<char> into = options_.blobs ? space_for_blob(generation) : space();
    auto got = read_held(*generation.file, from, into);
    if (!got.ok()) return got.status();
    if (options_.may_be_truncated) {
      auto holds = generation.still_holds({into.data(), *got});
      if (!holds.ok()) return holds.status();
      if (!*holds) return Turn{};
    }
    const bool last = *got < into.size();
    Piece piece{builder_.position(), *got, last ? then : InputEnd::Open};
    holds_group_ = false;
    builder_.written(*got);
    if (Status status = put_lines(generation, piece, stop); !status.ok()) return status;
    // Asked before the rewind, which makes room for entries of the bytes that it gives up: were it
    // forgotten that whole lines are among them, they would wait until the file grows.
    const bool index_full = piece.bytes > 0 && builder_.entries_left() == 0;
    // The byte behind the last body stays as it is, be it one that was read or a line feed that was
    // put there: readers look at it.
    if (piece.bytes > 0) builder_.rewind(piece.begin + 1);
    if (index_full) builder_.renew();
    if (last && !index_full) return Turn{true, from + *got, holds_group_};
    // Reading the same once more, with more room, is no read of its own: a turn that ended here
    // would begin the next one with the little room again.
    const bool nothing_whole = generation.next_line() == from && !index_full;
    wanted_ = nothing_whole ? 2 * into.size() : 0;
    if (!nothing_whole || into.size() > piece_bytes_max()) ++reads;
  }
  return Turn{};
}

/// A piece of more than this holds an event.
std::size_t FileLines::piece_bytes_max() const noexcept {
  const std::size_t group = options_.groups ? options_.groups->bytes_max() : 0;
  return std::max(options_.line_bytes_max, group);
}

std::span<char> FileLines::space() {
  if (wanted_ > 0) {
    wanted_ = std::min(wanted_, piece_bytes_max() + read_bytes_min);
    builder_.renew(wanted_ + index_bytes);
    return {builder_.base(), wanted_};
  }
  if (builder_.space().size() < read_bytes_min) builder_.renew();
  return builder_.space();
}

/// Room for the next event, and a byte more, which shows whether the file ends behind it.
std::span<char> FileLines::space_for_blob(const FileGeneration& generation) {
  const std::uint64_t left =
      generation.size_seen - std::min(generation.size_seen, generation.offset());
  // The size of a compressed file says little about how much there is to come.
  wanted_ = std::max(wanted_, std::min<std::uint64_t>(left, options_.line_bytes_max) + 1);
  return space();
}

/// A writer that does not append leaves a hole where the truncated bytes were. False: the file is
/// nothing but NULs, so maybe it is just being made. The position stays before the hole until there
/// is a line behind it, because NULs tell no file from another.
Result<bool> FileLines::skip_hole(FileGeneration& generation) {
  std::array<char, 4096> bytes;
  std::uint64_t at = 0;
  for (;;) {
    auto got = read_held(*generation.file, at, {bytes.data(), at == 0 ? 1 : bytes.size()});
    if (!got.ok()) return got.status();
    const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(*got);
    const auto text = std::find_if(bytes.begin(), end, [](char c) { return c != '\0'; });
    at += static_cast<std::uint64_t>(text - bytes.begin());
    if (text != end) break;
    generation.looked_to = at;
    if (*got == 0) return false;
    if (at == 1) at = std::max(at, generation.file->skip_hole(at));
  }
  generation.hole = at;
  return true;
}

/// The first bytes of a file may say how the others are to be read.
Status FileLines::begin_text(FileGeneration& generation) {
  if (!options_.decoder || generation.number == text_of_) return {};
  std::array<char, 4> first{};
  auto got = read_held(*generation.file, 0, first);
  if (!got.ok()) return got.status();
  text_of_ = generation.number;
  text_begin_ = options_.decoder->begin({first.data(), *got});
  return {};
}

/// False when the unfinished line is a long one and still has no end.
Result<bool> FileLines::line_has_ended(FileGeneration& generation) {
  const std::uint64_t length = std::max(generation.looked_to, generation.next_line());
  const std::uint64_t unfinished = length - generation.next_line();
  if (unfinished <= reread_bytes_max || unfinished > piece_bytes_max()) return true;
  std::uint64_t end = 0;
  for (;;) {
    const std::span<char> into = space();
    auto got = read_held(*generation.file, generation.looked_to, into);
    if (!got.ok()) return got.status();
    const void* const feed = std::memchr(into.data(), '\n', *got);
    if (feed != nullptr) {
      const auto before = static_cast<const char*>(feed) - into.data();
      end = generation.looked_to + static_cast<std::uint64_t>(before) + 1;
      break;
    }
    end = generation.looked_to += *got;
    if (end - generation.next_line() > piece_bytes_max()) break;
    if (*got < into.size()) return false;
  }
  // Not less than before: the byte 0x0A need not be a line feed in every charset.
  wanted_ = std::max<std::size_t>(wanted_, end - generation.next_line() + read_bytes_min);
  return true;
}

/// Puts all whole lines of the piece, as many batches as that takes.
Status FileLines::put_lines(FileGeneration& generation, Piece& piece, const std::stop_token& stop) {
  while (piece.bytes > 0 && builder_.entries_left() > 0) {
    Found found = find(generation, piece);
    if (found.damaged) {
      return Reject("no record of its schema is at byte " + std::to_string(generation.offset()) +
                    " of its content");
    }
    if (found.events == 0) return {};
    const char* const from = builder_.base() + piece.begin;
    if (generation.offset() < generation.hole) generation.pass_hole();
    const Status decoded = options_.decoder ? decode(generation, piece, found) : Status();
    if (found.events == 0) return decoded;
    const std::uint64_t offset = generation.offset();
    generation.advance({from, found.consumed});
    if (options_.trim_cr) trim(found);
    Provenance origins;
    if (context_.out.wants_origins()) origins = places(generation, offset, piece, found);
    Batch batch = options_.decoder              ? seal_decoded()
                  : options_.byte_offset_header ? seal_with_offsets(offset, piece, found)
                                                : seal(piece, found);
    piece.begin += found.consumed;
    piece.bytes -= found.consumed;
    if (Status status = put(generation, batch.with_provenance(std::move(origins)), stop);
        !status.ok()) {
      return status;
    }
    if (!decoded.ok()) return decoded;
  }
  return {};
}

/// The lines at the piece's begin: whole ones, or one that is too long or has no line feed.
FileLines::Found FileLines::find(const FileGeneration& generation, const Piece& piece) {
  const std::size_t entries_max =
      std::min<std::size_t>(context_.out.batch_events_max(), builder_.entries_left());
  if (generation.schema) return find_datums(*generation.schema, piece, entries_max);
  if (options_.blobs) {
    if (piece.bytes <= options_.line_bytes_max && piece.then != InputEnd::Over) return {};
    return find_one(piece, std::min<std::size_t>(piece.bytes, options_.line_bytes_max));
  }
  if (options_.groups) return find_groups(generation, piece, entries_max);
  const LineScan scan = split(piece, entries_max);
  Found found{scan.events, scan.body_bytes, scan.line_begin - piece.begin};
  if (scan.longest > options_.line_bytes_max) leave_out_from_too_long(found, piece);
  if (found.events > 0) return found;
  if (piece.bytes > options_.line_bytes_max) {
    warn_of_cut(generation);
    return find_one(piece, cut_bytes(piece));
  }
  return piece.then == InputEnd::Over ? find_one(piece, piece.bytes) : Found();
}

FileLines::Found FileLines::find_groups(const FileGeneration& generation, const Piece& piece,
                                        std::size_t entries_max) {
  LineGroups::Input input{.base = builder_.base(), .begin = piece.begin, .scan_from = piece.begin};
  input.end = piece.begin + piece.bytes;
  input.then = piece.then;
  input.line_bytes_max = options_.line_bytes_max;
  input.decoder = options_.decoder.get();
  const LineGroups::Scan scan = options_.groups->split(input, builder_.index_top(), entries_max);
  holds_group_ = scan.lines > 0;
  if (scan.events > 0) return {scan.events, scan.body_bytes, scan.group_begin - piece.begin};
  if (scan.line_too_long) {
    warn_of_cut(generation);
    return find_one(piece, cut_bytes(piece));
  }
  return piece.then == InputEnd::Over ? find_one(piece, piece.bytes) : Found();
}

/// The last datum that was read comes alone, so that there is room for a byte behind its body.
FileLines::Found FileLines::find_datums(const AvroSchema& schema, const Piece& piece,
                                        std::size_t entries_max) {
  Found found{.lines = false};
  const std::string_view bytes(builder_.base() + piece.begin, piece.bytes);
  while (found.events < entries_max && found.consumed < bytes.size()) {
    const std::string_view rest = bytes.substr(found.consumed);
    const AvroSchema::Datum datum = schema.measure(rest);
    if (datum.extent != AvroSchema::Extent::Whole) {
      const bool may_be_whole = datum.extent == AvroSchema::Extent::Cut &&
                                piece.then != InputEnd::Over &&
                                rest.size() <= options_.line_bytes_max;
      found.damaged = found.events == 0 && !may_be_whole;
      break;
    }
    if (found.events > 0 && datum.bytes == rest.size()) break;
    builder_.index_top()[-1 - static_cast<std::ptrdiff_t>(found.events++)] = {
        static_cast<std::uint32_t>(piece.begin + found.consumed),
        static_cast<std::uint32_t>(datum.bytes)};
    found.consumed += datum.bytes;
  }
  found.body_bytes = found.consumed;
  return found;
}

/// Lines of text whose line feed is not one byte 0x0A are found one by one.
LineScan FileLines::split(const Piece& piece, std::size_t entries_max) {
  const std::size_t end = piece.begin + piece.bytes;
  if (!options_.decoder || options_.decoder->feed_is_ascii()) {
    return split_lines({builder_.base(), piece.begin, piece.begin, end}, builder_.index_top(),
                       entries_max);
  }
  LineScan scan{.line_begin = piece.begin};
  while (scan.events < entries_max) {
    const std::string_view rest(builder_.base() + scan.line_begin, end - scan.line_begin);
    const std::size_t bytes = options_.decoder->find_feed(rest);
    if (bytes == rest.size()) break;
    builder_.index_top()[-1 - static_cast<std::ptrdiff_t>(scan.events++)] = {
        static_cast<std::uint32_t>(scan.line_begin), static_cast<std::uint32_t>(bytes)};
    scan.body_bytes += bytes;
    scan.longest = std::max(scan.longest, bytes);
    scan.line_begin += bytes + options_.decoder->feed_bytes();
  }
  return scan;
}

/// Of a line that is too long: as much as an event may have, without tearing a character.
std::size_t FileLines::cut_bytes(const Piece& piece) {
  const std::size_t most = options_.line_bytes_max;
  if (!options_.decoder) return most;
  return options_.decoder->whole_characters({builder_.base() + piece.begin, most});
}

FileLines::Found FileLines::find_one(const Piece& piece, std::size_t bytes) {
  builder_.index_top()[-1] = {static_cast<std::uint32_t>(piece.begin),
                              static_cast<std::uint32_t>(bytes)};
  return {1, bytes, bytes, false};
}

void FileLines::leave_out_from_too_long(Found& found, const Piece& piece) {
  std::size_t events = 0;
  std::uint64_t body_bytes = 0;
  while (entry(builder_, events).bytes <= options_.line_bytes_max) {
    body_bytes += entry(builder_, events++).bytes;
  }
  found = {events, body_bytes, entry(builder_, events).offset - piece.begin};
}

/// Takes one carriage return off the end of each line. Files without any cost one look.
void FileLines::trim(Found& found) {
  if (!found.lines) return;
  const IndexEntry& last = entry(builder_, found.events - 1);
  const IndexEntry& first = entry(builder_, 0);
  char* const base = builder_.base();
  const std::size_t end = last.offset + last.bytes;
  if (std::memchr(base + first.offset, '\r', end - first.offset) == nullptr) return;
  for (std::size_t i = 0; i < found.events; ++i) {
    IndexEntry& line = builder_.index_top()[-1 - static_cast<std::ptrdiff_t>(i)];
    if (line.bytes == 0 || base[line.offset + line.bytes - 1] != '\r') continue;
    --line.bytes;
    --found.body_bytes;
    // Sinks write a body and the line feed behind it in one piece.
    base[line.offset + line.bytes] = '\n';
    found.lines = found.lines && found.events == 1;
  }
}

/// Makes decoded_ of the lines found. Where one cannot be decoded, those before it are what was
/// found, and the error is returned.
Status FileLines::decode(const FileGeneration& generation, const Piece& piece, Found& found) {
  decoded_.clear();
  decoded_ends_.clear();
  for (std::size_t i = 0; i < found.events; ++i) {
    const IndexEntry& line = entry(builder_, i);
    std::string_view text(builder_.base() + line.offset, line.bytes);
    const std::uint64_t offset = generation.next_line() + line.offset - piece.begin;
    if (offset == 0) text.remove_prefix(std::min(text_begin_, text.size()));
    if (Status status = options_.decoder->append_utf8(decoded_, text); !status.ok()) {
      found.consumed = line.offset - piece.begin;
      found.events = i;
      return status.with_context("the line at byte " + std::to_string(offset));
    }
    decoded_ends_.push_back(decoded_.size());
  }
  return {};
}

Batch FileLines::seal_decoded() {
  constexpr std::size_t beside_bytes = 32;  // line feed, index entry
  copies_.reserve(decoded_.size() + decoded_ends_.size() * beside_bytes);
  std::size_t begin = 0;
  for (const std::size_t end : decoded_ends_) {
    const bool fits = copies_.append(std::string_view(decoded_).substr(begin, end - begin));
    SLUICE_ASSERT(fits, "reserve() was asked for less than the lines need");
    begin = end;
  }
  return copies_.seal();
}

Batch FileLines::seal(const Piece& piece, const Found& found) {
  const bool unterminated = found.consumed == piece.bytes && found.events == 1 && !found.lines &&
                            entry(builder_, 0).bytes == found.consumed;
  if (unterminated) {
    builder_.mark(piece.begin, found.consumed);
  } else {
    builder_.marked(found.events, found.body_bytes, found.lines);
  }
  return builder_.seal();
}

/// Each event's origin is its place in the generation, so that it is the same in whatever batch it
/// comes again.
Provenance FileLines::places(const FileGeneration& generation, std::uint64_t offset,
                             const Piece& piece, const Found& found) {
  Provenance::Run run{{part_of({}, generation.at.id), offset, generation.offset()},
                      static_cast<std::uint32_t>(found.events),
                      {}};
  run.sequences.reserve(found.events);
  for (std::size_t i = 0; i < found.events; ++i) {
    run.sequences.push_back(offset + entry(builder_, i).offset - piece.begin);
  }
  return Provenance::of_runs({std::move(run)});
}

Batch FileLines::seal_with_offsets(std::uint64_t offset, const Piece& piece, const Found& found) {
  constexpr std::size_t beside_bytes = 64;  // header block, line feed, index entry
  copies_.reserve(found.body_bytes + found.events * beside_bytes);
  std::string header;
  for (std::size_t i = 0; i < found.events; ++i) {
    const IndexEntry& line = entry(builder_, i);
    header.clear();
    append_header(header, "byteoffset", std::to_string(offset + line.offset - piece.begin));
    const bool fits = copies_.append({builder_.base() + line.offset, line.bytes}, header);
    SLUICE_ASSERT(fits, "reserve() was asked for less than the lines need");
  }
  return copies_.seal();
}

Status FileLines::put(FileGeneration& generation, Batch batch, const std::stop_token& stop) {
  const std::uint64_t token = deliveries_->expect(generation.number, generation.at.mark);
  if (!generation.headers.empty()) batch = batch.with_shared_headers({}, generation.headers);
  if (!context_.out.keeps_notes()) {
    const std::uint64_t events = batch.size();
    return context_.out.process(batch.with_receipt(Receipt::make(deliveries_, token, events)), stop,
                                nullptr);
  }
  Notes notes;
  notes.push_back({options_.note_prefix + generation.at.id, encode(generation.at)});
  const auto done = [deliveries = deliveries_, token](const Status& status) {
    deliveries->settled(token, status.ok());
  };
  return context_.out.process(std::move(batch), stop, done, std::move(notes));
}

void FileLines::warn_of_cut(const FileGeneration& generation) {
  if (!worth_saying(++cut_lines_)) return;
  log::warn(
      "{}: a line of {} is longer than {} bytes and is cut into events of that size ({} "
      "pieces since the start)",
      options_.name, generation.at.path, options_.line_bytes_max, cut_lines_);
}

void FileLines::close() {
  builder_.discard();
  builder_.reset();
  copies_.discard();
  copies_.reset();
}

}  // namespace sluice
