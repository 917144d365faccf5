#include "core/hadoop/hadoop_site.h"

#include <boost/property_tree/xml_parser.hpp>
#include <sstream>
#include <utility>

#include "core/base/file.h"

namespace sluice {
namespace {

constexpr std::size_t file_bytes_max = 8 << 20;
constexpr int replacements_max = 20;  // as in Hadoop: a name may stand for itself

std::string trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == text.npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(blanks) - begin + 1));
}

}  // namespace

Status HadoopSite::add_directory(const std::string& directory) {
  if (directory.empty()) return {};
  for (const char* const name : {"core-site.xml", "hdfs-site.xml"}) {
    const std::string path = directory + "/" + name;
    FileSystem& files = FileSystem::real();
    const auto there = files.size_of(path);
    if (there.ok() && !there.value().has_value()) continue;
    auto text = files.read(path, 0, file_bytes_max);
    if (!text.ok()) return Invalid(text.status().message());
    if (Status status = add(*text, path); !status.ok()) return status;
  }
  return {};
}

Status HadoopSite::add(const std::string& text, const std::string& name) {
  namespace xml = boost::property_tree;
  xml::ptree tree;
  std::istringstream in(text);
  try {
    xml::read_xml(in, tree, xml::xml_parser::no_comments);
  } catch (const xml::xml_parser_error& error) {
    return Invalid(name + ":" + std::to_string(error.line()) + ": " + error.message());
  }
  const auto configuration = tree.get_child_optional("configuration");
  if (!configuration) return Invalid(name + " has no <configuration>");
  for (const auto& [tag, property] : *configuration) {
    if (tag != "property") continue;
    const std::string key = trimmed(property.get("name", ""));
    if (!key.empty()) properties_[key] = trimmed(property.get("value", ""));
  }
  return {};
}

std::string HadoopSite::value(std::string_view name) const {
  const auto found = properties_.find(name);
  if (found == properties_.end()) return {};
  std::string text = found->second;
  std::size_t from = 0;
  for (int i = 0; i < replacements_max; ++i) {
    const std::size_t begin = text.find("${", from);
    const std::size_t end = begin == text.npos ? begin : text.find('}', begin);
    if (end == text.npos) break;
    const auto other = properties_.find(text.substr(begin + 2, end - begin - 2));
    if (other == properties_.end()) {
      from = end + 1;  // a property of Java's, say; it stays as it is
    } else {
      text.replace(begin, end - begin + 1, other->second);
    }
  }
  return text;
}

std::vector<std::string> HadoopSite::values(std::string_view name) const {
  std::vector<std::string> all;
  std::istringstream in(value(name));
  for (std::string each; std::getline(in, each, ',');) {
    if (std::string text = trimmed(each); !text.empty()) all.push_back(std::move(text));
  }
  return all;
}

}  // namespace sluice
