// Lines over TCP, as Flume's netcat source takes them.

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/event/batch_builder.h"
#include "core/net/tcp_server.h"
#include "core/wire/line_splitter.h"
#include "core/wire/utf8.h"
#include "sources/source.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "bind",
     .type = KeyType::Text,
     .meaning = "Host name or address to listen on; 0.0.0.0 for every address.",
     .required = true},
    {.name = "port",
     .type = KeyType::Port,
     .meaning = "Port to listen on; 0 lets the system choose and the log says which.",
     .required = true},
    {.name = "max-line-length",
     .type = KeyType::Integer,
     .default_value = "512",
     .meaning = "Longest line in characters, its line feed included; a longer one is answered with "
                "FAILED and its connection is closed.",
     .min = 1,
     .max = 64 << 20},
    {.name = "ack-every-event",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "Answer OK for every line once it is in the channels."},
    {.name = "encoding",
     .type = KeyType::Text,
     .default_value = "utf-8",
     .meaning = "Accepted for Flume's sake: bytes are passed on as they come, in any encoding."},
    {.name = "onFull",
     .type = KeyType::Choice,
     .default_value = "wait",
     .meaning =
         "What to do while a channel is full: wait (the sender is held back), or reject "
         "(answer FAILED after the channel's keep-alive, as Flume does; those lines are lost).",
     .choices = "wait reject"},
};

constexpr ComponentInfo info{.alias = "netcat",
                             .class_name = "org.apache.flume.source.NetcatSource",
                             .meaning = "Listens on a TCP port and makes an event of each line.",
                             .keys = keys};

// A line that is still unfinished after so much is collected apart from the slab, so that it is not
// copied again with every read.
constexpr std::size_t long_line_bytes = 64 * 1024;
// Less room than this is not worth a system call.
constexpr std::size_t read_bytes_min = 16 * 1024;
// Java counts characters, of which UTF-8 needs up to three bytes (four for two of them).
constexpr std::size_t bytes_a_char_max = 3;
constexpr milliseconds round_wait{200};

std::uint64_t unfinished_bytes_max(std::uint64_t line_chars_max) {
  return std::max<std::uint64_t>(4 << 20, line_chars_max * bytes_a_char_max);
}

class NetcatSource final : public Source {
 public:
  NetcatSource(const Settings& settings, SourceContext context)
      : context_(context),
        name_(settings.component()),
        line_chars_max_(static_cast<std::size_t>(settings.integer("max-line-length"))),
        ack_(settings.boolean("ack-every-event")),
        builder_(context.pool, EventHeaders::Shared, &context.window),
        server_(TcpServer::make(
            {.host = settings.text("bind"), .port = settings.port("port"), .name = name_},
            {.on_open = [this](TcpConnection& c) { opened(c); },
             .on_readable = [this](TcpConnection& c) { read(c); },
             .on_close = [this](TcpConnection& c) { closed(c); }})) {}

  Status open() override {
    Status status = server_->open();
    if (status.ok()) log::info("{}: listening on port {}", name_, server_->port());
    return status;
  }

  Status run(std::stop_token stop) override {
    stop_ = stop;
    thread_ = std::this_thread::get_id();
    const std::stop_callback wake(stop, [this] { server_->post([] {}); });
    while (!stop.stop_requested()) {
      server_->run_round(round_wait);
      put_marked();
      context_.out.retry_refused(stop);
    }
    return {};
  }

  void close() override {
    server_->close();
    builder_.reset();
  }

 private:
  /// What the source keeps a connection.
  struct Peer {
    std::string unfinished;        ///< Bytes of the line that has no line feed yet.
    std::uint64_t unanswered = 0;  ///< Lines on their way into the channels.
    std::string last_words;        ///< Sent when all is answered, before the connection is closed.
    bool leaving = false;
  };
  /// Lines of one connection within the batch being built.
  struct Lines {
    std::uint64_t connection;
    std::uint64_t count;
  };
  static Peer& peer_of(TcpConnection& connection) {
    return *static_cast<Peer*>(connection.state.get());
  }

