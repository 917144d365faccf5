// Bytes as a SequenceFile: reading must end, within bounds, and give the same whatever the windows
// are; the bytes that it calls whole must be a whole file, and what it gives can be written.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/wire/sequence_file.h"
#include "fuzz/byte_file.h"

namespace sluice {
namespace {

constexpr std::size_t reader_bytes_max = 1 << 20;
constexpr std::size_t content_bytes_max = 8 << 20;

struct Got {
  std::vector<std::pair<std::int64_t, std::string>> records;
  Status end;
  std::uint64_t whole_bytes = 0;
  SequenceFileReader::Header header;
  bool all = true;  ///< Not more than a fuzzer has time for.
};

Got read(std::string_view file, std::size_t step) {
  SequenceFileReader reader(reader_bytes_max);
  Got got;
  std::string_view window = file.substr(0, step);
  for (std::size_t content_bytes = 0;;) {
    auto record = reader.next(window);
    require(window.data() == file.data() + reader.consumed_bytes(), "it takes from the front");
    got.whole_bytes = reader.whole_bytes();
    if (reader.header() != nullptr) got.header = *reader.header();
    got.end = record.status();
    if (!record.ok()) return got;
    if (*record) {
      got.records.emplace_back((*record)->key, (*record)->value);
      content_bytes += (*record)->value.size() + 1;
      got.all = content_bytes < content_bytes_max;
      if (!got.all) return got;
      continue;
    }
    const std::string_view rest = file.substr(reader.consumed_bytes());
    if (window.size() == rest.size()) {
      got.end = reader.finish(window);
      return got;
    }
    require(reader.wanted_bytes() > window.size(), "it wants more than there was");
    require(reader.wanted_bytes() <= reader_bytes_max + 64, "but no more than the bound and heads");
    window = rest.substr(0, std::max(reader.wanted_bytes(), step));
  }
}

void check(const std::string& bytes) {
  const Got whole = read(bytes, bytes.size());
  if (!whole.all) return;
  for (const std::size_t step : {1, 100}) {
    const Got other = read(bytes, step);
    require(other.records == whole.records, "the windows make no difference");
    require(other.end.message() == whole.end.message(), "nor do they to the end");
    require(other.whole_bytes == whole.whole_bytes, "nor to what is whole");
  }
  require(whole.whole_bytes <= bytes.size(), "no more is whole than there is");
  require(!whole.end.ok() || whole.whole_bytes == bytes.size(), "all of a whole file is whole");
  if (whole.whole_bytes == 0) return;

  const Got cut = read(std::string_view(bytes).substr(0, whole.whole_bytes), bytes.size());
  require(cut.end.ok(), "what is called whole is");
  require(cut.records.size() <= whole.records.size() &&
              std::equal(cut.records.begin(), cut.records.end(), whole.records.begin()),
          "and has its records");

  auto writer = SequenceFileWriter::make({.value = whole.header.value,
                                          .compression = whole.header.compression,
                                          .codec = whole.header.codec,
                                          .level = {}});
  std::string file;
  (*writer)->begin(whole.header.sync, file);
  for (const auto& [key, value] : whole.records) {
    require((*writer)->append(key, value, file).ok(), "what was read can be written");
  }
  (*writer)->finish(file);
  const Got again = read(file, file.size());
  require(again.end.ok() && again.records == whole.records, "and is then read again");
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  sluice::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
