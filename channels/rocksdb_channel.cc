// The durable channel under its own name.
#include "channels/durable_settings.h"

namespace sluice {
namespace {

constexpr std::array own_keys{
    Key{.name = "directory",
        .type = KeyType::Path,
        .meaning =
            "Where the store lies; without it in the agent's state directory, shared with the "
            "other durable channels."},
    Key{.name = "minimumRequiredSpace",
        .type = KeyType::Bytes,
        .default_value = "64MiB",
        .meaning = "Nothing more is taken in while the disk has less than this left.",
        .min = 1 << 20},
};

constexpr auto keys = joined(durable_keys, own_keys);

constexpr ComponentInfo info{
    .alias = "rocksdb",
    .class_name = {},
    .meaning = "Keeps events on disk: what it has acknowledged survives a crash.",
    .keys = keys,
    .on_disk = true};

std::string store_directory(const Settings& settings) {
  return settings.has("directory") ? settings.text("directory") : "";
}

std::unique_ptr<Channel> make(const Settings& settings, ChannelContext context) {
  return make_durable(durable_options(settings, context), store_directory(settings), settings,
                      commit_options(settings), context);
}

}  // namespace

extern const ChannelType rocksdb_channel{&info, make, store_directory};

}  // namespace sluice
