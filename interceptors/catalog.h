// Every type of interceptor.
#pragma once

#include <span>

#include "interceptors/interceptor_type.h"

namespace sluice {

std::span<const InterceptorType* const> interceptor_types() noexcept;

}  // namespace sluice