  void opened(TcpConnection& connection);
  void closed(TcpConnection& connection);
  void read(TcpConnection& connection);
  void read_into_slab(TcpConnection& connection, Peer& peer);
  void read_long_line(TcpConnection& connection, Peer& peer);
  void ended(TcpConnection& connection, Peer& peer, const Status& status);
  void take_lines(TcpConnection& connection, Peer& peer, std::size_t begin, std::size_t scan_from);
  std::size_t good_lines(const LineScan& scan) noexcept;
  void move_to_fresh_slab(std::size_t& begin);
  void put_line(TcpConnection& connection, std::string_view front, std::string_view back);
  void keep_unfinished(TcpConnection& connection, Peer& peer, std::string_view bytes);
  void forget_unfinished(Peer& peer) noexcept;
  std::string release_unfinished(Peer& peer) noexcept;
  void refuse_line(TcpConnection& connection, Peer& peer, const std::string& why);
  void leave(TcpConnection& connection, Peer& peer, std::string last_words);
  bool too_long(std::size_t bytes, std::string_view line) const noexcept {
    return bytes + 1 > line_chars_max_ && utf16_length(line) + 1 > line_chars_max_;
  }
  void marked_for(TcpConnection& connection, std::size_t lines);
  void put_marked();
  void answer_anywhere(std::vector<Lines> lines, Status status);
  void answer(const std::vector<Lines>& lines, const Status& status);

  SourceContext context_;
  const std::string name_;
  const std::size_t line_chars_max_;
  const bool ack_;
  BatchBuilder builder_;
  std::unique_ptr<TcpServer> server_;
  std::stop_token stop_;
  std::thread::id thread_;
  std::vector<Lines> marked_lines_;
  std::uint64_t unfinished_bytes_ = 0;
  std::uint64_t refused_lines_ = 0;
};

void NetcatSource::opened(TcpConnection& connection) {
  connection.state = std::make_shared<Peer>();
  context_.counters.connections_opened.add();
  context_.counters.connections_open.add();
}

void NetcatSource::closed(TcpConnection& connection) {
  forget_unfinished(peer_of(connection));
  context_.counters.connections_open.sub();
}

// ---- reading

void NetcatSource::read(TcpConnection& connection) {
  Peer& peer = peer_of(connection);
  if (builder_.space().size() < peer.unfinished.size() % long_line_bytes + read_bytes_min) {
    put_marked();
    builder_.renew();
  }
  if (peer.unfinished.size() < long_line_bytes) {
    read_into_slab(connection, peer);
  } else {
    read_long_line(connection, peer);
  }
}

void NetcatSource::read_into_slab(TcpConnection& connection, Peer& peer) {
  const std::size_t begin = builder_.position();
  const std::span<char> space = builder_.space();
  const std::size_t before = peer.unfinished.size();
  auto got = connection.read_some(space.subspan(before));
  if (!got.ok()) return ended(connection, peer, got.status());
  if (*got == 0) return;
  std::copy(peer.unfinished.begin(), peer.unfinished.end(), space.begin());
  forget_unfinished(peer);
  builder_.written(before + *got);
  take_lines(connection, peer, begin, begin + before);
}

/// Marks the lines in what was written; what is left of the last one waits for more.
void NetcatSource::take_lines(TcpConnection& connection, Peer& peer, std::size_t begin,
                              std::size_t scan_from) {
  for (;;) {
    const std::size_t room = context_.out.batch_events_max() - builder_.marked_events();
    const std::size_t entries_max = std::min(room, builder_.entries_left());
    const LineScan scan = split_lines({builder_.base(), begin, scan_from, builder_.position()},
                                      builder_.index_top(), entries_max);
    const std::size_t good = good_lines(scan);
    if (good < scan.events) {
      const IndexEntry bad = builder_.index_top()[-1 - static_cast<std::ptrdiff_t>(good)];
      std::uint64_t bytes = bad.offset - begin - good;
      builder_.marked(good, bytes, true);
      marked_for(connection, good);
      builder_.rewind(bad.offset);
      return refuse_line(connection, peer, {});
    }
    builder_.marked(scan.events, scan.body_bytes, true);
    marked_for(connection, scan.events);
    begin = scan_from = scan.line_begin;
    if (scan.events < entries_max) break;
    put_marked();
    if (builder_.entries_left() == 0) {
      move_to_fresh_slab(begin);
      scan_from = begin;
    }
  }
  const std::size_t left = builder_.position() - begin;
  keep_unfinished(connection, peer, {builder_.base() + begin, left});
  builder_.rewind(begin);  // the next line of any connection goes on where this one ended
}

