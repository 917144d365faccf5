#include "interceptors/catalog.h"

namespace sluice {

extern const InterceptorType host_interceptor;
extern const InterceptorType regex_filter_interceptor;
extern const InterceptorType remove_header_interceptor;
extern const InterceptorType static_interceptor;
extern const InterceptorType timestamp_interceptor;

std::span<const InterceptorType* const> interceptor_types() noexcept {
  static const InterceptorType* const types[] = {
      &host_interceptor,   &regex_filter_interceptor, &remove_header_interceptor,
      &static_interceptor, &timestamp_interceptor,
  };
  return types;
}

}  // namespace sluice
