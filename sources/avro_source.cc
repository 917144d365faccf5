// Events over Flume's Avro RPC, from Flume's avro sinks, its clients, and our own agents.

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/config/key_tables.h"
#include "core/config/tls_keys.h"
#include "core/config/wire_keys.h"
#include "core/event/batch_builder.h"
#include "core/event/paid_text.h"
#include "core/net/tcp_server.h"
#include "core/wire/avro_rpc.h"
#include "core/wire/sluice_calls.h"
#include "sources/source.h"

namespace sluice {
namespace {

constexpr Key own_keys[] = {
    {.name = "bind",
     .type = KeyType::Text,
     .meaning = "Host name or address to listen on; 0.0.0.0 for every address.",
     .required = true},
    {.name = "port",
     .type = KeyType::Port,
     .meaning = "Port to listen on; 0 lets the system choose and the log says which.",
     .required = true},
    {.name = "threads",
     .type = KeyType::Ignored,
     .meaning = "Accepted for Flume's sake: one thread serves all connections."},
    {.name = "maxCallBytes",
     .type = KeyType::Bytes,
     .default_value = "64Mi",
     .meaning =
         "Longest call, which is a batch with all its headers; also what unfinished calls of "
         "all connections together may hold. A connection that goes beyond is closed.",
     .min = 64 << 10,
     .max = 1 << 30},
    {.name = "onFull",
     .type = KeyType::Choice,
     .default_value = "reject",
     .meaning =
         "What to do while a channel is full: reject (the call is answered with FAILED after "
         "the channel's keep-alive, as Flume does, and the sender keeps its events), or "
         "wait (answers wait too: a sender that loses patience sends its events again).",
     .choices = "wait reject"},
};
constexpr auto keys =
    joined_keys(own_keys, compression_keys, tls_server_keys, tls_rule_keys, ip_filter_keys);

constexpr ComponentInfo info{.alias = "avro",
                             .class_name = "org.apache.flume.source.AvroSource",
                             .meaning = "Receives events over Flume's Avro RPC.",
                             .keys = keys};

// Less room than this is not worth a system call.
constexpr std::size_t read_bytes_min = 16 * 1024;
constexpr int reads_a_round_max = 8;
constexpr milliseconds round_wait{200};
// While a channel is known to be full, calls do not wait one behind the other for its keep-alive:
// all that have come until now wait together, and so long.
constexpr milliseconds patience_while_full{100};
// So much of an unfinished call every connection may keep; only what is beyond is limited for all
// of them together.
constexpr std::size_t own_bytes = 4096;
// Unfinished calls that stay in the slab they were read into; others are copied aside.
constexpr std::size_t held_builders_max = 8;
constexpr std::size_t spare_builders_max = 4;
// Headers that the next call may have too are kept, so that they need not be read again.
constexpr std::size_t kept_headers_bytes_max = 64 * 1024;
// Protocols of clients that are not Flume's own.
constexpr std::size_t known_protocols_max = 1024;

constexpr std::size_t beyond_own(std::size_t bytes) noexcept {
  return bytes - std::min(bytes, own_bytes);
}

class AvroSource final : public Source {
 public:
  AvroSource(const Settings& settings, SourceContext context)
      : context_(context),
        name_(settings.component()),
        settings_(settings),
        call_bytes_max_(static_cast<std::size_t>(settings.bytes("maxCallBytes"))) {}

  Status open() override;

  Status run(std::stop_token stop) override {
    stop_ = stop;
    thread_ = std::this_thread::get_id();
    const std::stop_callback wake(stop, [this] { server_->post([] {}); });
    while (!stop.stop_requested()) {
      patience_.reset();
      server_->run_round(round_wait);
      context_.out.retry_refused(stop);
      send_answers();
    }
    closing_ = true;
    return {};
  }

  void close() override {
    closing_ = true;
    if (server_) server_->close();
    spare_.clear();
  }

 private:
  using Builder = std::unique_ptr<BatchBuilder>;

