#include "core/base/name_pattern.h"

namespace sluice {

Result<NamePattern> NamePattern::make(const std::string& expression) {
  auto pattern = JavaPattern::make(expression);
  if (!pattern.ok()) return pattern.status();
  return NamePattern(*std::move(pattern));
}

}  // namespace sluice
