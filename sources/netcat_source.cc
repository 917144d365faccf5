// Lines over TCP, as Flume's netcat source takes them.

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/base/assert.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/event/batch_builder.h"
#include "core/event/paid_text.h"
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
// copied again with every read; then so much is read at once, since what follows it is copied.
constexpr std::size_t long_line_bytes = 32 * 1024;
constexpr std::size_t long_line_read_bytes = 128 * 1024;
// Less room than this is not worth a system call.
constexpr std::size_t read_bytes_min = 16 * 1024;
// Java counts characters, of which UTF-8 needs up to three bytes (four for two of them).
constexpr std::size_t bytes_a_char_max = 3;
constexpr milliseconds round_wait{200};
// So much of an unfinished line every connection may keep; only what is beyond is limited for all
// of them together, so that a few stalled ones cannot shut out everybody else.
constexpr std::size_t own_bytes = 4096;
// Answers are sent in pieces of so much.
constexpr std::size_t answers_bytes_max = 48 * 1024;

constexpr std::size_t beyond_own(std::size_t bytes) noexcept {
  return bytes - std::min(bytes, own_bytes);
}

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
        server_(TcpServer::make({.host = settings.text("bind"),
                                 .port = settings.port("port"),
                                 .name = name_,
                                 .window = &context.window},
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
    explicit Peer(MemoryAccount& window) noexcept : unfinished(&window) {}
    PaidText unfinished;           ///< Bytes of the line that has no line feed yet.
    std::uint64_t unanswered = 0;  ///< Lines on their way into the channels.
    std::string last_words;        ///< Sent when all is answered, before the connection is closed.
    bool leaving = false;
  };
  /// Lines of one connection within the batch being built.
  struct Lines {
    std::uint64_t connection;
    std::uint64_t count;
  };
  /// A batch on its way into the channels, and who waits for an answer.
  struct Sent {
    std::uint32_t events = 0;
    std::vector<Lines> lines;  ///< None without acknowledgements.
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
  void put_line(TcpConnection& connection, std::string_view line);
  void keep_unfinished(TcpConnection& connection, Peer& peer, std::string_view bytes);
  void forget_unfinished(Peer& peer) noexcept;
  std::string release_unfinished(Peer& peer) noexcept;
  void refuse_too_long(TcpConnection& connection, Peer& peer);
  void refuse_too_much(TcpConnection& connection, Peer& peer);
  void refuse(TcpConnection& connection, Peer& peer, const std::string& why,
              std::string last_words);
  void leave(TcpConnection& connection, Peer& peer, std::string last_words);
  static void say_goodbye(TcpConnection& connection, Peer& peer);
  bool too_long(std::string_view line) const noexcept {
    return line.size() + 1 > line_chars_max_ && utf16_length(line) + 1 > line_chars_max_;
  }
  void marked_for(TcpConnection& connection, std::size_t lines);
  void put_marked();
  std::uint32_t remember_sent(std::uint32_t events);
  void landed(std::uint32_t slot, Status status);
  void settle(std::uint32_t slot, const Status& status);
  void answer(const Lines& lines, std::string_view text);

  SourceContext context_;
  const std::string name_;
  const std::size_t line_chars_max_;
  const bool ack_;
  BatchBuilder builder_;
  std::unique_ptr<TcpServer> server_;
  std::stop_token stop_;
  std::thread::id thread_;
  std::vector<Lines> marked_lines_;
  // Slots and their vectors go round, so that a batch allocates nothing.
  std::vector<Sent> sent_;
  std::vector<std::uint32_t> free_slots_;
  std::string answers_;
  std::uint64_t shared_bytes_ = 0;  ///< Of unfinished lines, beyond each connection's own.
  std::uint64_t refused_lines_ = 0;
  std::uint64_t losses_ = 0;
};

void NetcatSource::opened(TcpConnection& connection) {
  connection.state = std::make_shared<Peer>(context_.window);
  context_.counters.connections_opened.add();
  context_.counters.connections_open.add();
}

void NetcatSource::closed(TcpConnection& connection) {
  Peer& peer = peer_of(connection);
  if (!peer.unfinished.empty()) context_.counters.rejected_lines.add();
  forget_unfinished(peer);
  context_.counters.connections_open.sub();
}

// ---- reading

void NetcatSource::read(TcpConnection& connection) {
  Peer& peer = peer_of(connection);
  const bool long_line = peer.unfinished.size() >= long_line_bytes;
  const std::size_t wanted = read_bytes_min + (long_line ? 0 : peer.unfinished.size());
  if (builder_.space().size() < wanted) {
    put_marked();
    builder_.renew_with_space(wanted);
  }
  if (long_line) {
    read_long_line(connection, peer);
  } else {
    read_into_slab(connection, peer);
  }
}

void NetcatSource::read_into_slab(TcpConnection& connection, Peer& peer) {
  const std::size_t begin = builder_.position();
  const std::span<char> space = builder_.space();
  const std::size_t before = peer.unfinished.size();
  SLUICE_ASSERT(before < space.size(), "a read needs room behind the unfinished line");
  auto got = connection.read_some(space.subspan(before));
  if (!got.ok()) return ended(connection, peer, got.status());
  if (*got == 0) return;
  std::copy_n(peer.unfinished.view().data(), before, space.data());
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
      return refuse_too_long(connection, peer);
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
    if (too_long({builder_.base() + entry.offset, entry.bytes})) return i;
  }
  return scan.events;
}