  /// What the source keeps a connection.
  struct Peer {
    Peer(std::size_t call_bytes_max, MemoryAccount& window) noexcept
        : frame(call_bytes_max), unfinished(&window) {}
    AvroFrame frame;  ///< The call that is being read.
    Builder builder;  ///< Holds its bytes, from `begin` on. Null: `unfinished` does.
    std::size_t begin = 0;
    PaidText unfinished;
    std::size_t counted_bytes = 0;  ///< Of the call, in the source's account of them.
    std::uint64_t unanswered = 0;   ///< Calls on their way into the channels.
    std::string answers;            ///< Of this round.
    bool knows_us = false;          ///< The handshake is over.
    bool is_ours = false;           ///< It speaks our dialect (core/wire/sluice_calls.h).
    bool leaving = false;
  };
  /// A call on its way into the channels, and who waits for its answer.
  struct Sent {
    std::uint64_t connection = 0;
    std::uint32_t serial = 0;
    std::uint32_t events = 0;
    std::string handshake;
  };
  static Peer& peer_of(TcpConnection& connection) {
    return *static_cast<Peer*>(connection.state.get());
  }

  void opened(TcpConnection& connection);
  void closed(TcpConnection& connection);
  void read(TcpConnection& connection);
  void ended(TcpConnection& connection, Peer& peer, const Status& status);
  void take_calls(TcpConnection& connection, Peer& peer);
  void handle(TcpConnection& connection, Peer& peer, std::string_view payload,
              std::uint32_t serial);
  bool shake_hands(TcpConnection& connection, Peer& peer, std::string_view& payload,
                   std::uint32_t serial, std::string& handshake);
  Result<Batch> batch_of(Peer& peer, const AvroCall& call);
  Result<Batch> batch_in(BatchBuilder& builder, std::string_view message,
                         std::string_view parameters);
  Batch mark_events(BatchBuilder& builder, std::string_view parameters);
  struct Headers {
    HeaderBlock shared;  ///< Those of every event, or
    std::string own;     ///< theirs one by one, at header_places_.
  };
  Headers read_headers(std::string_view parameters);
  void put(TcpConnection& connection, Peer& peer, Batch batch, std::uint32_t serial,
           std::string handshake);
  void landed(std::uint32_t slot, Status status);
  void settle(std::uint32_t slot, const Status& status);
  template <typename Write>
  void answer(TcpConnection& connection, Peer& peer, Write&& write);
  void send_answers();
  void refuse(TcpConnection& connection, Peer& peer, const std::string& why);
  void leave(TcpConnection& connection, Peer& peer);
  static void say_goodbye(TcpConnection& connection, Peer& peer);

  std::size_t have_bytes(const Peer& peer) const noexcept {
    return peer.builder ? peer.builder->position() - peer.begin : peer.unfinished.size();
  }
  bool count_unfinished(Peer& peer, std::size_t bytes);
  void make_room(Peer& peer);
  void move_to(Peer& peer, Builder fresh, std::string_view bytes);
  Builder take_builder();
  void give_back(Builder builder);
  void set_aside(Peer& peer);
  void forget_unfinished(Peer& peer);

