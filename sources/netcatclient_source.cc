// Lines from a server that this source connects to.

#include <optional>
#include <string>

#include "core/base/backoff.h"
#include "core/base/log.h"
#include "core/net/tcp_stream.h"
#include "sources/line_reader.h"
#include "sources/pause.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "host",
     .type = KeyType::Text,
     .meaning = "Host name or address to connect to.",
     .required = true,
     .old_names = "hostname"},
    {.name = "port", .type = KeyType::Port, .meaning = "Port to connect to.", .required = true},
    {.name = "reconnect",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning =
         "Connect again when the server has closed the connection; false: that is the end of "
         "the input."},
    {.name = "connect-timeout",
     .type = KeyType::Millis,
     .default_value = "20000",
     .meaning = "How long a connection may take to be made.",
     .min = 1},
    {.name = "maxLineLength",
     .type = KeyType::Bytes,
     .default_value = "16Mi",
     .meaning = "Longest line; a longer one is cut into events of this size.",
     .min = 1024,
     .max = 1 << 30},
    {.name = "trimCR",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "End lines at a carriage return too and drop it; otherwise only a line feed ends a "
                "line, and a carriage return before it stays."},
};

constexpr ComponentInfo info{
    .alias = "netcatclient",
    .class_name = "",
    .meaning = "Connects to a TCP server and makes an event of each line it sends.",
    .keys = keys};

constexpr milliseconds round_wait{1000};
constexpr milliseconds backoff_first{100};
constexpr milliseconds backoff_max{5000};

class NetcatClientSource final : public Source {
 public:
  NetcatClientSource(const Settings& settings, SourceContext context)
      : target_{settings.text("host"), settings.port("port")},
        reconnect_(settings.boolean("reconnect")),
        connect_timeout_(settings.duration("connect-timeout")),
        counters_(context.counters),
        outlet_(settings.component(), context),
        lines_(outlet_, {static_cast<std::size_t>(settings.bytes("maxLineLength")),
                         settings.boolean("trimCR")}) {}

  // The connection is made in run(): a server that is down is no reason not to start.
  Status open() override { return {}; }

  Status run(std::stop_token stop) override {
    Backoff backoff(backoff_first, backoff_max);
    std::uint64_t failures = 0;
    while (!stop.stop_requested()) {
      auto stream = TcpStream::connect(target_, Deadline::in(connect_timeout_), stop);
      if (stream.ok()) {
        failures = 0;
        const std::uint64_t events_before = outlet_.put_events();
        Status status = follow(*stream, stop);
        if (status.code() == Code::Fatal) return status;
        const bool ended = status.code() == Code::Closed;
        if (stop.stop_requested() || (ended && !reconnect_)) return {};
        // A server that closes at once must not be asked in a tight loop.
        if (outlet_.put_events() != events_before) backoff.reset();
      } else if (++failures == 1) {
        log::warn("{}: {}; it is tried again", outlet_.name(), stream.status().message());
      }
      if (!pause(backoff.next(), outlet_, stop)) break;
    }
    return {};
  }

  void close() override { lines_.close(); }

 private:
  /// Reads until the connection ends. Closed: well; Retry: it broke.
  Status follow(TcpStream& stream, const std::stop_token& stop) {
    log::info("{}: connected to {}", outlet_.name(), target_.text());
    counters_.connections_opened.add();
    counters_.connections_open.add();
    Status status = read_lines(stream, stop);
    counters_.connections_open.sub();
    const bool broke = status.code() == Code::Retry;
    if (broke || stop.stop_requested()) {
      drop_unfinished(status.message(), broke);
      return status;
    }
    log::info("{}: disconnected from {}: {}", outlet_.name(), target_.text(), status.message());
    if (Status last = lines_.finish(stop); !last.ok()) return last;
    return status;
  }

  Status read_lines(TcpStream& stream, const std::stop_token& stop) {
    for (;;) {
      auto got = stream.read_some(lines_.space(), Deadline::in(round_wait), stop);
      if (!got.ok()) return got.status();
      outlet_.idle(stop);
      if (*got == 0) continue;
      if (Status status = lines_.took(*got, stop); !status.ok()) return status;
    }
  }

  /// What stands behind the last line feed of a connection that broke may be half a line.
  void drop_unfinished(const std::string& why, bool broke) {
    const std::size_t bytes = lines_.drop_unfinished();
    if (broke) counters_.read_failures.add();
    if (bytes > 0) counters_.rejected_lines.add();
    const std::string dropped =
        bytes > 0 ? fmt::format("; {} bytes of an unfinished line are dropped", bytes) : "";
    log::print(broke || bytes > 0 ? log::Level::Warn : log::Level::Info,
               "{}: disconnected from {}: {}{}", outlet_.name(), target_.text(), why, dropped);
  }

  const TcpStream::Target target_;
  const bool reconnect_;
  const milliseconds connect_timeout_;
  SourceCounters& counters_;
  Outlet outlet_;
  LineReader lines_;
};

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<NetcatClientSource>(settings, context);
}

std::uint64_t window_bytes(const Settings& settings) {
  return window_bytes_default + 3 * settings.bytes("maxLineLength");
}

}  // namespace

extern const SourceType netcatclient_source{&info, make, window_bytes};

}  // namespace sluice
