#include "interceptors/catalog.h"

namespace sluice {

std::span<const InterceptorType* const> interceptor_types() noexcept { return {}; }

}  // namespace sluice
