#include "sinks/bucket_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "core/base/fail_point.h"
#include "core/base/log.h"
#include "sinks/doubtful_names.h"
#include "sinks/leftover_files.h"

namespace sluice {
namespace {

constexpr int name_tries_max = 10'000;

/// Twelve digits that nobody else draws.
std::string random_token() {
  std::random_device random;
  return fmt::format("{:08x}{:04x}", random(), random() & 0xffff);
}

}  // namespace

/// Where events of one key go: at most one file that is filled, and those before it that are not
/// finished yet.
struct BucketFiles::Bucket {
  std::string key;
  std::string kind;  ///< Of its events.
  std::string directory;
  std::string prefix;
  std::int64_t counter = 0;  ///< Of the last file's name.
  File* filling = nullptr;
  std::size_t files = 0;
};

struct BucketFiles::File {
  Bucket* bucket = nullptr;
  std::uint32_t slot = 0;
  std::string in_use;
  std::string final_name;
  std::string spool;                 ///< Empty: there is none, or the file is made.
  std::unique_ptr<OutputFile> file;  ///< The spool, where there is one.
  std::unique_ptr<EventEncoder> encoder;
  Extent written;
  Extent committed;          ///< What has landed of it.
  std::uint32_t flying = 0;  ///< Writes of which it is not known yet.
  std::uint64_t number = 0;  ///< In the order in which they were opened.
  std::uint64_t used = 0;    ///< The last write.
  SteadyTime opened{};
  SteadyTime last_write{};
  bool closing = false;
  bool dirty = false;
  bool must_cut = false;  ///< More is in it than `written` says, and cutting it failed.

  // Of the batch at hand.
  std::vector<std::uint32_t> events;
  Extent before;
  bool fresh = false;
};

BucketFiles::BucketFiles(Options options, std::unique_ptr<BucketPath> path, EventSorter* sorter,
                         FileSystem& files, FilePlace* remote, const Clock& clock, FileBook& book,
                         SinkCounters& counters)
    : options_(std::move(options)),
      path_(std::move(path)),
      sorter_(sorter),
      files_(files),
      clock_(clock),
      book_(book),
      counters_(counters),
      token_(random_token()),
      finisher_({.component = options_.component,
                 .retry_interval = options_.retry_interval,
                 .spool_directory = options_.spool_directory,
                 .threads = options_.threads,
                 .fresh_in_use = [this](const std::string& name) { return fresh_in_use(name); },
                 .other_name = [this](std::uint32_t slot) { return other_name(slot); }},
                files, remote, clock, book) {}

BucketFiles::~BucketFiles() = default;

std::size_t BucketFiles::open_files() const noexcept { return slots_.size() - free_slots_.size(); }

// ---- Writing

Status BucketFiles::write(const Batch& batch, Written& written) {
  ++writes_;
  now_ = clock_.steady();
  touched_.clear();
  if (Status status = cut_pending(); !status.ok()) return status;
  if (finisher_.waiting_bytes() > options_.backlog_bytes_max) {
    return Retry(fmt::format(
        "{} MiB in complete files wait to be written: {}", finisher_.waiting_bytes() >> 20,
        finisher_.trouble().empty() ? "more comes than is taken" : finisher_.trouble()));
  }
  plan(batch, written);
  Status status = begin_planned();
  for (File* const file : touched_) {
    if (status.ok()) status = append(*file, batch);
  }
  if (!status.ok()) {
    undo();
    return status;
  }
  for (File* const file : touched_) {
    file->last_write = now_;
    file->fresh = false;
    ++file->flying;
    written.marks.push_back({file, file->written});
  }
  close_least_recently_used();
  return {};
}

/// Which event goes into which file; files that become full in between are followed by new ones.
void BucketFiles::plan(const Batch& batch, Written& written) {
  const std::int64_t now_ms = clock_.wall_ms();
  const bool alike = !batch.own_headers();
  bool placed = false;
  Bucket* bucket = nullptr;
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    if (i == 0 || !alike) {
      const auto answer = path_->find(batch.headers(i), now_ms);
      placed = answer != BucketPath::Answer::Refuse;
      if (!placed) written.refused_because = path_->why();
      if (answer != BucketPath::Answer::Same) bucket = nullptr;
    }
    const std::string* const kind = placed ? kind_of(batch, i, written) : nullptr;
    if (kind == nullptr) {
      written.refused.push_back(i);
      continue;
    }
    if (bucket == nullptr || bucket->kind != *kind) bucket = &bucket_of_path(*kind);
    plan_event(*bucket, i, batch.body(i).size());
  }
}

