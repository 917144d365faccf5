// What a component tells the rest of the house about itself: its names and its keys.
//
// These tables are the single place where a key is described: the loader checks values against
// them, `sluice check` explains keys from them, and the pages in docs/components are compared with
// them by a test.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/diagnostics.h"

namespace sluice {

enum class KeyType : unsigned char {
  Text,     ///< Any text.
  Integer,  ///< Decimal digits; also k, M, G (powers of ten) which Flume would refuse.
  Boolean,  ///< true or false in any case; anything else is false with a warning (Flume: silently).
  Millis,   ///< A duration; a bare number means milliseconds. Units: ms s m h d.
  Seconds,  ///< A duration; a bare number means seconds. Units: ms s m h d.
  Bytes,    ///< A size; a bare number means bytes. Units: k M G (1000), Ki Mi Gi (1024), also
            ///< "KB", "MiB".
  TimeOrSize,  ///< A duration, a size, or both; each with its unit.
  List,        ///< Words separated by blanks (YAML: also a sequence).
  Choice,      ///< One of `choices`, in any case.
  Port,        ///< 0..65535; 0 lets the system choose.
  Path,        ///< A file or directory.
  Pattern,     ///< A regular expression (core/base/java_pattern.h).
  Ignored,     ///< Known from Flume, accepted, has no meaning here; `meaning` says why.
};

/// One key of a component.
struct Key {
  std::string_view name;  ///< Flume's exact spelling. "headers.*" stands for every key below it.
  KeyType type = KeyType::Text;
  std::string_view default_value = {};  ///< As it would be written in a file; empty: none.
  std::string_view meaning = {};        ///< One sentence for `sluice check` and the docs.
  bool required = false;
  std::int64_t min = std::numeric_limits<std::int64_t>::min();  ///< In the type's own unit.
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
  std::string_view choices = {};            ///< Choice: the words, separated by blanks.
  std::string_view choices_not_built = {};  ///< Choice: words that only Flume knows so far.
  std::string_view old_names = {};  ///< Deprecated spellings that still work, separated by blanks.
  /// A value that does not fit is a warning and the default is used, as Flume's memory channel
  /// does; otherwise the component is left out.
  bool bad_means_default = false;
};

class Settings;
struct ComponentInfo;

/// Parts that a component is made of, in an order of their own: `steps = p w` and `steps.p.type`.
struct PartList {
  std::string_view list;  ///< The key of the list: "steps".
  std::string_view kind;  ///< In messages: "step".
  /// The key of a part that names a channel it writes to; empty: parts of this list have none.
  std::string_view channel_key = {};
  std::span<const ComponentInfo* const> types = {};
};

/// What a component says of its own settings, beside what the table says of each.
struct Finding {
  Severity severity = Severity::Error;  ///< Error: the component is left out.
  std::string key;  ///< Of the table, in one of its families, or of a part: "steps.p.where".
  std::string message;
  std::string hint = {};
  std::size_t offset = 0;  ///< Where in the value: bytes from its start.
};

/// One of the keys that a shorthand stands for.
struct LongForm {
  std::string key;
  std::string value;
  std::size_t offset = 0;  ///< Where in the shorthand's value it is said.
};

/// A key whose value says in short what others say at length: lists of parts, and their keys.
struct Shorthand {
  std::string_view key;
  /// None, with findings about `key`, when it cannot be understood.
  std::vector<LongForm> (*write_out)(std::string_view text, std::vector<Finding>& findings);
};

/// A type of source, channel, sink or interceptor, or of a part of one.
struct ComponentInfo {
  std::string_view alias;  ///< "netcat"; compared in any case. Empty: only the class name.
  std::string_view class_name =
      {};                    ///< "org.apache.flume.source.NetcatSource"; empty: not Flume's.
  std::string_view meaning;  ///< One sentence.
  std::span<const Key> keys;
  std::span<const PartList> parts = {};  ///< No key of the table begins with the name of a list.
  const Shorthand* shorthand = nullptr;
  bool built = true;  ///< false: known from Flume, not built yet; such a component is left out.
  /// Names of the key that holds its batch size, for Flume's rule that it must not exceed the
  /// channel's transactionCapacity; empty: Flume does not judge this component.
  std::string_view batch_size_key = {};
  /// Looks at values that only the component understands, or that must fit together. Connects to
  /// nothing. Null: the table says all.
  std::vector<Finding> (*judge)(const Settings& settings) = nullptr;
  bool on_disk = false;     ///< Of a channel: what is inside is there after a restart.
  bool has_others = false;  ///< Of a channel: other agents may write to it, or read it.
  bool reads_long = false;  ///< Of a sink: it commits by itself, so no group may hold it.
  /// Of a sink: true when no other one may read its channel, which has to be on disk. Null: never.
  bool (*wants_channel_to_itself)(const Settings& settings) = nullptr;
};

/// Every type the agent knows. The spans outlive everything that is made from them.
struct Catalog {
  std::span<const ComponentInfo* const> sources;
  std::span<const ComponentInfo* const> channels;
  std::span<const ComponentInfo* const> sinks;
  std::span<const ComponentInfo* const> interceptors;
};

}  // namespace sluice
