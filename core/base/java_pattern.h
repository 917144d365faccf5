// Regular expressions as Flume's files hold them: in Java's syntax.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// A compiled regular expression. One thread at a time.
///
/// Java's syntax as far as PCRE2 shares it (docs/adr/0008 says where they part); what both have but
/// mean otherwise is refused. Text is taken as UTF-8 where it is that, else as single bytes, so
/// that a broken byte hides nothing. find() does not allocate; it and matches() give up on what
/// would be tried for ever.
class JavaPattern {
 public:
  enum class Answer : unsigned char {
    No,
    Yes,
    GaveUp,  ///< Too many ways to try; neither yes nor no.
  };
  /// A part of the text.
  struct Range {
    static constexpr std::size_t none = ~std::size_t{0};
    std::size_t begin = 0;  ///< `none` for a group that took no part.
    std::size_t end = 0;
  };

  /// Errors: Invalid, with the place in the expression.
  static Result<JavaPattern> make(const std::string& expression);

  JavaPattern(JavaPattern&&) noexcept;
  JavaPattern& operator=(JavaPattern&&) noexcept;
  ~JavaPattern();

  /// Whether it matches somewhere in the text: Java's Matcher.find().
  Answer find(std::string_view text) const noexcept;
  /// The first place at or behind `from` where it matches.
  Answer find(std::string_view text, std::size_t from, Range& where) const noexcept;
  /// The part of the first match that is group `group` (0: all of it). No, also, when the group
  /// took no part in it. REQUIRES: group <= groups().
  Answer find_group(std::string_view text, std::size_t group, Range& where) const noexcept;
  /// find(), and what the groups matched: group i + 1 at place i.
  /// REQUIRES: no more ranges than groups(). All are written if the answer is Yes, else none.
  Answer find(std::string_view text, std::span<Range> groups) const noexcept;
  /// Whether it matches the text from end to end: Java's Matcher.matches().
  Answer matches(std::string_view text) const noexcept;

  /// How many (groups) it has.
  std::size_t groups() const noexcept;
  /// Their names, group i + 1 at place i; empty for those without one.
  std::vector<std::string> group_names() const;

 private:
  struct Parts;
  explicit JavaPattern(std::unique_ptr<Parts> parts) noexcept;
  std::unique_ptr<Parts> parts_;
};

}  // namespace sluice
