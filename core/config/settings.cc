#include "core/config/settings.h"

#include <algorithm>

namespace sluice {
namespace {

bool is_pattern(std::string_view name) noexcept { return name.ends_with(".*"); }

}  // namespace

Settings::Settings(std::string component, std::string name, const ComponentInfo& info,
                   std::map<std::string, Value, std::less<>> values)
    : component_(std::move(component)),
      name_(std::move(name)),
      info_(&info),
      values_(std::move(values)) {}

const Key& Settings::key_info(std::string_view key) const {
  const Key* pattern = nullptr;
  for (const Key& each : info_->keys) {
    if (each.name == key) return each;
    if (is_pattern(each.name) && key.starts_with(each.name.substr(0, each.name.size() - 1))) {
      pattern = &each;
    }
  }
  SLUICE_ASSERT(pattern != nullptr, "a key that is not in the component's table");
  return *pattern;
}

std::string Settings::value_or_default(std::string_view key) const {
  const Key& info = key_info(key);
  const auto found = values_.find(key);
  return found == values_.end() ? std::string(info.default_value) : found->second.text;
}

bool Settings::knows(std::string_view key) const noexcept {
  return std::any_of(info_->keys.begin(), info_->keys.end(),
                     [&](const Key& each) { return each.name == key; });
}

bool Settings::has(std::string_view key) const {
  key_info(key);
  return values_.find(key) != values_.end();
}

Position Settings::where(std::string_view key) const {
  const auto found = values_.find(key);
  if (found != values_.end()) return found->second.where;
  for (const auto& [list, parts] : parts_) {
    if (!key.starts_with(list + ".")) continue;
    for (const Settings& part : parts) {
      const std::string stem = list + "." + part.name() + ".";
      if (key.starts_with(stem)) return part.where(key.substr(stem.size()));
    }
  }
  const auto first = std::min_element(
      values_.begin(), values_.end(),
      [](const auto& a, const auto& b) { return a.second.order < b.second.order; });
  return first == values_.end() ? Position() : first->second.where;
}

const std::vector<Settings>& Settings::parts(std::string_view list) const {
  static const std::vector<Settings> none;
  const auto found = parts_.find(list);
  return found == parts_.end() ? none : found->second;
}

std::string Settings::text(std::string_view key) const {
  const Key& info = key_info(key);
  std::string value = value_or_default(key);
  if (info.type != KeyType::Choice || value.empty()) return value;
  auto choice = parse_choice(value, info.choices);
  SLUICE_ASSERT(choice.ok(), "the loader let a bad choice through");
  return std::string(*choice);
}

std::int64_t Settings::integer(std::string_view key) const {
  SLUICE_ASSERT(key_info(key).type == KeyType::Integer, "not an Integer key");
  auto value = parse_integer(value_or_default(key));
  SLUICE_ASSERT(value.ok(), "an Integer key without a number and without a default");
  return *value;
}

bool Settings::boolean(std::string_view key) const {
  SLUICE_ASSERT(key_info(key).type == KeyType::Boolean, "not a Boolean key");
  auto value = parse_boolean(value_or_default(key));
  SLUICE_ASSERT(value.ok(), "a Boolean key without a value and without a default");
  return *value;
}

std::chrono::milliseconds Settings::duration(std::string_view key) const {
  const KeyType type = key_info(key).type;
  SLUICE_ASSERT(type == KeyType::Millis || type == KeyType::Seconds, "not a duration key");
  const std::chrono::milliseconds unit(type == KeyType::Seconds ? 1000 : 1);
  auto value = parse_duration(value_or_default(key), unit);
  SLUICE_ASSERT(value.ok(), "a duration key without a value and without a default");
  return *value;
}

std::uint64_t Settings::bytes(std::string_view key) const {
  SLUICE_ASSERT(key_info(key).type == KeyType::Bytes, "not a Bytes key");
  auto value = parse_bytes(value_or_default(key));
  SLUICE_ASSERT(value.ok(), "a Bytes key without a value and without a default");
  return *value;
}

TimeOrSize Settings::time_or_size(std::string_view key) const {
  SLUICE_ASSERT(key_info(key).type == KeyType::TimeOrSize, "not a TimeOrSize key");
  auto value = parse_time_or_size(value_or_default(key));
  SLUICE_ASSERT(value.ok(), "a TimeOrSize key without a value and without a default");
  return *value;
}

std::uint16_t Settings::port(std::string_view key) const {
  SLUICE_ASSERT(key_info(key).type == KeyType::Port, "not a Port key");
  auto value = parse_port(value_or_default(key));
  SLUICE_ASSERT(value.ok(), "a Port key without a value and without a default");
  return *value;
}

std::vector<std::string> Settings::list(std::string_view key) const {
  SLUICE_ASSERT(key_info(key).type == KeyType::List, "not a List key");
  return parse_list(value_or_default(key));
}

std::vector<std::pair<std::string, std::string>> Settings::below(std::string_view prefix) const {
  const std::string start = std::string(prefix) + ".";
  std::vector<std::pair<std::uint32_t, std::pair<std::string, std::string>>> ordered;
  for (auto each = values_.lower_bound(start);
       each != values_.end() && each->first.starts_with(start); ++each) {
    ordered.push_back({each->second.order, {each->first.substr(start.size()), each->second.text}});
  }
  std::sort(ordered.begin(), ordered.end());
  std::vector<std::pair<std::string, std::string>> result;
  for (auto& [order, pair] : ordered) result.push_back(std::move(pair));
  return result;
}

}  // namespace sluice
