#include "core/topics/reader.h"

#include <algorithm>
#include <utility>

#include "core/base/log.h"
#include "core/base/rarely.h"

namespace sluice {
namespace {

constexpr milliseconds poll_wait{200};
// A full target is waited for so long before what was fetched ahead is dropped.
constexpr milliseconds room_wait{1000};
constexpr milliseconds room_wait_paused{200};
constexpr milliseconds close_wait{5000};
constexpr milliseconds question_wait{5000};
// So long a member that is to end waits for a partition. Where members give partitions up only
// when another one has come, it has none at first.
constexpr milliseconds left_out_wait{5000};
// A group that has not answered for so long is said, then after twice as long, and so on.
constexpr milliseconds joining_wait{20'000};
// Between two looks at which topics a pattern names.
constexpr milliseconds match_interval{60'000};
constexpr milliseconds match_retry{5000};

/// In librdkafka's words, and what it does when it is told nothing.
KafkaLanes::Reset reset_of(const KafkaClientSettings& settings) {
  const std::string policy = settings.value("auto.offset.reset");
  if (policy == "smallest" || policy == "earliest" || policy == "beginning") {
    return KafkaLanes::Reset::Earliest;
  }
  return policy == "error" ? KafkaLanes::Reset::None : KafkaLanes::Reset::Latest;
}

}  // namespace

KafkaReader::KafkaReader(Options options, const Context& context)
    : options_(std::move(options)),
      context_(context),
      deliveries_(std::make_shared<KafkaDeliveries>()),
      events_(options_.events, context.pool, context.window, context.clock),
      ends_(options_.once),
      looks_for_ends_(options_.once) {}

Status KafkaReader::open() {
  KafkaConsumer::Options options;
  options.component = options_.component;
  options.settings = options_.client;
  options.tell_ends = options_.once || options_.may_end;
  auto consumer = KafkaConsumer::make(std::move(options), *this);
  if (!consumer.ok()) return consumer.status();
  consumer_ = *std::move(consumer);
  lanes_.emplace(KafkaLanes::Options{options_.component, options_.note_prefix, options_.group,
                                     reset_of(options_.client)},
                 KafkaLanes::Context{context_.out, *deliveries_, *consumer_, context_.clock});
  failures_counted_ = 0;
  had_assignment_ = false;
  left_out_at_.reset();
  joining_for_ = joining_wait;
  joining_said_ = context_.clock.steady() + joining_wait;
  matching_.clear();
  matched_at_ = {};
  return options_.pattern ? Status() : consumer_->subscribe(options_.topics);
}

Status KafkaReader::run(std::stop_token stop) {
  stop_ = stop;
  const std::stop_callback wake(stop, [this] { consumer_->wake(); });
  Status status;
  while (!stop.stop_requested()) {
    status = subscribe_to_matches();
    if (status.ok()) status = fill();
    if (status.ok()) status = put_all();
    count_failures();
    if (!status.ok()) break;
    say_that_it_is_joining();
    lanes_->tell_group();
    context_.out.tend(stop);
    if (ends_ && !looks_for_ends_) look_for_ends_again();
    if (!ends_ || (!caught_up() && !is_left_out())) continue;
    see_it_delivered();
    break;
  }
  return status.code() == Code::Closed ? Status() : status;
}

void KafkaReader::close() {
  if (consumer_) consumer_->close(close_wait);
  // Where the group did not answer in time.
  for (const Held& held : held_) deliveries_->withdraw(held.token);
  held_.clear();
  events_.reset();
  if (lanes_) {
    for (const auto& [number, lane] : lanes_->all()) deliveries_->forget({&number, 1});
  }
  last_lane_ = nullptr;
  lanes_.reset();
  consumer_.reset();
}

/// Topics that a pattern names may come and go; Java's syntax is not librdkafka's.
Status KafkaReader::subscribe_to_matches() {
  if (!options_.pattern || context_.clock.steady() < matched_at_) return {};
  matched_at_ = context_.clock.steady() + match_retry;
  auto all = consumer_->topics(question_wait);
  if (!all.ok()) {
    if (worth_saying(++match_failures_)) {
      log::warn("{}: {}; it is tried again ({} so far)", options_.component, all.status().message(),
                match_failures_);
    }
    return {};
  }
  std::vector<std::string> matching;
  for (std::string& topic : *all) {
    if (options_.pattern->matches(topic) == JavaPattern::Answer::Yes)
      matching.push_back(std::move(topic));
  }
  if (matching.empty()) return {};
  matched_at_ = context_.clock.steady() + match_interval;
  std::sort(matching.begin(), matching.end());
  if (matching == matching_) return {};
  matching_ = std::move(matching);
  log::info("{}: {} topics match kafka.topics.regex", options_.component, matching_.size());
  return consumer_->subscribe(matching_);
}

// ---- reading

/// Reads until a batch is full, its time is over, or nothing waits.
Status KafkaReader::fill() {
  KafkaFetched record;
  SteadyTime full_at{};
  for (milliseconds wait = poll_wait;; wait = milliseconds(0)) {
    auto polled = consumer_->poll(record, wait);
    if (!polled.ok()) return polled.status();
    if (*polled == KafkaConsumer::Polled::Nothing) return {};
    if (*polled == KafkaConsumer::Polled::End) {
      if (KafkaLane* const lane = find_lane(record.lane)) lane->at_end = true;
      return {};
    }
    if (Status status = take(record); !status.ok()) return status;
    if (!held_.empty() || events_.size() >= options_.batch_events_max) return {};
    const SteadyTime now = context_.clock.steady();
    if (full_at == SteadyTime()) full_at = now + options_.batch_time_max;
    if (now >= full_at) return {};
  }
}

Status KafkaReader::take(const KafkaFetched& record) {
  KafkaLane* lane = find_lane(record.lane);
  if (lane == nullptr) return {};
  if (options_.partitions_apart && !events_.empty() && events_.lane() != lane->number) seal();
  if (record.offset < lane->next) {
    last_lane_ = nullptr;
    auto anew = lanes_->begin_new_log(*lane, record.offset, stop_);
    if (!anew.ok()) return anew.status();
    lane = *anew;
  }
  lane->at_end = false;
  KafkaEvents::Added added = events_.add(record, *consumer_, *lane);
  if (added == KafkaEvents::Added::Full) {
    seal();
    added = events_.add(record, *consumer_, *lane);
  }
  if (added == KafkaEvents::Added::Event) return {};
  context_.undecodable.add();
  if (worth_saying(++undecodable_)) {
    log::warn(
        "{}: the record at offset {} of {} is no Flume event: {}; it is passed over ({} so "
        "far)",
        options_.component, record.offset, lane->partition.text(), events_.problem(), undecodable_);
  }
  return {};
}

KafkaLane* KafkaReader::find_lane(std::uint32_t number) {
  if (last_lane_ == nullptr || last_lane_->number != number) last_lane_ = lanes_->find(number);
  return last_lane_;
}

// ---- putting

void KafkaReader::seal() {
  if (!events_.empty()) held_.push_back({events_.seal(), 0, {}});
}

/// All that was read. While there is no room the group is answered, or it would take the
/// partitions away.
Status KafkaReader::put_all() {
  for (seal(); !held_.empty(); seal()) {
    const Status status = put(held_.front());
    if (status.ok()) {
      held_.pop_front();
    } else if (status.code() != Code::Retry) {
      return status;
    } else if (Status served = serve_while_full(); !served.ok()) {
      return served;
    }
  }
  if (consumer_->paused()) consumer_->resume();
  return {};
}

/// Errors: Retry (no room), Closed, Fatal.
Status KafkaReader::put(Held& held) {
  if (held.token == 0) offer(held);
  const std::uint64_t token = held.token;
  const bool by_receipts = !context_.out.keeps_notes();
  if (by_receipts && held.batch.events.empty()) {
    deliveries_->settled(token, true);
    return {};
  }
  const auto done = [deliveries = deliveries_, token](const Status& status) {
    deliveries->settled(token, status.ok());
  };
  const Deadline room_by = Deadline::in(consumer_->paused() ? room_wait_paused : room_wait);
  return context_.out.put(held.batch.events, stop_,
                          by_receipts ? KafkaTarget::Done() : KafkaTarget::Done(done), held.notes,
                          room_by);
}

void KafkaReader::offer(Held& held) {
  std::vector<KafkaMark> marks = held.batch.marks();
  std::erase_if(marks,
                [this](const KafkaMark& mark) { return lanes_->find(mark.lane) == nullptr; });
  held.notes.clear();
  if (context_.out.keeps_notes()) held.notes = lanes_->notes_of(marks);
  held.token = deliveries_->expect(std::move(marks));
  Batch& events = held.batch.events;
  if (events.empty()) return;
  events = events.with_provenance(held.batch.provenance());
  if (context_.out.keeps_notes()) return;
  events = events.with_receipt(Receipt::make(deliveries_, held.token, events.size()));
}

/// Nothing more comes while partitions are paused, so what there is does not grow.
Status KafkaReader::serve_while_full() {
  if (!consumer_->paused()) consumer_->pause();
  KafkaFetched record;
  for (;;) {
    auto polled = consumer_->poll(record, milliseconds(0));
    if (!polled.ok()) return polled.status();
    if (*polled == KafkaConsumer::Polled::Nothing) break;
    if (*polled == KafkaConsumer::Polled::End) continue;
    if (Status status = take(record); !status.ok()) return status;
  }
  lanes_->tell_group();
  return {};
}

void KafkaReader::count_failures() {
  const std::uint64_t failures = consumer_->poll_failures();
  context_.failures.add(failures - failures_counted_);
  failures_counted_ = failures;
}

// ---- partitions that come and go

Status KafkaReader::assigned(std::vector<Assigned>& partitions) {
  if (partitions.empty()) {
    if (!left_out_at_) left_out_at_ = context_.clock.steady() + left_out_wait;
    return {};
  }
  had_assignment_ = true;
  last_lane_ = nullptr;
  return lanes_->take(partitions, stop_);
}

/// What was read of them and not put is forgotten: who gets them reads it again.
void KafkaReader::revoked(std::span<const std::uint32_t> lanes, bool lost) {
  seal();
  for (Held& held : held_) {
    if (held.token != 0) deliveries_->withdraw(held.token);
    held.token = 0;
    held.batch.drop(lanes);
  }
  std::erase_if(held_, [](const Held& held) { return held.batch.empty(); });
  last_lane_ = nullptr;
  lanes_->give_back(lanes, lost, stop_);
}

// ---- the end

/// What was put just before may lie behind an end that was seen before that.
void KafkaReader::look_for_ends_again() {
  looks_for_ends_ = true;
  lanes_->forget_ends();
  consumer_->pause();
  consumer_->resume();
}

bool KafkaReader::caught_up() const {
  return had_assignment_ && held_.empty() && events_.empty() &&
         std::all_of(lanes_->all().begin(), lanes_->all().end(),
                     [](const auto& lane) { return lane.second.at_end; });
}

/// librdkafka asks for a group's coordinator for ever, and says nothing where brokers answer that
/// there is none.
void KafkaReader::say_that_it_is_joining() {
  const SteadyTime now = context_.clock.steady();
  if (had_assignment_ || left_out_at_ || now < joining_said_) return;
  // Brokers that are not there, a login that is refused and topics that are missing are said by
  // those who meet them.
  if (topics_are_there()) {
    log::warn(
        "{}: group {} has not let it in for {} s, so nothing is read; it goes on trying. Do the "
        "brokers have a coordinator for the group? (They have none where fewer of them run than "
        "offsets.topic.replication.factor says, until __consumer_offsets is made)",
        options_.component, options_.group, joining_for_.count() / 1000);
  }
  joining_said_ = now + joining_for_;
  joining_for_ *= 2;
}

/// The group has no partition for it. Topics that are not there have none for anybody, and are
/// waited for.
bool KafkaReader::is_left_out() {
  if (had_assignment_ || !left_out_at_ || context_.clock.steady() < *left_out_at_) return false;
  left_out_at_ = context_.clock.steady() + left_out_wait;
  if (!topics_are_there()) return false;
  log::info("{}: group {} gives it no partition, so others read them; it ends", options_.component,
            options_.group);
  return true;
}

/// One of them at least; false too where no broker says so within a second.
bool KafkaReader::topics_are_there() {
  const std::vector<std::string>& wanted = options_.pattern ? matching_ : options_.topics;
  auto there = consumer_->topics(milliseconds(1000));
  if (!there.ok()) return false;
  return std::any_of(there->begin(), there->end(), [&](const std::string& topic) {
    return std::find(wanted.begin(), wanted.end(), topic) != wanted.end();
  });
}

/// The group hears of it when the source is closed, if it has arrived by then.
void KafkaReader::see_it_delivered() {
  std::vector<std::uint32_t> lanes;
  for (const auto& [number, lane] : lanes_->all()) lanes.push_back(number);
  while (!stop_.stop_requested() && !deliveries_->wait_idle(lanes, Deadline::in(poll_wait))) {
    context_.out.tend(stop_);
    // The group wants to hear of us meanwhile; nothing is read any more.
    if (!serve_while_full().ok()) return;
  }
}

}  // namespace sluice
