// YAML, read into the same flat keys as properties.
#pragma once

#include "core/config/document.h"
#include "core/config/source_text.h"

namespace sluice {

/// Reads a YAML configuration. Never fails: what cannot be read is a diagnostic at its place.
///
/// Nesting becomes dots, and keys may hold dots themselves: `a1: {sources: {r1: {type: seq}}}`,
/// `a1.sources.r1.type: seq` and mixtures mean the same. A sequence of words becomes Flume's
/// blank-separated list. A sequence of maps with a `name` becomes the list of the names and the
/// keys below each. Where Flume wants a list line besides the components (sources, channels, sinks,
/// sinkgroups, configfilters, interceptors), the names below it are the list.
///
/// `null`, `true` and numbers keep their spelling (`type: null` is Flume's null sink). Duplicate
/// keys are kept, in order, so that the later wins as in properties.
///
/// Bounds: kYamlBytesMax of text, kYamlDepthMax levels, kConfigEntriesMax entries and kYamlBytesMax
/// of produced values, so that aliases cannot explode.
Document parse_yaml(const SourceText& source);

inline constexpr std::size_t kYamlBytesMax = std::size_t{1} * 1024 * 1024;
inline constexpr int kYamlDepthMax = 32;

}  // namespace sluice
