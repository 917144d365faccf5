// A type of interceptor: its tables and how to make one.
#pragma once

#include <memory>

#include "core/base/clock.h"
#include "core/config/settings.h"
#include "interceptors/interceptor.h"

namespace sluice {

struct InterceptorType {
  const ComponentInfo* info;
  std::unique_ptr<Interceptor> (*make)(const Settings& settings, const Clock& clock);
};

}  // namespace sluice
