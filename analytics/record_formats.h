// The parsers that RecordParser::make() chooses from; for this room only.
#pragma once

#include <memory>
#include <variant>

#include "analytics/record_parser.h"

namespace sluice::analytics {

using MadeParser = std::variant<std::unique_ptr<RecordParser>, Problem>;

// Each takes options whose fields have different names.

MadeParser make_access_log_parser(ParseOptions options);  ///< combined, clf.
MadeParser make_json_parser(ParseOptions options);
MadeParser make_csv_parser(ParseOptions options);
MadeParser make_tsv_parser(ParseOptions options);
MadeParser make_kv_parser(ParseOptions options);
MadeParser make_logfmt_parser(ParseOptions options);
MadeParser make_regex_parser(ParseOptions options);

/// The first name that two of the fields share, as a Problem; without a message if there is none.
Problem twice_named(const std::vector<Schema::Field>& fields);

}  // namespace sluice::analytics
