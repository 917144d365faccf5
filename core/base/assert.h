// Assertions that guard data; they stay on in release.
#pragma once

namespace sluice::detail {
[[noreturn]] void assert_failed(const char* expression, const char* reason, const char* file,
                                int line) noexcept;
}

/// Stops the process when one of our own promises is broken. Never for input, peers, disks or
/// configuration: those get a Status.
#define SLUICE_ASSERT(condition, reason)             \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::sluice::detail::assert_failed(#condition, reason, __FILE__, __LINE__))
