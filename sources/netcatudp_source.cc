// An event of each datagram, as Flume's netcatudp source takes them.

#include <optional>
#include <string>
#include <string_view>

#include "core/base/log.h"
#include "core/net/udp_socket.h"
#include "sources/outlet.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "bind",
     .type = KeyType::Text,
     .meaning = "Host name or address to receive on; every address when it is not set."},
    {.name = "port",
     .type = KeyType::Port,
     .meaning = "Port to receive on; 0 lets the system choose and the log says which.",
     .required = true},
    {.name = "remoteAddress",
     .type = KeyType::Text,
     .meaning = "Name of a header that gets the sender as /1.2.3.4:5; none when it is not set."},
    {.name = "allLines",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Make an event of each line of a datagram; otherwise, as in Flume, only its first "
                "line becomes one and the rest is dropped and counted."},
    {.name = "onFull",
     .type = KeyType::Choice,
     .default_value = "reject",
     .meaning = "What to do while a channel is full: reject (drop and count, after the channel's "
                "keep-alive), or wait (the system drops what its buffer cannot hold).",
     .choices = "wait reject"},
    {.name = "receiveBuffer",
     .type = KeyType::Bytes,
     .default_value = "4Mi",
     .meaning = "Size of the system's buffer to ask for; it may give less (net.core.rmem_max).",
     .min = 4096,
     .max = 1 << 30},
};

constexpr ComponentInfo info{
    .alias = "netcatudp",
    .class_name = "org.apache.flume.source.NetcatUdpSource",
    .meaning = "Receives UDP datagrams on a port and makes an event of each one's first line.",
    .keys = keys};

constexpr milliseconds round_wait{1000};
// Received one after the other before what they hold is put.
constexpr int receives_a_batch = 16;

class NetcatUdpSource final : public Source {
 public:
  NetcatUdpSource(const Settings& settings, SourceContext context)
      : options_{.host = settings.text("bind"),
                 .port = settings.port("port"),
                 .receive_buffer_bytes = settings.bytes("receiveBuffer"),
                 .senders = !settings.text("remoteAddress").empty()},
        sender_header_(settings.text("remoteAddress")),
        all_lines_(settings.boolean("allLines")),
        context_(context),
        outlet_(settings.component(), context,
                options_.senders ? EventHeaders::Own : EventHeaders::Shared) {}

  Status open() override {
    auto bound = UdpSocket::bind(options_);
    if (!bound.ok()) return bound.status();
    socket_ = *std::move(bound);
    buffers_ = MemoryCharge(context_.window, UdpSocket::buffer_bytes);
    drops_seen_ = 0;
    log::info("{}: receiving on port {} with a buffer of {} bytes", outlet_.name(), socket_->port(),
              socket_->receive_buffer_bytes());
    return {};
  }

  Status run(std::stop_token stop) override {
    while (!stop.stop_requested()) {
      if (socket_->wait(Deadline::in(round_wait), stop)) {
        if (Status status = receive(stop); !status.ok()) {
          return status.code() == Code::Closed ? Status() : status;
        }
      }
      outlet_.idle(stop);
    }
    return {};
  }

  void close() override {
    socket_.reset();
    buffers_ = MemoryCharge();
    outlet_.close();
  }

 private:
  Status receive(const std::stop_token& stop) {
    for (int i = 0; i < receives_a_batch; ++i) {
      auto got = socket_->receive();
      if (!got.ok()) {
        context_.counters.read_failures.add();
        return got.status();
      }
      for (std::size_t each = 0; each < *got; ++each) {
        if (Status status = add((*socket_)[each], stop); !status.ok()) return status;
      }
      if (*got < UdpSocket::datagrams_max) break;
    }
    count_drops();
    return outlet_.put(stop);
  }

  Status add(const Datagram& datagram, const std::stop_token& stop) {
    headers_.clear();
    if (!sender_header_.empty()) {
      sender_.clear();
      sender_ += '/';
      sender_ += datagram.sender;
      append_header(headers_, sender_header_, sender_);
    }
    std::string_view rest = datagram.bytes;
    for (;;) {
      const std::size_t line_feed = rest.find('\n');
      if (Status status = outlet_.append(rest.substr(0, line_feed), headers_, stop); !status.ok()) {
        return status;
      }
      if (line_feed == std::string_view::npos) return {};
      rest.remove_prefix(line_feed + 1);
      if (rest.empty()) return {};
      if (!all_lines_) break;
    }
    context_.counters.rejected_lines.add();
    if (cut_datagrams_++ == 0) {
      log::warn(
          "{}: a datagram holds more than one line; what is behind the first is dropped, as in "
          "Flume (allLines = true keeps it). This is said once",
          outlet_.name());
    }
    return {};
  }

  /// What the system has thrown away since the last look.
  void count_drops() {
    const std::uint64_t drops = socket_->dropped();
    if (drops == drops_seen_) return;
    context_.counters.rejected_lines.add(drops - drops_seen_);
    const bool say = drops_seen_ == 0 || drops / drops_said_every != drops_seen_ / drops_said_every;
    drops_seen_ = drops;
    if (!say) return;
    log::error("{}: {} datagrams are lost since the start because the receive buffer was full",
               outlet_.name(), drops);
  }
  static constexpr std::uint64_t drops_said_every = 100'000;

  const UdpSocket::Options options_;
  const std::string sender_header_;
  const bool all_lines_;
  const SourceContext context_;
  Outlet outlet_;
  std::optional<UdpSocket> socket_;
  MemoryCharge buffers_;
  std::string headers_;
  std::string sender_;
  std::uint64_t cut_datagrams_ = 0;
  std::uint64_t drops_seen_ = 0;
};

std::unique_ptr<Source> make(const Settings& settings, SourceContext context) {
  return std::make_unique<NetcatUdpSource>(settings, context);
}

}  // namespace

extern const SourceType netcatudp_source{&info, make};

}  // namespace sluice
