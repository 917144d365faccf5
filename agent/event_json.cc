#include "agent/event_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/config/source_text.h"
#include "core/event/origin_text.h"
#include "core/wire/base64.h"

namespace sluice {
namespace {

/// As it stands in JSON. Most log lines need no escape, and the library looks at each byte.
void append_quoted(std::string& out, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
  if (plain) {
    out.append(1, '"').append(text).append(1, '"');
  } else {
    out += nlohmann::json(text).dump();
  }
}

void append_member(std::string& out, std::string_view name, std::string_view value) {
  if (out.back() != '{') out += ',';
  append_quoted(out, name);
  out += ':';
  append_quoted(out, value);
}

}  // namespace

std::string event_json(std::uint64_t sequence, const Event& event, const Origin& origin) {
  std::string line = fmt::format(R"({{"sequence":{},"origin":{{"id":"{}","sequence":{}}})",
                                 sequence, to_string(origin.id), origin.sequence);
  std::string in_base64 = "{";
  line += R"(,"headers":{)";
  event.headers.for_each([&](std::string_view name, std::string_view value) {
    if (is_utf8(name) && is_utf8(value)) {
      append_member(line, name, value);
    } else {
      append_member(in_base64, base64(name), base64(value));
    }
  });
  line += '}';
  if (in_base64 != "{") line += R"(,"headersBase64":)" + in_base64 + '}';
  if (is_utf8(event.body)) {
    append_member(line, "body", event.body);
  } else {
    append_member(line, "bodyBase64", base64(event.body));
  }
  line += '}';
  return line;
}

}  // namespace sluice
