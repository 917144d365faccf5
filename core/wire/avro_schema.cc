#include "core/wire/avro_schema.h"

#include <array>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace sluice {
namespace {

using Json = nlohmann::ordered_json;

// Types within types of a schema, and datums within datums where it is recursive.
constexpr int schema_depth_max = 100;
constexpr int datum_depth_max = 1000;
constexpr int json_depth_max = 500;

/// The text without blanks between its words; nothing when it is nested so deeply that it must not
/// be parsed.
std::optional<std::string> compacted(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (quoted && c == '\\' && i + 1 < json.size()) text.push_back(json[i++]);
    if (c == '"') quoted = !quoted;
    if (!quoted) {
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      if (depth > json_depth_max) return std::nullopt;
    }
    text.push_back(json[i]);
  }
  return text;
}

/// The member's text; null when there is none or when it is something else.
const std::string* text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found == object.end() ? nullptr : found->get_ptr<const std::string*>();
}

}  // namespace

/// Makes nodes and the canonical form in one pass over the JSON.
class AvroSchema::Reader {
 public:
  explicit Reader(AvroSchema& schema) : schema_(schema) {}

  Result<NodeNumber> read(const Json& json, const std::string& space) {
    if (++depth_ > schema_depth_max) return Reject("its types are nested too deeply");
    auto node = json.is_string()   ? read_name(json.get_ref<const std::string&>(), space)
                : json.is_array()  ? read_union(json, space)
                : json.is_object() ? read_object(json, space)
                                   : Result<NodeNumber>(Reject("a type is neither a name, nor a "
                                                               "list, nor an object"));
    --depth_;
    return node;
  }

 private:
  NodeNumber add(Kind kind, std::uint64_t size = 0) {
    schema_.nodes_.push_back({kind, kind == Kind::Fixed && size == 0, size, {}});
    return static_cast<NodeNumber>(schema_.nodes_.size() - 1);
  }
  void write(std::string_view text) { schema_.canonical_ += text; }
  void write_quoted(std::string_view text) {
    schema_.canonical_ += '"';
    schema_.canonical_ += text;
    schema_.canonical_ += '"';
  }

  std::optional<NodeNumber> read_primitive(const std::string& name) {
    struct Primitive {
      Kind kind;
      std::uint64_t size;
    };
    static const std::map<std::string, Primitive, std::less<>> primitives = {
        {"null", {Kind::Fixed, 0}},   {"boolean", {Kind::Fixed, 1}}, {"float", {Kind::Fixed, 4}},
        {"double", {Kind::Fixed, 8}}, {"int", {Kind::Int, 0}},       {"long", {Kind::Varint, 0}},
        {"bytes", {Kind::Bytes, 0}},  {"string", {Kind::Bytes, 0}},
    };
    const auto found = primitives.find(name);
    if (found == primitives.end()) return std::nullopt;
    write_quoted(name);
    return add(found->second.kind, found->second.size);
  }

  Result<NodeNumber> read_name(const std::string& name, const std::string& space) {
    if (const auto primitive = read_primitive(name)) return *primitive;
    auto known = named_.find(full_name(name, space));
    if (known == named_.end()) known = named_.find(name);
    if (known == named_.end()) return Reject("the type '" + name + "' is not known");
    write_quoted(known->first);
    return known->second;
  }

  Result<NodeNumber> read_union(const Json& json, const std::string& space) {
    const NodeNumber number = add(Kind::Union);
    write("[");
    for (const Json& branch : json) {
      if (&branch != &json.front()) write(",");
      auto node = read(branch, space);
      if (!node.ok()) return node;
      schema_.nodes_[number].parts.push_back(*node);
    }
    write("]");
    return number;
  }

  Result<NodeNumber> read_object(const Json& json, const std::string& space) {
    const std::string* const type = text_of(json, "type");
    if (type == nullptr) return Reject("a type has no \"type\" that is a name");
    if (*type == "array") return read_items(json, Kind::Array, "items", space);
    if (*type == "map") return read_items(json, Kind::Map, "values", space);
    if (*type == "enum" || *type == "fixed" || *type == "record" || *type == "error") {
      return read_named(json, *type, space);
    }
    return read_name(*type, space);
  }

