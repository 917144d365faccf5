// What the settings of a spooling directory source mean.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/config/settings.h"
#include "core/wire/text_decoder.h"
#include "sources/file_lines.h"
#include "sources/line_groups.h"
#include "sources/spool_directory.h"

namespace sluice::spooldir {

/// The deserializer, under its alias (Flume's may be in small letters too) or its class name.
bool is_blob(const Settings& settings);
bool is_line(const Settings& settings);
bool is_avro(const Settings& settings);

/// Absolute paths, whatever the settings say.
std::string directory_path(const Settings& settings);
std::string tracker_path(const Settings& settings);
std::string position_path(const Settings& settings);
std::string ignored_path(const Settings& settings);
/// What the names of the source's notes in a store begin with.
std::string note_prefix(const Settings& settings);

bool is_same_charset(std::string_view a, std::string_view b);
/// Null when bytes pass as they are. Errors: Invalid, the charset is not known.
Result<std::shared_ptr<TextDecoder>> make_decoder(const Settings& settings);
FileLines::Options lines_options(const Settings& settings, std::shared_ptr<const LineGroups> groups,
                                 std::shared_ptr<TextDecoder> decoder);
/// Errors: Invalid, a pattern is none.
Result<SpoolDirectory::Options> directory_options(const Settings& settings);

}  // namespace sluice::spooldir