/// The index has eaten the slab (very short lines): the unmarked rest moves on.
void NetcatSource::move_to_fresh_slab(std::size_t& begin) {
  const std::string rest(builder_.base() + begin, builder_.position() - begin);
  builder_.renew_with_space(rest.size());
  std::copy(rest.begin(), rest.end(), builder_.base());
  builder_.written(rest.size());
  begin = 0;
}

/// Reads on in a line that is too long to be copied into the slab with every read.
void NetcatSource::read_long_line(TcpConnection& connection, Peer& peer) {
  const std::span<char> space = builder_.space();
  auto got = connection.read_some(space.first(std::min(space.size(), long_line_read_bytes)));
  if (!got.ok()) return ended(connection, peer, got.status());
  const std::string_view fresh(space.data(), *got);
  const std::size_t line_feed = fresh.find('\n');
  if (line_feed == std::string_view::npos) return keep_unfinished(connection, peer, fresh);
  std::string line = release_unfinished(peer);
  line += fresh.substr(0, line_feed);
  if (too_long(line)) return refuse_too_long(connection, peer);
  // The slab's free bytes are about to be used for the line itself.
  const std::string rest(fresh.substr(line_feed + 1));
  put_line(connection, line);
  if (builder_.space().size() < rest.size()) {
    put_marked();
    builder_.renew_with_space(rest.size());
  }
  const std::size_t begin = builder_.position();
  std::copy(rest.begin(), rest.end(), builder_.base() + begin);
  builder_.written(rest.size());
  take_lines(connection, peer, begin, begin);
}

/// Puts a line that does not lie in the slab.
void NetcatSource::put_line(TcpConnection& connection, std::string_view line) {
  if (builder_.space().size() < line.size() + read_bytes_min) {
    put_marked();
    builder_.renew(line.size() + 2 * read_bytes_min);
  }
  const std::size_t begin = builder_.position();
  std::copy(line.begin(), line.end(), builder_.base() + begin);
  builder_.written(line.size());
  builder_.mark(begin, line.size());
  marked_for(connection, 1);
  if (builder_.marked_events() >= context_.out.batch_events_max()) put_marked();
}

/// The end of a connection: what was sent without a line feed is a line too, unless it is torn.
void NetcatSource::ended(TcpConnection& connection, Peer& peer, const Status& status) {
  if (status.code() != Code::Closed) {
    if (!peer.unfinished.empty()) {
      log::warn("{}: {}; {} bytes of a line that was cut off are dropped", name_, status.message(),
                peer.unfinished.size());
    }
    context_.counters.read_failures.add();
    server_->drop(connection);
    return;
  }
  if (!peer.unfinished.empty()) {
    const std::string last = release_unfinished(peer);
    if (too_long(last)) return refuse_too_long(connection, peer);
    put_line(connection, last);
  }
  leave(connection, peer, {});
}

void NetcatSource::keep_unfinished(TcpConnection& connection, Peer& peer, std::string_view bytes) {
  if (bytes.empty()) return;
  // Judged before it is kept: a stranger's flood must not become our memory first.
  const std::size_t before = peer.unfinished.size();
  const std::size_t after = before + bytes.size();
  if (after > line_chars_max_ * bytes_a_char_max) return refuse_too_long(connection, peer);
  const std::uint64_t shared = shared_bytes_ + beyond_own(after) - beyond_own(before);
  if (beyond_own(after) > 0 && shared > unfinished_bytes_max(line_chars_max_)) {
    return refuse_too_much(connection, peer);
  }
  peer.unfinished.append(bytes);
  shared_bytes_ = shared;
  // The last character may be cut in the middle, so it is not judged yet.
  const std::size_t judged = after - std::min(after, bytes_a_char_max);
  if (too_long(peer.unfinished.view().substr(0, judged))) refuse_too_long(connection, peer);
}

