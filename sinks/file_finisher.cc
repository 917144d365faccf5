#include "sinks/file_finisher.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "core/base/assert.h"
#include "core/base/fail_point.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "core/base/thread.h"
#include "sinks/spool_content.h"

namespace sluice {
namespace {

constexpr int name_tries_max = 10'000;
constexpr milliseconds first_retry{1000};

bool is_spooled(const BookedFile& file) { return !file.spool.empty() && !file.making.empty(); }

}  // namespace

struct FileFinisher::File {
  Complete it;
  std::string first_name;  ///< The final name that it should have had.
  bool had_spool = false;
  bool waits = false;     ///< In waiting_bytes().
  bool tried = false;     ///< To make it, by us or by an agent before us.
  bool clearing = false;  ///< What a try has left elsewhere is being removed,
  bool cleared = false;   ///< and was; the next try needs another name.
  Step step = Step::Begin;
  bool working = false;  ///< A thread has it in hand; nobody else may touch it.
  int names_tried = 0;
  milliseconds pause{0};  ///< Before the last try.
  SteadyTime retry_at = SteadyTime::min();
  bool retry_at_once = false;  ///< If what is under way fails.
  bool gone = false;           ///< Somebody else has removed it.
  // What the thread found.
  Status outcome = {};
  std::uint64_t made_bytes = 0;
};

/// Does jobs in the order in which they come; its threads begin when there is something to do.
class FileFinisher::Workers {
 public:
  explicit Workers(std::size_t threads) : threads_max_(threads) {}
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      waiting_.clear();
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  /// `job` is done by a thread, or at once where there are none; then `file` is among the done.
  void add(File& file, std::function<void()> job) {
    file.working = true;
    if (threads_max_ == 0) {
      job();
      done_.push_back(&file);
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back({&file, std::move(job)});
      if (waiting_.size() > idle_ && threads_.size() < threads_max_) {
        threads_.emplace_back([this] { run(); });
      }
    }
    changed_.notify_all();
  }
  std::vector<File*> take_done() {
    const std::lock_guard lock(mutex_);
    return std::exchange(done_, {});
  }
  /// Until something is done, or the time is over.
  void wait(Deadline deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline.time(), [this] { return !done_.empty(); });
  }

 private:
  struct Job {
    File* file;
    std::function<void()> work;
  };

  void run() {
    name_this_thread("finish-files");
    std::unique_lock lock(mutex_);
    for (;;) {
      ++idle_;
      changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
      --idle_;
      if (ending_) return;
      Job job = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      job.work();
      lock.lock();
      done_.push_back(job.file);
      changed_.notify_all();
    }
  }

  const std::size_t threads_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;  // these: guarded by mutex_
  std::vector<File*> done_;
  std::size_t idle_ = 0;
  bool ending_ = false;
  std::vector<std::thread> threads_;  ///< Of the owner.
};

FileFinisher::FileFinisher(Options options, FileSystem& files, FilePlace* remote,
                           const Clock& clock, FileBook& book)
    : options_(std::move(options)),
      files_(files),
      remote_(remote),
      local_(make_local_place(files)),
      clock_(clock),
      book_(book),
      workers_(std::make_unique<Workers>(options_.threads)) {}

FileFinisher::~FileFinisher() {
  given_up_ = true;
  if (remote_ != nullptr) remote_->abort();
}

void FileFinisher::add(Complete file) {
  auto added = std::make_unique<File>();
  added->it = std::move(file);
  BookedFile& booked = added->it.booked;
  added->first_name = booked.final_name;
  added->had_spool = !booked.spool.empty();
  added->waits = is_spooled(booked);
  added->tried = added->it.left;
  if (added->waits) waiting_bytes_ += booked.bytes.value_or(0);
  files_at_hand_.push_back(std::move(added));
}

void FileFinisher::tend(std::vector<std::uint32_t>& over) {
  collect();
  if (files_at_hand_.empty()) return;
  for (int i = 0; i < 2; ++i) {  // one that was tried is cleared first
    begin();
    collect();
  }
  tell_book();
  for (File* const file : due(Step::Name)) name(*file);
  collect();
  sync_names(over);
}

void FileFinisher::close(milliseconds patience, std::vector<std::uint32_t>& over) {
  for (const auto& file : files_at_hand_) {
    file->retry_at = SteadyTime::min();
    file->retry_at_once = file->working;
  }
  const Deadline deadline = Deadline::in(patience);
  for (;;) {
    tend(over);
    if (!working()) {
      const SteadyTime now = clock_.steady();
      const bool more = std::any_of(files_at_hand_.begin(), files_at_hand_.end(),
                                    [now](const auto& file) { return now >= file->retry_at; });
      // A thread has just ended, and what follows can be done.
      if (more && !deadline.passed()) continue;
      break;
    }
    if (deadline.passed()) {
      given_up_ = true;
      if (remote_ != nullptr) remote_->abort();
      workers_ = std::make_unique<Workers>(options_.threads);  // ends what is under way
      break;
    }
    workers_->wait(deadline);
  }
  if (files_at_hand_.empty()) return;
  log::warn(
      "{}: {} complete files are not finished; what is in them is safe, and the next start "
      "goes on with them",
      options_.component, files_at_hand_.size());
}