  Result<NodeNumber> read_items(const Json& json, Kind kind, const char* member,
                                const std::string& space) {
    const auto items = json.find(member);
    if (items == json.end()) return Reject(std::string("an array or map has no \"") + member + '"');
    const NodeNumber number = add(kind);
    write(kind == Kind::Array ? R"({"type":"array","items":)" : R"({"type":"map","values":)");
    auto node = read(*items, space);
    if (!node.ok()) return node;
    schema_.nodes_[number].parts.push_back(*node);
    write("}");
    return number;
  }

  Result<NodeNumber> read_named(const Json& json, const std::string& type,
                                const std::string& outer_space) {
    const std::string* const name = text_of(json, "name");
    if (name == nullptr) return Reject("a type '" + type + "' has no \"name\"");
    const std::string* const space = text_of(json, "namespace");
    const std::string full = full_name(*name, space != nullptr ? *space : outer_space);
    const NodeNumber number = add(Kind::Record);
    if (!named_.emplace(full, number).second) return Reject("'" + full + "' is there twice");
    write(R"({"name":)");
    write_quoted(full);
    Status status = type == "enum"    ? read_symbols(json, number)
                    : type == "fixed" ? read_size(json, number)
                                      : read_fields(json, number, space_of(full));
    if (!status.ok()) return status.with_context("'" + full + "'");
    write("}");
    return number;
  }

  Status read_symbols(const Json& json, NodeNumber number) {
    const auto symbols = json.find("symbols");
    if (symbols == json.end() || !symbols->is_array()) return Reject("it has no \"symbols\"");
    write(R"(,"type":"enum","symbols":[)");
    for (const Json& symbol : *symbols) {
      if (!symbol.is_string()) return Reject("a symbol is no text");
      if (&symbol != &symbols->front()) write(",");
      write_quoted(symbol.get_ref<const std::string&>());
    }
    write("]");
    schema_.nodes_[number].kind = Kind::Enum;
    schema_.nodes_[number].size = symbols->size();
    return {};
  }

  Status read_size(const Json& json, NodeNumber number) {
    const auto size = json.find("size");
    const bool is_size = size != json.end() && size->is_number_unsigned() &&
                         size->get<std::uint64_t>() <= std::numeric_limits<std::int32_t>::max();
    if (!is_size) return Reject("its \"size\" is no number of bytes");
    Node& node = schema_.nodes_[number];
    node.kind = Kind::Fixed;
    node.size = size->get<std::uint64_t>();
    node.empty = node.size == 0;
    write(R"(,"type":"fixed","size":)" + std::to_string(node.size));
    return {};
  }

  Status read_fields(const Json& json, NodeNumber number, const std::string& space) {
    const auto fields = json.find("fields");
    if (fields == json.end() || !fields->is_array()) return Reject("it has no \"fields\"");
    write(R"(,"type":"record","fields":[)");
    std::vector<NodeNumber> parts;
    for (const Json& field : *fields) {
      const std::string* const name = field.is_object() ? text_of(field, "name") : nullptr;
      const auto type = field.is_object() ? field.find("type") : field.end();
      if (name == nullptr || type == field.end()) {
        return Reject("a field has no \"name\" or no \"type\"");
      }
      write(&field != &fields->front() ? R"(,{"name":)" : R"({"name":)");
      write_quoted(*name);
      write(R"(,"type":)");
      auto node = read(*type, space);
      if (!node.ok()) return node.status();
      write("}");
      if (!schema_.nodes_[*node].empty) parts.push_back(*node);
    }
    write("]");
    schema_.nodes_[number].empty = parts.empty();
    schema_.nodes_[number].parts = std::move(parts);
    return {};
  }

