// Bytes that are handed over piece by piece, and can be had again.
#pragma once

#include <string>

#include "core/base/status.h"

namespace sluice {

/// One thread. What an error of it means is the business of whoever made it.
class Content {
 public:
  virtual ~Content() = default;
  /// From the beginning.
  virtual Status begin() = 0;
  /// Appends some bytes; none at the end.
  virtual Status more(std::string& out) = 0;
};

}  // namespace sluice