void NetcatSource::forget_unfinished(Peer& peer) noexcept {
  shared_bytes_ -= beyond_own(peer.unfinished.size());
  peer.unfinished.clear();
}

std::string NetcatSource::release_unfinished(Peer& peer) noexcept {
  shared_bytes_ -= beyond_own(peer.unfinished.size());
  return peer.unfinished.release();
}

void NetcatSource::refuse_too_long(TcpConnection& connection, Peer& peer) {
  const std::string limit = std::to_string(line_chars_max_);
  refuse(connection, peer, "sent a line longer than max-line-length = " + limit,
         "FAILED: Event exceeds the maximum length (" + limit + " chars, including newline)\n");
}

void NetcatSource::refuse_too_much(TcpConnection& connection, Peer& peer) {
  refuse(connection, peer,
         "sent a part of a line; unfinished lines of all connections together are longer than " +
             std::to_string(unfinished_bytes_max(line_chars_max_)) + " bytes",
         "FAILED: Too many bytes of unfinished lines on all connections together\n");
}

void NetcatSource::refuse(TcpConnection& connection, Peer& peer, const std::string& why,
                          std::string last_words) {
  context_.counters.rejected_lines.add();
  // A stranger who sends long lines for ever must not fill the log.
  if (const std::uint64_t refused = ++refused_lines_; worth_saying(refused)) {
    log::warn("{}: {} {}; the line is dropped and the connection closed ({} so far)", name_,
              connection.peer(), why, refused);
  }
  leave(connection, peer, std::move(last_words));
}

/// Closes the connection once its lines are answered.
void NetcatSource::leave(TcpConnection& connection, Peer& peer, std::string last_words) {
  forget_unfinished(peer);
  peer.last_words = std::move(last_words);
  peer.leaving = true;
  connection.stop_reading();
  put_marked();
  if (peer.unanswered == 0) say_goodbye(connection, peer);
}

void NetcatSource::say_goodbye(TcpConnection& connection, Peer& peer) {
  if (!std::exchange(peer.leaving, false)) return;
  connection.send(peer.last_words);
  connection.finish();
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
  const std::uint32_t slot = remember_sent(batch.size());
  const Status status = context_.out.process(
      std::move(batch), stop_, [this, slot](Status outcome) { landed(slot, std::move(outcome)); });
  if (!status.ok()) settle(slot, status);
}

/// A slot that holds who waits for the batch. Two words make a `done` that needs no memory.
std::uint32_t NetcatSource::remember_sent(std::uint32_t events) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(sent_.size()));
    sent_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  sent_[slot].events = events;
  sent_[slot].lines.swap(marked_lines_);
  return slot;
}

/// On the committer's thread, or within process() where there is none.
void NetcatSource::landed(std::uint32_t slot, Status status) {
  if (std::this_thread::get_id() == thread_) return settle(slot, status);
  server_->post([this, slot, status = std::move(status)] { settle(slot, status); });
}

void NetcatSource::settle(std::uint32_t slot, const Status& status) {
  Sent& sent = sent_[slot];
  if (!status.ok()) {
    context_.counters.rejected_lines.add(sent.events);
    if (worth_saying(++losses_)) {
      log::error("{}: {} lines are not taken: {} ({} such batches so far)", name_, sent.events,
                 status.message(), losses_);
    }
  }
  const std::string text = status.ok() ? "OK\n" : "FAILED: " + status.message() + "\n";
  for (const Lines& lines : sent.lines) answer(lines, text);
  sent.lines.clear();
  free_slots_.push_back(slot);
}

void NetcatSource::answer(const Lines& lines, std::string_view text) {
  TcpConnection* const connection = server_->find(lines.connection);
  if (connection == nullptr) return;
  const std::uint64_t at_once =
      std::min(lines.count, std::max<std::uint64_t>(1, answers_bytes_max / text.size()));
  answers_.clear();
  for (std::uint64_t i = 0; i < at_once; ++i) answers_ += text;
  for (std::uint64_t left = lines.count; left > 0;) {
    const std::uint64_t now = std::min(left, at_once);
    connection->send(std::string_view(answers_).substr(0, now * text.size()));
    left -= now;
  }
  Peer& peer = peer_of(*connection);
  peer.unanswered -= lines.count;
  if (peer.unanswered == 0) say_goodbye(*connection, peer);
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
