#include "interceptors/shared_header.h"

#include <utility>

namespace sluice {

SharedHeader::SharedHeader(std::string name, bool preserve_existing)
    : name_(std::move(name)), preserve_existing_(preserve_existing) {}

Batch SharedHeader::put_into(const Batch& batch, std::string_view value) {
  if (batch.empty()) return batch;
  const HeaderBlock& imposed = batch.imposed_headers();
  const HeaderBlock& fallback = batch.fallback_headers();
  if (!preserve_existing_) {
    return batch.with_shared_headers(with_header(imposed, value), fallback);
  }
  // An event's own header stands before the fallback; what all events have is looked up here.
  std::string_view existing;
  if (find_header(imposed.bytes(), name_, existing) ||
      find_header(fallback.bytes(), name_, existing)) {
    return batch;
  }
  return batch.with_shared_headers(imposed, with_header(fallback, value));
}

const HeaderBlock& SharedHeader::with_header(const HeaderBlock& before, std::string_view value) {
  // before_ is kept, so its bytes cannot have become those of another block.
  const bool same =
      before.bytes().data() == before_.bytes().data() || (before.empty() && before_.empty());
  if (!same || after_.empty() || value != value_) {
    after_ = before.with(name_, value);
    before_ = before;
    value_ = value;
  }
  return after_;
}

}  // namespace sluice
