// Every type of source.
#pragma once

#include <span>

#include "sources/source.h"

namespace sluice {

std::span<const SourceType* const> source_types() noexcept;

}  // namespace sluice
