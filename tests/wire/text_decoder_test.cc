#include "core/wire/text_decoder.h"

#include "tests/catch.h"

namespace sluice {
namespace {

using OnError = TextDecoder::OnError;

std::unique_ptr<TextDecoder> decoder(const std::string& charset, OnError on_error = OnError::Fail) {
  auto made = TextDecoder::make(charset, on_error);
  REQUIRE(made.ok());
  return *std::move(made);
}

std::string utf8(TextDecoder& decoder, std::string_view text) {
  std::string out;
  REQUIRE(decoder.append_utf8(out, text).ok());
  return out;
}

TEST_CASE("decoder: names of charsets in any case, and none that is not known") {
  CHECK(utf8(*decoder("gb18030"), "\xC4\xE3") == "你");
  CHECK(utf8(*decoder("windows-1252"), "\x80") == "€");
  CHECK(utf8(*decoder("Shift_JIS"), "\x93\xFA\x96\x7B") == "日本");
  CHECK(TextDecoder::make("nothing", OnError::Fail).code() == Code::Invalid);
  CHECK(TextDecoder::make("GBK//IGNORE", OnError::Fail).code() == Code::Invalid);
  CHECK(TextDecoder::is_utf8("utf8"));
  CHECK(TextDecoder::is_utf8("UTF-8"));
  CHECK_FALSE(TextDecoder::is_utf8("UTF-16"));
}

TEST_CASE("decoder: text longer than any buffer") {
  std::string text;
  std::string wanted;
  for (int i = 0; i < 20'000; ++i) {
    text += "\xC4\xE3";
    wanted += "你";
  }
  CHECK(utf8(*decoder("GBK"), text) == wanted);
}

TEST_CASE("decoder: the line feed of a charset") {
  const auto gbk = decoder("GBK");
  CHECK(gbk->feed_is_ascii());
  const auto little = decoder("UTF-16LE");
  CHECK(little->feed_bytes() == 2);
  const std::string_view text("a\0\0\n\n\0b\0", 8);  // U+0A00 is none
  CHECK(little->find_feed(text) == 4);
  CHECK(little->find_feed(text.substr(0, 4)) == 4);
  const auto ebcdic = decoder("IBM037");
  CHECK_FALSE(ebcdic->feed_is_ascii());
  CHECK(ebcdic->feed_bytes() == 1);
}

TEST_CASE("decoder: a byte-order mark decides, and big end first is the default") {
  const auto either = decoder("UTF-16");
  CHECK(either->begin(std::string_view("\xFF\xFE"
                                       "a\0",
                                       4)) == 2);
  CHECK(utf8(*either, std::string_view("a\0", 2)) == "a");
  CHECK(either->begin(std::string_view("\xFE\xFF\0a", 4)) == 2);
  CHECK(utf8(*either, std::string_view("\0a", 2)) == "a");
  CHECK(either->begin("") == 0);
  CHECK(utf8(*either, std::string_view("\0a", 2)) == "a");
  const auto wide = decoder("utf-32");
  CHECK(wide->begin(std::string_view("\xFF\xFE\0\0", 4)) == 4);
  CHECK(utf8(*wide, std::string_view("a\0\0\0", 4)) == "a");
  // The order in the name leaves the mark in the text, as Java does.
  CHECK(decoder("UTF-16LE")->begin("\xFF\xFE") == 0);
}

TEST_CASE("decoder: what is no text fails, is replaced, or left out") {
  const std::string_view bad("a\xFF\xC4\xE3\xC4", 5);
  std::string out;
  const Status status = decoder("GBK")->append_utf8(out, bad);
  CHECK(status.code() == Code::Reject);
  CHECK(status.message() == "byte 1 of the line is no GBK");
  CHECK(utf8(*decoder("GBK", OnError::Replace), bad) == "a\uFFFD你\uFFFD");
  CHECK(utf8(*decoder("GBK", OnError::Ignore), bad) == "a你");
  // Half a unit, and half a surrogate pair.
  CHECK(utf8(*decoder("UTF-16LE", OnError::Replace), std::string_view("a\0b", 3)) == "a\uFFFD");
  CHECK(utf8(*decoder("UTF-16LE", OnError::Replace), std::string_view("\x00\xDC"
                                                                      "a\0",
                                                                      4)) == "\uFFFDa");
  CHECK(decoder("GBK")->utf8(bad) == "a\uFFFD你\uFFFD");
}

TEST_CASE("decoder: whole characters of a torn text") {
  const auto gbk = decoder("GBK");
  CHECK(gbk->whole_characters("ab\xC4\xE3\xC4") == 4);
  CHECK(gbk->whole_characters("ab") == 2);
  CHECK(gbk->whole_characters("\xC4") == 1);
  CHECK(decoder("UTF-16LE")->whole_characters(std::string_view("a\0b", 3)) == 2);
}

}  // namespace
}  // namespace sluice