bool FileFinisher::working() const noexcept {
  return std::any_of(files_at_hand_.begin(), files_at_hand_.end(),
                     [](const auto& file) { return file->working; });
}

FilePlace& FileFinisher::place_of(const std::string& name) const {
  if (!is_elsewhere(name)) return *local_;
  SLUICE_ASSERT(remote_ != nullptr, "only names that belong here are added");
  return *remote_;
}

std::vector<FileFinisher::File*> FileFinisher::due(Step step) {
  const SteadyTime now = clock_.steady();
  std::vector<File*> found;
  for (const auto& file : files_at_hand_) {
    if (file->step == step && !file->working && now >= file->retry_at) found.push_back(file.get());
  }
  return found;
}

void FileFinisher::collect() {
  for (File* const file : workers_->take_done()) {
    file->working = false;
    Status status = std::exchange(file->outcome, {});
    if (file->step == Step::Name) {
      named(*file, std::move(status));
    } else if (std::exchange(file->clearing, false) && status.ok()) {
      file->cleared = true;
    } else if (status.ok()) {
      file->it.open.reset();
      file->step = Step::Book;
    } else {
      postpone({&file, 1}, status);
    }
  }
}

/// Spools become files; files that are there are synced, together.
void FileFinisher::begin() {
  std::vector<File*> plain;
  std::vector<File*> again;
  std::vector<OutputFile*> unsynced;
  for (File* const file : due(Step::Begin)) {
    if (is_spooled(file->it.booked) && file->it.events > 0) {
      if (!file->tried || !is_elsewhere(file->it.booked.in_use)) {
        make(*file);
      } else if (file->cleared) {
        again.push_back(file);
      } else {
        clear(*file);
      }
      continue;
    }
    plain.push_back(file);
    if (file->it.dirty && file->it.events > 0 && file->it.open) {
      unsynced.push_back(file->it.open.get());
    }
  }
  if (Status status = renew_in_use(again); status.ok()) {
    for (File* const file : again) make(*file);
  } else {
    postpone(again, status);
  }
  if (plain.empty()) return;
  if (Status status = files_.sync_together(unsynced, {}); !status.ok()) {
    return postpone(plain, status);
  }
  for (File* const file : plain) file->step = Step::Name;
}

void FileFinisher::clear(File& file) {
  file.clearing = true;
  workers_->add(file, [this, &file] {
    const std::string& name = file.it.booked.in_use;
    file.outcome = place_of(name).remove(name);
  });
}

/// The book hears of a name before anything can be there, so that nothing is left for ever.
Status FileFinisher::renew_in_use(std::span<File* const> again) {
  if (again.empty()) return {};
  std::vector<BookedFile> renewed;
  for (const File* const file : again) {
    renewed.push_back(file->it.booked);
    renewed.back().in_use = options_.fresh_in_use(file->it.booked.final_name);
  }
  if (Status status = book_.begin(renewed); !status.ok()) return status;
  for (std::size_t i = 0; i < again.size(); ++i) {
    again[i]->it.booked.in_use = renewed[i].in_use;
    again[i]->cleared = false;
  }
  return {};
}

void FileFinisher::make(File& file) {
  file.tried = true;
  workers_->add(file, [this, &file] {
    const BookedFile& booked = file.it.booked;
    FilePlace& place = place_of(booked.in_use);
    SpoolContent content(files_, booked, booked.bytes.value_or(0), given_up_);
    auto written = place.write(booked.in_use, content);
    file.outcome = written.status();
    if (!written.ok()) return;
    file.made_bytes = *written;
    fail_point(FailPoint::BucketAfterMake);
  });
}

/// From then on the files count, and their spools do not.
void FileFinisher::tell_book() {
  const std::vector<File*> made = due(Step::Book);
  if (made.empty()) return;
  std::vector<BookedFile> booked;
  for (const File* const file : made) {
    booked.push_back(file->it.booked);
    booked.back().making.clear();
    booked.back().bytes = file->made_bytes;
  }
  if (Status status = book_.begin(booked); !status.ok()) return postpone(made, status);
  for (File* const file : made) {
    BookedFile& it = file->it.booked;
    waiting_bytes_ -= std::exchange(file->waits, false) ? it.bytes.value_or(0) : 0;
    if (Status status = files_.remove(it.spool); !status.ok()) {
      log::warn("{}: {}", options_.component, status.message());
    }
    it.spool.clear();
    it.making.clear();
    it.bytes = file->made_bytes;
    file->step = Step::Name;
  }
}

void FileFinisher::name(File& file) {
  if (!is_elsewhere(file.it.booked.in_use)) return named(file, give_name(file));
  workers_->add(file, [this, &file] { file.outcome = give_name(file); });
}

