#include "sinks/bucket_sink.h"

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace sluice {
namespace {

/// Commits of the runner that are on their way. Shared with what the commits call, which may
/// outlive the sink.
class Flights {
 public:
  /// One commit. Told by its Token: the last copy of it that goes away untold was never committed.
  struct Flight {
    bool over = false;
    bool committed = false;
  };
  class Token {
   public:
    Token(std::shared_ptr<Flights> flights, std::shared_ptr<Flight> flight)
        : flights_(std::move(flights)), flight_(std::move(flight)) {}
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;
    ~Token() { tell(false); }
    void tell(bool committed) {
      const std::lock_guard lock(flights_->mutex_);
      if (flight_->over) return;
      flight_->over = true;
      flight_->committed = committed;
      --flights_->flying_;
      flights_->changed_.notify_all();
    }

   private:
    const std::shared_ptr<Flights> flights_;
    const std::shared_ptr<Flight> flight_;
  };

  void begun() {
    const std::lock_guard lock(mutex_);
    ++flying_;
  }
  bool all_over() {
    const std::lock_guard lock(mutex_);
    return flying_ == 0;
  }
  /// The committer ends them all, for good or for bad.
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return flying_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t flying_ = 0;  // guarded by mutex_
};

class BucketSink final : public Sink {
 public:
  BucketSink(BucketSinkParts parts, const SinkContext& context)
      : clock_(context.clock),
        durable_(context.committer != nullptr),
        batch_events_(parts.batch_events),
        disk_(context.files),
        trouble_(std::move(parts.trouble)),
        must_exist_(std::move(parts.must_exist)),
        place_(std::move(parts.place)),
        book_(std::move(parts.book)),
        sorter_(std::move(parts.sorter)),
        files_(std::move(parts.files), std::move(parts.path), sorter_.get(), context.files,
               place_.get(), context.clock, *book_, context.counters),
        flights_(std::make_shared<Flights>()) {}

  Status open(const std::stop_token&) override {
    if (!trouble_.ok()) return trouble_;
    // What is not mounted would look like files that somebody has removed.
    if (!must_exist_.empty()) {
      if (Status status = disk_.check_directory(must_exist_); !status.ok()) return status;
    }
    if (!recovered_) {
      if (Status status = files_.recover(); !status.ok()) return status;
      recovered_ = true;
    }
    return sorter_ ? sorter_->open() : Status();
  }

  void deliver(const Batch& batch, std::stop_token, DeliveryDone done) override {
    // Events of a commit that was refused are offered again, maybe before it is known that it was:
    // nothing is written behind what may have to be cut off.
    flights_->wait();
    see_flights();
    Pending pending(done);
    if (Status status = files_.write(batch, pending.written); !status.ok()) {
      return done({.status = std::move(status)});
    }
    if (pending_.empty()) began_ = clock_.steady();
    pending_.push_back(std::move(pending));
    pending_bytes_ += batch.body_bytes();
    delivered_since_tend_ = true;
    if (!durable_ || pending_bytes_ >= pending_bytes_max) end_pending();
  }

  // Takes are gathered while more of them come at once, and synced together.
  void tend() override {
    if (flights_->all_over()) see_flights();
    const bool idle = !std::exchange(delivered_since_tend_, false);
    if (!pending_.empty() && (idle || clock_.steady() - began_ >= pending_age_max)) end_pending();
    files_.tend();
  }

  void hurry() override {
    if (!pending_.empty()) end_pending();
  }

  void close() override {
    flights_->wait();
    see_flights();
    files_.close();
  }

  TakeLimit take_limit() const override {
    TakeLimit limit{.events_max = batch_events_, .bytes_at_least = stream_bytes_at_least};
    if (durable_) limit.wait_max = pending_age_max;
    return limit;
  }
  std::uint32_t in_flight_max() const override { return durable_ ? pending_max : 1; }

 private:
  static constexpr std::uint64_t pending_bytes_max = 8 << 20;
  static constexpr milliseconds pending_age_max{100};
  static constexpr std::uint32_t pending_max = 64;

  struct Pending {
    explicit Pending(DeliveryDone ends) : done(ends) {}
    DeliveryDone done;
    BucketFiles::Written written;
    std::shared_ptr<Flights::Flight> flight;
  };

  /// What was gathered is on the disk, or comes again.
  void end_pending() {
    std::vector<Pending> pending = std::exchange(pending_, {});
    pending_bytes_ = 0;
    Status status = durable_ ? files_.sync() : Status();
    if (!status.ok()) {
      files_.cut_back();
      for (const Pending& each : pending) each.done({.status = status});
      return;
    }
    for (Pending& each : pending) {
      Delivery delivery;
      delivery.rejected = each.written.refused;
      delivery.rejected_because = each.written.refused_because;
      if (!durable_) {  // a commit in memory cannot fail
        files_.landed(each.written);
        each.done(std::move(delivery));
        continue;
      }
      files_.add_notes(each.written, delivery.notes);
      each.flight = std::make_shared<Flights::Flight>();
      flights_->begun();
      const auto token = std::make_shared<Flights::Token>(flights_, each.flight);
      delivery.committed = [token](const Status& committed) { token->tell(committed.ok()); };
      const DeliveryDone done = each.done;
      flying_.push_back(std::move(each));
      done(std::move(delivery));
    }
  }

  /// REQUIRES: all of them are over.
  void see_flights() {
    bool all_landed = true;
    for (const Pending& each : flying_) {
      if (each.flight->committed) {
        files_.landed(each.written);
      } else {
        all_landed = false;
      }
    }
    flying_.clear();
    if (!all_landed) files_.cut_back();
  }

  const Clock& clock_;
  const bool durable_;
  const std::uint32_t batch_events_;
  FileSystem& disk_;
  const Status trouble_;
  const std::string must_exist_;
  const std::unique_ptr<FilePlace> place_;  ///< Null: this machine.
  const std::unique_ptr<FileBook> book_;
  const std::unique_ptr<EventSorter> sorter_;  ///< May be null.
  BucketFiles files_;
  const std::shared_ptr<Flights> flights_;
  bool recovered_ = false;
  std::vector<Pending> pending_;  ///< Written, not synced.
  std::uint64_t pending_bytes_ = 0;
  SteadyTime began_{};
  bool delivered_since_tend_ = false;
  std::vector<Pending> flying_;  ///< Synced; the runner commits them.
};

}  // namespace

std::unique_ptr<Sink> make_bucket_sink(BucketSinkParts parts, const SinkContext& context) {
  return std::make_unique<BucketSink>(std::move(parts), context);
}

}  // namespace sluice
