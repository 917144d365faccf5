// Gives all events of a batch one header: the common part of timestamp, host and static.
#pragma once

#include <string>
#include <string_view>

#include "core/event/batch.h"

namespace sluice {

/// Puts a header into the blocks that a batch's events share, so that it costs nothing an event.
///
/// With preserve_existing events that have the name already keep what they have; without, it wins
/// over everything that was there. The block made last is kept: a batch that comes with the same
/// blocks as the last one, and gets the same value, costs no copy of headers. One thread.
class SharedHeader {
 public:
  SharedHeader(std::string name, bool preserve_existing);

  Batch put_into(const Batch& batch, std::string_view value);

 private:
  const HeaderBlock& with_header(const HeaderBlock& before, std::string_view value);

  const std::string name_;
  const bool preserve_existing_;
  HeaderBlock before_;
  HeaderBlock after_;
  std::string value_;  ///< What after_ holds; it is empty at first.
};

}  // namespace sluice
