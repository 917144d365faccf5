#include "sources/outlet.h"

#include <utility>

#include "core/base/assert.h"
#include "core/base/log.h"

namespace sluice {

Outlet::Outlet(std::string name, const SourceContext& context, EventHeaders headers)
    : name_(std::move(name)), context_(context), builder_(context.pool, headers, &context.window) {}

Status Outlet::append(std::string_view body, std::string_view own_headers,
                      const std::stop_token& stop) {
  if (room_events() == 0) {
    if (Status status = put(stop); !status.ok()) return status;
  }
  if (builder_.append(body, own_headers)) return {};
  if (Status status = put(stop); !status.ok()) return status;
  constexpr std::size_t beside_bytes = 64;  // line feed and index entry
  builder_.renew(body.size() + own_headers.size() + beside_bytes);
  const bool fits = builder_.append(body, own_headers);
  SLUICE_ASSERT(fits, "a slab made for an event has room for it");
  return {};
}

Status Outlet::put(const std::stop_token& stop) {
  Batch batch = builder_.seal();
  if (batch.empty()) return {};
  const std::uint64_t events = batch.size();
  Status status = context_.out.process(std::move(batch), stop, nullptr);
  if (status.ok()) {
    put_events_ += events;
    return {};
  }
  count_lost(events, status);
  return status.code() == Code::Retry || status.code() == Code::Reject ? Status() : status;
}

void Outlet::close() {
  if (builder_.marked_events() > 0) count_lost(builder_.marked_events(), Closed("stopped"));
  builder_.discard();
  builder_.reset();
}

void Outlet::count_lost(std::uint64_t events, const Status& status) {
  lost_events_ += events;
  context_.counters.rejected_lines.add(events);
  ++losses_;
  const bool power_of_two = (losses_ & (losses_ - 1)) == 0;
  if (!power_of_two && status.code() != Code::Closed) return;
  log::error("{}: {} events are lost: {} ({} since the start)", name_, events, status.message(),
             lost_events_);
}

}  // namespace sluice
