// The keys of compression and of who may connect, which Flume's avro components have.
#pragma once

#include <string>

#include "core/config/component.h"
#include "core/config/settings.h"

namespace sluice {

inline constexpr Key compression_keys[] = {
    {.name = "compression-type",
     .type = KeyType::Choice,
     .default_value = "none",
     .meaning = "What the connection is compressed with; both sides must say the same.",
     .choices = "none deflate",
     .bad_means_default = true},
};

/// Of a sink, besides: a source sees what comes.
inline constexpr Key compression_client_keys[] = {
    {.name = "compression-level",
     .type = KeyType::Integer,
     .default_value = "6",
     .meaning = "How hard deflate tries: 0 not at all, 9 most.",
     .min = 0,
     .max = 9,
     .bad_means_default = true},
    {.name = "compression-order",
     .type = KeyType::Choice,
     .default_value = "outside",
     .meaning = "With ssl: compression outside of the encryption, as Flume 1.10 and 1.11 have it "
                "(which makes nothing shorter), or inside, as Flume 1.9 has it. Our own sources "
                "take both.",
     .choices = "outside inside"},
};

inline constexpr Key ip_filter_keys[] = {
    {.name = "ipFilter",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Accept connections by ipFilterRules."},
    {.name = "ipFilterRules",
     .type = KeyType::Text,
     .meaning = "Rules allow|deny:ip|name:pattern with commas between them; the first that fits "
                "decides, and who fits none is accepted."},
};

inline bool is_deflated(const Settings& settings) {
  return settings.text("compression-type") == "deflate";
}

}  // namespace sluice