const std::string* BucketFiles::kind_of(const Batch& batch, std::uint32_t event,
                                        Written& written) const {
  static const std::string all_alike;
  if (sorter_ == nullptr) return &all_alike;
  const std::string* const kind = sorter_->kind_of(batch.headers(event), batch.body(event));
  if (kind == nullptr) written.refused_because = sorter_->why();
  return kind;
}

void BucketFiles::plan_event(Bucket& bucket, std::uint32_t event, std::uint64_t body_bytes) {
  if (bucket.filling != nullptr && full(*bucket.filling)) stop_filling(*bucket.filling);
  if (bucket.filling == nullptr) add_file(bucket);
  File& file = *bucket.filling;
  if (file.used != writes_) {
    file.used = writes_;
    file.before = file.written;
    file.events.clear();
    touched_.push_back(&file);
  }
  file.events.push_back(event);
  ++file.written.events;
  file.written.body_bytes += body_bytes;
}

BucketFiles::Bucket& BucketFiles::bucket_of_path(const std::string& kind) {
  std::string with_kind;
  if (!kind.empty()) with_kind = path_->key() + '\0' + kind;  // a path holds no byte 0
  const std::string& key = kind.empty() ? path_->key() : with_kind;
  const auto found = buckets_.find(std::string_view(key));
  if (found != buckets_.end()) return *found->second;
  auto bucket = std::make_unique<Bucket>();
  bucket->key = key;
  bucket->kind = kind;
  bucket->directory = path_->directory();
  bucket->prefix = path_->prefix();
  bucket->counter = clock_.wall_ms();
  return *buckets_.emplace(key, std::move(bucket)).first->second;
}

std::uint64_t BucketFiles::bytes_to_roll(const File& file) const noexcept {
  return options_.roll_by_file_bytes ? file.written.bytes : file.written.body_bytes;
}

bool BucketFiles::full(const File& file) const noexcept {
  return (options_.roll_events > 0 && file.written.events >= options_.roll_events) ||
         (options_.roll_bytes > 0 && bytes_to_roll(file) >= options_.roll_bytes) ||
         (options_.roll_interval.count() > 0 && !file.fresh &&
          now_ - file.opened >= options_.roll_interval);
}

void BucketFiles::add_file(Bucket& bucket) {
  auto file = std::make_unique<File>();
  file->bucket = &bucket;
  file->encoder = options_.make_encoder(bucket.kind);
  file->fresh = true;
  file->number = ++opened_;
  file->opened = file->last_write = now_;
  ++bucket.files;
  bucket.filling = file.get();
  planned_.push_back(std::move(file));
}

/// Makes the planned files, empty, and then tells the book of all of them at once. What is written
/// to them afterwards is known to whoever comes next; what is not in the book is empty.
Status BucketFiles::begin_planned() {
  if (planned_.empty()) return {};
  std::vector<BookedFile> begun;
  Status status;
  for (auto& file : planned_) {
    if (status = create(*file); !status.ok()) break;
    if (free_slots_.empty()) {
      file->slot = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      file->slot = free_slots_.back();
      free_slots_.pop_back();
    }
    begun.push_back({file->slot, file->in_use, file->final_name, file->spool,
                     file->spool.empty() ? std::string() : options_.recipe});
  }
  if (status.ok()) {
    fail_point(FailPoint::BucketAfterCreate);
    status = book_.begin(begun);
    fail_point(FailPoint::BucketAfterBegin);
  }
  for (auto& file : planned_) {
    if (file->file != nullptr) {
      next_due_ = SteadyTime::min();  // it has one of its own now
      slots_[file->slot] = std::move(file);
    }
  }
  // Those that were not made are gone; undo() must not meet them.
  std::erase_if(touched_, [this](const File* file) {
    return std::any_of(planned_.begin(), planned_.end(),
                       [file](const auto& each) { return each.get() == file; });
  });
  for (auto& file : planned_) {
    if (file == nullptr) continue;
    if (file->bucket->filling == file.get()) file->bucket->filling = nullptr;
    std::erase(closing_, file.get());
    leave_bucket(*file);
  }
  planned_.clear();
  if (!status.ok()) counters_.connections_failed.add();
  return status;
}

