// Makes interceptors and batches for their tests.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/event/batch_builder.h"
#include "interceptors/interceptor_type.h"
#include "tests/support/pipeline.h"

namespace sluice::testing {

inline std::unique_ptr<Interceptor> make_interceptor(
    const InterceptorType& type, const std::map<std::string, std::string>& values,
    const Clock& clock = Clock::system()) {
  return type.make(make_settings("interceptor", *type.info, values), clock);
}

/// One header as a block.
inline std::string header(std::string_view name, std::string_view value) {
  std::string block;
  append_header(block, name, value);
  return block;
}

/// A batch whose events have these own headers.
inline Batch batch_with(SlabPool& pool, const std::vector<std::string>& own_headers) {
  BatchBuilder builder(pool, EventHeaders::Own);
  builder.renew();
  for (const std::string& block : own_headers) {
    SLUICE_ASSERT(builder.append("body", block), "a slab has room for a few events");
  }
  return builder.seal();
}

/// A batch of so many events without headers.
inline Batch plain_batch(SlabPool& pool, std::size_t events) {
  BatchBuilder builder(pool);
  builder.renew();
  for (std::size_t i = 0; i < events; ++i) {
    SLUICE_ASSERT(builder.append(std::to_string(i)), "a slab has room for a few events");
  }
  return builder.seal();
}

/// "" when the event has no such header.
inline std::string value_of(const Batch& batch, std::uint32_t i, std::string_view name) {
  std::string_view value;
  return batch.headers(i).find(name, value) ? std::string(value) : "";
}

inline std::size_t count_headers(const Batch& batch, std::uint32_t i) {
  std::size_t count = 0;
  batch.headers(i).for_each([&](std::string_view, std::string_view) { ++count; });
  return count;
}

}  // namespace sluice::testing
