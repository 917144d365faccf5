#include "sinks/event_encoder.h"

#include <charconv>

#include "core/wire/event_text.h"
#include "sinks/spool_records.h"
#include "sinks/text_runs.h"

namespace sluice {
namespace {

/// What cannot be written from where it lies is gathered here.
class Gathered {
 public:
  std::string& begin() {
    text_.clear();
    return text_;
  }
  std::span<const iovec> end() {
    whole_ = {text_.data(), text_.size()};
    return {&whole_, 1};
  }

 private:
  std::string text_;
  iovec whole_{};
};

class TextEncoder final : public EventEncoder {
 public:
  explicit TextEncoder(bool line_feeds) : line_feeds_(line_feeds) {}

  std::span<const iovec> append(const Batch& batch,
                                std::span<const std::uint32_t> events) override {
    const bool neighbours = events.back() - events.front() + 1 == events.size();
    if (line_feeds_ && neighbours) {
      return runs_.assign_lines(batch.slice(events.front(), events.back() - events.front() + 1));
    }
    std::string& out = gathered_.begin();
    for (const std::uint32_t i : events) {
      out += batch.body(i);
      if (line_feeds_) out += '\n';
    }
    return gathered_.end();
  }

 private:
  const bool line_feeds_;
  TextRuns runs_;
  Gathered gathered_;
};

class HeaderAndTextEncoder final : public EventEncoder {
 public:
  explicit HeaderAndTextEncoder(bool line_feeds) : line_feeds_(line_feeds) {}

  std::span<const iovec> append(const Batch& batch,
                                std::span<const std::uint32_t> events) override {
    std::string& out = gathered_.begin();
    for (const std::uint32_t i : events) {
      append_headers_and_body(out, batch[i]);
      if (line_feeds_) out += '\n';
    }
    return gathered_.end();
  }

 private:
  const bool line_feeds_;
  Gathered gathered_;
};

/// As Flume's key: when the event was, else when it is written.
std::int64_t key_of(const HeaderView& headers, std::int64_t now_ms) {
  std::string_view text;
  if (!headers.find("timestamp", text)) return now_ms;
  std::int64_t key = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, key);
  return error == std::errc() && stopped == end ? key : now_ms;
}

class SequenceEncoder final : public EventEncoder {
 public:
  SequenceEncoder(std::unique_ptr<SequenceFileWriter> writer, const Clock& clock)
      : writer_(std::move(writer)), clock_(clock) {}

  void begin(std::string& out) override { writer_->begin(random_sequence_sync(), out); }

  std::span<const iovec> append(const Batch& batch,
                                std::span<const std::uint32_t> events) override {
    std::string& out = gathered_.begin();
    const std::int64_t now_ms = clock_.wall_ms();
    for (const std::uint32_t i : events) {
      const Status status = writer_->append(key_of(batch.headers(i), now_ms), batch.body(i), out);
      SLUICE_ASSERT(status.ok(), "no source takes a body of a gigabyte");
    }
    // As at Flume's flush: what follows can be read, whatever becomes of what is before it.
    writer_->flush(out);
    return gathered_.end();
  }

 private:
  const std::unique_ptr<SequenceFileWriter> writer_;
  const Clock& clock_;
  Gathered gathered_;
};

class SpoolEncoder final : public EventEncoder {
 public:
  explicit SpoolEncoder(const Clock& clock) : clock_(clock) {}

  std::span<const iovec> append(const Batch& batch,
                                std::span<const std::uint32_t> events) override {
    std::string& out = gathered_.begin();
    const std::int64_t now_ms = clock_.wall_ms();
    for (const std::uint32_t i : events) {
      append_spool_record(key_of(batch.headers(i), now_ms), batch.body(i), out);
    }
    return gathered_.end();
  }

 private:
  const Clock& clock_;
  Gathered gathered_;
};

}  // namespace

std::unique_ptr<EventEncoder> make_sequence_encoder(SequenceValue value, const Clock& clock) {
  SequenceFileWriter::Options options;
  options.value = value;
  auto writer = SequenceFileWriter::make(options);
  SLUICE_ASSERT(writer.ok(), "without compression nothing can be wrong");
  return std::make_unique<SequenceEncoder>(*std::move(writer), clock);
}

std::unique_ptr<EventEncoder> make_spool_encoder(const Clock& clock) {
  return std::make_unique<SpoolEncoder>(clock);
}

std::unique_ptr<EventEncoder> make_text_encoder(bool line_feeds) {
  return std::make_unique<TextEncoder>(line_feeds);
}

std::unique_ptr<EventEncoder> make_header_and_text_encoder(bool line_feeds) {
  return std::make_unique<HeaderAndTextEncoder>(line_feeds);
}

}  // namespace sluice
