#include "agent/avro_client_command.h"

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <stop_token>
#include <string>
#include <string_view>

#include "agent/avro_client_options.h"
#include "agent/avro_sender.h"
#include "core/base/assert.h"
#include "core/base/clock.h"
#include "core/base/input_stream.h"
#include "core/base/signals.h"
#include "core/base/stop_signal.h"
#include "core/config/diagnostics.h"
#include "core/event/batch_builder.h"
#include "sources/spool_directory.h"

namespace sluice {
namespace {

constexpr int all_sent = 0;
constexpr int trouble = 1;
constexpr int wrong_usage = 2;
constexpr int signal_status = 128;
constexpr std::size_t read_bytes = 64 * 1024;
constexpr std::size_t line_bytes_max = 16 << 20;
constexpr std::size_t batch_bytes_max = 1 << 20;  // a longer line goes alone
constexpr std::string_view done_suffix = ".COMPLETED";
constexpr milliseconds progress_interval{500};

/// SIGINT and SIGTERM, for whoever sleeps and whoever sends.
class Interrupt {
 public:
  std::stop_token token() const noexcept { return stop_.get_token(); }
  const StopSignal& signal() const noexcept { return wake_; }
  int number() const noexcept { return number_; }  ///< 0: there was none.

 private:
  StopSignal wake_;
  std::stop_source stop_;
  std::atomic<int> number_{0};
  SignalWatch watch_{{SIGINT, SIGTERM}, [this](int number) {
                       number_ = number;
                       stop_.request_stop();
                       wake_.set();
                     }};
};

/// The lines of a stream.
class LineInput {
 public:
  enum class Got : unsigned char { Line, Pause, End };
  explicit LineInput(InputStream stream) : stream_(std::move(stream)) {}

  /// The next line, valid until the next call; Pause: none is there just now.
  /// Errors: Retry (cannot be read), Reject (a line is too long).
  Result<Got> next(std::string_view& line) {
    for (;;) {
      const std::size_t feed = bytes_.find('\n', scanned_);
      if (feed != std::string::npos) {
        take(feed, line);
        begin_ = scanned_ = feed + 1;
        return Got::Line;
      }
      scanned_ = bytes_.size();
      if (ended_) {
        if (begin_ == bytes_.size()) return Got::End;
        take(bytes_.size(), line);
        begin_ = bytes_.size();
        return Got::Line;
      }
      if (bytes_.size() - begin_ > line_bytes_max) {
        return Reject(fmt::format("line {} of {} is longer than {} bytes", lines_ + 1,
                                  stream_.name(), line_bytes_max));
      }
      if (!stream_.is_ready()) return Got::Pause;
      if (Status status = read_more(); !status.ok()) return status;
    }
  }
  void wait(const StopSignal& stop) const noexcept { stream_.wait(stop); }

 private:
  void take(std::size_t end, std::string_view& line) {
    if (end > begin_ && bytes_[end - 1] == '\r') --end;
    line = std::string_view(bytes_).substr(begin_, end - begin_);
    ++lines_;
  }
  Status read_more() {
    bytes_.erase(0, begin_);
    begin_ = 0;
    const std::size_t have = scanned_ = bytes_.size();
    bytes_.resize(have + read_bytes);
    auto got = stream_.read_some({bytes_.data() + have, read_bytes});
    bytes_.resize(have + (got.ok() ? *got : 0));
    if (!got.ok()) return got.status();
    ended_ = *got == 0;
    return {};
  }

  InputStream stream_;
  std::string bytes_;
  std::size_t begin_ = 0;    ///< Of the next line.
  std::size_t scanned_ = 0;  ///< No line feed is in [begin_, scanned_).
  std::uint64_t lines_ = 0;
  bool ended_ = false;
};

/// For whoever watches a terminal.
class Progress {
 public:
  Progress(std::ostream& err, bool shown) : err_(err), shown_(shown) {}
  void tell(std::uint64_t events) {
    const SteadyTime now = Clock::system().steady();
    if (!shown_ || now < next_) return;
    next_ = now + progress_interval;
    const auto elapsed = std::chrono::duration<double>(now - begin_).count();
    err_ << fmt::format("\r\x1b[K{} events, {:.0f}/s", events,
                        elapsed > 0 ? static_cast<double>(events) / elapsed : 0)
         << std::flush;
    told_ = true;
  }
  void end() {
    if (told_) err_ << "\r\x1b[K" << std::flush;
    told_ = false;
  }