  SourceContext context_;
  const std::string name_;
  const Settings settings_;
  const std::size_t call_bytes_max_;
  std::unique_ptr<TcpServer> server_;
  std::stop_token stop_;
  std::thread::id thread_;
  bool closing_ = false;
  std::vector<Builder> spare_;
  std::vector<std::uint64_t> held_;      ///< Connections that keep a builder, the longest first.
  std::uint64_t unfinished_bytes_ = 0;   ///< Of unfinished calls, beyond each connection's own.
  std::set<AvroHash> protocols_;         ///< Of clients that have shown theirs.
  std::vector<std::uint64_t> answered_;  ///< Connections with answers of this round.
  // Slots go round, so that a call allocates nothing.
  std::vector<Sent> sent_;
  std::vector<std::uint32_t> free_slots_;
  // Of the call that is being read.
  AvroEvents events_;
  std::vector<IndexEntry> header_places_;
  std::string last_headers_;          ///< A map, and
  HeaderBlock last_block_;            ///< what it became.
  bool full_ = false;                 ///< The last call found no room.
  std::optional<Deadline> patience_;  ///< Of this round, once one has waited while it is full.
  std::uint64_t refused_calls_ = 0;
  std::uint64_t failed_calls_ = 0;
};

Status AvroSource::open() {
  closing_ = false;
  TcpServer::Options options{.host = settings_.text("bind"),
                             .port = settings_.port("port"),
                             .name = name_,
                             .window = &context_.window};
  options.layers.deflate = is_deflated(settings_);
  auto tls = tls_server_settings(settings_);
  if (!tls.ok()) return tls.status();
  if (tls->has_value()) {
    auto made = TlsContext::for_server(**tls);
    if (!made.ok()) return made.status();
    options.layers.tls = *std::move(made);
  }
  if (settings_.boolean("ipFilter")) {
    auto filter = IpFilter::parse(settings_.text("ipFilterRules"));
    if (!filter.ok()) return filter.status();
    options.filter = *std::move(filter);
  }
  server_ =
      TcpServer::make(std::move(options), {.on_open = [this](TcpConnection& c) { opened(c); },
                                           .on_readable = [this](TcpConnection& c) { read(c); },
                                           .on_close = [this](TcpConnection& c) { closed(c); }});
  Status status = server_->open();
  if (status.ok()) log::info("{}: listening on port {}", name_, server_->port());
  return status;
}

void AvroSource::opened(TcpConnection& connection) {
  connection.state = std::make_shared<Peer>(call_bytes_max_, context_.window);
  context_.counters.connections_opened.add();
  context_.counters.connections_open.add();
}

void AvroSource::closed(TcpConnection& connection) {
  forget_unfinished(peer_of(connection));
  context_.counters.connections_open.sub();
}

// ---- reading

void AvroSource::read(TcpConnection& connection) {
  Peer& peer = peer_of(connection);
  std::size_t left = 0;
  // The rest of a call is often there before the system is asked who else can be read.
  for (int reads = 0; reads < reads_a_round_max; ++reads) {
    make_room(peer);
    auto got = connection.read_some(peer.builder->space());
    if (!got.ok()) return ended(connection, peer, got.status());
    peer.builder->written(*got);
    if (*got > 0) take_calls(connection, peer);
    if (!peer.builder) return;  // it leaves
    left = peer.builder->position() - peer.begin;
    if (*got == 0 || left == 0) break;
  }
  if (left == 0) {
    give_back(std::move(peer.builder));
    return;
  }
  if (!count_unfinished(peer, left)) {
    return refuse(connection, peer,
                  "sent a part of a call; unfinished calls of all connections together hold more "
                  "than maxCallBytes = " +
                      std::to_string(call_bytes_max_));
  }
  // A connection that stays in the middle of a call must not keep a slab for ever.
  const auto place = std::find(held_.begin(), held_.end(), connection.id());
  if (place != held_.end()) held_.erase(place);
  held_.push_back(connection.id());
  if (held_.size() <= held_builders_max) return;
  TcpConnection* const longest = server_->find(held_.front());
  held_.erase(held_.begin());
  if (longest != nullptr && peer_of(*longest).builder) set_aside(peer_of(*longest));
}

/// A builder that has what came of the call so far, and room to read on.
void AvroSource::make_room(Peer& peer) {
  const std::size_t have = have_bytes(peer);
  const std::size_t known = peer.frame.bytes();
  // No more than came already is believed of what a stranger says is still to come.
  const std::size_t to_come = std::min(known - std::min(known, have), std::max(have, own_bytes));
  const std::size_t wanted = std::max(to_come, read_bytes_min);
  if (!peer.builder) {
    Builder builder = take_builder();
    if (builder->space().size() < have + wanted) builder->renew_with_space(have + wanted);
    move_to(peer, std::move(builder), peer.unfinished.view());
    peer.unfinished.clear();
  } else if (peer.builder->space().size() < wanted) {
    Builder before = std::move(peer.builder);
    Builder fresh = take_builder();
    if (fresh->space().size() < have + wanted) fresh->renew_with_space(have + wanted);
    move_to(peer, std::move(fresh), {before->base() + peer.begin, have});
    give_back(std::move(before));
  }
}

void AvroSource::move_to(Peer& peer, Builder fresh, std::string_view bytes) {
  peer.begin = fresh->position();
  if (!bytes.empty()) std::memcpy(fresh->base() + peer.begin, bytes.data(), bytes.size());
  fresh->written(bytes.size());
  peer.builder = std::move(fresh);
}

AvroSource::Builder AvroSource::take_builder() {
  if (spare_.empty()) {
    return std::make_unique<BatchBuilder>(context_.pool, EventHeaders::Shared, &context_.window);
  }
  Builder builder = std::move(spare_.back());
  spare_.pop_back();
  return builder;
}

void AvroSource::give_back(Builder builder) {
  if (spare_.size() < spare_builders_max) spare_.push_back(std::move(builder));
}

/// What came of a call goes into memory of its own size.
void AvroSource::set_aside(Peer& peer) {
  const std::size_t bytes = have_bytes(peer);
  peer.unfinished.append({peer.builder->base() + peer.begin, bytes});
  peer.builder->rewind(peer.begin);
  give_back(std::move(peer.builder));
}

void AvroSource::forget_unfinished(Peer& peer) {
  count_unfinished(peer, 0);
  peer.unfinished.clear();
  if (peer.builder) give_back(std::move(peer.builder));
}

/// False: it is more than all of them may hold.
bool AvroSource::count_unfinished(Peer& peer, std::size_t bytes) {
  unfinished_bytes_ -= beyond_own(peer.counted_bytes);
  peer.counted_bytes = bytes;
  unfinished_bytes_ += beyond_own(bytes);
  return beyond_own(bytes) == 0 || unfinished_bytes_ <= call_bytes_max_;
}

void AvroSource::ended(TcpConnection& connection, Peer& peer, const Status& status) {
  const std::size_t bytes = have_bytes(peer);
  const bool broken = status.code() != Code::Closed;
  if (broken || bytes > 0) context_.counters.read_failures.add();
  const std::uint64_t failures = context_.counters.read_failures.get();
  if (bytes > 0 && worth_saying(failures)) {
    log::warn(
        "{}: {} left in the middle of a call ({} bytes of it came; {}); its sender still has these "
        "events ({} so far)",
        name_, connection.peer(), bytes, status.message(), failures);
  } else if (broken && worth_saying(failures)) {
    log::info("{}: {} ({} so far)", name_, status.message(), failures);
  }
  if (!broken) return leave(connection, peer);
  forget_unfinished(peer);
  server_->drop(connection);
}

/// Handles every call that is whole.
void AvroSource::take_calls(TcpConnection& connection, Peer& peer) {
  while (!peer.leaving) {
    char* const begin = peer.builder->base() + peer.begin;
    const std::size_t have = peer.builder->position() - peer.begin;
    if (have == 0) break;
    auto whole = peer.frame.measure({begin, have});
    if (!whole.ok()) {
      return refuse(connection, peer,
                    (peer.frame.too_long() ? "sent " + whole.status().message() +
                                                 ": raise maxCallBytes, or lower batch-size there"
                                           : "sent what is no call: " + whole.status().message()));
    }
    if (!*whole) return;
    const std::uint32_t serial = peer.frame.serial();
    const std::size_t bytes = peer.frame.bytes();
    const std::string_view payload = peer.frame.join(begin);
    peer.frame.restart();
    peer.begin += bytes;
    count_unfinished(peer, 0);
    handle(connection, peer, payload, serial);
  }
}

// ---- calls

void AvroSource::handle(TcpConnection& connection, Peer& peer, std::string_view payload,
                        std::uint32_t serial) {
  std::string handshake;
  if (!peer.knows_us && !shake_hands(connection, peer, payload, serial, handshake)) return;
  const auto fail = [&](const Status& status) {
    context_.counters.rejected_lines.add();
    if (worth_saying(++refused_calls_)) {
      log::warn("{}: a call of {} is answered with an error: {} ({} so far)", name_,
                connection.peer(), status.message(), refused_calls_);
    }
    answer(connection, peer,
           [&](std::string& out) { append_avro_error(serial, handshake, status.message(), out); });
  };
  auto call = parse_avro_call(payload);
  if (!call.ok()) return fail(call.status());
  if (call->message.empty()) {  // a ping
    return answer(connection, peer,
                  [&](std::string& out) { append_avro_handshake_only(serial, handshake, out); });
  }
  auto batch = batch_of(peer, *call);
  if (!batch.ok()) return fail(batch.status());
  if (batch->empty()) {
    return answer(connection, peer, [&](std::string& out) {
      append_avro_answer(serial, handshake, AvroStatus::Ok, out);
    });
  }
  put(connection, peer, *std::move(batch), serial, std::move(handshake));
}

/// False: the call is answered, and not executed.
bool AvroSource::shake_hands(TcpConnection& connection, Peer& peer, std::string_view& payload,
                             std::uint32_t serial, std::string& handshake) {
  auto request = take_avro_handshake(payload);
  if (!request.ok()) {
    refuse(connection, peer, "sent what is no call: " + request.status().message());
    return false;
  }
  const bool known =
      request->client_hash == flume_protocol_hash() || protocols_.count(request->client_hash) > 0;
  if (!known && !request->has_protocol) {
    answer(connection, peer, [&](std::string& out) {
      append_avro_handshake_only(serial, encode_avro_handshake_response(AvroMatch::None, {}), out);
    });
    return false;
  }
  if (!known) {
    if (protocols_.size() >= known_protocols_max) protocols_.clear();
    protocols_.insert(request->client_hash);
  }
  peer.knows_us = true;
  peer.is_ours = speaks_sluice(request->meta);
  const bool match = request->server_hash == flume_protocol_hash();
  handshake = encode_avro_handshake_response(match ? AvroMatch::Both : AvroMatch::Client,
                                             peer.is_ours ? sluice_greeting() : "");
  return true;
}

Result<Batch> AvroSource::batch_of(Peer& peer, const AvroCall& call) {
  if (!peer.is_ours) return batch_in(*peer.builder, call.message, call.parameters);
  Result<Batch> batch = Batch();
  if (is_packed(call.metadata)) {
    Builder apart = take_builder();
    auto parameters = unpack(call.metadata, call.parameters, call_bytes_max_, *apart);
    batch = parameters.ok() ? batch_in(*apart, call.message, *parameters) : parameters.status();
    give_back(std::move(apart));
  } else {
    batch = batch_in(*peer.builder, call.message, call.parameters);
  }
  auto settled = sluice_settled_below(call.metadata);
  if (!settled.ok()) return settled.status();
  if (*settled) context_.out.sender_settled(**settled);
  if (!batch.ok() || batch->empty()) return batch;
  auto origins = sluice_origins(call.metadata, batch->size());
  if (!origins.ok()) return origins.status();
  return origins->known() ? batch->with_provenance(*std::move(origins)) : batch;
}

/// The events of parameters that lie in `builder`.
Result<Batch> AvroSource::batch_in(BatchBuilder& builder, std::string_view message,
                                   std::string_view parameters) {
  if (Status status = events_.parse(message, parameters); !status.ok()) return status;
  if (events_.places().empty()) return Batch();
  Headers headers = read_headers(parameters);  // marks are put where they lie
  Batch batch = mark_events(builder, parameters);
  if (!headers.shared.empty()) batch = batch.with_shared_headers({}, std::move(headers.shared));
  if (!headers.own.empty()) batch = batch.with_own_headers(std::move(headers.own), header_places_);
  return batch;
}

/// Marks them where they lie, when the index has room there.
Batch AvroSource::mark_events(BatchBuilder& builder, std::string_view parameters) {
  const auto places = events_.places();
  const auto mark = [&](BatchBuilder& in, std::size_t begin) {
    char* const base = in.base();
    IndexEntry* entry = in.index_top();
    for (const AvroEvents::Place& place : places) {
      const auto offset = static_cast<std::uint32_t>(begin + place.body.offset);
      *--entry = {offset, place.body.bytes};
      // What stands there belongs to the next event's headers, which are known already; text sinks
      // like a line feed there.
      base[offset + place.body.bytes] = '\n';
    }
    in.marked(places.size(), events_.body_bytes(), false);
    return in.seal();
  };
  // The body of a single event has nothing behind it in its call.
  const bool open_end = places.back().body.offset + places.back().body.bytes == parameters.size();
  if (!open_end && builder.entries_left() >= places.size()) {
    return mark(builder, static_cast<std::size_t>(parameters.data() - builder.base()));
  }
  Builder apart = take_builder();
  apart->reserve(parameters.size() + (places.size() + 2) * sizeof(IndexEntry));
  const std::size_t begin = apart->position();
  std::memcpy(apart->base() + begin, parameters.data(), parameters.size());
  apart->written(parameters.size() + 1);
  Batch batch = mark(*apart, begin);
  give_back(std::move(apart));
  return batch;
}

AvroSource::Headers AvroSource::read_headers(std::string_view parameters) {
  const auto places = events_.places();
  const auto map_of = [&](const AvroEvents::Place& place) {
    return parameters.substr(place.headers.offset, place.headers.bytes);
  };
  Headers headers;
  if (events_.same_headers()) {
    const std::string_view map = map_of(places.front());
    if (map.size() == 1) return headers;  // none
    if (last_headers_ == map) {
      headers.shared = last_block_;
      return headers;
    }
    std::string block;
    append_avro_headers(map, block);
    headers.shared = HeaderBlock(std::move(block));
    if (map.size() <= kept_headers_bytes_max) {
      last_headers_ = map;
      last_block_ = headers.shared;
    }
    return headers;
  }
  header_places_.clear();
  std::string_view last;
  for (const AvroEvents::Place& place : places) {
    const std::string_view map = map_of(place);
    if (!header_places_.empty() && map == last) {
      header_places_.push_back(header_places_.back());
      continue;
    }
    const std::size_t begin = headers.own.size();
    append_avro_headers(map, headers.own);
    header_places_.push_back({static_cast<std::uint32_t>(begin),
                              static_cast<std::uint32_t>(headers.own.size() - begin)});
    last = map;
  }
  return headers;
}

// ---- putting and answering

void AvroSource::put(TcpConnection& connection, Peer& peer, Batch batch, std::uint32_t serial,
                     std::string handshake) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(sent_.size()));
    sent_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  sent_[slot] = {connection.id(), serial, batch.size(), std::move(handshake)};
  ++peer.unanswered;
  if (full_ && !patience_) patience_ = Deadline::in(patience_while_full);
  const Deadline room_by = full_ ? *patience_ : Deadline::never();
  const Status status = context_.out.process(
      std::move(batch), stop_, [this, slot](Status outcome) { landed(slot, std::move(outcome)); },
      {}, room_by);
  full_ = status.code() == Code::Retry;
  if (!status.ok()) settle(slot, status);
}

