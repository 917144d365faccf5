// Splitting lines, and building and sealing batches of them.

#include <string>
#include <vector>

#include "bench/micro.h"
#include "core/event/batch_builder.h"
#include "core/wire/line_splitter.h"

namespace sluice::bench {
namespace {

constexpr std::size_t text_bytes = 256 * 1024;

std::string lines_of(std::size_t bytes) {
  std::string text;
  while (text.size() + bytes <= text_bytes) text += std::string(bytes - 1, 'x') + "\n";
  return text;
}

void split(std::size_t line_bytes) {
  std::string text = lines_of(line_bytes);
  const std::size_t size = text.size();
  const std::size_t events = size / line_bytes;
  text.append(64, ' ');
  std::vector<IndexEntry> index(events + 1);
  const LineInput input{text.data(), 0, 0, size};
  const std::string bytes = std::to_string(line_bytes);
  measure(("split_lines, " + bytes + " B").c_str(), events,
          [&] { keep(split_lines(input, index.data() + index.size(), events + 1).events); });
  measure(("split_lines_portable, " + bytes + " B").c_str(), events, [&] {
    keep(split_lines_portable(input, index.data() + index.size(), events + 1).events);
  });
}

/// What netcat does with a read, without the read.
void build(std::size_t line_bytes) {
  const std::string text = lines_of(line_bytes);
  SlabPool pool;
  BatchBuilder builder(pool);
  const std::size_t events = 64 * 1024 / line_bytes;
  measure(("mark and seal 64 KiB, " + std::to_string(line_bytes) + " B").c_str(), events, [&] {
    const std::size_t bytes = events * line_bytes;
    if (builder.space().size() < bytes) builder.renew();
    const std::size_t begin = builder.position();
    builder.written(bytes);  // whatever lies there: the splitter is measured above
    text.copy(builder.base() + begin, bytes);
    const LineScan scan = split_lines({builder.base(), begin, begin, builder.position()},
                                      builder.index_top(), builder.entries_left());
    builder.marked(scan.events, scan.body_bytes, true);
    keep(builder.seal().size());
  });
  measure(("append and seal, " + std::to_string(line_bytes) + " B").c_str(), events, [&] {
    const std::string_view body(text.data(), line_bytes - 1);
    builder.reserve(events * (line_bytes + sizeof(IndexEntry)));
    for (std::size_t i = 0; i < events; ++i) builder.append(body);
    keep(builder.seal().size());
  });
}

}  // namespace
}  // namespace sluice::bench

int main() {
  for (const std::size_t bytes : {20U, 200U, 1000U}) {
    sluice::bench::split(bytes);
    sluice::bench::build(bytes);
  }
}
