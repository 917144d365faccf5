#include "core/wire/event_text.h"

namespace sluice {

void append_headers_text(std::string& out, const HeaderView& headers) {
  out += '{';
  bool first = true;
  headers.for_each([&](std::string_view name, std::string_view value) {
    if (!first) out += ", ";
    first = false;
    out += name;
    out += '=';
    out += value;
  });
  out += '}';
}

void append_headers_and_body(std::string& out, const Event& event) {
  append_headers_text(out, event.headers);
  out += ' ';
  out += event.body;
}

}  // namespace sluice