/// On the committer's thread, or within process() where there is none.
void AvroSource::landed(std::uint32_t slot, Status status) {
  if (std::this_thread::get_id() == thread_) return settle(slot, status);
  server_->post([this, slot, status = std::move(status)] { settle(slot, status); });
}

void AvroSource::settle(std::uint32_t slot, const Status& status) {
  const Sent sent = std::move(sent_[slot]);
  free_slots_.push_back(slot);
  if (!status.ok() && status.code() != Code::Closed && worth_saying(++failed_calls_)) {
    log::warn(
        "{}: a call of {} events is answered with FAILED: {}; its sender keeps them ({} so "
        "far)",
        name_, sent.events, status.message(), failed_calls_);
  }
  TcpConnection* const connection = server_->find(sent.connection);
  if (connection == nullptr) return;
  Peer& peer = peer_of(*connection);
  --peer.unanswered;
  answer(*connection, peer, [&](std::string& out) {
    append_avro_answer(sent.serial, sent.handshake,
                       status.ok() ? AvroStatus::Ok : AvroStatus::Failed, out);
  });
  // What such a sender has sent behind the call must not overtake it.
  if (!status.ok() && peer.is_ours && !peer.leaving) return leave(*connection, peer);
  if (peer.leaving && peer.unanswered == 0) say_goodbye(*connection, peer);
}

