#include "tests/config/helpers.h"

#include "tests/config/test_catalog.h"

namespace sluice {

Loaded load_text(const std::string& text, const std::string& file,
                 const SubstitutionSources& sources) {
  SubstitutionSources closed = sources;
  if (!closed.environment) {
    closed.environment = [](const std::string&) { return std::optional<std::string>(); };
  }
  std::vector<SourceText> texts;
  texts.emplace_back(file, text);
  return load_texts(std::move(texts), closed);
}

Plan plan_text(const std::string& text, const std::string& agent) {
  return make_plan(load_text(text).tree, agent, test_catalog());
}

std::string at(const Position& where) {
  return where.file + ":" + std::to_string(where.line) + ":" + std::to_string(where.column) + "+" +
         std::to_string(where.length);
}

std::string told(const std::vector<Diagnostic>& diagnostics, const std::string& part) {
  for (const Diagnostic& each : diagnostics) {
    if (each.message.find(part) == std::string::npos && each.hint.find(part) == std::string::npos) {
      continue;
    }
    return std::string(to_string(each.severity)) + " " + at(each.where) + " " + each.message +
           " | " + each.hint;
  }
  return {};
}

std::string value_of(const Tree& tree, const std::string& key) {
  const Entry* entry = tree.find(key);
  return entry == nullptr ? "(none)" : entry->value;
}

std::string left_out(const Plan& plan) {
  std::string result;
  for (const LeftOut& each : plan.left_out) {
    result += (result.empty() ? "" : "; ") + each.component + ": " + each.because;
  }
  return result;
}

}  // namespace sluice
