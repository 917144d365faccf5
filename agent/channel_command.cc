#include "agent/channel_command.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "agent/event_json.h"
#include "agent/replay_events.h"
#include "agent/state_directory.h"
#include "channels/channel_reader.h"
#include "core/base/file.h"
#include "core/config/diagnostics.h"
#include "core/config/source_text.h"
#include "core/event/origin_text.h"
#include "core/store/store_reader.h"
#include "core/wire/event_text.h"
#include "core/wire/hex_dump.h"
#include "sources/file_generation.h"

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

constexpr int all_well = 0;
constexpr int trouble = 1;
constexpr int wrong_usage = 2;
constexpr std::size_t write_bytes = 64 << 10;
constexpr std::size_t body_shown_max = 2000;  // characters of a body that peek shows

/// Text on its way out, in large pieces.
class Output {
 public:
  virtual ~Output() = default;
  /// False once it makes no sense to go on; result() says why.
  bool add(std::string_view text) {
    buffer_ += text;
    return buffer_.size() < write_bytes || write_now();
  }
  /// Ok, Closed (nobody reads any more), or why nothing could be written.
  Status finish() {
    if (write_now() && result_.ok()) result_ = end();
    return result_;
  }
  const Status& result() const noexcept { return result_; }

 private:
  virtual Status write(std::string_view text) = 0;
  virtual Status end() { return {}; }
  bool write_now() {
    if (result_.ok() && !buffer_.empty()) result_ = write(buffer_);
    buffer_.clear();
    return result_.ok();
  }

  std::string buffer_;
  Status result_;
};

class StreamOutput final : public Output {
 public:
  explicit StreamOutput(std::ostream& out) : out_(out) {}

 private:
  Status write(std::string_view text) override {
    errno = 0;
    out_ << text << std::flush;
    if (out_.good()) return {};
    return errno == EPIPE ? Closed("nobody reads") : Retry("cannot write: " + errno_text(errno));
  }
  std::ostream& out_;
};

class FileOutput final : public Output {
 public:
  explicit FileOutput(std::unique_ptr<OutputFile> file) : file_(std::move(file)) {}

 private:
  Status write(std::string_view text) override {
    const iovec piece{const_cast<char*>(text.data()), text.size()};
    return file_->append({&piece, 1});
  }
  Status end() override { return file_->sync(); }
  const std::unique_ptr<OutputFile> file_;
};

Result<std::unique_ptr<Output>> make_output(const std::string& path, std::ostream& out) {
  if (path.empty()) return std::unique_ptr<Output>(std::make_unique<StreamOutput>(out));
  auto file = FileSystem::real().create(path, false);
  if (file.code() == Code::Reject) {
    return Invalid("there is a file " + printable(path) +
                   " already: remove it, or choose another --output");
  }
  if (!file.ok()) return file.status();
  return std::unique_ptr<Output>(std::make_unique<FileOutput>(*std::move(file)));
}

std::string sequences(std::uint64_t begin, std::uint64_t end) {
  if (end == begin + 1) return fmt::format("sequence {}", begin);
  return fmt::format("sequences {} to {}", begin, end - 1);
}

std::string told(const ChannelReader::Damage& damage) {
  const std::string bytes =
      damage.bytes == 0 ? "" : fmt::format(", in a frame of {} bytes", damage.bytes);
  return fmt::format("{} ({} events{}) cannot be read: {}", sequences(damage.begin, damage.end),
                     damage.end - damage.begin, bytes, damage.why.message());
}

/// A channel of one of the stores.
struct Place {
  StoreReader* store = nullptr;
  std::uint32_t number = 0;
  std::string name;
};

class ChannelCommand {
 public:
  ChannelCommand(const CommandLine& line, std::ostream& out, std::ostream& err)
      : line_(line), arguments_(line.on_channel), out_(out), err_(err) {}

  int run() {
    for (const std::string& warning : line_.warnings) err_ << warning << "\n";
    if (const int status = open_stores(); status != all_well) return status;
    if (!arguments_.replay_to.empty() && !find_target()) {
      return unknown_channel(arguments_.replay_to);
    }
    if (!arguments_.channel.empty()) find_channel();
    if (!arguments_.channel.empty() && places_.empty()) return unknown_channel(arguments_.channel);
    auto output = make_output(arguments_.output, out_);
    if (!output.ok()) return fail(output.status());
    output_ = *std::move(output);
    act();
    const Status written = output_->finish();
    if (!written.ok() && written.code() != Code::Closed) complain(written.message());
    return status_;
  }

