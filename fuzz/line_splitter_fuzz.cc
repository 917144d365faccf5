// The line splitters must agree, and what a BatchBuilder makes of the bytes must be the bytes.
//
// The first two bytes choose where the scan begins and how many lines are wanted.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/event/batch_builder.h"
#include "core/wire/line_splitter.h"
#include "core/wire/utf8.h"

namespace sluice {
namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

void compare(const std::string& padded, std::size_t begin, std::size_t end, std::size_t most) {
  std::vector<IndexEntry> fast(most + 1);
  std::vector<IndexEntry> plain(most + 1);
  const LineInput input{padded.data(), begin, begin, end};
  const LineScan a = split_lines(input, fast.data() + fast.size(), most);
  const LineScan b = split_lines_portable(input, plain.data() + plain.size(), most);
  require(a.events == b.events && a.body_bytes == b.body_bytes && a.line_begin == b.line_begin &&
              a.longest == b.longest,
          "both splitters say the same");
  std::size_t next = begin;
  for (std::size_t i = 0; i < a.events; ++i) {
    const IndexEntry& one = fast[fast.size() - 1 - i];
    const IndexEntry& other = plain[plain.size() - 1 - i];
    require(one.offset == other.offset && one.bytes == other.bytes, "and find the same lines");
    require(one.offset == next && padded[next + one.bytes] == '\n', "which are neighbours");
    next += one.bytes + 1;
  }
  require(a.line_begin == next, "up to the unfinished one");
}

void build(const std::string& text) {
  static SlabPool pool(8192);
  BatchBuilder builder(pool);
  std::string rebuilt;
  std::size_t at = 0;
  while (at < text.size()) {
    if (builder.space().empty() || builder.entries_left() == 0) builder.renew();
    const std::size_t begin = builder.position();
    const std::size_t bytes = std::min(builder.space().size(), text.size() - at);
    std::copy_n(text.data() + at, bytes, builder.base() + begin);
    builder.written(bytes);
    const LineScan scan = split_lines({builder.base(), begin, begin, builder.position()},
                                      builder.index_top(), builder.entries_left());
    builder.marked(scan.events, scan.body_bytes, true);
    builder.rewind(scan.line_begin);
    at += scan.line_begin - begin;
    const Batch batch = builder.seal();
    if (!batch.empty()) {
      require(batch.lines(), "lines of one read are neighbours");
      require(batch.text().size() == batch.body_bytes() + batch.size(), "and all of the text");
      rebuilt += batch.text();
      continue;
    }
    if (begin == 0) return;  // a line longer than a slab
    builder.renew();
  }
  require(text.compare(0, rebuilt.size(), rebuilt) == 0, "what was read comes out again");
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string padded = text + std::string(64, '\n');
  sluice::compare(padded, std::min<std::size_t>(data[0], text.size()), text.size(), data[1]);
  sluice::compare(padded, 0, text.size(), text.size() + 1);
  sluice::build(text);
  if (sluice::utf16_length(text) > text.size()) std::abort();
  return 0;
}
