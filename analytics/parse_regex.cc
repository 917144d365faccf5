// Records of which a regular expression finds the parts.

#include <algorithm>
#include <utility>

#include "analytics/record_formats.h"
#include "analytics/record_row.h"
#include "core/base/java_pattern.h"
#include "core/base/nearest_name.h"

namespace sluice::analytics {
namespace {

class RegexParser final : public RecordParser {
 public:
  /// Field i is what group groups[i] + 1 matches.
  RegexParser(JavaPattern pattern, std::vector<Schema::Field> fields,
              std::vector<std::size_t> groups)
      : RecordParser(std::move(fields)),
        pattern_(std::move(pattern)),
        groups_(std::move(groups)),
        found_(pattern_.groups()) {}

 private:
  bool read(std::string_view record, RecordRow& row) override {
    if (pattern_.find(record, found_) != JavaPattern::Answer::Yes) return false;
    for (std::size_t field = 0; field < groups_.size(); ++field) {
      const JavaPattern::Range part = found_[groups_[field]];
      if (part.begin == JavaPattern::Range::none) continue;
      // A look-behind that sets the start with \K can end a group before it begins.
      const std::size_t bytes = part.end - std::min(part.begin, part.end);
      if (!row.set_text(field, record.substr(part.begin, bytes))) return false;
    }
    return true;
  }

  const JavaPattern pattern_;
  const std::vector<std::size_t> groups_;
  std::vector<JavaPattern::Range> found_;
};

/// The groups that the fields are; a Problem without a message: they are in `groups`.
Problem find_groups(const std::vector<std::string>& names, const std::vector<Schema::Field>& fields,
                    std::vector<std::size_t>& groups) {
  const bool named =
      std::any_of(names.begin(), names.end(), [](const auto& name) { return !name.empty(); });
  if (!named && fields.size() > names.size()) {
    return {0, 0,
            "the pattern has " + std::to_string(names.size()) + " groups for " +
                std::to_string(fields.size()) + " fields"};
  }
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto found = named ? std::find(names.begin(), names.end(), fields[i].name)
                             : names.begin() + static_cast<std::ptrdiff_t>(i);
    if (found == names.end()) {
      const std::vector<std::string_view> words(names.begin(), names.end());
      const std::string_view nearest = nearest_name(fields[i].name, words);
      return {0, 0, "the pattern has no group '" + fields[i].name + "'",
              nearest.empty() ? "" : "did you mean '" + std::string(nearest) + "'?"};
    }
    groups.push_back(static_cast<std::size_t>(found - names.begin()));
  }
  return {};
}

}  // namespace

MadeParser make_regex_parser(ParseOptions options) {
  auto pattern = JavaPattern::make(options.pattern);
  if (!pattern.ok()) return Problem{0, options.pattern.size(), pattern.status().message()};
  const std::vector<std::string> names = pattern->group_names();
  if (options.fields.empty()) {
    for (const std::string& name : names) {
      if (!name.empty()) options.fields.push_back({name, ColumnType::Text});
    }
    if (options.fields.empty()) {
      return Problem{0, options.pattern.size(), "no group of the pattern has a name",
                     "write (?<name>...), or name groups 1 to n with 'fields'"};
    }
  }
  std::vector<std::size_t> groups;
  Problem problem = find_groups(names, options.fields, groups);
  if (!problem.message.empty()) return problem;
  return std::make_unique<RegexParser>(std::move(*pattern), std::move(options.fields),
                                       std::move(groups));
}

}  // namespace sluice::analytics