Status FileFinisher::give_name(File& file) {
  fail_point(FailPoint::BucketBeforeRename);
  const BookedFile& booked = file.it.booked;
  if (file.it.events == 0) return remove_empty(booked);
  FilePlace& place = place_of(booked.in_use);
  if (booked.in_use == booked.final_name) {
    const auto there = place.size_of(booked.in_use);
    if (!there.ok() || there.value().has_value()) return there.status();
  } else {
    Status status = place.rename_new(booked.in_use, booked.final_name);
    if (status.ok() || status.code() != Code::Retry) return status;
    const auto there = place.size_of(booked.in_use);
    if (!there.ok() || there.value().has_value()) return status;
    const auto named = place.size_of(booked.final_name);
    if (!named.ok()) return status;
    if (named.value().has_value()) return {};  // an earlier call has done it
  }
  file.gone = true;
  if (file.it.left) {
    log::warn("{}: {} is not there any more, under this name or its last one", options_.component,
              booked.final_name);
  } else {
    log::error("{}: {} is gone: somebody has removed or renamed it with {} events in it",
               options_.component, booked.in_use, file.it.events);
  }
  return {};
}

Status FileFinisher::remove_empty(const BookedFile& booked) {
  // Elsewhere there is nothing before a spool has become a file.
  for (const std::string* const each : {&booked.in_use, &booked.spool}) {
    if (each->empty() || is_elsewhere(*each)) continue;
    const auto there = files_.size_of(*each);
    if (!there.ok()) return there.status();
    if (!there.value().has_value()) continue;
    if (Status status = files_.remove(*each); !status.ok()) return status;
  }
  return {};
}

void FileFinisher::named(File& file, Status status) {
  File* const only = &file;
  BookedFile& booked = file.it.booked;
  if (status.code() == Code::Reject && ++file.names_tried < name_tries_max) {
    // Somebody else has made a file of this name meanwhile.
    booked.final_name = file.it.left ? file.first_name + "." + std::to_string(file.names_tried)
                                     : options_.other_name(booked.slot);
    return name(file);
  }
  if (!status.ok()) return postpone({&only, 1}, Retry(status.message()));
  file.step = Step::Sync;
  if (file.it.events == 0 || file.gone) return;
  if (file.it.left) {
    log::info("{}: {} was left by the agent before this one; it is complete now, with {} bytes",
              options_.component, booked.final_name, booked.bytes.value_or(0));
  } else {
    log::info("{}: {} is complete", options_.component, booked.final_name);
  }
}

/// Only then may the book forget them: before, a power cut gives them their old names again.
void FileFinisher::sync_names(std::vector<std::uint32_t>& over) {
  const std::vector<File*> named = due(Step::Sync);
  if (named.empty()) return;
  std::vector<OutputFile*> open;
  std::set<std::string> directories;
  for (const File* const file : named) {
    const BookedFile& booked = file->it.booked;
    if (file->it.open) open.push_back(file->it.open.get());
    if (!is_elsewhere(booked.in_use)) {
      directories.insert(directory_of(booked.in_use));
      directories.insert(directory_of(booked.final_name));
    }
    if (file->had_spool && !options_.spool_directory.empty()) {
      directories.insert(options_.spool_directory);
    }
  }
  Status status = sync_those_there(files_, open, {directories.begin(), directories.end()});
  if (!status.ok()) return postpone(named, status);
  fail_point(FailPoint::BucketAfterRename);
  trouble_.clear();
  failures_ = 0;
  for (const File* const file : named) {
    book_.end(file->it.booked.slot);
    over.push_back(file->it.booked.slot);
    if (file->waits) waiting_bytes_ -= file->it.booked.bytes.value_or(0);
  }
  std::erase_if(files_at_hand_, [&](const auto& file) {
    return std::find(named.begin(), named.end(), file.get()) != named.end();
  });
}

void FileFinisher::postpone(std::span<File* const> files, const Status& why) {
  milliseconds longest{0};
  for (File* const file : files) {
    file->pause =
        std::min(options_.retry_interval, file->pause.count() == 0 ? first_retry : 2 * file->pause);
    const bool at_once = std::exchange(file->retry_at_once, false);
    file->retry_at = at_once ? SteadyTime::min() : clock_.steady() + file->pause;
    longest = std::max(longest, file->pause);
  }
  trouble_ = why.message();
  // With a file system that is away there is one for each file and try.
  if (!worth_saying(++failures_)) return;
  log::error(
      "{}: {} cannot be finished: {}; what is in it is safe, and it is tried again in {} s; {} "
      "complete files wait",
      options_.component,
      files.size() == 1 ? files.front()->it.booked.in_use : std::to_string(files.size()) + " files",
      trouble_, longest.count() / 1000, files_at_hand_.size());
}

Status sync_those_there(FileSystem& files, std::span<OutputFile* const> open,
                        std::vector<std::string> directories) {
  Status status = files.sync_together(open, directories);
  if (status.ok()) return status;
  const auto gone = std::erase_if(directories, [&files](const std::string& directory) {
    const auto there = files.size_of(directory);
    return there.ok() && !there.value().has_value();
  });
  return gone == 0 ? status : files.sync_together(open, directories);
}

}  // namespace sluice
