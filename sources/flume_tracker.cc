#include "sources/flume_tracker.h"

#include <string_view>
#include <utility>

#include "core/wire/avro_container.h"
#include "core/wire/avro_schema.h"

namespace sluice {
namespace {

using Extent = AvroSchema::Extent;
// Twenty-odd bytes for each batch of one file.
constexpr std::size_t file_bytes_max = 256 << 20;

/// The last of the numbers that a block consists of. False: it consists of something else.
bool take_last(std::string_view data, std::uint64_t datums, std::uint64_t& last) {
  for (; datums > 0; --datums) {
    std::int64_t offset = 0;
    if (take_avro_long(data, offset) != Extent::Whole || offset < 0) return false;
    last = static_cast<std::uint64_t>(offset);
  }
  return data.empty();
}

}  // namespace

Result<std::optional<FlumeTracker>> read_flume_tracker(InputFiles& files, const std::string& path) {
  auto text = read_whole_file(files, path, file_bytes_max);
  if (text.code() == Code::Closed) return std::optional<FlumeTracker>();
  if (!text.ok()) return text.status();
  if (text->empty()) return std::optional<FlumeTracker>();
  auto header = parse_avro_header(*text);
  if (!header.ok()) return header.status();
  if (!*header) return Reject("it ends within its header");
  const auto file = (*header)->others.find("file");
  if (file == (*header)->others.end()) return Reject("its header names no file");
  if ((*header)->codec != "null") return Reject("its codec is " + (*header)->codec);
  FlumeTracker tracker{file->second, 0};
  const std::string_view sync((*header)->sync.data(), (*header)->sync.size());
  for (std::string_view rest = std::string_view(*text).substr((*header)->bytes); !rest.empty();) {
    const auto head = parse_avro_block_head(rest);
    if (!head || head->data_bytes > rest.size() - head->bytes) break;
    const std::string_view data = rest.substr(head->bytes, head->data_bytes);
    rest.remove_prefix(head->bytes + data.size());
    if (!rest.starts_with(sync)) break;
    rest.remove_prefix(sync.size());
    if (!take_last(data, head->datums, tracker.offset)) return Reject("it holds no offsets");
  }
  return std::optional(std::move(tracker));
}

}  // namespace sluice
