// What a machine's Hadoop configuration says: core-site.xml and hdfs-site.xml.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// Properties by name.
class HadoopSite {
 public:
  /// Both files of a directory, as far as they are there; an empty name: none. Of equal names the
  /// last counts, as in Hadoop. Errors: Invalid, a file that cannot be read.
  Status add_directory(const std::string& directory);
  /// Text of one such file, `name` is for messages. Errors: Invalid.
  Status add(const std::string& text, const std::string& name);

  /// With ${other} replaced by the value of that name; empty when there is none.
  std::string value(std::string_view name) const;
  /// The same, cut at commas, without blanks.
  std::vector<std::string> values(std::string_view name) const;

 private:
  std::map<std::string, std::string, std::less<>> properties_;
};

}  // namespace sluice
