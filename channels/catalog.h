// Every type of channel.
#pragma once

#include <span>

#include "channels/channel_type.h"

namespace sluice {

std::span<const ChannelType* const> channel_types() noexcept;

}  // namespace sluice
