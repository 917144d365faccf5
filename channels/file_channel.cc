// Flume's file channel.
#include "channels/durable_settings.h"

namespace sluice {
namespace {

constexpr auto keys = forgiving(joined(durable_keys, file_channel_keys));

constexpr ComponentInfo info{.alias = "file",
                             .class_name = "org.apache.flume.channel.file.FileChannel",
                             .meaning = "Flume's file channel, served by the durable channel.",
                             .keys = keys,
                             .judge = judge_required_space,
                             .on_disk = true};

std::string store_directory(const Settings& settings) {
  return file_channel_settings(settings).directory;
}

std::unique_ptr<Channel> make(const Settings& settings, ChannelContext context) {
  DurableChannel::Options options = durable_options(settings, context);
  FileChannelSettings file = file_channel_settings(settings);
  options.flume_directories = std::move(file.data_dirs);
  return make_durable(std::move(options), file.directory, settings, file.commits, context);
}

}  // namespace

extern const ChannelType file_channel{&info, make, store_directory};

}  // namespace sluice
