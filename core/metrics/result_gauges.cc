#include "core/metrics/result_gauges.h"

#include <algorithm>

namespace sluice {
namespace {

bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

std::string metric_name(std::string_view column) {
  std::string name;
  for (const char c : column) name += is_letter(c) || is_digit(c) ? c : '_';
  // Names of labels that begin with two of them are Prometheus' own.
  if (name.empty() || is_digit(name[0]) || name.starts_with("__")) name.insert(0, "column_");
  return name;
}

}  // namespace

void ResultGauges::show(ResultFigures figures) {
  std::string name = figures.sink + "\n" + figures.output + "\n" + figures.step;
  auto shown = std::make_shared<const ResultFigures>(std::move(figures));
  const std::lock_guard lock(mutex_);
  all_[std::move(name)].swap(shown);
}

ResultGauges::All ResultGauges::all() const {
  const std::lock_guard lock(mutex_);
  return all_;
}

std::vector<std::string> metric_names(const std::vector<std::string>& columns,
                                      std::vector<std::string> taken) {
  std::vector<std::string> names;
  for (const std::string& column : columns) {
    const std::string wanted = metric_name(column);
    std::string name = wanted;
    for (int number = 2; std::count(taken.begin(), taken.end(), name) > 0; ++number) {
      name = wanted + "_" + std::to_string(number);
    }
    taken.push_back(name);
    names.push_back(std::move(name));
  }
  return names;
}

}  // namespace sluice