/// How many lines from the front are within max-line-length.
std::size_t NetcatSource::good_lines(const LineScan& scan) noexcept {
  if (scan.longest + 1 <= line_chars_max_) return scan.events;
  const IndexEntry* const top = builder_.index_top();
  for (std::size_t i = 0; i < scan.events; ++i) {
    const IndexEntry entry = top[-1 - static_cast<std::ptrdiff_t>(i)];
    if (too_long(entry.bytes, {builder_.base() + entry.offset, entry.bytes})) return i;
  }
  return scan.events;
}

/// The index has eaten the slab (very short lines): the unmarked rest moves on.
void NetcatSource::move_to_fresh_slab(std::size_t& begin) {
  const std::string rest(builder_.base() + begin, builder_.position() - begin);
  builder_.renew();
  std::copy(rest.begin(), rest.end(), builder_.base());
  builder_.written(rest.size());
  begin = 0;
}

/// Reads on in a line that is too long to be copied into the slab with every read.
void NetcatSource::read_long_line(TcpConnection& connection, Peer& peer) {
  auto got = connection.read_some(builder_.space());
  if (!got.ok()) return ended(connection, peer, got.status());
  const std::string_view fresh(builder_.space().data(), *got);
  const std::size_t line_feed = fresh.find('\n');
  if (line_feed == std::string_view::npos) return keep_unfinished(connection, peer, fresh);
  // The slab's free bytes are about to be used for the line itself.
  const std::string back(fresh.substr(0, line_feed));
  const std::string rest(fresh.substr(line_feed + 1));
  const std::string front = release_unfinished(peer);
  if (too_long(front.size() + back.size(), front)) return refuse_line(connection, peer, {});
  put_line(connection, front, back);
  if (builder_.space().size() < rest.size()) {
    put_marked();
    builder_.renew(2 * rest.size());
  }
  const std::size_t begin = builder_.position();
  std::copy(rest.begin(), rest.end(), builder_.base() + begin);
  builder_.written(rest.size());
  take_lines(connection, peer, begin, begin);
}

/// Puts a line that lies in two parts, neither of them in the slab.
void NetcatSource::put_line(TcpConnection& connection, std::string_view front,
                            std::string_view back) {
  const std::size_t bytes = front.size() + back.size();
  if (builder_.space().size() < bytes + read_bytes_min) {
    put_marked();
    builder_.renew(bytes + 2 * read_bytes_min);
  }
  const std::size_t begin = builder_.position();
  std::copy(front.begin(), front.end(), builder_.base() + begin);
  std::copy(back.begin(), back.end(), builder_.base() + begin + front.size());
  builder_.written(bytes);
  builder_.mark(begin, bytes);
  marked_for(connection, 1);
  if (builder_.marked_events() >= context_.out.batch_events_max()) put_marked();
}

/// The end of a connection: what was sent without a line feed is a line too, unless it is torn.
void NetcatSource::ended(TcpConnection& connection, Peer& peer, const Status& status) {
  if (status.code() != Code::Closed) {
    if (!peer.unfinished.empty()) {
      context_.counters.rejected_lines.add();
      log::warn("{}: {}; {} bytes of a line that was cut off are dropped", name_, status.message(),
                peer.unfinished.size());
    }
    context_.counters.read_failures.add();
    server_->drop(connection);
    return;
  }
  if (!peer.unfinished.empty()) {
    put_line(connection, release_unfinished(peer), {});
  }
  leave(connection, peer, {});
}

void NetcatSource::keep_unfinished(TcpConnection& connection, Peer& peer, std::string_view bytes) {
  if (bytes.empty()) return;
  peer.unfinished.append(bytes);
  unfinished_bytes_ += bytes.size();
  context_.window.charge(bytes.size());
  // The last character may be cut in the middle, so it is not judged yet.
  const std::size_t judged =
      peer.unfinished.size() - std::min(peer.unfinished.size(), bytes_a_char_max);
  if (too_long(judged, std::string_view(peer.unfinished).substr(0, judged))) {
    refuse_line(connection, peer, {});
  } else if (unfinished_bytes_ > unfinished_bytes_max(line_chars_max_)) {
    refuse_line(connection, peer,
                "FAILED: Too many bytes of unfinished lines on all connections together\n");
  }
}

