// Records that are one JSON object each, by simdjson.

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include "analytics/record_formats.h"
#include "analytics/record_row.h"

namespace sluice::analytics {
namespace {

namespace ondemand = simdjson::ondemand;

bool is_blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// A token without the blanks that simdjson leaves behind it.
std::string_view trimmed(std::string_view token) noexcept {
  while (!token.empty() && is_blank(token.back())) token.remove_suffix(1);
  return token;
}

std::size_t digits(std::string_view text, std::size_t at) noexcept {
  std::size_t end = at;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  return end - at;
}

/// By the grammar of RFC 8259.
bool is_number(std::string_view text) noexcept {
  std::size_t at = text.starts_with('-') ? 1 : 0;
  const std::size_t whole = digits(text, at);
  if (whole == 0 || (whole > 1 && text[at] == '0')) return false;
  at += whole;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = digits(text, ++at);
    if (fraction == 0) return false;
    at += fraction;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const std::size_t exponent = digits(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

/// An integer that is spelt as something else, such as 12.0 or 1e3. Below 2^53 each has one double.
bool read_whole(std::string_view text, std::int64_t& number) noexcept {
  double real = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, real);
  if (error != std::errc() || stopped != end || !(std::abs(real) < 9007199254740992.0)) {
    return false;
  }
  number = static_cast<std::int64_t>(real);
  return static_cast<double>(number) == real;
}

/// The names that lead to fields: a member a node.
struct Node {
  static constexpr std::size_t no_field = ~std::size_t{0};
  std::string name;
  std::size_t field = no_field;
  std::vector<Node> members;

  Node& member(std::string_view wanted) {
    if (Node* const found = find(wanted); found != nullptr) return *found;
    return members.emplace_back(Node{std::string(wanted), no_field, {}});
  }
  Node* find(std::string_view wanted) noexcept {
    for (std::size_t tried = 0; tried < members.size(); ++tried) {
      Node& node = members[next];
      next = next + 1 < members.size() ? next + 1 : 0;
      if (node.name == wanted) return &node;
    }
    return nullptr;
  }
  std::size_t next = 0;  ///< Members mostly come in the same order.
};

class JsonParser final : public RecordParser {
 public:
  explicit JsonParser(std::vector<Schema::Field> declared) : RecordParser(std::move(declared)) {
    for (std::size_t i = 0; i < fields().size(); ++i) {
      const std::string& name = fields()[i].name;
      root_.member(name).field = i;
      Node* node = &root_;
      std::size_t begin = 0;
      for (std::size_t dot = name.find('.'); dot != std::string::npos;
           begin = dot + 1, dot = name.find('.', begin)) {
        node = &node->member(name.substr(begin, dot - begin));
      }
      if (node != &root_) node->member(name.substr(begin)).field = i;
    }
  }

 private:
  bool read(std::string_view record, RecordRow& row) override {
    // simdjson reads beyond the end, where bytes of a neighbour may be, or none.
    if (record.size() + simdjson::SIMDJSON_PADDING > copy_bytes_) {
      copy_bytes_ = 2 * record.size() + simdjson::SIMDJSON_PADDING;
      copy_ = std::make_unique<char[]>(copy_bytes_);
    }
    if (!record.empty()) std::memcpy(copy_.get(), record.data(), record.size());
    record_ = record;
    ondemand::document document;
    ondemand::object object;
    if (parser_.iterate(copy_.get(), record.size(), copy_bytes_).get(document)) return false;
    if (document.get_object().get(object)) return false;
    return walk(object, root_, row) &&
           document.current_location().error() == simdjson::OUT_OF_BOUNDS;
  }

  bool walk(ondemand::object& object, Node& node, RecordRow& row) {
    for (auto each : object) {
      ondemand::field member;
      std::string_view name;
      if (std::move(each).get(member) || member.unescaped_key().get(name)) return false;
      if (!read_member(member.value(), node.find(name), row)) return false;
    }
    return true;
  }

  /// `node` may be null: no field leads here.
  bool read_member(ondemand::value& value, Node* node, RecordRow& row) {
    const std::string_view token = trimmed(value.raw_json_token());
    const char kind = token.empty() ? '\0' : token.front();
    if (kind != '{' && kind != '[') {
      if (node != nullptr && node->field != Node::no_field) {
        return read_scalar(value, token, node->field, row);
      }
      return is_scalar(token);
    }
    if (node == nullptr) return true;
    if (node->field != Node::no_field && row.type(node->field) != ColumnType::Text) return false;
    return kind == '{' ? read_object(value, *node, row) : read_array(value, *node, row);
  }

  bool read_object(ondemand::value& value, Node& node, RecordRow& row) {
    ondemand::object object;
    if (value.get_object().get(object)) return false;
    if (node.field != Node::no_field) {
      std::string_view json;
      if (object.raw_json().get(json)) return false;
      row.set(node.field, Cell::of(original(trimmed(json))));
      if (node.members.empty()) return true;
      if (object.reset().error()) return false;
    }
    return walk(object, node, row);
  }

  bool read_array(ondemand::value& value, Node& node, RecordRow& row) {
    if (node.field == Node::no_field) return true;
    ondemand::array array;
    std::string_view json;
    if (value.get_array().get(array) || array.raw_json().get(json)) return false;
    row.set(node.field, Cell::of(original(trimmed(json))));
    return true;
  }

  static bool is_word(std::string_view token) noexcept {
    return token == "true" || token == "false" || token == "null";
  }
  static bool is_scalar(std::string_view token) noexcept {
    return token.starts_with('"') || is_word(token) || is_number(token);
  }

  bool read_scalar(ondemand::value& value, std::string_view token, std::size_t field,
                   RecordRow& row) {
    if (token.starts_with('"')) return read_string(value, token, field, row);
    if (token == "null") {
      row.set_null(field);
      return true;
    }
    if (!is_scalar(token)) return false;
    if (row.set_text(field, original(token))) return true;
    std::int64_t whole = 0;
    if (row.type(field) != ColumnType::Int || is_word(token) || !read_whole(token, whole)) {
      return false;
    }
    row.set(field, Cell::of(whole));
    return true;
  }

  bool read_string(ondemand::value& value, std::string_view token, std::size_t field,
                   RecordRow& row) {
    if (token.size() < 2 || !token.ends_with('"')) return false;
    std::string_view text = token.substr(1, token.size() - 2);
    if (text.find('\\') == std::string_view::npos) return row.set_text(field, original(text));
    if (value.get_string().get(text)) return false;
    const bool kept = row.wanted(field) && row.type(field) == ColumnType::Text;
    return row.set_text(field, kept ? row.arena().keep(text) : text);
  }

  /// The same bytes in the record, which outlives the copy.
  std::string_view original(std::string_view part) const noexcept {
    return record_.substr(static_cast<std::size_t>(part.data() - copy_.get()), part.size());
  }

  ondemand::parser parser_;
  Node root_;
  std::string_view record_;
  std::unique_ptr<char[]> copy_;
  std::size_t copy_bytes_ = 0;
};

}  // namespace

MadeParser make_json_parser(ParseOptions options) {
  return std::make_unique<JsonParser>(std::move(options.fields));
}

}  // namespace sluice::analytics
