// A source's batch in the making, and its way into the channels.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/event/batch_builder.h"
#include "sources/source.h"

namespace sluice {

/// Builds batches and puts them, for sources that answer to nobody. One thread.
///
/// What the channels refuse (onFull = reject) or what a stop leaves without room becomes no event:
/// it is counted in rejected_lines and said in the log, rarely.
class Outlet {
 public:
  Outlet(std::string name, const SourceContext& context,
         EventHeaders headers = EventHeaders::Shared);

  const std::string& name() const noexcept { return name_; }
  BatchBuilder& builder() noexcept { return builder_; }
  /// Events that may still be marked before put().
  std::size_t room_events() const noexcept {
    return context_.out.batch_events_max() - builder_.marked_events();
  }

  /// Copies an event in, after a put() when there is no room for it.
  Status append(std::string_view body, std::string_view own_headers, const std::stop_token& stop);

  /// Puts what is marked; waits for room as the processor does.
  ///
  /// Ok: it is on its way, or it was refused and counted. Errors: Closed (stop), Fatal.
  Status put(const std::stop_token& stop);

  /// For sources with nothing to put: commits that were refused for now are tried again.
  void idle(const std::stop_token& stop) { context_.out.retry_refused(stop); }

  /// Counts what is marked and was never put, and lets go of the slab. For Source::close().
  void close();

  std::uint64_t put_events() const noexcept { return put_events_; }
  std::uint64_t lost_events() const noexcept { return lost_events_; }

 private:
  void count_lost(std::uint64_t events, const Status& status);

  const std::string name_;
  const SourceContext context_;
  BatchBuilder builder_;
  std::uint64_t put_events_ = 0;
  std::uint64_t lost_events_ = 0;
  std::uint64_t losses_ = 0;
};

}  // namespace sluice
