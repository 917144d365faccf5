#include "core/wire/text_decoder.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

constexpr std::string_view replacement = "\xEF\xBF\xBD";
constexpr std::size_t out_bytes = 4096;

const iconv_t none = reinterpret_cast<iconv_t>(-1);  // NOLINT: that is what iconv_open returns

/// Upper case, without what people put between the parts of a name.
std::string plain_name(std::string_view charset) {
  std::string name;
  for (const char c : charset) {
    if (c != '-' && c != '_')
      name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

/// `text` in the charset; empty when that cannot be.
std::string encode(const std::string& charset, std::string_view text) {
  const iconv_t to = ::iconv_open(charset.c_str(), "UTF-8");
  if (to == none) return {};
  std::array<char, 64> out{};
  char* in = const_cast<char*>(text.data());
  char* end = out.data();
  std::size_t in_left = text.size();
  std::size_t out_left = out.size();
  const std::size_t rc = ::iconv(to, &in, &in_left, &end, &out_left);
  ::iconv_close(to);
  return rc == 0 ? std::string(out.data(), end) : std::string();
}

}  // namespace

/// One way to read the charset.
struct TextDecoder::Order {
  Order() = default;
  Order(const Order&) = delete;
  Order& operator=(const Order&) = delete;
  ~Order() {
    if (handle != none) ::iconv_close(handle);
  }
  static std::unique_ptr<Order> make(const std::string& charset) {
    auto order = std::make_unique<Order>();
    order->handle = ::iconv_open("UTF-8", charset.c_str());
    if (order->handle == none) return nullptr;
    // A mark may stand before the first character, so the second one shows what a line feed is.
    const std::string one = encode(charset, "\n");
    const std::string two = encode(charset, "\n\n");
    if (one.empty() || two.size() <= one.size()) return nullptr;
    order->feed = two.substr(one.size());
    return order;
  }
  void reset() const noexcept { ::iconv(handle, nullptr, nullptr, nullptr, nullptr); }

  iconv_t handle = none;
  std::string feed;
};

TextDecoder::TextDecoder(std::string charset, OnError on_error)
    : charset_(std::move(charset)), on_error_(on_error) {}
TextDecoder::~TextDecoder() = default;

bool TextDecoder::is_utf8(std::string_view charset) {
  const std::string name = plain_name(charset);
  return name == "UTF8" || name == "USASCII" || name == "ASCII";
}

Result<std::unique_ptr<TextDecoder>> TextDecoder::make(const std::string& charset,
                                                       OnError on_error) {
  auto decoder = std::unique_ptr<TextDecoder>(new TextDecoder(charset, on_error));
  const std::string name = plain_name(charset);
  const bool either = name == "UTF16" || name == "UTF32";
  const std::string stem = either ? "UTF-" + name.substr(3) : charset;
  // A slash would begin iconv's own options.
  if (charset.find('/') == std::string::npos) {
    decoder->big_or_only_ = Order::make(either ? stem + "BE" : stem);
    if (either) decoder->little_ = Order::make(stem + "LE");
  }
  if (!decoder->big_or_only_ || (either && !decoder->little_)) {
    return Invalid("the charset '" + charset +
                   "' is not known here ('iconv -l' lists those that are)");
  }
  decoder->now_ = decoder->big_or_only_.get();
  return decoder;
}

std::size_t TextDecoder::begin(std::string_view first_bytes) noexcept {
  now_ = big_or_only_.get();
  if (!little_) return 0;
  const std::string_view big("\0\0\xFE\xFF", 4);
  const std::string_view little("\xFF\xFE\0\0", 4);
  const std::size_t bytes = feed_bytes();
  if (first_bytes.starts_with(big.substr(4 - bytes))) return bytes;
  if (!first_bytes.starts_with(little.substr(0, bytes))) return 0;
  now_ = little_.get();
  return bytes;
}

std::size_t TextDecoder::feed_bytes() const noexcept { return now_->feed.size(); }
bool TextDecoder::feed_is_ascii() const noexcept { return now_->feed == "\n"; }

std::size_t TextDecoder::find_feed(std::string_view text) const noexcept {
  const std::size_t unit = feed_bytes();
  for (std::size_t at = 0; (at = text.find(now_->feed, at)) != std::string_view::npos; ++at) {
    if (at % unit == 0) return at;
  }
  return text.size();
}

Status TextDecoder::append_utf8(std::string& out, std::string_view text) {
  Status status;
  convert(&out, text, on_error_, status);
  return status;
}

std::string_view TextDecoder::utf8(std::string_view text) {
  Status status;
  text_.clear();
  convert(&text_, text, OnError::Replace, status);
  return text_;
}

std::size_t TextDecoder::whole_characters(std::string_view text) {
  Status status;
  const std::size_t bytes = convert(nullptr, text, on_error_, status);
  return bytes > 0 && status.ok() ? bytes : text.size();
}

/// Returns how many bytes were read: without `out` not those of a last character that is not whole.
std::size_t TextDecoder::convert(std::string* out, std::string_view text, OnError on_error,
                                 Status& status) {
  std::array<char, out_bytes> buffer;
  char* in = const_cast<char*>(text.data());
  std::size_t left = text.size();
  now_->reset();
  for (bool over = false; !over;) {
    char* end = buffer.data();
    std::size_t room = buffer.size();
    // Without input it writes what it has held back.
    over = left == 0;
    const std::size_t rc =
        ::iconv(now_->handle, over ? nullptr : &in, over ? nullptr : &left, &end, &room);
    const int error = rc == static_cast<std::size_t>(-1) ? errno : 0;
    if (out != nullptr) out->append(buffer.data(), end);
    if (error == 0 || error == E2BIG) continue;
    if (error == EINVAL && out == nullptr) break;
    if (on_error == OnError::Fail) {
      status =
          Reject("byte " + std::to_string(text.size() - left) + " of the line is no " + charset_);
      break;
    }
    if (out != nullptr && on_error == OnError::Replace) out->append(replacement);
    const std::size_t bad = error == EINVAL ? left : std::min(left, feed_bytes());
    in += bad;
    left -= bad;
    now_->reset();
  }
  return text.size() - left;
}

}  // namespace sluice
