#include "analytics/record_parser.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "analytics/record_formats.h"
#include "analytics/record_row.h"
#include "core/base/assert.h"
#include "core/base/nearest_name.h"

namespace sluice::analytics {
namespace {

std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& names) {
  const std::string_view nearest = nearest_name(word, names);
  return nearest.empty() ? "" : "did you mean '" + std::string(nearest) + "'?";
}

/// The whole record as one value.
class TextParser final : public RecordParser {
 public:
  static MadeParser make(ParseOptions options) {
    if (options.fields.empty()) options.fields.push_back({"value", ColumnType::Text});
    if (options.fields.size() > 1) {
      return Problem{
          0, 0,
          "a record of format text is one field, not " + std::to_string(options.fields.size())};
    }
    return std::make_unique<TextParser>(std::move(options.fields));
  }
  explicit TextParser(std::vector<Schema::Field> fields) : RecordParser(std::move(fields)) {}

 private:
  bool read(std::string_view record, RecordRow& row) override { return row.set_text(0, record); }
};

struct Format {
  std::string_view name;
  MadeParser (*make)(ParseOptions options);
  bool declared = false;     ///< It has no fields but those that users declare.
  bool has_fields = true;    ///< Users may declare fields.
  bool has_extra = false;    ///< Users may declare extra fields.
  bool has_pattern = false;  ///< There must be a pattern.
};

constexpr std::array<Format, 9> formats{{
    {"text", TextParser::make},
    {"json", make_json_parser, true},
    {"csv", make_csv_parser, true},
    {"tsv", make_tsv_parser, true},
    {"kv", make_kv_parser, true},
    {"logfmt", make_logfmt_parser, true},
    {"combined", make_access_log_parser, false, false, true},
    {"clf", make_access_log_parser, false, false, true},
    {"regex", make_regex_parser, false, true, false, true},
}};

Problem unknown_format(const std::string& name) {
  std::vector<std::string_view> names;
  std::string all;
  for (const Format& format : formats) {
    names.push_back(format.name);
    all += (all.empty() ? "" : ", ") + std::string(format.name);
  }
  std::string hint = did_you_mean(name, names);
  return {0, name.size(), "there is no format '" + name + "', there are " + all, std::move(hint)};
}

/// Options that do not belong together; a Problem without a message if all do.
Problem check(const Format& format, const ParseOptions& options) {
  const std::string name(format.name);
  if (format.declared && options.fields.empty()) {
    return {0, 0, "format " + name + " needs fields", "such as: user:int item amount:double"};
  }
  if (!format.has_fields && !options.fields.empty()) {
    return {0, 0, "format " + name + " has fields of its own",
            "'extra' declares those that follow them"};
  }
  if (!format.has_extra && !options.extra.empty()) {
    return {0, 0, "format " + name + " has no extra fields", "declare all of them as 'fields'"};
  }
  if (format.has_pattern && options.pattern.empty()) {
    return {0, 0, "format " + name + " needs a pattern"};
  }
  if (!format.has_pattern && !options.pattern.empty()) {
    return {0, 0, "format " + name + " has no pattern"};
  }
  return twice_named(options.fields);
}

/// One `name` or `name:type`, which stands at `offset`. A Problem without a message: it is good.
Problem read_field(std::string_view word, std::size_t offset, Schema::Field& field) {
  const std::size_t colon = word.rfind(':');
  field.name = word.substr(0, colon);
  if (field.name.empty()) {
    return {offset, word.size(), "'" + std::string(word) + "' has no name"};
  }
  if (colon == std::string_view::npos) return {};
  const std::string_view name = word.substr(colon + 1);
  const auto type = column_type(name);
  if (!type) {
    return {offset + colon + 1, name.size(), "there is no type '" + std::string(name) + "'",
            did_you_mean(name, {"bool", "int", "double", "text", "boolean", "long", "integer",
                                "float", "string"})};
  }
  field.type = *type;
  return {};
}

}  // namespace

Problem twice_named(const std::vector<Schema::Field>& fields) {
  for (std::size_t i = 1; i < fields.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (fields[i].name == fields[j].name) {
        return {0, 0, "there are two fields '" + fields[i].name + "'"};
      }
    }
  }
  return {};
}

std::variant<std::vector<Schema::Field>, Problem> read_fields(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  std::vector<Schema::Field> fields;
  std::size_t at = text.find_first_not_of(blanks);
  while (at != std::string_view::npos) {
    const std::string_view word = text.substr(at, text.find_first_of(blanks, at) - at);
    Schema::Field field;
    Problem problem = read_field(word, at, field);
    if (!problem.message.empty()) return problem;
    fields.push_back(std::move(field));
    problem = twice_named(fields);
    if (!problem.message.empty()) {
      problem.offset = at;
      problem.bytes = word.size();
      return problem;
    }
    at = text.find_first_not_of(blanks, at + word.size());
  }
  return fields;
}

RecordParser::RecordParser(std::vector<Schema::Field> fields)
    : fields_(std::move(fields)), used_(fields_.size(), true) {}

std::variant<std::unique_ptr<RecordParser>, Problem> RecordParser::make(ParseOptions options) {
  const auto format = std::find_if(formats.begin(), formats.end(),
                                   [&](const Format& f) { return f.name == options.format; });
  if (format == formats.end()) return unknown_format(options.format);
  Problem problem = check(*format, options);
  if (!problem.message.empty()) return problem;
  return format->make(std::move(options));
}

void RecordParser::need(const std::vector<bool>& used) {
  SLUICE_ASSERT(used.size() == fields_.size(), "each field is needed or not");
  used_ = used;
}

void RecordParser::parse(const Column& texts, std::uint32_t size, std::span<Column> out,
                         TextArena& arena, std::vector<std::uint8_t>& bad) {
  SLUICE_ASSERT(size <= texts.cells.size(), "there is a text for each row");
  SLUICE_ASSERT(out.size() == fields_.size(), "there is a column for each field");
  RecordRow row(fields_, used_, out, size, arena);
  bad.assign(size, 0);
  for (std::uint32_t i = 0; i < size; ++i) {
    if (texts.is_null(i)) continue;
    row.move_to(i);
    if (read(texts.cells[i].view(), row)) continue;
    bad[i] = 1;
    row.set_all_null();
  }
  // Whoever reads a column without nulls need not look at each.
  for (std::size_t field = 0; field < fields_.size(); ++field) {
    std::vector<std::uint8_t>& nulls = out[field].nulls;
    if (used_[field] && std::find(nulls.begin(), nulls.end(), 1) == nulls.end()) nulls.clear();
  }
}

}  // namespace sluice::analytics
