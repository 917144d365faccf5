// Reading records into columns, a chunk at a time: access logs of courses, and the other formats.

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "analytics/record_parser.h"
#include "bench/micro.h"

namespace sluice::bench {
namespace {

using namespace analytics;

constexpr std::size_t chunks = 64;

/// Lines one behind the other in one block, as in a slab.
struct Input {
  template <typename Line>
  explicit Input(Line line) {
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i < chunks * Rows::chunk; ++i) {
      block += line(i);
      ends.push_back(block.size());
      block += '\n';
    }
    std::size_t begin = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      if (i % Rows::chunk == 0) texts.emplace_back();
      texts.back().push_back(Cell::of(std::string_view(block).substr(begin, ends[i] - begin)));
      begin = ends[i] + 1;
    }
  }
  std::string block;
  std::vector<Column> texts;
};

std::string access_line(std::size_t i) {
  char line[500];
  std::snprintf(line, sizeof line,
                "10.%zu.%zu.%zu - - [17/May/2015:%02zu:%02zu:%02zu +0000] \"GET "
                "/course/%zu.html?from=%zu HTTP/1.1\" %d %zu \"http://example.com/class/%zu.html\" "
                "\"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_9_1) AppleWebKit/537.36 (KHTML, like "
                "Gecko) Chrome/32.0.1700.77 Safari/537.36\" 0.%03zu",
                i % 7, i % 251, i % 199, i / 3600 % 24, i / 60 % 60, i % 60, i * 7919 % 1000, i % 5,
                i % 17 == 0 ? 404 : 200, i * 31 % 90'000, i % 100, i % 1000);
  return line;
}

std::string json_line(std::size_t i) {
  return "{\"user\":{\"id\":" + std::to_string(i) + ",\"name\":\"someone\"},\"item\":\"book " +
         std::to_string(i % 100) + "\",\"amount\":" + std::to_string(i % 1000) +
         ".25,\"tags\":[\"a\",\"b\",\"c\"],\"ok\":true,\"comment\":\"no more than a few words\"}";
}

std::string csv_line(std::size_t i) {
  return std::to_string(i) + ",\"book " + std::to_string(i % 100) + "\"," +
         std::to_string(i % 1000) + ".25,2026-01-02,Berlin";
}

std::string logfmt_line(std::size_t i) {
  return "at=info method=GET path=/course/" + std::to_string(i % 1000) +
         " msg=\"a few words\" status=200 ms=" + std::to_string(i % 1000);
}

void run(const char* what, ParseOptions options, const Input& input,
         const std::vector<std::string_view>& needed) {
  auto made = RecordParser::make(std::move(options));
  auto& parser = *std::get<std::unique_ptr<RecordParser>>(made);
  std::vector<bool> used;
  for (const Schema::Field& field : parser.fields()) {
    used.push_back(needed.empty() ||
                   std::find(needed.begin(), needed.end(), field.name) != needed.end());
  }
  parser.need(used);
  std::vector<Column> out(parser.fields().size());
  std::vector<std::uint8_t> bad;
  TextArena arena;
  measure(what, chunks * Rows::chunk, [&] {
    for (const Column& texts : input.texts) {
      arena.clear();
      parser.parse(texts, Rows::chunk, out, arena, bad);
      keep(out.data());
    }
  });
  if (std::count(bad.begin(), bad.end(), 0) != Rows::chunk) std::abort();
  std::printf("  %zu bytes a record\n", input.block.size() / (chunks * Rows::chunk));
}

ParseOptions options_of(const char* format, std::string_view fields) {
  ParseOptions options;
  options.format = format;
  options.fields = std::get<std::vector<Schema::Field>>(read_fields(fields));
  return options;
}

void run_all() {
  const Input access(access_line);
  ParseOptions combined = options_of("combined", "");
  combined.extra = {{"latency", ColumnType::Double}};
  run("combined, all fields", combined, access, {});
  run("combined, path status latency", combined, access, {"path", "status", "latency"});
  run("clf, all fields", options_of("clf", ""), access, {});
  run("json, 4 of 8 members", options_of("json", "user.id:int item amount:double ok:bool"),
      Input(json_line), {});
  run("csv, 3 of 5", options_of("csv", "user:int item amount:double"), Input(csv_line), {});
  run("logfmt, 3 of 6", options_of("logfmt", "path status:int ms:int"), Input(logfmt_line), {});
  run("kv, 3 of 6", options_of("kv", "path status:int ms:int"), Input(logfmt_line), {});
  ParseOptions regex = options_of("regex", "path status:int");
  regex.pattern = R"("\w+ ([^ ?]+)[^"]*" (\d+))";
  run("regex on access lines, 2 groups", regex, access, {});
}

}  // namespace
}  // namespace sluice::bench

int main() { sluice::bench::run_all(); }
