// Events as text: Flume's `text` and `header_and_text` serializers.
#pragma once

#include <string>

#include "core/event/batch.h"

namespace sluice {

/// Appends `{k=v, k2=v2}`; `{}` without headers. In the order in which the headers were set.
void append_headers_text(std::string& out, const HeaderView& headers);

/// Appends headers, a blank and the body, as Flume's header_and_text serializer does.
void append_headers_and_body(std::string& out, const Event& event);

}  // namespace sluice