 private:
  std::ostream& err_;
  const bool shown_;
  bool told_ = false;
  const SteadyTime begin_ = Clock::system().steady();
  SteadyTime next_ = begin_ + progress_interval;
};

class AvroClient {
 public:
  AvroClient(const AvroClientArguments& arguments, const AvroClientOptions& options,
             std::ostream& out, std::ostream& err, bool err_is_terminal)
      : arguments_(arguments),
        options_(options),
        out_(out),
        err_(err),
        progress_(err, err_is_terminal) {}

  int run() {
    Status status = send_input();
    sender_.finish();
    progress_.end();
    if (status.ok()) {
      out_ << acknowledged_ << " events sent" << std::endl;
      return all_sent;
    }
    err_ << fmt::format("avro-client: {} events are acknowledged, {} are not: {}\n", acknowledged_,
                        read_ - acknowledged_, printable(status.message()));
    return interrupt_.number() != 0 ? signal_status + interrupt_.number() : trouble;
  }

 private:
  Status send_input() {
    if (!arguments_.directory.empty()) return send_directory();
    if (!arguments_.file.empty()) return send_file(arguments_.file);
    return send_lines(LineInput(InputStream::standard_input()));
  }

  Status send_directory() {
    auto everything = NamePattern::make(".*");
    auto nothing = NamePattern::make("^$");
    SLUICE_ASSERT(everything.ok() && nothing.ok(), "these are expressions");
    SpoolDirectory directory({.directory = arguments_.directory,
                              .suffix = std::string(done_suffix),
                              .tracker_directory = {},
                              .include = *std::move(everything),
                              .ignore = *std::move(nothing)},
                             InputFiles::real(), FileSystem::real());
    for (;;) {  // files that came meanwhile are sent too
      auto files = directory.list();
      if (!files.ok()) return files.status();
      if (files->empty()) return {};
      for (const SpoolDirectory::File& file : *files) {
        Status status = send_file(file.path);
        if (status.ok()) status = directory.put_away(file.path);
        if (!status.ok()) return status;
      }
    }
  }

  Status send_file(const std::string& path) {
    auto file = InputStream::open(path);
    if (!file.ok()) return file.status();
    return send_lines(LineInput(*std::move(file)));
  }

  /// Until its end; all of it is acknowledged then.
  Status send_lines(LineInput input) {
    for (;;) {
      if (interrupt_.number() != 0) return Closed("interrupted");
      std::string_view line;
      auto got = input.next(line);
      if (!got.ok()) {
        const Status status = flush();  // what stands before it is good
        return status.ok() ? got.status() : status;
      }
      Status status;
      switch (*got) {
        case LineInput::Got::Line: status = add(line); break;
        case LineInput::Got::Pause:
          status = flush();
          if (status.ok()) input.wait(interrupt_.signal());
          break;
        case LineInput::Got::End: return flush();
      }
      if (!status.ok()) return status;
    }
  }

  Status add(std::string_view line) {
    const bool too_much = builder_.marked_bytes() + line.size() > batch_bytes_max;
    if (too_much || !builder_.append(line)) {
      if (Status status = flush(); !status.ok()) return status;
      builder_.reserve(line.size() + room_beside_bytes);
      const bool fits = builder_.append(line);
      SLUICE_ASSERT(fits, "room was reserved");
    }
    ++read_;
    return builder_.marked_events() < options_.batch_events ? Status() : flush();
  }

  Status flush() {
    if (builder_.marked_events() == 0) return {};
    const Batch batch = builder_.seal().with_shared_headers({}, options_.headers);
    Status status = sender_.send(batch, interrupt_.token());
    if (!status.ok()) return status;
    acknowledged_ += batch.size();
    progress_.tell(acknowledged_);
    return {};
  }

  /// Of an event: its entry in the index, and a line feed.
  static constexpr std::size_t room_beside_bytes = 64;

  const AvroClientArguments& arguments_;
  const AvroClientOptions& options_;
  std::ostream& out_;
  std::ostream& err_;
  Interrupt interrupt_;  // before all other threads
  Progress progress_;
  SlabPool pool_;
  BatchBuilder builder_{pool_};
  AvroSender sender_{options_};
  std::uint64_t read_ = 0;
  std::uint64_t acknowledged_ = 0;
};

}  // namespace

int run_avro_client(const CommandLine& line, std::ostream& out, std::ostream& err,
                    bool err_is_terminal) {
  for (const std::string& warning : line.warnings) err << warning << "\n";
  auto options = read_avro_client_options(line.on_avro_client, err);
  if (!options.ok()) {
    err << options.status().message() << "\n";
    return wrong_usage;
  }
  return AvroClient(line.on_avro_client, *options, out, err, err_is_terminal).run();
}

}  // namespace sluice
