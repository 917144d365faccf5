// Text of any charset, made UTF-8.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// Decodes with the C library's iconv, which knows what `iconv -l` lists; case does not matter.
///
/// Every piece of text stands for itself: a charset with shift states begins in its first one. One
/// thread.
class TextDecoder {
 public:
  /// What becomes of bytes that are no text in the charset.
  enum class OnError : unsigned char {
    Fail,
    Replace,  ///< U+FFFD for each byte (or unit, of UTF-16 and the like) that begins no character.
    Ignore,   ///< Nothing.
  };
  /// Errors: Invalid, the charset is not known.
  static Result<std::unique_ptr<TextDecoder>> make(const std::string& charset, OnError on_error);
  ~TextDecoder();

  /// True for UTF-8 and ASCII, by any of their names: nothing needs to be decoded.
  static bool is_utf8(std::string_view charset);

  /// A text begins with these bytes (four are enough). In UTF-16 and UTF-32 without an order in
  /// their name a mark gives the order of bytes, big end first without one, as Java has it. Returns
  /// the bytes of the mark, which is no part of the text.
  std::size_t begin(std::string_view first_bytes) noexcept;

  /// Bytes of a line feed.
  std::size_t feed_bytes() const noexcept;
  /// True when a line feed is the byte 0x0A, and no other character has that byte.
  bool feed_is_ascii() const noexcept;
  /// The first line feed of the text, which begins between two characters; its size when none.
  std::size_t find_feed(std::string_view text) const noexcept;

  /// Appends the text as UTF-8. Errors: Reject (OnError::Fail; `out` may have got a part of it).
  Status append_utf8(std::string& out, std::string_view text);
  /// The text as UTF-8, whatever on_error says about its errors: what fails is replaced. Valid
  /// until the next call.
  std::string_view utf8(std::string_view text);
  /// How many bytes at the text's beginning are whole characters; all of them if none is.
  std::size_t whole_characters(std::string_view text);

 private:
  struct Order;
  TextDecoder(std::string charset, OnError on_error);
  std::size_t convert(std::string* out, std::string_view text, OnError on_error, Status& status);

  const std::string charset_;
  const OnError on_error_;
  std::unique_ptr<Order> big_or_only_;
  std::unique_ptr<Order> little_;  ///< Null: the charset has no order of bytes, or one in its name.
  Order* now_ = nullptr;
  std::string text_;  ///< What utf8() has returned.
};

}  // namespace sluice
