#include "sinks/avro_schemas.h"

#include <chrono>
#include <optional>
#include <utility>

namespace sluice {
namespace {

constexpr std::string_view url_header = "flume.avro.schema.url";
constexpr std::string_view literal_header = "flume.avro.schema.literal";
constexpr std::size_t known_max = 256;
constexpr std::chrono::minutes read_again_after{1};
constexpr std::chrono::seconds doubted_after{1};

}  // namespace

Result<std::string> schema_path(std::string_view url) {
  const std::size_t colon = url.find(':');
  if (colon == url.npos || url.substr(0, colon).find('/') != url.npos) return std::string(url);
  if (url.substr(0, colon) != "file") {
    return Invalid("schemas are read from files, and not yet from " +
                   std::string(url.substr(0, colon)) + ":");
  }
  url.remove_prefix(colon + 1);
  if (url.starts_with("//")) url.remove_prefix(std::min(url.find('/', 2), url.size()));
  return std::string(url);
}

AvroSchemas::AvroSchemas(std::string url, FileSystem& files, const Clock& clock)
    : url_(std::move(url)), files_(files), clock_(clock) {}

Status AvroSchemas::open() {
  if (url_.empty() || own_.schema != nullptr) return {};
  own_.from_file = true;
  read(url_, own_);
  return own_.schema != nullptr ? Status() : Retry("serializer.schemaURL: " + own_.why);
}

const std::string* AvroSchemas::kind_of(const HeaderView& headers, std::string_view body) {
  Schema* const found = schema_of(headers);
  if (found == nullptr) return nullptr;
  const auto fits = [&] {
    if (found->schema == nullptr) return false;
    const AvroSchema::Datum datum = found->schema->measure(body);
    return datum.extent == AvroSchema::Extent::Whole && datum.bytes == body.size();
  };
  if (fits()) return &found->schema->text();
  if (found->from_file && clock_.steady() - found->read_at >= doubted_after) {
    // Whoever sends events of another schema may have put it into the same file.
    std::string_view url = url_;
    if (found != &own_) headers.find(url_header, url);
    read(url, *found);
    if (fits()) return &found->schema->text();
  }
  why_ = found->schema == nullptr ? found->why : "its body is no record of its Avro schema";
  return nullptr;
}

AvroSchemas::Schema* AvroSchemas::schema_of(const HeaderView& headers) {
  std::string_view text;
  if (headers.find(url_header, text)) return &known(by_url_, text, true);
  if (headers.find(literal_header, text)) return &known(by_text_, text, false);
  if (!url_.empty()) {
    if (clock_.steady() - own_.read_at >= read_again_after) read(url_, own_);
    return &own_;
  }
  why_ =
      "it has no Avro schema: neither a header flume.avro.schema.url or "
      "flume.avro.schema.literal nor serializer.schemaURL says one";
  return nullptr;
}

AvroSchemas::Schema& AvroSchemas::known(Known& among, std::string_view name, bool from_file) {
  auto found = among.find(name);
  if (found == among.end()) {
    if (among.size() >= known_max) among.clear();
    found = among.emplace(std::string(name), Schema{}).first;
    found->second.from_file = from_file;
  } else if (!from_file || clock_.steady() - found->second.read_at < read_again_after) {
    return found->second;
  }
  read(name, found->second);
  return found->second;
}

/// A schema that was good once stays when its file is gone or half written.
void AvroSchemas::read(std::string_view name, Schema& into) {
  into.read_at = clock_.steady();
  auto text = into.from_file ? content_of(name) : Result<std::string>(std::string(name));
  auto schema = text.ok() ? AvroSchema::parse(*text)
                          : Result<std::shared_ptr<const AvroSchema>>(text.status());
  if (schema.ok() && (*schema)->is_empty()) schema = Reject("its records have no bytes");
  if (schema.ok()) {
    into.schema = *std::move(schema);
  } else {
    into.why = "its Avro schema" + (into.from_file ? " " + std::string(name) : std::string()) +
               " cannot be used: " + schema.status().message();
  }
}

/// Only of a file that has a length: what has none may have no end either.
Result<std::string> AvroSchemas::content_of(std::string_view url) {
  auto path = schema_path(url);
  if (!path.ok()) return path.status();
  const auto size = files_.size_of(*path);
  if (!size.ok()) return size.status();
  const std::optional<std::uint64_t> bytes = size.value();
  if (!bytes || *bytes == 0) return Reject("there is no such file, or it is empty");
  if (*bytes > AvroSchema::text_bytes_max) return Reject("it is longer than 1 MiB");
  return files_.read(*path, 0, static_cast<std::size_t>(*bytes));
}

}  // namespace sluice