  static std::string full_name(const std::string& name, const std::string& space) {
    return space.empty() || name.find('.') != std::string::npos ? name : space + "." + name;
  }
  static std::string space_of(const std::string& full) {
    const std::size_t point = full.rfind('.');
    return point == std::string::npos ? std::string() : full.substr(0, point);
  }

  AvroSchema& schema_;
  std::map<std::string, NodeNumber> named_;
  int depth_ = 0;
};

/// Walks one datum.
class AvroSchema::Ruler {
 public:
  Ruler(const std::vector<Node>& nodes, std::string_view bytes) : nodes_(nodes), rest_(bytes) {}

  std::size_t bytes_left() const noexcept { return rest_.size(); }

  Extent pass(NodeNumber number, int depth) noexcept {
    const Node& node = nodes_[number];
    std::int64_t value = 0;
    switch (node.kind) {
      case Kind::Fixed: return pass_bytes(node.size);
      case Kind::Varint: return take_avro_long(rest_, value);
      case Kind::Int: return pass_int(value);
      case Kind::Enum: return pass_choice(node.size, value);
      case Kind::Bytes: return pass_text();
      case Kind::Array:
      case Kind::Map: return depth == 0 ? Extent::Damaged : pass_items(node, depth - 1);
      case Kind::Union: {
        const Extent extent = pass_choice(node.parts.size(), value);
        if (extent != Extent::Whole) return extent;
        return depth == 0 ? Extent::Damaged
                          : pass(node.parts[static_cast<std::size_t>(value)], depth - 1);
      }
      case Kind::Record: break;
    }
    if (depth == 0) return Extent::Damaged;
    for (const NodeNumber part : node.parts) {
      if (const Extent extent = pass(part, depth - 1); extent != Extent::Whole) return extent;
    }
    return Extent::Whole;
  }

 private:
  Extent pass_bytes(std::uint64_t bytes) noexcept {
    if (bytes > rest_.size()) return Extent::Cut;
    rest_.remove_prefix(bytes);
    return Extent::Whole;
  }

  /// A long of such a value may be written with more bytes; readers of an int then lose their way.
  Extent pass_int(std::int64_t& value) noexcept {
    constexpr std::size_t bytes_max = 5;
    const std::size_t before = rest_.size();
    const Extent extent = take_avro_long(rest_, value);
    if (extent != Extent::Whole) return extent;
    const bool fits = before - rest_.size() <= bytes_max &&
                      value >= std::numeric_limits<std::int32_t>::min() &&
                      value <= std::numeric_limits<std::int32_t>::max();
    return fits ? Extent::Whole : Extent::Damaged;
  }

  Extent pass_choice(std::uint64_t choices, std::int64_t& chosen) noexcept {
    const Extent extent = pass_int(chosen);
    if (extent != Extent::Whole) return extent;
    const bool one = chosen >= 0 && static_cast<std::uint64_t>(chosen) < choices;
    return one ? Extent::Whole : Extent::Damaged;
  }

  Extent pass_text() noexcept {
    std::int64_t bytes = 0;
    const Extent extent = take_avro_long(rest_, bytes);
    if (extent != Extent::Whole) return extent;
    return bytes < 0 ? Extent::Damaged : pass_bytes(static_cast<std::uint64_t>(bytes));
  }

  Extent pass_items(const Node& node, int depth) noexcept {
    for (;;) {
      std::int64_t items = 0;
      Extent extent = take_avro_long(rest_, items);
      if (extent != Extent::Whole || items == 0) return extent;
      extent = items < 0 ? pass_sized_items(node, items, depth) : pass_items(node, items, depth);
      if (extent != Extent::Whole) return extent;
    }
  }

  Extent pass_items(const Node& node, std::int64_t items, int depth) noexcept {
    const bool map = node.kind == Kind::Map;
    if (!map && nodes_[node.parts[0]].empty) return Extent::Whole;
    // Every item takes at least a byte, so a count that lies ends with the bytes.
    Extent extent = Extent::Whole;
    for (; items > 0 && extent == Extent::Whole; --items) {
      if (map) extent = pass_text();
      if (extent == Extent::Whole) extent = pass(node.parts[0], depth);
    }
    return extent;
  }

