#include "interceptors/catalog.h"

namespace sluice {

extern const InterceptorType host_interceptor;
extern const InterceptorType static_interceptor;
extern const InterceptorType timestamp_interceptor;

std::span<const InterceptorType* const> interceptor_types() noexcept {
  static const InterceptorType* const types[] = {
      &host_interceptor,
      &static_interceptor,
      &timestamp_interceptor,
  };
  return types;
}

}  // namespace sluice