void NetcatSource::forget_unfinished(Peer& peer) noexcept {
  unfinished_bytes_ -= peer.unfinished.size();
  context_.window.release(peer.unfinished.size());
  peer.unfinished.clear();
}

std::string NetcatSource::release_unfinished(Peer& peer) noexcept {
  unfinished_bytes_ -= peer.unfinished.size();
  context_.window.release(peer.unfinished.size());
  return std::exchange(peer.unfinished, {});
}

void NetcatSource::refuse_line(TcpConnection& connection, Peer& peer, const std::string& why) {
  context_.counters.rejected_lines.add();
  // A stranger who sends long lines for ever must not fill the log.
  if (const std::uint64_t refused = ++refused_lines_; worth_saying(refused)) {
    log::warn(
        "{}: {} sent a line longer than max-line-length = {}; the line is dropped and the "
        "connection closed ({} so far)",
        name_, connection.peer(), line_chars_max_, refused);
  }
  const std::string flume_says = "FAILED: Event exceeds the maximum length (" +
                                 std::to_string(line_chars_max_) + " chars, including newline)\n";
  leave(connection, peer, why.empty() ? flume_says : why);
}

/// Closes the connection once its lines are answered.
void NetcatSource::leave(TcpConnection& connection, Peer& peer, std::string last_words) {
  forget_unfinished(peer);
  peer.last_words = std::move(last_words);
  peer.leaving = true;
  connection.stop_reading();
  put_marked();
  if (peer.unanswered == 0 && peer.leaving) {
    peer.leaving = false;
    connection.send(peer.last_words);
    connection.finish();
  }
}

// ---- putting and answering

void NetcatSource::marked_for(TcpConnection& connection, std::size_t lines) {
  if (!ack_ || lines == 0) return;
  peer_of(connection).unanswered += lines;
  if (marked_lines_.empty() || marked_lines_.back().connection != connection.id()) {
    marked_lines_.push_back({connection.id(), lines});
  } else {
    marked_lines_.back().count += lines;
  }
}

void NetcatSource::put_marked() {
  Batch batch = builder_.seal();
  if (batch.empty()) return;
  if (!ack_) {
    const std::uint32_t events = batch.size();
    const Status status = context_.out.process(std::move(batch), stop_, nullptr);
    if (!status.ok() && status.code() != Code::Closed) context_.counters.rejected_lines.add(events);
    return;
  }
  std::vector<Lines> lines;
  lines.swap(marked_lines_);
  const Status status = context_.out.process(
      std::move(batch), stop_,
      [this, lines](Status outcome) { answer_anywhere(lines, std::move(outcome)); });
  if (!status.ok()) answer(lines, status);
}

void NetcatSource::answer_anywhere(std::vector<Lines> lines, Status status) {
  if (std::this_thread::get_id() == thread_) return answer(lines, status);
  server_->post(
      [this, lines = std::move(lines), status = std::move(status)] { answer(lines, status); });
}

void NetcatSource::answer(const std::vector<Lines>& lines, const Status& status) {
  for (const Lines& of : lines) {
    TcpConnection* const connection = server_->find(of.connection);
    if (connection == nullptr) continue;
    Peer& peer = peer_of(*connection);
    std::string answers;
    for (std::uint64_t i = 0; i < of.count; ++i) {
      answers += status.ok() ? "OK\n" : "FAILED: " + status.message() + "\n";
    }
    connection->send(answers);
    peer.unanswered -= of.count;
    if (peer.leaving && peer.unanswered == 0) {
      peer.leaving = false;
      connection->send(peer.last_words);
      connection->finish();
    }
  }
}

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<NetcatSource>(settings, context);
}

std::uint64_t window_bytes(const Settings& settings) {
  const auto line_chars_max = static_cast<std::uint64_t>(settings.integer("max-line-length"));
  return window_bytes_default + unfinished_bytes_max(line_chars_max) +
         2 * line_chars_max * bytes_a_char_max;
}

}  // namespace

extern const SourceType netcat_source{&info, make, window_bytes};

}  // namespace sluice
