// Avro schemas, as far as one must know them to tell where a datum ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"

namespace sluice {

/// A schema that datums in Avro's binary form are measured by. Immutable: any thread may use it.
///
/// Names are resolved as Avro's Java library does it; logical types, defaults and aliases change no
/// datum. Measuring takes time in proportion to the bytes and a bounded stack, whatever the schema
/// and the bytes are.
class AvroSchema {
 public:
  static constexpr std::size_t text_bytes_max = 1 << 20;

  /// Errors: Reject, with what is wrong with the JSON text or with the schema.
  static Result<std::shared_ptr<const AvroSchema>> parse(std::string_view json);

  enum class Extent : unsigned char {
    Whole,
    Cut,      ///< The bytes end before it does.
    Damaged,  ///< No datum of the schema begins like this.
  };
  struct Datum {
    Extent extent = Extent::Damaged;
    std::size_t bytes = 0;  ///< Of a whole one.
  };
  /// The datum that `bytes` begin with.
  Datum measure(std::string_view bytes) const noexcept;
  /// True when no datum has any bytes, so that they cannot be told apart.
  bool is_empty() const noexcept;

  /// The text it was parsed from, without the blanks between its words.
  const std::string& text() const noexcept { return text_; }
  /// Avro's Parsing Canonical Form.
  const std::string& canonical() const noexcept { return canonical_; }
  /// CRC-64-AVRO of the canonical form, low byte first, in hexadecimal digits: as Flume writes it.
  std::string fingerprint() const;

 private:
  class Reader;
  class Ruler;
  enum class Kind : unsigned char { Fixed, Varint, Int, Enum, Bytes, Array, Map, Union, Record };
  using NodeNumber = std::uint32_t;
  struct Node {
    Kind kind = Kind::Fixed;
    bool empty = false;      ///< Takes no bytes.
    std::uint64_t size = 0;  ///< Fixed: bytes. Enum: symbols.
    /// Array, Map: the items. Union: the branches. Record: the fields that take bytes.
    std::vector<NodeNumber> parts;
  };

  AvroSchema() = default;

  std::vector<Node> nodes_;
  NodeNumber root_ = 0;
  std::string text_;
  std::string canonical_;
};

/// A number as Avro writes it, zigzag and seven bits a byte, taken off the front of `bytes`.
/// Damaged: more than ten bytes.
AvroSchema::Extent take_avro_long(std::string_view& bytes, std::int64_t& value) noexcept;
void append_avro_long(std::int64_t value, std::string& out);

}  // namespace sluice
