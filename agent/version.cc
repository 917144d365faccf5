#include "agent/version.h"

#ifndef SLUICE_VERSION
#error "CMake says which version this is"
#endif

namespace sluice {

std::string version_number() { return SLUICE_VERSION; }

std::string version_text() {
  return "Sluice " SLUICE_VERSION
         "\n"
         "A native successor to Apache Flume; runs Flume 1.11 configuration files\n"
         "Revision: " SLUICE_REVISION
         "\n"
         "Compiled by " __VERSION__
         "\n"
         "License: Apache-2.0\n";
}

}  // namespace sluice
