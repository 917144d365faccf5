#include "tests/origins/compared_agent.h"

#include <algorithm>
#include <array>
#include <atomic>

namespace sluice::testing {
namespace {

namespace fs = std::filesystem;

/// Of the header "kind", before interceptors.
constexpr std::array<const char*, 6> kinds = {nullptr, "a", "b", "c", "d", " "};
constexpr std::uint64_t per_source = 1'000'000;

PlainHeaders plain_headers(const Event& event) {
  PlainHeaders headers;
  event.headers.for_each([&](auto name, auto value) { headers.emplace(name, value); });
  return headers;
}

std::optional<std::uint64_t> note_of(const Notes& notes) {
  if (notes.empty()) return std::nullopt;
  return std::stoull(notes.front().value);
}

/// What a repeated rejection or replay replaces.
void erase_beginning(PlainHeaders& headers, std::string_view prefix) {
  std::erase_if(headers, [&](const auto& header) { return header.first.starts_with(prefix); });
}

}  // namespace

// ---- its life

void ComparedAgent::start() {
  expect_here(wired_.start(), "it does not start");
  std::fill(troubled_.begin(), troubled_.end(), false);
  if (options_.source != 0) start_source();
  compare();
}

/// As a source does: from the lowest position that its stores know, or else from the first event
/// that is not known to be delivered.
void ComparedAgent::start_source() {
  ChannelProcessor& processor = wired_.processor();
  const std::set<std::size_t> stores = plain_.required_stores();
  const bool keeps = plain_.all_required_durable() && !stores.empty();
  expect_here(processor.keeps_notes() == keeps, "who keeps the position is not as configured");
  expect_here(processor.wants_origins() == (keeps && stores.size() > 1),
              "whether origins are wanted is not as configured");
  receipts_ = std::make_shared<DeliveredReceipts>();
  for (const auto& [token, begin] : open_) position_ = std::min(position_, begin);
  open_.clear();
  if (!keeps) return;
  std::vector<std::uint64_t> should;
  for (const std::size_t store : stores) {
    if (plain_.notes[store]) should.push_back(*plain_.notes[store]);
  }
  std::vector<std::uint64_t> are;
  for (const std::string& note : processor.notes("position")) are.push_back(std::stoull(note));
  expect_here(are == should, "the stores know other positions than they were told");
  position_ = starts_over_ ? 0 : reached_;
  if (!are.empty()) position_ = *std::min_element(are.begin(), are.end());
  starts_over_ = false;
  if (are.size() == stores.size()) return;
  const Status status =
      processor.process_and_wait({}, {}, {{"position", std::to_string(position_)}});
  expect_here(status, "a note alone is refused");
  for (const std::size_t store : stores) plain_.notes[store] = position_;
}

void ComparedAgent::stop(bool cut) {
  for (std::size_t i = 0; cut && i < stores(); ++i) wired_.disk(i).cut();
  wired_.stop(&around_.random);
  for (PlainChannel& channel : plain_.channels) {
    if (channel.durable()) continue;
    lose(channel);
    channel.forget();
  }
}

/// What waits there is gone, and nobody comes with it again, or somebody does.
void ComparedAgent::lose(const PlainChannel& channel) {
  for (const auto& [sequence, event] : channel.waiting) around_.may_miss.insert(event.number);
}

void ComparedAgent::trouble(std::size_t store, std::uint64_t soon) {
  wired_.disk(store).fail_once_at(soon);
  troubled_[store] = true;
}

/// What a refused commit had written is taken back before the next one is complete. Until then it
/// might be there after a crash, which a model of single steps does not know.
void ComparedAgent::heal() {
  const Deadline deadline = patiently();
  for (std::size_t i = 0; i < stores(); ++i) {
    Status status = Retry("not asked");
    while (troubled_[i] && !status.ok()) {
      expect_here(!deadline.passed(), "a disk that failed once is never used again");
      Commit commit(&wired_.store(i));
      commit.note({"healed", "yes"});
      status = std::move(commit).wait();
    }
  }
}

void ComparedAgent::wipe(std::size_t store) {
  stop(false);
  for (const PlainChannel& channel : plain_.channels) {
    if (channel.store == store) lose(channel);
  }
  // What a crash kept from it while the others had it: its note alone knew that.
  if (options_.source != 0 && plain_.required_stores().count(store) > 0 && plain_.notes[store]) {
    for (const auto& note : plain_.notes) {
      for (std::uint64_t at = *plain_.notes[store]; note && at < *note; ++at) {
        around_.may_miss.insert(event_at(at).number);
      }
    }
  }
  plain_.forget(store);
  was_lost_[store] = true;
  fs::remove_all(wired_.store_path(store));
  starts_over_ = around_.one_in(2);
  start();
}

void ComparedAgent::back_up(std::size_t store) {
  stop(false);
  const std::string path = wired_.store_path(store);
  fs::remove_all(path + "-backup");
  fs::copy(path, path + "-backup", fs::copy_options::recursive);
  backups_.insert_or_assign(store, plain_);
  start();
}

bool ComparedAgent::restore(std::size_t store) {
  const auto backup = backups_.find(store);
  if (backup == backups_.end()) return false;
  stop(false);
  for (std::size_t i = 0; i < channels(); ++i) {
    if (plain_.channels[i].store != store) continue;
    const auto& now = plain_.channels[i].waiting;
    const auto& then = backup->second.channels[i].waiting;
    const auto differs = [](const auto& one, const auto& other) {
      const auto found = other.find(one.first);
      return found == other.end() || found->second.origin != one.second.origin;
    };
    for (const auto& one : now) {
      if (differs(one, then)) around_.may_miss.insert(one.second.number);
    }
    for (const auto& one : then) {
      if (options_.terminal && differs(one, now)) around_.may_double.insert(one.second.number);
    }
  }
  plain_.adopt(store, backup->second);
  was_lost_[store] = true;
  const std::string path = wired_.store_path(store);
  fs::remove_all(path);
  fs::copy(path + "-backup", path, fs::copy_options::recursive);
  start();
  return true;
}

std::unique_ptr<ComparedAgent> ComparedAgent::copy(Options options) {
  stop(false);
  auto clone = std::make_unique<ComparedAgent>(std::move(options), around_);
  fs::create_directories(clone->options_.wired.path);
  for (std::size_t i = 0; i < stores(); ++i) {
    fs::copy(wired_.store_path(i), clone->wired_.store_path(i), fs::copy_options::recursive);
  }
  clone->plain_ = plain_;
  clone->seen_ = seen_;
  clone->was_lost_ = was_lost_;
  clone->start();
  start();
  return clone;
}

/// Nothing but the right number of events is in each channel; which ones they are is seen when they
/// come out.
void ComparedAgent::compare() {
  for (std::size_t i = 0; i < channels(); ++i) {
    const PlainChannel& channel = plain_.channels[i];
    expect_here(real_size(i) == channel.waiting.size(),
                "channel " + channel.name + " has " + std::to_string(real_size(i)) +
                    " events instead of " + std::to_string(channel.waiting.size()));
  }
  if (options_.source != 0) check_receipts();
}

// ---- what enters

/// A pure function of the place: it is the same when it is read again.
PlainEvent ComparedAgent::event_at(std::uint64_t offset) const {
  PlainEvent event;
  event.number = options_.source * per_source + offset;
  const char* const kind = kinds[(event.number * 0x9E3779B97F4A7C15ULL >> 32) % kinds.size()];
  if (kind != nullptr) event.headers["kind"] = kind;
  return event;
}

ComparedAgent::Both ComparedAgent::read(std::uint32_t events) {
  BatchBuilder builder(around_.pool, EventHeaders::Own);
  builder.renew();
  Both both;
  for (std::uint32_t i = 0; i < events; ++i) {
    const std::uint64_t offset = position_ + i;
    PlainEvent event = event_at(offset);
    if (options_.names || wired_.processor().wants_origins()) {
      event.origin = "s" + std::to_string(options_.source) + ":" + std::to_string(offset);
    }
    std::string block;
    for (const auto& [name, value] : event.headers) append_header(block, name, value);
    expect_here(builder.append(std::to_string(event.number), block), "a slab is too small");
    both.events.push_back(std::move(event));
  }
  both.batch = builder.seal();
  if (!both.events.front().origin.empty()) {
    const OriginId id{options_.source, 1};
    both.batch = both.batch.with_provenance(Provenance::dense(id, position_, events));
  }
  if (!wired_.processor().keeps_notes()) {
    const std::uint64_t token = ++tokens_;
    for (PlainEvent& event : both.events) event.token = token;
    both.batch = both.batch.with_receipt(Receipt::make(receipts_, token, events));
  }
  return both;
}

std::vector<std::uint64_t> ComparedAgent::counts() const {
  const SourceCounters& counters = wired_.counters();
  return {counters.made.events.get(),     counters.filtered.events.get(),
          counters.unrouted.events.get(), counters.doubles.events.get(),
          counters.put.events.get(),      counters.refused.events.get()};
}

bool ComparedAgent::put(const Both& both, bool from_source) {
  const Notes notes = notes_for(both, from_source);
  PlainAgent after = plain_;
  const PlainOutcome outcome = after.put(both.events, note_of(notes));
  const bool waits = options_.wired.on_full == OnFull::Wait;
  ++around_.tally[outcome.fits ? "put" : "put, no room"];
  if (!outcome.fits && waits) return false;  // it would, for ever
  const auto before = counts();
  const Status status = wired_.processor().process_and_wait(both.batch, {}, notes);
  if (!status.ok()) {
    expect_here(status.code() == Code::Retry && !waits && (!outcome.fits || any_trouble()),
                "a batch is refused: " + status.message());
    heal();
    return false;
  }
  expect_here(outcome.fits, "a batch was taken for which there is no room");
  const std::set<std::size_t> required = plain_.required_stores();
  bool all = true;
  for (std::size_t i = 0; i < stores(); ++i) {
    // A disk that only optional channels need may have failed them.
    const bool missed = troubled_[i] && required.count(i) == 0 && !fits(i, after, false);
    if (!missed) adopt(i, after, outcome);
    all = all && !missed;
  }
  for (std::size_t i = 0; i < channels(); ++i) {
    if (!plain_.channels[i].durable()) plain_.channels[i] = after.channels[i];
  }
  note_entered(outcome, std::nullopt);
  if (all) check_counters(outcome, before);
  if (!all) {
    ++around_.tally["an optional store failed"];
    heal();
  }
  around_.tally["doubles"] += outcome.doubles;
  around_.tally["passed over"] += outcome.passed_over;
  if (from_source) came_in(both);
  return true;
}

Notes ComparedAgent::notes_for(const Both& both, bool from_source) const {
  Notes notes;
  if (!from_source || both.batch.receipt()) return notes;
  notes.push_back({"position", std::to_string(position_ + both.events.size())});
  return notes;
}

/// The source goes on behind it.
void ComparedAgent::came_in(const Both& both) {
  if (both.batch.receipt()) open_[tokens_] = position_;
  position_ += both.events.size();
  reached_ = std::max(reached_, position_);
}

/// True when the store can be in this state, by how many events its channels hold.
bool ComparedAgent::fits(std::size_t store, const PlainAgent& state, bool with_note) {
  for (std::size_t i = 0; i < channels(); ++i) {
    const PlainChannel& channel = state.channels[i];
    if (channel.store == store && real_size(i) != channel.waiting.size()) return false;
  }
  return !with_note || wired_.note(store) == state.notes[store];
}

void ComparedAgent::adopt(std::size_t store, const PlainAgent& after, const PlainOutcome& outcome) {
  plain_.adopt(store, after);
  note_entered(outcome, store);
}

/// An event that comes a second time must have a reason.
void ComparedAgent::note_entered(const PlainOutcome& outcome, std::optional<std::size_t> of_store) {
  for (const PlainOutcome::Entered& each : outcome.entered) {
    const PlainChannel& channel = plain_.channels[each.channel];
    if (channel.store != of_store) continue;
    const PlainEvent& event = channel.waiting.at(each.sequence);
    // Where two of a tier number the same event, they number two.
    const bool first = around_.named[channel.name].insert(event.identity()).second;
    if (!first && each.nameless) around_.may_double.insert(event.number);
    if (seen_[each.channel].insert(event.identity()).second) continue;
    const bool excused = !channel.durable() || was_lost_[*channel.store] ||
                         around_.may_double.count(event.number) > 0;
    expect_here(excused, "event " + event.identity() + " entered " + channel.name + " twice");
    around_.may_double.insert(event.number);
  }
}

void ComparedAgent::check_counters(const PlainOutcome& outcome,
                                   const std::vector<std::uint64_t>& before) {
  const std::vector<std::uint64_t> after = counts();
  const std::vector<std::uint64_t> should = {outcome.filtered, outcome.unrouted, outcome.doubles,
                                             outcome.put, outcome.passed_over};
  const std::vector<const char*> names = {"filtered", "unrouted", "doubles", "put", "refused"};
  for (std::size_t i = 0; i < should.size(); ++i) {
    const std::uint64_t counted = after[i + 1] - before[i + 1];
    expect_here(counted == should[i], std::string(names[i]) + " counts " + std::to_string(counted) +
                                          " events, not " + std::to_string(should[i]));
  }
}

/// A receipt says "delivered" when no channel in memory has any of its events any more, and not
/// before.
void ComparedAgent::check_receipts() {
  if (!receipts_) return;
  for (const std::uint64_t token : receipts_->take()) {
    expect_here(open_.erase(token) == 1, "a receipt nobody waits for");
  }
  std::set<std::uint64_t> should;
  for (const PlainChannel& channel : plain_.channels) {
    for (const auto& [sequence, event] : channel.waiting) {
      if (event.token != 0) should.insert(event.token);
    }
  }
  std::set<std::uint64_t> are;
  for (const auto& [token, begin] : open_) are.insert(token);
  expect_here(are == should, std::to_string(are.size()) + " receipts wait, instead of " +
                                 std::to_string(should.size()));
}

/// The power fails while a batch is on its way. Each store has all of its part afterwards, or
/// nothing; all of it, where that was acknowledged.
void ComparedAgent::crash(const Both& both, bool from_source, std::uint64_t soon) {
  const Notes notes = notes_for(both, from_source);
  PlainAgent after = plain_;
  const PlainOutcome outcome = after.put(both.events, note_of(notes));
  if (!outcome.fits || stores() == 0) return;
  std::size_t cut = around_.below(stores());
  const std::set<std::size_t> required = plain_.required_stores();
  for (std::size_t i = 0; i < stores(); ++i) {
    if (required.count(i) == 0 && around_.one_in(2)) cut = i;
  }
  wired_.disk(cut).cut_at(1 + soon);
  std::atomic<bool> acknowledged{false};
  const auto done = [&](const Status& status) { acknowledged = status.ok(); };
  expect_here(wired_.processor().process(both.batch, {}, done, notes), "there is room");
  const bool cut_all = around_.one_in(2);
  for (std::size_t i = 0; cut_all && i < stores(); ++i) wired_.disk(i).cut();
  const std::uint64_t reached_before = reached_;
  if (from_source) came_in(both);
  wired_.stop(&around_.random);
  if (!cut_all && !any_trouble() && required.count(cut) == 0) {
    ++around_.tally["crash of an optional store"];
    expect_here(acknowledged, "a store has a say that only optional channels need");
  }
  const bool in_memory =
      std::any_of(after.channels.begin(), after.channels.end(), [&](const PlainChannel& channel) {
        return std::any_of(channel.waiting.begin(), channel.waiting.end(), [&](const auto& each) {
          return both.batch.receipt() && each.second.token == both.events.front().token;
        });
      });
  if (receipts_) {
    for (const std::uint64_t token : receipts_->take()) {
      expect_here(token != tokens_ || !in_memory, "what was lost in memory is delivered");
      open_.erase(token);
    }
  }
  expect_here(wired_.start(), "it does not start after a crash");
  std::fill(troubled_.begin(), troubled_.end(), false);
  settle_crash(after, outcome, !notes.empty(), acknowledged);
  for (PlainChannel& channel : plain_.channels) {
    if (channel.durable()) continue;
    lose(channel);
    channel.forget();
  }
  if (options_.source != 0) start_source();
  reached_ = std::max(reached_before, position_);
  compare();
}

void ComparedAgent::settle_crash(const PlainAgent& after, const PlainOutcome& outcome,
                                 bool with_notes, bool acknowledged) {
  const std::set<std::size_t> required = plain_.required_stores();
  bool all_before = true;
  for (std::size_t i = 0; i < stores(); ++i) {
    const bool needed = required.count(i) > 0;
    const bool is_after = fits(i, after, with_notes && needed);
    const bool is_before = fits(i, plain_, with_notes && needed);
    expect_here(is_after || is_before, "a commit is torn");
    expect_here(is_after || !needed || !acknowledged,
                "what was acknowledged is not there after a crash");
    expect_here(is_before || !needed || all_before, "a store is ahead of the one before it");
    if (needed) all_before = all_before && is_after;
    if (is_after) adopt(i, after, outcome);
    ++around_.tally[is_after ? "crash behind the commit" : "crash before the commit"];
  }
}

// ---- what leaves

void ComparedAgent::compare_event(const PlainChannel& channel, const PlainEvent& event,
                                  const Event& real, const std::optional<Origin>& origin) {
  const std::string where = "channel " + channel.name + ": ";
  expect_here(real.body == std::to_string(event.number),
              where + "event " + std::string(real.body) + " instead of " + event.identity());
  PlainEvent is{event.number, plain_headers(real), {}, 0};
  expect_here(is.headers == event.headers,
              where + is.identity() + " instead of " + event.identity());
  const bool known = origin && !origin->id.none();
  expect_here(known == !event.origin.empty(),
              where + "whether there is an origin: " + event.identity() + " " + event.origin);
  if (known) around_.origins.check(event.origin, *origin);
}

ComparedAgent::Part ComparedAgent::take(std::size_t number, std::uint32_t events_max) {
  Channel& from = wired_.channel(number);
  const PlainChannel& channel = plain_.channels[number];
  const Deadline deadline = patiently();
  Part part;
  while (part.taken.empty()) {
    expect_here(!deadline.passed(), "nobody can take what is in channel " + channel.name);
    part.taken = from.take({.events_max = events_max, .wait_max = milliseconds(20)}, {});
  }
  part.events = compare_batch(number, part.taken.batch(), 0);
  auto at = part.events.begin();
  for (const Taken::Piece& piece : part.taken.pieces()) {
    for (std::uint32_t i = 0; i < piece.batch.size(); ++i, ++at) {
      expect_here(at->first == piece.sequence + i, "channel " + channel.name + " gives sequence " +
                                                       std::to_string(piece.sequence + i) +
                                                       " out of turn");
    }
  }
  return part;
}

/// The batch is what waits in the channel behind the first `ahead` events.
ComparedAgent::Events ComparedAgent::compare_batch(std::size_t number, const Batch& batch,
                                                   std::size_t ahead) {
  const PlainChannel& channel = plain_.channels[number];
  Events events;
  auto should = std::next(channel.waiting.begin(), static_cast<std::ptrdiff_t>(ahead));
  for (std::uint32_t i = 0; i < batch.size(); ++i, ++should) {
    expect_here(should != channel.waiting.end(), "channel " + channel.name + " gives too much");
    std::optional<Origin> origin;
    if (batch.provenance().known()) origin = batch.provenance().origin(i);
    compare_event(channel, should->second, batch[i], origin);
    events.push_back(*should);
  }
  return events;
}

ComparedAgent::Part ComparedAgent::split_front(Part& part, std::uint32_t events) {
  Part front{part.taken.split_front(events), {}};
  const auto middle = part.events.begin() + events;
  front.events.assign(part.events.begin(), middle);
  part.events.erase(part.events.begin(), middle);
  return front;
}

void ComparedAgent::out(std::size_t number, const Events& events) {
  PlainChannel& channel = plain_.channels[number];
  for (const auto& [sequence, event] : events) {
    channel.take_out(sequence);
    if (options_.terminal) ++around_.delivered[channel.name + ": " + event.identity()];
  }
}

bool ComparedAgent::commit(std::size_t number, Part part) {
  Commit commit(part.taken.channel()->committer());
  commit.take(std::move(part.taken));
  const Status status = std::move(commit).wait();
  if (status.ok()) {
    out(number, part.events);
  } else {
    expect_here(any_trouble(), "a take is refused: " + status.message());
    ++around_.tally["take refused"];
    heal();
  }
  return status.ok();
}

/// As sinks do that commit much later than they read.
void ComparedAgent::read_ahead(std::size_t number, std::uint32_t events_max, bool commits) {
  Taken all;
  Events events;
  for (int i = 0; i < 2 && events.size() < plain_.channels[number].waiting.size(); ++i) {
    Taken next;
    const Deadline deadline = patiently();
    while (next.empty()) {
      expect_here(!deadline.passed(), "nobody can read ahead");
      next =
          wired_.channel(number).take({.events_max = events_max, .wait_max = milliseconds(20)}, {});
    }
    const Events more = compare_batch(number, next.batch(), events.size());
    events.insert(events.end(), more.begin(), more.end());
    next.let_go();
    all.append(std::move(next));
  }
  if (!commits) return;
  Commit commit(all.channel()->committer());
  commit.take(std::move(all));
  const Status status = std::move(commit).wait();
  expect_here(status.ok() || any_trouble(), "what was read ahead is refused: " + status.message());
  if (status.ok()) {
    out(number, events);
  } else {
    heal();
  }
}

/// What a sink is offered, compared. True: some of it has left for good. `dead`: the channel for
/// dead letters, or the same one for none.
bool ComparedAgent::run_one_offer(std::size_t number, std::uint32_t events_max, std::size_t dead,
                                  const Script& script) {
  around_.clock.advance(milliseconds(1));
  std::stop_source over;
  std::optional<Finding> found;
  bool asked = false;
  OneOffer sink(events_max, over, [&](const Batch& batch) {
    asked = true;
    Delivery delivery;
    // The runner expects an end of each delivery, so a finding has to wait.
    try {
      delivery = script(compare_batch(number, batch, 0));
    } catch (const Finding& finding) {
      found = finding;
      delivery.status = Retry("a finding");
    }
    delivery.committed = [this](const Status& status) { committed_ = status.ok(); };
    return delivery;
  });
  committed_ = false;
  Channel& from = wired_.channel(number);
  DeadLetterChannel letters(wired_.channel(dead), around_.pool, sink_counters_, around_.clock);
  SinkRunner::Options options{.name = "sink k1", .committer = from.committer(), .sink = "k1"};
  if (dead != number) options.dead_letters = &letters;
  SinkRunner runner(options, from, sink, sink_counters_);
  expect_here(runner.run(over.get_token()), "a sink cannot run");
  if (found) throw Finding(*found);
  expect_here(asked, "a sink is not offered what waits");
  if (!committed_) heal();
  return committed_;
}

void ComparedAgent::fail(std::size_t number, std::uint32_t events_max) {
  Events arrived;
  const bool committed = run_one_offer(number, events_max, number, [&](const Events& events) {
    Delivery delivery{.status = Retry("a bad day"), .may_have_arrived = around_.one_in(2)};
    delivery.arrived = static_cast<std::uint32_t>(around_.below(events.size()));
    arrived.assign(events.begin(), events.begin() + delivery.arrived);
    return delivery;
  });
  expect_here(committed || arrived.empty() || any_trouble(), "what arrived is not committed");
  if (committed) out(number, arrived);
}

PlainEvent ComparedAgent::dead_letter(const PlainChannel& from, std::uint64_t sequence,
                                      PlainEvent event) const {
  erase_beginning(event.headers, "deadletter.");
  event.headers["deadletter.sink"] = "k1";
  event.headers["deadletter.channel"] = from.name;
  event.headers["deadletter.sequence"] = std::to_string(sequence);
  event.headers["deadletter.reason"] = "it is bad";
  event.headers["deadletter.attempts"] = "1";
  event.headers["deadletter.time"] = std::to_string(around_.clock.wall_ms());
  if (!event.origin.empty()) {
    event.headers["deadletter.origin"] = to_string(around_.origins.real(event.origin));
  }
  event.origin.clear();
  event.token = 0;
  return event;
}

/// The events that were offered last, of which some were rejected, are where they should be.
void ComparedAgent::settle_rejection(std::size_t number, std::size_t dead, const Events& events,
                                     const std::vector<std::uint32_t>& rejected, bool grew) {
  const auto is_bad = [&](std::size_t i) {
    return std::find(rejected.begin(), rejected.end(), i) != rejected.end();
  };
  Events gone;
  PlainOutcome outcome;
  const PlainChannel from = plain_.channels[number];
  if (grew) {
    for (const std::uint32_t i : rejected) {
      plain_.enter(dead, dead_letter(from, events[i].first, events[i].second), outcome);
      around_.may_miss.insert(events[i].second.number);
    }
    note_entered(outcome, plain_.channels[dead].store);
  }
  for (std::size_t i = 0; committed_ && i < events.size(); ++i) {
    if (!is_bad(i)) {
      gone.push_back(events[i]);
    } else if (grew) {
      plain_.channels[number].take_out(events[i].first);
    }
  }
  out(number, gone);
}

void ComparedAgent::reject(std::size_t number, std::size_t dead, std::uint32_t events_max) {
  const PlainChannel& to = plain_.channels[dead];
  const std::uint64_t size_before = real_size(dead);
  const std::uint64_t letters_before = sink_counters_.dead_lettered.events.get();
  Events events;
  std::vector<std::uint32_t> rejected;
  run_one_offer(number, events_max, dead, [&](const Events& offered) {
    events = offered;
    for (std::uint32_t i = 0; i < events.size(); ++i) {
      if (!options_.terminal || around_.one_in(3)) rejected.push_back(i);
    }
    return Delivery{.status = {}, .rejected = rejected, .rejected_because = "it is bad"};
  });
  const bool room = to.has_room(rejected.size());
  const bool grew = real_size(dead) > size_before;
  const std::optional<std::size_t> store = plain_.channels[number].store;
  const bool two_stores = store && to.durable() && store != to.store;
  expect_here(committed_ || !grew || two_stores, "a refused commit leaves dead letters behind");
  if (!any_trouble()) {
    expect_here(grew == (room && !rejected.empty()), "dead letters are not where they should be");
    const bool nothing_left = !room && rejected.size() == events.size();
    expect_here(committed_ || nothing_left, "what was delivered or rejected is not committed");
    const std::uint64_t letters = sink_counters_.dead_lettered.events.get() - letters_before;
    expect_here(letters == (grew ? rejected.size() : 0), "dead letters are not counted");
  }
  ++around_.tally[grew ? "dead letters" : "no dead letters"];
  settle_rejection(number, dead, events, rejected, grew);
}

bool ComparedAgent::replay(std::size_t number, std::size_t to) {
  const PlainChannel from = plain_.channels[number];
  if (from.kept.empty() || !plain_.channels[to].has_room(from.kept.size())) return false;
  around_.clock.advance(milliseconds(1));
  const auto reader = StoreReader::open(wired_.store_path(*from.store));
  expect_here(reader.status(), "the store cannot be looked at");
  const auto known = reader.value()->channels();
  expect_here(known.status(), "the channels of the store");
  const auto found = std::find_if(known.value().begin(), known.value().end(),
                                  [&](const auto& each) { return each.first == from.name; });
  auto account = reader.value()->account(found->second);
  expect_here(account.status(), "the account");
  ChannelReader kept(*reader.value(), found->second, *std::move(account), around_.pool,
                     Looked::Kept);
  ReplayChannel target(wired_.channel(to));
  Replay replay(from.name, target, around_.pool, around_.clock);
  auto should = from.kept.begin();
  PlainOutcome outcome;
  const auto go_on = [] { return true; };
  const Status read = kept.for_each_event(
      0, UINT64_MAX,
      [&](std::uint64_t sequence, const Event& event, const Origin& origin) {
        expect_here(should != from.kept.end() && should->first == sequence,
                    "sequence " + std::to_string(sequence) + " is not what was kept");
        compare_event(from, should->second, event, origin);
        expect_here(replay.add(sequence, event, origin, go_on), "a replay");
        PlainEvent again = should->second;
        erase_beginning(again.headers, "replay.");
        again.headers["replay.channel"] = from.name;
        again.headers["replay.sequence"] = std::to_string(sequence);
        again.headers["replay.origin"] = to_string(origin);
        again.headers["replay.time"] = std::to_string(around_.clock.wall_ms());
        again.origin.clear();
        plain_.enter(to, std::move(again), outcome);
        ++should;
        return true;
      },
      [](const auto&) { return true; });
  expect_here(read, "what was kept cannot be read");
  expect_here(should == from.kept.end(), "not everything was kept");
  const Status finished = replay.finish(go_on);
  // A disk that fails refuses the put, and then nothing of it is there.
  expect_here(finished.ok() || any_trouble(), "a replay: " + finished.message());
  if (!finished.ok()) {
    heal();
    plain_.channels[to].next -= outcome.put;
    auto& waiting = plain_.channels[to].waiting;
    waiting.erase(waiting.lower_bound(plain_.channels[to].next), waiting.end());
    return false;
  }
  note_entered(outcome, plain_.channels[to].store);
  around_.tally["replayed"] += outcome.put;
  return true;
}

}  // namespace sluice::testing