Status BucketFiles::create(File& file) {
  if (options_.file_system.empty()) return create_in_place(file);
  // Nothing is there before it is complete, and then under a name that nobody else has.
  Bucket& bucket = *file.bucket;
  ++bucket.counter;
  file.final_name = name(bucket, false);
  file.in_use = fresh_in_use(file.final_name);
  if (Status status = create_spool(file); !status.ok()) return status;
  counters_.connections_created.add();
  log::info("{}: gathering {}", options_.component, file.final_name);
  return {};
}

Status BucketFiles::make_path(const std::string& directory) {
  constexpr std::size_t doubted_max = 1000;
  auto changed = files_.make_path(directory);
  if (!changed.ok()) return changed.status();
  if (!options_.durable) return {};
  new_names_.insert(changed->begin(), changed->end());
  if (doubted_.size() == doubted_max) doubted_.clear();
  if (!doubted_.insert(directory).second) return {};
  for (std::string& above : doubtful_above(files_, directory)) new_names_.insert(std::move(above));
  return {};
}

Status BucketFiles::create_in_place(File& file) {
  Bucket& bucket = *file.bucket;
  if (options_.make_directories) {
    if (Status status = make_path(bucket.directory); !status.ok()) return status;
  }
  for (int i = 0; i < name_tries_max; ++i) {
    ++bucket.counter;
    std::string in_use = options_.next_name ? options_.next_name() : name(bucket, true);
    std::string final_name = options_.next_name ? in_use : name(bucket, false);
    if (in_use != final_name) {
      const auto taken = files_.size_of(final_name);
      if (!taken.ok()) return taken.status();
      if (taken.value().has_value()) continue;
    }
    auto made = files_.create(in_use, false);
    if (made.code() == Code::Reject) continue;
    if (!made.ok()) return made.status();
    file.file = *std::move(made);
    file.in_use = std::move(in_use);
    file.final_name = std::move(final_name);
    if (options_.durable) new_names_.insert(directory_of(file.in_use));
    counters_.connections_created.add();
    log::info("{}: writing {}", options_.component, file.in_use);
    return options_.recipe.empty() ? Status() : create_spool(file);
  }
  return Retry("no free file name in " + bucket.directory);
}

Status BucketFiles::create_spool(File& file) {
  const std::string directory =
      options_.spool_directory.empty() ? directory_of(file.in_use) : options_.spool_directory;
  Status status = make_path(directory);
  if (status.ok() && options_.durable) new_names_.insert(directory);
  for (int i = 0; status.ok() && i < name_tries_max; ++i) {
    // Never the name of another one: who comes next may remove that once more.
    const std::string path = fmt::format("{}/{}-{}-{}.spool", directory, token_, file.number, i);
    auto made = files_.open_private(path);
    if (!made.ok()) {
      status = made.status();
      break;
    }
    if ((*made)->size_bytes() > 0) continue;
    file.file = *std::move(made);
    file.spool = path;
    return {};
  }
  // Nobody has been told of it.
  if (std::exchange(file.file, nullptr) != nullptr && !files_.remove(file.in_use).ok()) {
    log::warn("{}: {} is left empty", options_.component, file.in_use);
  }
  return status.ok() ? Retry("no free file name in " + directory) : status;
}

std::string BucketFiles::name(const Bucket& bucket, bool in_use) const {
  std::string path = options_.file_system + bucket.directory;
  if (!path.ends_with('/')) path += '/';
  if (in_use) path += options_.in_use_prefix;
  path += bucket.prefix;
  path += '.';
  path += std::to_string(bucket.counter);
  path += options_.suffix;
  if (in_use) path += options_.in_use_suffix;
  return path;
}

