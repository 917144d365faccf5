#include "core/base/fail_point.h"

#include <poll.h>

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <optional>

namespace sluice {
namespace {

struct Kill {
  FailPoint at;
  unsigned long after;
  int wait_ms;  ///< What others do meanwhile is part of the test.
};

std::optional<Kill> wanted() {
  const char* const text = std::getenv("SLUICE_KILL_AT");
  if (text == nullptr) return std::nullopt;
  const std::string_view wish(text);
  const std::size_t colon = wish.find(':');
  for (unsigned char i = 0; !name_of(static_cast<FailPoint>(i)).empty(); ++i) {
    if (name_of(static_cast<FailPoint>(i)) != wish.substr(0, colon)) continue;
    Kill kill{static_cast<FailPoint>(i), 1, 0};
    if (colon == std::string_view::npos) return kill;
    const char* const end = wish.data() + wish.size();
    const char* const at = std::from_chars(wish.data() + colon + 1, end, kill.after).ptr;
    if (at < end) std::from_chars(at + 1, end, kill.wait_ms);
    return kill;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name_of(FailPoint point) noexcept {
  switch (point) {
    case FailPoint::CommitBeforeWrite: return "commit-before-write";
    case FailPoint::CommitAfterWrite: return "commit-after-write";
    case FailPoint::CommitBeforeSync: return "commit-before-sync";
    case FailPoint::CommitAfterSync: return "commit-after-sync";
    case FailPoint::CommitBetweenCompletions: return "commit-between-completions";
    case FailPoint::TakeBeforeCommit: return "take-before-commit";
    case FailPoint::RecoveryBeforeOpen: return "recovery-before-open";
    case FailPoint::RecoveryAfterOpen: return "recovery-after-open";
    case FailPoint::RecoveryAfterAccounts: return "recovery-after-accounts";
    case FailPoint::TransactionBeforeCommit: return "transaction-before-commit";
    case FailPoint::TransactionAfterCommit: return "transaction-after-commit";
    case FailPoint::BucketAfterCreate: return "bucket-after-create";
    case FailPoint::BucketAfterBegin: return "bucket-after-begin";
    case FailPoint::BucketBeforeSync: return "bucket-before-sync";
    case FailPoint::BucketAfterSync: return "bucket-after-sync";
    case FailPoint::BucketAfterMake: return "bucket-after-make";
    case FailPoint::BucketBeforeRename: return "bucket-before-rename";
    case FailPoint::BucketAfterRename: return "bucket-after-rename";
    case FailPoint::ProgramStarted: return "program-started";
    case FailPoint::CompactBeforePart: return "compact-before-part";
    case FailPoint::CompactAfterPart: return "compact-after-part";
    case FailPoint::CompactBeforeJournal: return "compact-before-journal";
    case FailPoint::CompactAfterJournal: return "compact-after-journal";
    case FailPoint::CompactBetweenRemovals: return "compact-between-removals";
    case FailPoint::CompactBeforeRename: return "compact-before-rename";
    case FailPoint::CompactAfterRename: return "compact-after-rename";
    case FailPoint::CompactAfterAll: return "compact-after-all";
    case FailPoint::BatchBeforeCommit: return "batch-before-commit";
    case FailPoint::BatchAfterCommit: return "batch-after-commit";
    case FailPoint::BatchBeforeRename: return "batch-before-rename";
    case FailPoint::BatchAfterDelivery: return "batch-after-delivery";
  }
  return {};
}

void fail_point(FailPoint point) noexcept {
  static const std::optional<Kill> kill = wanted();
  if (!kill || kill->at != point) return;
  static std::atomic<unsigned long> passed{0};
  if (passed.fetch_add(1) + 1 != kill->after) return;
  ::poll(nullptr, 0, kill->wait_ms);
  std::raise(SIGKILL);
}

milliseconds sync_takes() noexcept {
  const char* const text = std::getenv("SLUICE_SYNC_TAKES_MS");
  return milliseconds(text == nullptr ? 0 : std::atoi(text));
}

}  // namespace sluice
