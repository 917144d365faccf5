// Bytes as records of every format: reading must end, within bounds, with cells inside the input or
// the arena, and nothing may depend on what else is needed. The first byte picks the
// format; a zero and a line feed end each record.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "analytics/record_parser.h"
#include "fuzz/byte_file.h"

namespace sluice::analytics {
namespace {

ParseOptions options_for(unsigned choice) {
  constexpr const char* formats[] = {"text",   "json",     "csv", "tsv",   "kv",
                                     "logfmt", "combined", "clf", "regex", "kv"};
  ParseOptions options;
  options.format = formats[choice % 10];
  const bool logs = options.format == "combined" || options.format == "clf";
  (logs ? options.extra : options.fields) = {{"a", ColumnType::Int},
                                             {"b", ColumnType::Text},
                                             {"c", ColumnType::Double},
                                             {"d", ColumnType::Bool},
                                             {"b.e", ColumnType::Text}};
  if (options.format == "text") options.fields.resize(1);
  if (options.format == "regex") options.pattern = R"((\d+)?(\p{L}*)[ ,]?(\S*)(?<=(.))(.*))";
  if (choice % 10 == 9) {
    options.pair_separator = ", ";
    options.key_value_separator = ": ";
  }
  return options;
}

struct Parsed {
  std::vector<Column> columns;
  std::vector<std::uint8_t> bad;
  TextArena arena;
};

std::unique_ptr<RecordParser> parse(unsigned choice, const std::vector<bool>& used,
                                    const Column& texts, Parsed& out) {
  auto made = RecordParser::make(options_for(choice));
  auto parser = std::get<std::unique_ptr<RecordParser>>(std::move(made));
  if (!used.empty()) parser->need(used);
  out.columns.resize(parser->fields().size());
  parser->parse(texts, static_cast<std::uint32_t>(texts.cells.size()), out.columns, out.arena,
                out.bad);
  return parser;
}

void check(unsigned choice, std::string_view bytes) {
  // Each record in memory of its own size.
  std::vector<std::unique_ptr<char[]>> memory;
  Column texts;
  while (!bytes.empty()) {
    const std::string_view record = bytes.substr(0, bytes.find(std::string_view("\0\n", 2)));
    bytes.remove_prefix(std::min(bytes.size(), record.size() + 2));
    memory.push_back(std::make_unique<char[]>(record.size()));
    record.copy(memory.back().get(), record.size());
    texts.push_back(Cell::of(std::string_view(memory.back().get(), record.size())));
  }
  Parsed all;
  const auto parser = parse(choice, {}, texts, all);
  const std::vector<Schema::Field>& fields = parser->fields();
  std::vector<bool> used;
  for (std::size_t i = 0; i < fields.size(); ++i) used.push_back(i % 3 == choice % 3);
  Parsed some;
  parse(choice, used, texts, some);
  require(some.bad == all.bad, "what is bad depends on nothing else");
  std::size_t sum = 0;
  for (std::size_t field = 0; field < fields.size(); ++field) {
    for (std::size_t row = 0; row < texts.cells.size(); ++row) {
      const bool null = all.columns[field].is_null(row);
      require(null || all.bad[row] == 0, "a bad record has nulls");
      if (used[field]) require(some.columns[field].is_null(row) == null, "nulls are the same");
      if (null || fields[field].type != ColumnType::Text) continue;
      const std::string_view text = all.columns[field].cells[row].view();
      sum += std::hash<std::string_view>()(text);  // reads each byte
      if (used[field]) require(some.columns[field].cells[row].view() == text, "texts are the same");
    }
  }
  require(sum != 1, "");
}

}  // namespace
}  // namespace sluice::analytics

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  sluice::analytics::check(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}