std::string BucketFiles::fresh_in_use(const std::string& final_name) const {
  // Readers of Hadoop pass over names with such a beginning.
  const bool bare = options_.in_use_prefix.empty() && options_.in_use_suffix.empty();
  const std::size_t name = final_name.rfind('/') + 1;
  return final_name.substr(0, name) + (bare ? "_" : options_.in_use_prefix) +
         final_name.substr(name) + "." + random_token() + options_.in_use_suffix;
}

Status BucketFiles::append(File& file, const Batch& batch) {
  if (!file.dirty) {
    file.dirty = true;
    dirty_.push_back(&file);
  }
  if (file.file->size_bytes() == 0) {
    std::string head;
    file.encoder->begin(head);
    const iovec piece{head.data(), head.size()};
    if (!head.empty()) {
      if (Status status = file.file->append({&piece, 1}); !status.ok()) return status;
    }
  }
  Status status = file.file->append(file.encoder->append(batch, file.events));
  file.written.bytes = file.file->size_bytes();
  return status;
}

/// The batch at hand is in no file.
void BucketFiles::undo() {
  // Backwards: of a bucket's files the first one is the one that was filled before.
  for (auto each = touched_.rbegin(); each != touched_.rend(); ++each) {
    File& file = **each;
    cut(file, file.before);
    if (file.fresh) {
      file.fresh = false;
      if (!file.closing) stop_filling(file);
      continue;
    }
    if (file.closing) {
      file.closing = false;
      std::erase(closing_, &file);
    }
    file.bucket->filling = &file;
  }
  touched_.clear();
}

/// Where it fails the file takes no more events until it has worked: the tail would come twice.
void BucketFiles::cut(File& file, const Extent& to) {
  file.written = to;
  if (file.file->size_bytes() == to.bytes) return;
  if (!file.dirty) {
    file.dirty = true;
    dirty_.push_back(&file);
  }
  file.must_cut = !file.file->truncate(to.bytes).ok();
}

Status BucketFiles::cut_pending() {
  for (const auto& file : slots_) {
    if (file == nullptr || !file->must_cut) continue;
    if (Status status = file->file->truncate(file->written.bytes); !status.ok()) return status;
    file->must_cut = false;
  }
  return {};
}

// ---- What became of it

Status BucketFiles::sync() {
  if (dirty_.empty() && new_names_.empty()) return {};
  std::sort(dirty_.begin(), dirty_.end(),
            [](const File* one, const File* other) { return one->number < other->number; });
  std::vector<OutputFile*> open;
  open.reserve(dirty_.size());
  for (const File* const file : dirty_) open.push_back(file->file.get());
  fail_point(FailPoint::BucketBeforeSync);
  Status status = sync_those_there(files_, open, {new_names_.begin(), new_names_.end()});
  if (!status.ok()) return status;
  fail_point(FailPoint::BucketAfterSync);
  for (File* const file : dirty_) file->dirty = false;
  dirty_.clear();
  new_names_.clear();
  return {};
}

void BucketFiles::add_notes(const Written& written, Notes& notes) const {
  for (const Mark& mark : written.marks) {
    if (auto note = book_.length(mark.file->slot, mark.end.bytes)) {
      notes.push_back(*std::move(note));
    }
  }
}

void BucketFiles::landed(const Written& written) noexcept {
  for (const Mark& mark : written.marks) {
    mark.file->committed = mark.end;
    --mark.file->flying;
  }
}

void BucketFiles::cut_back() {
  for (const auto& file : slots_) {
    if (file == nullptr || file->flying == 0) continue;
    file->flying = 0;
    cut(*file, file->committed);
    if (file->committed.events == 0 && !file->closing) stop_filling(*file);
  }
}

// ---- Rolling

/// It gets no more events, and its final name when all of it has landed.
void BucketFiles::stop_filling(File& file) {
  file.closing = true;
  closing_.push_back(&file);
  if (file.bucket->filling == &file) file.bucket->filling = nullptr;
}

