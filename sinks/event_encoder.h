// How events become the bytes of a file.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/base/clock.h"
#include "core/event/batch.h"
#include "core/wire/sequence_file.h"

namespace sluice {

/// Writes the bytes of one file. What one append() made can be cut off its end, and what came
/// before is whole. One thread.
class EventEncoder {
 public:
  virtual ~EventEncoder() = default;

  /// What the file begins with.
  virtual void begin(std::string& out) { (void)out; }
  /// Bytes of these events of the batch (ascending), as pieces that live until the next call and as
  /// long as the batch.
  virtual std::span<const iovec> append(const Batch& batch,
                                        std::span<const std::uint32_t> events) = 0;
};

/// Bodies, each with a line feed behind it or without: Flume's TEXT.
std::unique_ptr<EventEncoder> make_text_encoder(bool line_feeds);
/// `{a=1, b=2} body`: Flume's header_and_text.
std::unique_ptr<EventEncoder> make_header_and_text_encoder(bool line_feeds);

/// An uncompressed SequenceFile. The key is the header `timestamp`, or now where that is missing or
/// no number. The clock outlives it.
std::unique_ptr<EventEncoder> make_sequence_encoder(SequenceValue value, const Clock& clock);
/// Keys and values of a SequenceFile that is made later: what FileMaker takes for one.
std::unique_ptr<EventEncoder> make_spool_encoder(const Clock& clock);

}  // namespace sluice