 private:
  int fail(const Status& status) {
    err_ << status.message() << "\n";
    return status.code() == Code::Invalid ? wrong_usage : trouble;
  }
  void complain(const std::string& text) {
    err_ << text << "\n";
    status_ = trouble;
  }
  void complain_of_store(const std::string& text) {
    complain(text);
    store_findings_.push_back({{"text", text}});
  }
  bool say(const std::string& text) { return output_->add(text); }
  void say(const Json& json) {
    say(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  /// What can be opened is told about, whatever the others are.
  int open_stores() {
    const auto directories = store_directories(line_);
    if (!directories.ok()) return fail(directories.status());
    int failure = all_well;
    for (const std::string& directory : directories.value()) {
      auto store = StoreReader::open(directory);
      if (!store.ok()) {
        failure = std::max(failure, fail(store.status()));
        store_findings_.push_back({{"text", store.status().message()}});
        continue;
      }
      for (const std::string& damage : store.value()->damage()) {
        complain_of_store(
            "the log of the store " + directory +
            " is damaged, and what lies behind it cannot be seen: " + printable(damage, 500));
      }
      auto channels = store.value()->channels();
      if (!channels.ok()) {
        failure = std::max(failure, fail(channels.status()));
        store_findings_.push_back({{"text", channels.status().message()}});
        continue;
      }
      stores_.push_back(*std::move(store));
      for (auto& [name, number] : *channels) {
        places_.push_back({stores_.back().get(), number, std::move(name)});
      }
    }
    if (stores_.empty()) return failure;
    status_ = std::max(status_, failure == all_well ? all_well : trouble);
    return all_well;
  }

  bool find_target() {
    know_channels();
    const auto found = std::find_if(places_.begin(), places_.end(), [&](const Place& place) {
      return place.name == arguments_.replay_to;
    });
    if (found != places_.end()) target_ = *found;
    return found != places_.end();
  }
  void know_channels() {
    known_ = "";
    for (const Place& place : places_) known_ += (known_.empty() ? "" : ", ") + place.name;
  }
  void find_channel() {
    know_channels();
    std::erase_if(places_, [&](const Place& place) { return place.name != arguments_.channel; });
  }
  int unknown_channel(const std::string& name) const {
    err_ << "there is no channel " << printable(name) << " in " << stores_.front()->path()
         << (stores_.size() > 1 ? " and the other stores" : "")
         << (known_.empty() ? ": it has none yet" : "; there are: " + printable(known_, 1000))
         << "\n";
    return wrong_usage;
  }

  void act() {
    const std::string& action = arguments_.action;
    if (action == "ls") return list();
    if (action == "verify") return verify();
    for (const Place& place : places_) {
      auto account = place.store->account(place.number);
      if (!account.ok()) {
        complain(place, account.status());
        continue;
      }
      if (action == "replay") {
        replay(place, *account);
        continue;
      }
      ChannelReader reader(*place.store, place.number, *std::move(account), pool_);
      if (action == "stat") stat(place, reader);
      if (action == "peek") peek(place, reader);
      if (action == "export") export_events(place, reader);
    }
  }

  /// Findings are what verify is asked for; elsewhere they must not stand between the events.
  bool complain(const Place& place, const std::string& text) {
    const std::string line = "channel " + printable(place.name) + ": " + text;
    status_ = trouble;
    if (arguments_.action == "verify" && line_.json) {
      findings_.push_back({{"text", text}});
      return true;
    }
    if (arguments_.action == "verify") return say(line + "\n");
    err_ << line << "\n";
    return true;
  }
  void complain(const Place& place, const Status& status) {
    if (!status.ok()) complain(place, status.message());
  }

  // ---- ls

  /// When it was made, if one of its headers says so.
  static std::string age(const Event& event) {
    std::string_view timestamp;
    if (!event.headers.find("timestamp", timestamp)) return "";
    return std::string(timestamp);
  }

  void list() {
    Json all = Json::array();
    std::size_t wide = 7;
    for (const Place& place : places_) wide = std::max(wide, printable(place.name).size());
    const StoreReader* store = nullptr;
    for (const Place& place : places_) {
      if (!line_.json && store != place.store) say(heading(*place.store, wide));
      store = place.store;
      list(place, wide, all);
    }
    if (line_.json) {
      say(all);
    } else if (places_.empty()) {
      for (const auto& each : stores_) say("store " + printable(each->path()) + ": no channel\n");
    }
  }

  static std::string heading(const StoreReader& store, std::size_t wide) {
    const StoreReader::Size size = store.size();
    return fmt::format(
        "store {}: {} files, {} bytes of tables, {} bytes of logs\n"
        "{:<{}}  number        events            bytes          oldest            next\n",
        printable(store.path(), 4096), size.files, size.table_bytes, size.log_bytes, "channel",
        wide);
  }

  void list(const Place& place, std::size_t wide, Json& all) {
    auto account = place.store->account(place.number);
    if (!account.ok()) {
      complain(place, account.status());
      return;
    }
    const bool empty = account->stored_events() == 0;
    std::string made;
    ChannelReader reader(*place.store, place.number, *account, pool_);
    if (!empty) {
      const auto first = [&](std::uint64_t, const Event& event, const Origin&) {
        made = age(event);
        return false;
      };
      complain(place,
               reader.for_each_event(account->low, account->next, first, [&](const auto& damage) {
                 complain(place, told(damage));
                 return false;
               }));
    }
    if (!line_.json) {
      say(fmt::format("{:<{}}  {:>6}  {:>12}  {:>15}  {:>14}  {:>14}{}\n", printable(place.name),
                      wide, place.number, account->stored_events(), account->stored_bytes(),
                      empty ? "-" : std::to_string(account->low), account->next,
                      made.empty() ? "" : "  timestamp " + printable(made, 40)));
      return;
    }
    Json json;
    json["store"] = place.store->path();
    json["channel"] = place.name;
    json["number"] = place.number;
    json["events"] = account->stored_events();
    json["bytes"] = account->stored_bytes();
    if (!empty) json["oldest"] = account->low;
    if (!made.empty()) json["oldestTimestamp"] = made;
    json["next"] = account->next;
    all.push_back(std::move(json));
  }

  // ---- stat

  void stat(const Place& place, ChannelReader& reader) {
    const Account& account = reader.account();
    std::uint64_t frames = 0;
    std::uint64_t bytes = 0;
    std::uint64_t damaged = 0;
    complain(place, reader.for_each_frame(
                        0, account.next,
                        [&](const auto& frame) {
                          ++frames;
                          bytes += frame.bytes;
                          return true;
                        },
                        [&](const auto& damage) {
                          damaged += damage.end - damage.begin;
                          return complain(place, told(damage));
                        }));
    const auto openings = place.store->openings();
    complain(place, openings.status());
    Json json;
    json["channel"] = place.name;
    json["number"] = place.number;
    json["store"] = place.store->path();
    json["storeOpenings"] = openings.ok() ? openings.value() : 0;
    json["putEvents"] = account.next;
    json["putBytes"] = account.put_bytes;
    json["outEvents"] = account.out_events;
    json["outBytes"] = account.out_bytes;
    json["quarantinedEvents"] = account.quarantined_events;
    json["quarantinedBytes"] = account.quarantined_bytes;
    json["waitingEvents"] = account.stored_events();
    json["waitingBytes"] = account.stored_bytes();
    json["keptEvents"] = account.kept_events();
    json["keptBytes"] = account.kept_bytes();
    if (account.kept) json["lowestKept"] = account.kept->low;
    json["lowestSequence"] = account.low;
    json["nextSequence"] = account.next;
    json["outOfOrder"] = Json::array();
    for (const auto& [begin, end] : account.above) json["outOfOrder"].push_back({begin, end - 1});
    json["frames"] = frames;
    json["frameBytes"] = bytes;
    json["unreadableEvents"] = damaged;
    json["notes"] = notes(place);
    if (line_.json) {
      say(json);
    } else {
      say(as_text(json));
    }
  }

  /// Of all sources of the store: name and what it says.
  Json notes(const Place& place) {
    constexpr std::string_view prefix = "note/";
    Json all = Json::object();
    complain(
        place, place.store->for_each_row(prefix, [&](std::string_view key, std::string_view value) {
          if (value.empty()) return;  // of a file that has gone
          const auto position = decode_position(value);
          all[printable(key.substr(prefix.size()))] =
              position
                  ? fmt::format("{} at byte {}", printable(position->path), position->mark.offset)
                  : printable(value);
        }));
    return all;
  }

  static std::string as_text(const Json& json) {
    std::string text;
    for (const auto& [key, value] : json.items()) {
      if (key == "notes") {
        text += "positions and notes of the store\n";
        for (const auto& [name, note] : value.items()) {
          text += "  " + name + "  " + note.get<std::string>() + "\n";
        }
      } else if (key == "outOfOrder") {
        for (const auto& range : value) {
          text += fmt::format("{:<18} {} to {}\n", key, range[0].get<std::uint64_t>(),
                              range[1].get<std::uint64_t>());
        }
      } else {
        text += fmt::format(
            "{:<18} {}\n", key,
            value.is_string() ? printable(value.get<std::string>(), 4096) : value.dump());
      }
    }
    return text;
  }

  // ---- peek and export

  static std::string event_text(std::uint64_t sequence, const Event& event, const Origin& origin) {
    std::string headers;
    append_headers_text(headers, event.headers);
    std::string body;
    const bool text = is_utf8(event.body) && event.body.find('\0') == std::string_view::npos;
    const std::string_view shown = event.body.substr(0, body_shown_max);
    if (text) {
      body = printable(event.body, body_shown_max);
    } else {
      append_hex_dump(body, shown);
    }
    if (shown.size() < event.body.size()) {
      body += fmt::format("\n  ({} bytes; channel export gives all of them)", event.body.size());
    }
    return fmt::format("{}  {}:{}  {}\n  {}\n", sequence, to_string(origin.id), origin.sequence,
                       printable(headers, body_shown_max), body);
  }

  void peek(const Place& place, ChannelReader& reader) {
    std::uint64_t left = arguments_.count;
    if (left == 0) return;
    const auto show = [&](std::uint64_t sequence, const Event& event, const Origin& origin) {
      const bool goes_on = say(line_.json ? event_json(sequence, event, origin) + "\n"
                                          : event_text(sequence, event, origin));
      return --left > 0 && goes_on;
    };
    complain(place,
             reader.for_each_event(arguments_.from, UINT64_MAX, show, [&](const auto& damage) {
               return complain(place, told(damage));
             }));
  }

  void export_events(const Place& place, ChannelReader& reader) {
    std::uint64_t events = 0;
    const std::uint64_t below = arguments_.to == UINT64_MAX ? arguments_.to : arguments_.to + 1;
    complain(place, reader.for_each_event(
                        arguments_.from, below,
                        [&](std::uint64_t sequence, const Event& event, const Origin& origin) {
                          ++events;
                          return say(event_json(sequence, event, origin) + "\n");
                        },
                        [&](const auto& damage) { return complain(place, told(damage)); }));
    if (!arguments_.output.empty() && output_->finish().ok()) {
      err_ << events << " events of channel " << printable(place.name) << " are in "
           << printable(arguments_.output, 4096) << "\n";
    }
  }

  // ---- replay

  void replay(const Place& place, const Account& account) {
    if (!account.kept) {
      complain(place,
               "it keeps nothing of what it delivers, so nothing can be replayed: give it the key "
               "retention");
      return;
    }
    ChannelReader reader(*place.store, place.number, account, pool_, Looked::Kept);
    const auto first = first_to_replay(reader);
    if (!first.ok()) {
      complain(place, first.status());
      return;
    }
    const auto on_damage = [&](const auto& damage) { return complain(place, told(damage)); };
    if (line_.dry_run) {
      std::uint64_t events = 0;
      const auto count = [&](auto, const Event&, const Origin&) { return ++events > 0; };
      complain(place, reader.for_each_event(first.value(), UINT64_MAX, count, on_damage));
      say(fmt::format("{} events of channel {} would be put into channel {}\n", events,
                      printable(place.name), printable(target_.name)));
      return;
    }
    const Replayed done = replay_events(
        {place.name, first.value(), target_.store->path(), target_.name}, reader, pool_, on_damage);
    say(fmt::format("{} events of channel {} are put into channel {}\n", done.events,
                    printable(place.name), printable(target_.name)));
    if (done.status.ok()) return;
    complain(place, done.status);
    complain(place, fmt::format("--from {} goes on where it ended", done.next));
  }

  Result<std::uint64_t> first_to_replay(const ChannelReader& reader) const {
    if (const auto* from = std::get_if<FromSequence>(&arguments_.replay_from)) {
      return from->sequence;
    }
    return reader.first_put_at(std::get<FromTime>(arguments_.replay_from).wall_ms);
  }

  // ---- verify

  void verify() {
    Json channels = Json::array();
    for (const Place& place : places_) {
      Json json;
      json["store"] = place.store->path();
      json["channel"] = place.name;
      auto account = place.store->account(place.number);
      if (account.ok()) {
        ChannelReader reader(*place.store, place.number, *std::move(account), pool_);
        verify(place, reader, json);
      } else {
        complain(place, account.status());
      }
      json["sound"] = findings_.empty();
      json["findings"] = std::exchange(findings_, Json::array());
      channels.push_back(std::move(json));
    }
    if (!line_.json) return;
    Json all;
    all["sound"] = status_ == all_well;
    all["findings"] = store_findings_;
    all["channels"] = std::move(channels);
    say(all);
  }

  bool unreadable(const Place& place, const ChannelReader::Damage& damage) {
    const bool goes_on = complain(place, told(damage));
    if (!line_.json) return goes_on;
    Json& finding = findings_.back();
    finding["firstSequence"] = damage.begin;
    finding["lastSequence"] = damage.end - 1;
    if (damage.bytes > 0) finding["frameBytes"] = damage.bytes;
    return goes_on;
  }

  void verify(const Place& place, ChannelReader& reader, Json& json) {
    const Account& account = reader.account();
    std::uint64_t frames = 0;
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    std::uint64_t lost = 0;
    std::uint64_t end = 0;
    const auto check = [&](const ChannelReader::StoredFrame& frame) {
      const std::uint64_t frame_end = frame.first + frame.batch.size();
      if (frames > 0 && frame.first < end) {
        complain(place, fmt::format("the frame at sequence {} overlaps the one before it, which "
                                    "ends at {}",
                                    frame.first, end - 1));
      }
      if (frame_end > account.next) {
        complain(place, fmt::format("the frame at sequence {} goes on to {}, beyond the account's "
                                    "end {}",
                                    frame.first, frame_end - 1, account.next));
      }
      end = frame_end;
      ++frames;
      account.for_each_waiting(frame.first, frame_end, [&](std::uint64_t from, std::uint64_t to) {
        events += to - from;
        for (std::uint64_t at = from; at < to; ++at) {
          bytes += frame.batch.body(static_cast<std::uint32_t>(at - frame.first)).size();
        }
        return true;
      });
      return true;
    };
    complain(place, reader.for_each_frame(0, UINT64_MAX, check, [&](const auto& damage) {
      lost += damage.end - damage.begin;
      return unreadable(place, damage);
    }));
    complain(place, place.store->read_frames(
                        place.number, account.next, UINT64_MAX,
                        [&](std::uint64_t first, std::string_view frame) {
                          return complain(
                              place, fmt::format("a frame of {} bytes at sequence {} lies beyond "
                                                 "the account's end {}",
                                                 frame.size(), first, account.next));
                        }));
    if (events + lost != account.stored_events()) {
      complain(place, fmt::format("{} events are in its frames ({} of them cannot be read), {} by "
                                  "its account",
                                  events + lost, lost, account.stored_events()));
    }
    // Nobody can say how many bytes a quarantined frame had.
    const bool bytes_known = lost == 0 && account.quarantined_events == 0;
    if (bytes_known && bytes != account.stored_bytes()) {
      complain(place, fmt::format("{} bytes are in its frames, {} by its account", bytes,
                                  account.stored_bytes()));
    }
    json["frames"] = frames;
    json["events"] = events;
    json["bytes"] = bytes;
    json["unreadableEvents"] = lost;
    if (line_.json) return;
    say(fmt::format("channel {}: {} frames, {} events, {} bytes can be read; {} events cannot\n",
                    printable(place.name), frames, events, bytes, lost));
  }

  const CommandLine& line_;
  const ChannelArguments& arguments_;
  std::ostream& out_;
  std::ostream& err_;
  int status_ = all_well;
  SlabPool pool_;
  std::vector<std::unique_ptr<StoreReader>> stores_;
  std::vector<Place> places_;
  Place target_;  ///< Of a replay.
  std::string known_;
  Json store_findings_ = Json::array();
  Json findings_ = Json::array();  ///< Of verify in the channel at hand, for --json.
  std::unique_ptr<Output> output_;
};

}  // namespace

int run_channel(const CommandLine& line, std::ostream& out, std::ostream& err) {
  std::signal(SIGPIPE, SIG_IGN);  // `channel export | head` is no failure
  return ChannelCommand(line, out, err).run();
}

}  // namespace sluice
