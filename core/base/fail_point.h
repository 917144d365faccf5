// Places where a test may kill the process: before and behind every step that must survive it; and
// a slow disk to measure on.
#pragma once

#include <string_view>

#include "core/base/clock.h"

namespace sluice {

enum class FailPoint : unsigned char {
  CommitBeforeWrite,
  CommitAfterWrite,
  CommitBeforeSync,
  CommitAfterSync,
  CommitBetweenCompletions,
  TakeBeforeCommit,
  RecoveryBeforeOpen,
  RecoveryAfterOpen,
  RecoveryAfterAccounts,
  TransactionBeforeCommit,
  TransactionAfterCommit,
  BucketAfterCreate,
  BucketAfterBegin,
  BucketBeforeSync,
  BucketAfterSync,
  BucketAfterMake,
  BucketBeforeRename,
  BucketAfterRename,
  ProgramStarted,
  CompactBeforePart,
  CompactAfterPart,
  CompactBeforeJournal,
  CompactAfterJournal,
  CompactBetweenRemovals,
  CompactBeforeRename,
  CompactAfterRename,
  CompactAfterAll,
  BatchBeforeCommit,
  BatchAfterCommit,
  BatchBeforeRename,
  BatchAfterDelivery,
};

/// The name of each, as SLUICE_KILL_AT takes it; empty behind the last.
std::string_view name_of(FailPoint point) noexcept;

/// Kills this process with SIGKILL when SLUICE_KILL_AT is "NAME:N" and it comes by for the N-th
/// time; with "NAME:N:MS" its thread waits there for so long first, while others go on. Otherwise
/// costs a load; the variable is read once.
void fail_point(FailPoint point) noexcept;

/// What SLUICE_SYNC_TAKES_MS adds to every sync of a store; 0 without it.
milliseconds sync_takes() noexcept;

}  // namespace sluice