void BucketFiles::close_least_recently_used() {
  if (open_files() <= options_.open_max) return;
  std::vector<File*> filling;
  for (const auto& file : slots_) {
    if (file != nullptr && !file->closing) filling.push_back(file.get());
  }
  if (filling.size() <= options_.open_max) return;
  const auto excess = static_cast<std::ptrdiff_t>(filling.size() - options_.open_max);
  std::nth_element(filling.begin(), filling.begin() + excess - 1, filling.end(),
                   [](const File* one, const File* other) {
                     return std::pair(one->used, one->number) <
                            std::pair(other->used, other->number);
                   });
  for (std::ptrdiff_t i = 0; i < excess; ++i) stop_filling(*filling[static_cast<std::size_t>(i)]);
}

void BucketFiles::tend() {
  const SteadyTime now = clock_.steady();
  if (now >= next_due_) look_for_due(now);
  if (cut_pending().ok()) hand_over_complete();  // otherwise said when something is written
  std::vector<std::uint32_t> over;
  finisher_.tend(over);
  let_go(over);
}

void BucketFiles::look_for_due(SteadyTime now) {
  next_due_ = SteadyTime::max();
  for (const auto& file : slots_) {
    if (file == nullptr || file->closing) continue;
    SteadyTime due = SteadyTime::max();
    if (options_.roll_interval.count() > 0) due = file->opened + options_.roll_interval;
    if (options_.idle_timeout.count() > 0) {
      due = std::min(due, file->last_write + options_.idle_timeout);
    }
    if (now >= due) {
      stop_filling(*file);
    } else {
      next_due_ = std::min(next_due_, due);
    }
  }
}

// ---- Finishing

/// Those whose events have all left the channel.
void BucketFiles::hand_over_complete() {
  if (closing_.empty()) return;
  std::vector<File*> complete;
  for (File* const file : closing_) {
    if (file->flying == 0 && !file->must_cut) complete.push_back(file);
  }
  std::sort(complete.begin(), complete.end(),
            [](const File* one, const File* other) { return one->number < other->number; });
  for (File* const file : complete) {
    std::erase(closing_, file);
    std::erase(dirty_, file);
    const bool spooled = !file->spool.empty();
    finisher_.add({.booked = {file->slot, file->in_use, file->final_name, file->spool,
                              spooled ? options_.recipe : std::string(), file->written.bytes},
                   .events = file->written.events,
                   .open = std::move(file->file),
                   .dirty = file->dirty});
  }
}

std::string BucketFiles::other_name(std::uint32_t slot) {
  Bucket& bucket = *slots_[slot]->bucket;
  ++bucket.counter;
  return name(bucket, false);
}

void BucketFiles::let_go(const std::vector<std::uint32_t>& over) {
  for (const std::uint32_t slot : over) {
    free_slots_.push_back(slot);
    if (slots_[slot] == nullptr) continue;  // of the agent before this one
    leave_bucket(*slots_[slot]);
    counters_.connections_closed.add();
    slots_[slot].reset();
  }
}

/// Buckets come and go with the hours; the map has those that have files.
void BucketFiles::leave_bucket(File& file) {
  Bucket& bucket = *file.bucket;
  if (--bucket.files == 0) buckets_.erase(buckets_.find(std::string_view(bucket.key)));
}

void BucketFiles::close() {
  for (const auto& file : slots_) {
    if (file != nullptr && !file->closing) stop_filling(*file);
  }
  if (Status status = cut_pending(); !status.ok()) {
    log::error("{}: {}", options_.component, status.message());
  }
  hand_over_complete();
  std::vector<std::uint32_t> over;
  finisher_.close(options_.close_patience, over);
  let_go(over);
  if (Status status = book_.flush(); !status.ok()) {
    log::warn("{}: {}", options_.component, status.message());
  }
}

// ---- After a crash

Status BucketFiles::recover() {
  auto kept = finish_leftovers({.component = options_.component,
                                .file_system = options_.file_system,
                                .spool_directory = options_.spool_directory},
                               files_, book_, finisher_);
  if (!kept.ok()) return kept.status();
  for (const std::uint32_t slot : *kept) {
    if (slot >= slots_.size()) slots_.resize(slot + 1);
  }
  for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
    if (std::find(kept->begin(), kept->end(), slot) == kept->end()) free_slots_.push_back(slot);
  }
  return {};
}

}  // namespace sluice