  /// A negative count is followed by the bytes that its items take; readers go by one or the other.
  Extent pass_sized_items(const Node& node, std::int64_t items, int depth) noexcept {
    const std::string_view before = rest_;
    if (const Extent extent = pass_text(); extent != Extent::Whole) return extent;
    const std::string_view behind = rest_;
    if (items == std::numeric_limits<std::int64_t>::min()) return Extent::Damaged;
    rest_ = before.substr(0, before.size() - behind.size());
    std::int64_t bytes = 0;
    if (take_avro_long(rest_, bytes) != Extent::Whole) return Extent::Damaged;
    const Extent extent = pass_items(node, -items, depth);
    const bool exact = extent == Extent::Whole && rest_.empty();
    rest_ = behind;
    return exact ? Extent::Whole : Extent::Damaged;
  }

  const std::vector<Node>& nodes_;
  std::string_view rest_;
};

Result<std::shared_ptr<const AvroSchema>> AvroSchema::parse(std::string_view json) {
  if (json.size() > text_bytes_max) return Reject("the schema is longer than 1 MiB");
  auto text = compacted(json);
  if (!text) return Reject("the schema is nested too deeply");
  const Json parsed = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) return Reject("the schema is no JSON");
  const std::shared_ptr<AvroSchema> schema(new AvroSchema);
  schema->text_ = *std::move(text);
  auto root = Reader(*schema).read(parsed, "");
  if (!root.ok()) return root.status().with_context("the schema is not valid");
  schema->root_ = *root;
  return std::shared_ptr<const AvroSchema>(schema);
}

AvroSchema::Datum AvroSchema::measure(std::string_view bytes) const noexcept {
  Ruler ruler(nodes_, bytes);
  const Extent extent = ruler.pass(root_, datum_depth_max);
  return {extent, extent == Extent::Whole ? bytes.size() - ruler.bytes_left() : 0};
}

bool AvroSchema::is_empty() const noexcept { return nodes_[root_].empty; }

std::string AvroSchema::fingerprint() const {
  constexpr std::uint64_t of_nothing = 0xc15d213aa4d7a795U;
  std::uint64_t crc = of_nothing;
  for (const char c : canonical_) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? of_nothing : 0);
  }
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  for (int byte = 0; byte < 8; ++byte, crc >>= 8) {
    hex += digits[(crc >> 4) & 0xf];
    hex += digits[crc & 0xf];
  }
  return hex;
}

AvroSchema::Extent take_avro_long(std::string_view& bytes, std::int64_t& value) noexcept {
  constexpr std::size_t bytes_max = 10;
  constexpr std::uint64_t low_bits = 0x7f;
  std::uint64_t zigzag = 0;
  for (std::size_t i = 0; i < bytes_max; ++i) {
    if (i == bytes.size()) return AvroSchema::Extent::Cut;
    const auto byte = static_cast<unsigned char>(bytes[i]);
    zigzag |= (byte & low_bits) << (7 * i);
    if (byte > low_bits) continue;
    bytes.remove_prefix(i + 1);
    value = static_cast<std::int64_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1));
    return AvroSchema::Extent::Whole;
  }
  return AvroSchema::Extent::Damaged;
}

void append_avro_long(std::int64_t value, std::string& out) {
  constexpr std::uint64_t low_bits = 0x7f;
  constexpr unsigned sign_bit = 63;
  auto zigzag = static_cast<std::uint64_t>(value) << 1U;
  if ((static_cast<std::uint64_t>(value) >> sign_bit) != 0) zigzag = ~zigzag;
  for (; zigzag > low_bits; zigzag >>= 7U) out += static_cast<char>(zigzag | (low_bits + 1));
  out += static_cast<char>(zigzag);
}

}  // namespace sluice
