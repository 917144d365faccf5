// One event of a channel as a line of JSON.
#pragma once

#include <cstdint>
#include <string>

#include "core/event/batch.h"
#include "core/event/provenance.h"

namespace sluice {

/// {"sequence":7,"origin":{"id":"<32 digits>","sequence":3},"headers":{...},"body":"..."}, without
/// a line feed. A body that is not UTF-8 is "bodyBase64" instead; headers of which the name or the
/// value is not are in "headersBase64", name and value both in that form.
std::string event_json(std::uint64_t sequence, const Event& event, const Origin& origin);

}  // namespace sluice
