// Short ways to make and read batches in tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/event/batch_builder.h"

namespace sluice {

using TestHeaders = std::vector<std::pair<std::string, std::string>>;

/// A pool that keeps nothing: live_slabs() is what is pinned just now.
constexpr std::size_t keep_no_free_slabs = 0;

inline std::string encoded(const TestHeaders& headers) {
  std::string block;
  for (const auto& [name, value] : headers) append_header(block, name, value);
  return block;
}

/// A batch of these bodies in a slab of its own.
inline Batch batch_of(SlabPool& pool, const std::vector<std::string>& bodies,
                      const TestHeaders& own_headers = {}) {
  BatchBuilder builder(pool, own_headers.empty() ? EventHeaders::Shared : EventHeaders::Own);
  std::size_t bytes = 4096;
  for (const std::string& body : bodies) bytes += body.size() + 64;
  builder.renew(bytes);
  const std::string block = encoded(own_headers);
  for (const std::string& body : bodies) {
    if (!builder.append(body, block)) return {};
  }
  return builder.seal();
}

/// Bodies "first", "first + 1", ... as text, each of `bytes_min` bytes at least.
inline Batch numbered(SlabPool& pool, std::uint64_t first, std::uint32_t events,
                      std::size_t bytes_min = 0) {
  std::vector<std::string> bodies;
  for (std::uint32_t i = 0; i < events; ++i) {
    bodies.push_back(std::to_string(first + i));
    if (bodies.back().size() < bytes_min) {
      bodies.back() += ' ';
      bodies.back().append(bytes_min - bodies.back().size(), '.');
    }
  }
  return batch_of(pool, bodies);
}

inline std::vector<std::string> bodies_of(const Batch& batch) {
  std::vector<std::string> bodies;
  for (std::uint32_t i = 0; i < batch.size(); ++i) bodies.emplace_back(batch.body(i));
  return bodies;
}

/// The numbers that numbered() wrote.
inline std::vector<std::uint64_t> numbers_of(const Batch& batch) {
  std::vector<std::uint64_t> numbers;
  for (std::uint32_t i = 0; i < batch.size(); ++i) {
    numbers.push_back(std::stoull(std::string(batch.body(i))));
  }
  return numbers;
}

inline TestHeaders headers_of(const Event& event) {
  TestHeaders headers;
  event.headers.for_each([&](auto name, auto value) { headers.emplace_back(name, value); });
  return headers;
}

}  // namespace sluice