/// Answers of a round go out together.
template <typename Write>
void AvroSource::answer(TcpConnection& connection, Peer& peer, Write&& write) {
  if (peer.answers.empty()) answered_.push_back(connection.id());
  write(peer.answers);
  if (closing_) send_answers();
}

void AvroSource::send_answers() {
  for (const std::uint64_t id : answered_) {
    TcpConnection* const connection = server_->find(id);
    if (connection == nullptr) continue;
    Peer& peer = peer_of(*connection);
    connection->send(peer.answers);
    peer.answers.clear();
  }
  answered_.clear();
}

void AvroSource::refuse(TcpConnection& connection, Peer& peer, const std::string& why) {
  context_.counters.rejected_lines.add();
  // A stranger who knocks for ever must not fill the log.
  if (worth_saying(++refused_calls_)) {
    log::warn("{}: {} {}; the connection is closed ({} so far)", name_, connection.peer(), why,
              refused_calls_);
  }
  leave(connection, peer);
}

/// Closes the connection once its calls are answered.
void AvroSource::leave(TcpConnection& connection, Peer& peer) {
  forget_unfinished(peer);
  peer.leaving = true;
  connection.stop_reading();
  if (peer.unanswered == 0) say_goodbye(connection, peer);
}

void AvroSource::say_goodbye(TcpConnection& connection, Peer& peer) {
  connection.send(peer.answers);
  peer.answers.clear();
  connection.finish();
}

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<AvroSource>(settings, context);
}

std::uint64_t window_bytes(const Settings& settings) {
  return window_bytes_default + 3 * settings.bytes("maxCallBytes");
}

}  // namespace

extern const SourceType avro_source{&info, make, window_bytes};

}  // namespace sluice
