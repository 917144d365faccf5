// Sends batches to one of several avro sources, again and again until one has taken them.
#pragma once

#include <cstddef>
#include <memory>
#include <random>
#include <stop_token>
#include <vector>

#include "agent/avro_client_options.h"
#include "core/event/batch.h"
#include "sinks/avro_link.h"

namespace sluice {

/// One batch at a time, so that their order is kept. One thread.
class AvroSender {
 public:
  explicit AvroSender(const AvroClientOptions& options);

  /// Returns once a receiver has acknowledged the whole batch. A batch whose answer was lost is
  /// sent again, so it may arrive twice. Errors: Retry (nobody took it in time: why the last try
  /// failed), Closed (stop).
  Status send(const Batch& batch, const std::stop_token& stop);

  /// Says goodbye to all receivers.
  void finish();

 private:
  struct Receiver {
    TcpStream::Target target;
    std::unique_ptr<AvroLink> link;
  };
  std::size_t first_receiver();
  Status try_once(Receiver& receiver, const Batch& batch, const std::stop_token& stop) const;

  const AvroClientOptions& options_;
  std::vector<Receiver> receivers_;
  std::size_t current_ = 0;
  std::minstd_rand random_{std::random_device()()};
};

}  // namespace sluice
