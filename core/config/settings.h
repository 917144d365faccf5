// The values of one component, checked against its key table, with their places in the file.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/config/component.h"
#include "core/config/position.h"
#include "core/config/values.h"

namespace sluice {

/// Typed access to one component's keys.
///
/// Values were checked when the file was loaded, so an accessor never fails: it returns the value
/// of the file or else the key's default. Asking for a key that is not in the component's table, or
/// as another type, is a programming error (asserted). Immutable; safe to read from any thread.
class Settings {
 public:
  struct Value {
    std::string text;
    Position where;           ///< Of the value.
    std::uint32_t order = 0;  ///< Rises with the order of the files and lines.
  };
  /// `component` names it in messages: "source r1". `values` is keyed by the table's spelling
  /// (old names already replaced). REQUIRES: every value passed check_value() of its key.
  Settings(std::string component, std::string name, const ComponentInfo& info,
           std::map<std::string, Value, std::less<>> values);
  using Parts = std::map<std::string, std::vector<Settings>, std::less<>>;
  /// The parts of each list of `info`, in its order.
  void set_parts(Parts parts) { parts_ = std::move(parts); }

  const std::string& component() const noexcept { return component_; }  ///< "source r1"
  const std::string& name() const noexcept { return name_; }            ///< "r1"
  const ComponentInfo& info() const noexcept { return *info_; }

  /// True when the component's type has the key.
  bool knows(std::string_view key) const noexcept;
  /// True when the file sets the key.
  bool has(std::string_view key) const;
  /// Where the file sets it; otherwise where the component begins. Knows "steps.p.where", too.
  Position where(std::string_view key) const;

  /// As it is in the file, or the default.
  std::string raw(std::string_view key) const { return value_or_default(key); }
  std::string text(std::string_view key) const;  ///< Text, Path, Pattern, Choice (as in the table).
  std::int64_t integer(std::string_view key) const;
  bool boolean(std::string_view key) const;
  std::chrono::milliseconds duration(std::string_view key) const;  ///< Millis and Seconds.
  std::uint64_t bytes(std::string_view key) const;
  TimeOrSize time_or_size(std::string_view key) const;
  std::uint16_t port(std::string_view key) const;
  std::vector<std::string> list(std::string_view key) const;

  /// Keys below a "prefix.*" entry of the table: ("k", "v") for "prefix.k = v", in file order.
  std::vector<std::pair<std::string, std::string>> below(std::string_view prefix) const;

  /// The parts of a list of the component's type, in the order of the file.
  const std::vector<Settings>& parts(std::string_view list) const;

 private:
  const Key& key_info(std::string_view key) const;
  std::string value_or_default(std::string_view key) const;

  std::string component_;
  std::string name_;
  const ComponentInfo* info_;
  std::map<std::string, Value, std::less<>> values_;
  Parts parts_;
};

}  // namespace sluice
