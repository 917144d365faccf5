// Where `avro-client` sends, and how: its command line and Flume's file of RPC properties.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "agent/command_line.h"
#include "core/base/clock.h"
#include "core/base/status.h"
#include "core/event/headers.h"
#include "core/net/stream_layers.h"
#include "core/net/tcp_stream.h"

namespace sluice {

/// Plain data.
struct AvroClientOptions {
  /// Which receiver gets a batch.
  enum class Choice : unsigned char {
    Failover,    ///< The first one, until it fails; then the next one, until that does.
    RoundRobin,  ///< Each in turn.
    Random,
  };
  std::vector<TcpStream::Target> receivers;  ///< At least one.
  Choice choice = Choice::Failover;
  std::uint32_t batch_events = 0;
  milliseconds connect_timeout{0};
  milliseconds request_timeout{0};
  milliseconds retry_time{0};      ///< No try of a batch begins so long after its first one.
  std::uint32_t attempts_max = 0;  ///< Of a batch; 0: only retry_time ends them.
  StreamLayers layers;             ///< TLS and compression of connections.
  HeaderBlock headers;             ///< Of every event.
};

/// Reads the files that the command line names. Warnings about them go to `err`.
/// Errors: Invalid, with what to print before exiting with status 2.
Result<AvroClientOptions> read_avro_client_options(const AvroClientArguments& arguments,
                                                   std::ostream& err);

}  // namespace sluice
