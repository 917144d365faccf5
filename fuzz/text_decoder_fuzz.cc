// Bytes as text of some charset. The first byte picks the charset; what follows is the text.

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/config/source_text.h"
#include "core/wire/text_decoder.h"
#include "fuzz/byte_file.h"

namespace sluice {
namespace {

using OnError = TextDecoder::OnError;

struct Charset {
  const char* name;
  bool one_by_one;  ///< A character means the same wherever it stands.
};
constexpr std::array charsets{
    Charset{"GBK", true},      Charset{"GB18030", true},      Charset{"Shift_JIS", true},
    Charset{"EUC-JP", true},   Charset{"UTF-16", true},       Charset{"UTF-32", true},
    Charset{"UTF-16LE", true}, Charset{"windows-1252", true}, Charset{"Big5", true},
    Charset{"EUC-KR", true},   Charset{"IBM037", true},       Charset{"ISO-2022-JP", false},
    Charset{"UTF-7", false},   Charset{"ISO-2022-KR", false}, Charset{"BIG5-HKSCS", false},
};

std::unique_ptr<TextDecoder> decoder(const Charset& charset, OnError on_error) {
  auto made = TextDecoder::make(charset.name, on_error);
  require(made.ok(), "the charset is known");
  return *std::move(made);
}

/// As lines of a file are decoded, with line feeds between them.
std::string line_by_line(TextDecoder& decoder, std::string_view text) {
  std::string out;
  for (;;) {
    const std::size_t bytes = decoder.find_feed(text);
    require(bytes <= text.size(), "a line feed is in the text");
    out += decoder.utf8(text.substr(0, bytes));
    if (bytes == text.size()) return out;
    require(decoder.utf8(text.substr(bytes, decoder.feed_bytes())) == "\n", "and is one");
    out += '\n';
    text.remove_prefix(bytes + decoder.feed_bytes());
  }
}

void check(const Charset& charset, std::string_view text) {
  const auto strict = decoder(charset, OnError::Fail);
  const auto replacing = decoder(charset, OnError::Replace);
  const auto ignoring = decoder(charset, OnError::Ignore);
  const std::size_t mark = strict->begin(text.substr(0, 4));
  require(mark <= text.size(), "a mark is in the text");
  require(mark == replacing->begin(text.substr(0, 4)), "a mark is a mark");
  require(mark == ignoring->begin(text.substr(0, 4)), "whatever comes of errors");
  text.remove_prefix(mark);

  std::string exact;
  std::string replaced;
  std::string ignored;
  const bool valid = strict->append_utf8(exact, text).ok();
  require(replacing->append_utf8(replaced, text).ok(), "what is replaced does not fail");
  require(ignoring->append_utf8(ignored, text).ok(), "nor does what is ignored");
  require(is_utf8(replaced) && is_utf8(ignored), "what comes out is UTF-8");
  require(strict->utf8(text) == replaced, "utf8() replaces");
  require(replaced.size() >= ignored.size(), "a replacement is more than nothing");
  if (valid) require(exact == replaced && exact == ignored, "valid text has one meaning");

  const std::size_t whole = strict->whole_characters(text);
  require(whole <= text.size() && (whole > 0 || text.empty()), "a cut moves on within the text");
  if (!valid || !charset.one_by_one) return;
  require(line_by_line(*strict, text) == exact, "lines can be decoded one by one");
  // Anywhere that a line may be cut, no character is torn.
  for (const std::size_t most : {text.size() / 2, text.size() / 3, std::size_t{8}}) {
    if (most < 8 || most > text.size()) continue;
    const std::size_t cut = strict->whole_characters(text.substr(0, most));
    const std::string first(strict->utf8(text.substr(0, cut)));
    require(first + std::string(strict->utf8(text.substr(cut))) == exact, "and cut between two");
  }
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  sluice::check(sluice::charsets[data[0] % sluice::charsets.size()],
                {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
