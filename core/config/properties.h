// Java properties, as java.util.Properties.load and Flume read them.
#pragma once

#include "core/config/document.h"
#include "core/config/source_text.h"

namespace sluice {

/// Reads every key of a properties file. Never fails: what cannot be read is a diagnostic at its
/// place and the rest goes on.
///
/// Java's rules: `#` and `!` comments; `=`, `:` or blanks between key and value; a backslash joins
/// lines (the next line's leading blanks are dropped); \t \n \r \f \uXXXX; any other \x is x. Key
/// and value are trimmed as Flume does. Unlike Java, which reads ISO-8859-1 only, UTF-8 is kept
/// (see SourceText), and a malformed \u costs its own line, not the file.
///
/// Cost: linear. At most kConfigEntriesMax entries.
Document parse_properties(const SourceText& source);

}  // namespace sluice
