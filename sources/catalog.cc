#include "sources/catalog.h"

namespace sluice {

extern const SourceType netcat_source;

std::span<const SourceType* const> source_types() noexcept {
  static const SourceType* const types[] = {
      &netcat_source,
  };
  return types;
}

}  // namespace sluice
