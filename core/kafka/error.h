// librdkafka's errors as ours: what happened, to what, and what to do.
#pragma once

#include <librdkafka/rdkafka.h>

#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// What an error is about, as far as the code tells.
enum class KafkaFault : unsigned char {
  Passing,  ///< A broker, the network, a login, a topic that is not there: it may come right.
  Record,   ///< What was sent, or something sent with it in one set, is never taken.
  Given,    ///< We gave it up ourselves: purged, stopping.
  Client,   ///< The client is of no use any more; another one has to be made.
};
KafkaFault fault_of(rd_kafka_resp_err_t error) noexcept;

/// True where the broker said that a whole set of records, or one, is too large.
bool is_too_large(rd_kafka_resp_err_t error) noexcept;

/// One sentence, with librdkafka's `detail` where it knows more. `about` is what was done and to
/// what: "sending to topic 'logs'"; empty: nothing in particular.
///
/// Code: Reject for KafkaFault::Record, Closed for Given, otherwise Retry. Ok for no error.
Status kafka_status(rd_kafka_resp_err_t error, std::string_view about,
                    std::string_view detail = {});

}  // namespace sluice
