// Reading one component: its type from the catalog, its keys against the type's table.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/config/component.h"
#include "core/config/diagnostics.h"
#include "core/config/document.h"
#include "core/config/settings.h"

namespace sluice {

/// A key of a component as the file has it. Refers into the Tree.
struct RawKey {
  std::string name;  ///< Behind the component's name: "max-line-length".
  const Entry* entry = nullptr;
  std::size_t offset = 0;   ///< Where `name` begins in entry->key.
  std::uint32_t order = 0;  ///< Of the entry in the tree.
};

/// Everything the file says about one component.
struct RawComponent {
  std::string label;  ///< "source r1"
  std::string name;   ///< "r1"
  Position where;     ///< Its first key, or its place in the list line.
  std::vector<RawKey> keys;

  /// Null when the file does not set it, or sets it to nothing.
  const RawKey* find(std::string_view key) const;
  /// The keys below "prefix." as a component of their own.
  RawComponent below(std::string_view prefix, std::string label_below) const;
};

/// Why a component cannot run.
struct Reason {
  std::string because;
  Position where;
  bool not_built = false;
};

/// The type of this name: its alias in any case, or its class name, with or without "$Builder".
const ComponentInfo* find_type(std::span<const ComponentInfo* const> types, std::string_view name);

/// Reads components, adding what it finds wrong to `diagnostics`.
class ComponentReader {
 public:
  explicit ComponentReader(std::vector<Diagnostic>& diagnostics) : diagnostics_(diagnostics) {}

  /// The component's type; null, with a reason, when it has none, or one that cannot run here.
  /// `kind` is "source", "sink", ...
  const ComponentInfo* type_of(const RawComponent& raw, std::string_view kind,
                               std::span<const ComponentInfo* const> types,
                               std::vector<Reason>& reasons);

  /// The checked settings; nothing, with reasons, when a value does not fit or a required key is
  /// missing. `common` are keys that every component of its kind has ("prefix.*" for families).
  std::optional<Settings> settings_of(const RawComponent& raw, const ComponentInfo& info,
                                      std::span<const std::string_view> common,
                                      std::vector<Reason>& reasons);

  /// The parts of a list, in its order; those that cannot run are reasons, for the component cannot
  /// do without. What is configured and not listed costs a warning.
  std::vector<Settings> parts_of(const RawComponent& raw, const PartList& list,
                                 std::vector<Reason>& reasons);

  /// nearest_name(), while there are few problems: a file with thousands of them is no misspelling.
  std::string_view nearest(std::string_view word, const std::vector<std::string_view>& names);

  void error(Position where, std::string message, std::string hint = "");
  void warning(Position where, std::string message, std::string hint = "");
  void note(Position where, std::string message, std::string hint = "");

 private:
  using Values = std::map<std::string, Settings::Value, std::less<>>;

  bool write_out(const Shorthand& shorthand, RawComponent& raw, std::deque<Entry>& entries,
                 std::vector<Reason>& reasons);
  void tell(const std::string& label, Finding finding, Position where,
            std::vector<Reason>& reasons);

  void read_key(const RawComponent& raw, const RawKey& key, const ComponentInfo& info,
                std::span<const std::string_view> common, Values& values,
                std::vector<Reason>& reasons);
  void bad_value(const std::string& label, const std::string& name, const Key& known,
                 const Entry& entry, const Status& why, std::vector<Reason>& reasons);
  void judge(const Settings& settings, std::vector<Reason>& reasons);
  void unknown_key(const RawComponent& raw, const RawKey& key, const ComponentInfo& info,
                   std::span<const std::string_view> common);

  void say(Severity severity, Position where, std::string message, std::string hint);
  std::string type_hint(std::string_view name, std::span<const ComponentInfo* const> types);

  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace sluice
