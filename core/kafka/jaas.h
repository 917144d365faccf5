// The value of sasl.jaas.config.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace sluice {

/// One login module: its class without the package, and its options.
struct JaasEntry {
  std::string module;                          ///< "PlainLoginModule"
  std::map<std::string, std::string> options;  ///< Without quotes.

  /// Empty when it is not there.
  std::string option(const std::string& name) const;
};

/// `org.x.PlainLoginModule required username="a" password="b";`. Quotes may be double or single,
/// inside them a backslash takes the next character as it is. Errors: Invalid; the message quotes
/// no option's value.
Result<JaasEntry> parse_jaas(std::string_view text);

}  // namespace sluice
