#include "agent/event_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/config/source_text.h"
#include "core/wire/base64.h"

namespace sluice {

std::string event_json(std::uint64_t sequence, const Event& event, const Origin& origin) {
  using Json = nlohmann::ordered_json;
  Json json;
  json["sequence"] = sequence;
  json["origin"] = {{"id", to_string(origin.id)}, {"sequence", origin.sequence}};
  json["headers"] = Json::object();
  event.headers.for_each([&json](std::string_view name, std::string_view value) {
    if (is_utf8(name) && is_utf8(value)) {
      json["headers"][std::string(name)] = value;
    } else {
      json["headersBase64"][base64(name)] = base64(value);
    }
  });
  if (is_utf8(event.body)) {
    json["body"] = event.body;
  } else {
    json["bodyBase64"] = base64(event.body);
  }
  return json.dump();
}

std::string to_string(const OriginId& id) { return fmt::format("{:016x}{:016x}", id.high, id.low); }

}  // namespace sluice
