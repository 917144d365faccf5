// Every type of sink.
#pragma once

#include <span>

#include "sinks/sink.h"

namespace sluice {

std::span<const SinkType* const> sink_types() noexcept;

}  // namespace sluice
