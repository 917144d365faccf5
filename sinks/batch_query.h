// An analysis in one line: "split whitespace | count by word | top 10 | print".
#pragma once

#include <string_view>
#include <vector>

#include "core/config/component.h"

namespace sluice {

/// The steps and outputs that a query stands for, as keys of the microbatch sink: "steps",
/// "steps.split.type", ..., and where it names outputs "outputs", "outputs.print.type", ...
///
/// Stages are separated by `|`, and named by what they do:
///
///   parse FORMAT [FIELD[:TYPE]...]     split [ON] [as NAME] [from COLUMN]
///   set NAME = EXPRESSION              drop COLUMN...          rename OLD NEW
///   where EXPRESSION                   having EXPRESSION
///   window LENGTH [slide TIME] [on EXPRESSION]
///   session GAP [on EXPRESSION]        rows NUMBER [slide NUMBER]
///   count [as NAME] [by COLUMN...]     FUNCTION(...) [as NAME], ... [by COLUMN...]
///   running   changes                  top [N] [by ORDER...]   sort ORDER...   limit N
///   print [STYLE] [ROWS]   channel NAME [FORMAT]   file PREFIX [FORMAT]   and all other outputs
///
/// Words `key=value` set any other key of the step or output. Quotes keep blanks and bars together.
///
/// What is wrong becomes findings about the key "query", with places.
std::vector<LongForm> write_out_query(std::string_view text, std::vector<Finding>& findings);

}  // namespace sluice
