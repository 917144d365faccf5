// `sluice avro-client`: lines of a file, a directory or standard input, sent to an avro source.
#pragma once

#include <ostream>

#include "agent/command_line.h"

namespace sluice {

/// The verb `avro-client`. A line is an event; its body is the line without its end (a line feed,
/// with or without a carriage return before it). What a person types goes out line by line.
///
/// Returns the exit status: 0 when every event was acknowledged; 1 when some were not, or the input
/// could not be read to its end; 2 for wrong options; 130 and 143 after SIGINT and SIGTERM. With
/// any other than 0 a line on `err` says how many were acknowledged and how many were not. On a
/// terminal it also sees how far the command is.
int run_avro_client(const CommandLine& line, std::ostream& out, std::ostream& err,
                    bool err_is_terminal);

}  // namespace sluice
