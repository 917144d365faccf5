// Short ways to load and plan texts in tests.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/config/topology.h"
#include "core/config/tree.h"

namespace sluice {

/// Loads one text as a file of this name, with a closed environment.
Loaded load_text(const std::string& text, const std::string& file = "x.conf",
                 const SubstitutionSources& sources = {});

/// Plans agent a1 of a text with the test catalog.
Plan plan_text(const std::string& text, const std::string& agent = "a1");

/// "x.conf:3:5+6": line, column and length.
std::string at(const Position& where);

/// "error x.conf:3:5+6 message | hint" of the first diagnostic whose message or hint holds `part`;
/// "" when there is none.
std::string told(const std::vector<Diagnostic>& diagnostics, const std::string& part);

/// The value of a key, or "(none)".
std::string value_of(const Tree& tree, const std::string& key);

/// What is left out, "sink k1: its ..." joined with "; ".
std::string left_out(const Plan& plan);

}  // namespace sluice
