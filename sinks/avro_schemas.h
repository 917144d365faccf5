// Which Avro schema an event's body has: Flume's AvroEventSerializer.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/wire/avro_schema.h"
#include "sinks/event_sorter.h"

namespace sluice {

/// The path that the URL of a schema names: a plain one, or file:. Errors: Invalid, the URL is of
/// another kind.
Result<std::string> schema_path(std::string_view url);

/// Sorts events by the schema that their header `flume.avro.schema.url` names, else by the one in
/// `flume.avro.schema.literal`, else by `url`. The kind of an event is its schema, as JSON without
/// blanks.
///
/// Refused are events without a schema, with one that cannot be read or understood, and those whose
/// body is not one datum of their schema: in a file they would make what is behind them unreadable.
///
/// A file with a schema is read again after a minute, and at once when a body does not fit what it
/// held. One thread. What is handed in outlives it.
class AvroSchemas final : public EventSorter {
 public:
  /// `url` is what schema_path() takes, or empty.
  AvroSchemas(std::string url, FileSystem& files, const Clock& clock);

  Status open() override;
  const std::string* kind_of(const HeaderView& headers, std::string_view body) override;
  const std::string& why() const noexcept override { return why_; }

 private:
  struct Schema {
    std::shared_ptr<const AvroSchema> schema;  ///< Null: see why.
    std::string why;
    SteadyTime read_at{};
    bool from_file = false;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };
  using Known = std::unordered_map<std::string, Schema, Hash, std::equal_to<>>;

  Schema* schema_of(const HeaderView& headers);
  Schema& known(Known& among, std::string_view name, bool from_file);
  void read(std::string_view url, Schema& into);
  Result<std::string> content_of(std::string_view url);

  const std::string url_;
  FileSystem& files_;
  const Clock& clock_;
  Schema own_;  ///< That of url_.
  Known by_url_;
  Known by_text_;
  std::string why_;
};

}  // namespace sluice
