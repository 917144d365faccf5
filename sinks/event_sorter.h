// Which events one file may hold together.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/event/headers.h"

namespace sluice {

/// Tells apart events that must not be in one file, and those that must not be in any. One thread.
class EventSorter {
 public:
  virtual ~EventSorter() = default;

  /// Nothing can be sorted before it has succeeded. Errors: Retry.
  virtual Status open() = 0;
  /// Events of one kind may share a file, whose encoder is made for the kind. Null: the event
  /// belongs nowhere, see why(). Valid until the next call.
  virtual const std::string* kind_of(const HeaderView& headers, std::string_view body) = 0;
  /// Why the last event that belongs nowhere does not.
  virtual const std::string& why() const noexcept = 0;
};

}  // namespace sluice
