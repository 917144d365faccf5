// From texts, such as the bodies of events, to columns of typed cells.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "analytics/rows.h"

namespace sluice::analytics {

class RecordRow;

/// How records are written, and what is wanted of them.
struct ParseOptions {
  /// text, json, csv, tsv, kv, logfmt, combined, clf or regex.
  std::string format;
  /// What a record has. json: names with dots are paths. csv, tsv: the columns in their order; more
  /// of them may follow. kv, logfmt: keys. regex: names of groups, or of groups 1 to n where the
  /// pattern has no names; may be empty where it has. text: one field or none, `value`.
  std::vector<Schema::Field> fields;
  /// combined, clf: what follows the fields that every such log has.
  std::vector<Schema::Field> extra;
  std::string pattern;  ///< regex: Java's syntax (core/base/java_pattern.h); it may match anywhere.
  char delimiter = ',';                   ///< csv.
  char quote = '"';                       ///< csv and kv; '\0': nothing is quoted.
  std::string pair_separator = " ";       ///< kv.
  std::string key_value_separator = "=";  ///< kv.
};

/// Fields as users declare them, `user:int item amount:double`: a field without a type is a text.
/// A Problem for a type or a name that cannot be; its place is in `text`.
std::variant<std::vector<Schema::Field>, Problem> read_fields(std::string_view text);

/// Reads records of one format.
///
/// Of a record that is bad every cell is null, and others do not suffer from it. Bad are: one that
/// is broken or ends early by the rules of its format, and one with a value that is not of its
/// field's type. Which ones are bad does not depend on need(). A value that is missing is null
/// where the format knows missing values (json, kv, logfmt, groups of a regex that took no part);
/// so are "-" in access logs, null in JSON and an empty number or truth anywhere.
///
/// Numbers are decimal and finite, an int has 64 bits; blanks around them do not matter. A truth is
/// true, false, yes, no, on, off, 1 or 0 in any case of letters.
///
/// combined and clf give ip ident user time:int method path query protocol status:int bytes:int,
/// and combined also referer agent, then `extra`. `time` is in ms since the epoch. `path` is the
/// target of the request up to its "?", `query` what is behind it. Of a request that is none of
/// HTTP these four are null; that is no reason to be bad. What stands behind the last field is not
/// looked at.
///
/// json takes the last of several members of one name, and so do kv and logfmt. Numbers, truths,
/// objects and arrays become texts as they are spelt. A field with dots in its name is also found
/// as a member of the record with that very name. Where no field leads, brackets are counted, no
/// more.
///
/// One thread at a time. No input makes it throw, but for memory that there is not.
class RecordParser {
 public:
  virtual ~RecordParser() = default;
  RecordParser(const RecordParser&) = delete;
  RecordParser& operator=(const RecordParser&) = delete;

  /// A Problem for options that cannot be; its place is in the option that the message is about.
  static std::variant<std::unique_ptr<RecordParser>, Problem> make(ParseOptions options);

  /// What a record has, in the order of the columns that parse() writes.
  const std::vector<Schema::Field>& fields() const noexcept { return fields_; }

  /// Only these will be read, by their places in fields(); without this call, all.
  /// REQUIRES: a truth a field.
  void need(const std::vector<bool>& used);

  /// Reads the first `size` texts; a null gives nulls and is not bad. Columns that are needed get
  /// `size` cells each, whatever they held; others are left alone. `bad` gets 1 for each bad
  /// record, else 0. Cells view the texts or `arena`: both must outlive them.
  /// REQUIRES: `size` cells in `texts`, a column a field in `out`, none of them `texts`.
  void parse(const Column& texts, std::uint32_t size, std::span<Column> out, TextArena& arena,
             std::vector<std::uint8_t>& bad);

 protected:
  explicit RecordParser(std::vector<Schema::Field> fields);

  /// Writes what the record has; cells that are not written are null. False: it is bad, and
  /// whatever has been written does not count.
  virtual bool read(std::string_view record, RecordRow& row) = 0;

 private:
  const std::vector<Schema::Field> fields_;
  std::vector<bool> used_;
};

}  // namespace sluice::analytics
