#include "analytics/expression_builder.h"

#include <algorithm>
#include <array>
#include <utility>

#include "analytics/expression.h"
#include "core/base/nearest_name.h"

namespace sluice::analytics {
namespace {

using Kind = Operation::Kind;

/// For messages: short, and on one line.
std::string shown(std::string_view text) {
  constexpr std::size_t bytes_max = 60;
  std::string result(text.substr(0, bytes_max));
  std::replace_if(
      result.begin(), result.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; },
      ' ');
  return text.size() > bytes_max ? result + "..." : result;
}

std::string quoted(std::string_view text) { return "'" + shown(text) + "'"; }

std::string named(ColumnType type) { return std::string(to_string(type)); }

}  // namespace

// ---- the program

Node ExpressionBuilder::fail(Place place, std::string message, std::string hint) {
  if (!problem_) problem_ = {place.offset, place.bytes, std::move(message), std::move(hint)};
  return nothing;
}

Place ExpressionBuilder::place(Node node) const noexcept {
  return {at(node).offset, at(node).bytes};
}

void ExpressionBuilder::set_place(Node node, Place place) noexcept {
  at(node).offset = place.offset;
  at(node).bytes = place.bytes;
}

std::string_view ExpressionBuilder::words(Node node) const noexcept {
  return text_.substr(at(node).offset, at(node).bytes);
}

Node ExpressionBuilder::add(Operation operation) {
  if (program_.operations.size() >= Expression::nodes_max) {
    return fail({operation.offset, operation.bytes}, "the expression has too many parts");
  }
  program_.operations.push_back(std::move(operation));
  return static_cast<Node>(program_.operations.size() - 1);
}

Node ExpressionBuilder::compute(Kernel kernel, ColumnType type, std::vector<Node> inputs,
                                Place place) {
  Operation made;
  made.kernel = kernel;
  made.type = type;
  made.inputs = std::move(inputs);
  made.offset = place.offset;
  made.bytes = place.bytes;
  return add_and_fold(std::move(made));
}

Node ExpressionBuilder::add_and_fold(Operation operation) {
  operation.kind = Kind::Compute;
  const Node made = add(std::move(operation));
  if (made == nothing) return nothing;
  const auto& inputs = at(made).inputs;
  const bool constants =
      std::all_of(inputs.begin(), inputs.end(), [&](Node each) { return is_constant(each); });
  // Headers have no inputs, and are no constants.
  if (constants && !inputs.empty()) fold(made);
  return made;
}

void ExpressionBuilder::fold(Node node) {
  program_.run(node, 1, program_.literals, nullptr);
  Operation& operation = at(node);
  operation.kind = Kind::Constant;
  operation.kernel = nullptr;
  operation.inputs.clear();
  operation.pattern.reset();
  operation.members.clear();
}

Node ExpressionBuilder::constant(Cell cell, ColumnType type, Place place) {
  Operation made;
  made.type = type;
  made.result.push_back(cell);
  made.offset = place.offset;
  made.bytes = place.bytes;
  return add(std::move(made));
}

Node ExpressionBuilder::text_constant(std::string_view text, Place place) {
  return constant(Cell::of(text.empty() ? "" : program_.literals.keep(text)), ColumnType::Text,
                  place);
}

Node ExpressionBuilder::null(Place place) {
  Operation made;
  made.untyped = true;
  made.result.push_null();
  made.offset = place.offset;
  made.bytes = place.bytes;
  return add(std::move(made));
}

Node ExpressionBuilder::column(std::string_view name, Place place) {
  const auto found = schema_.find(name);
  if (!found) {
    std::vector<std::string_view> names;
    for (const Schema::Field& field : schema_.fields()) names.push_back(field.name);
    const std::string_view nearest = nearest_name(name, names);
    const auto is_function = [&](const Function& each) {
      return equal_ignoring_case(each.name, name);
    };
    std::string hint;
    if (!nearest.empty()) {
      hint = "did you mean " + quoted(nearest) + "?";
    } else if (std::any_of(functions().begin(), functions().end(), is_function)) {
      hint = "a function has its values in brackets behind it";
    }
    return fail(place, "there is no column " + quoted(name), std::move(hint));
  }
  Operation made;
  made.kind = Kind::Column;
  made.type = schema_[*found].type;
  made.number = *found;
  made.offset = place.offset;
  made.bytes = place.bytes;
  columns_read_[*found] = true;
  return add(std::move(made));
}

void ExpressionBuilder::finish(Node root) {
  program_.root = root;
  for (std::size_t each = 0; each < columns_read_.size(); ++each) {
    if (columns_read_[each]) program_.columns.push_back(each);
  }
}

// ---- types

bool ExpressionBuilder::numeric(Node node) const noexcept {
  return at(node).untyped || type(node) == ColumnType::Int || type(node) == ColumnType::Double;
}

void ExpressionBuilder::settle(Node node, ColumnType type) noexcept {
  if (!at(node).untyped) return;
  at(node).untyped = false;
  at(node).type = type;
}

Node ExpressionBuilder::convert(Node node, ColumnType wanted) {
  settle(node, wanted);
  if (type(node) == wanted) return node;
  return compute(conversion_kernel(type(node), wanted), wanted, {node}, place(node));
}

std::string ExpressionBuilder::conversion_hint(Node node, ColumnType wanted) const {
  const std::string what = shown(words(node));
  if (wanted == ColumnType::Text) return "text(" + what + ")";
  if (wanted == ColumnType::Bool) {
    return type(node) == ColumnType::Text ? what + " = 'true'" : what + " != 0";
  }
  return named(wanted) + "(" + what + ")";
}

bool ExpressionBuilder::require(Node node, ColumnType wanted, std::string_view who) {
  settle(node, wanted);
  if (type(node) == wanted) return true;
  fail(place(node),
       std::string(who) + " takes " + named(wanted) + ", and this is " + named(type(node)),
       conversion_hint(node, wanted));
  return false;
}

bool ExpressionBuilder::require_number(Node node, std::string_view who) {
  if (numeric(node)) return true;
  fail(place(node), std::string(who) + " takes numbers, and this is " + named(type(node)),
       conversion_hint(node, ColumnType::Int));
  return false;
}

bool ExpressionBuilder::unify(std::vector<Node>& nodes, std::string_view who) {
  std::optional<ColumnType> common;
  Node first = nothing;
  for (const Node each : nodes) {
    if (at(each).untyped) continue;
    if (!common) {
      common = type(each);
      first = each;
    } else if (type(each) != *common) {
      if (!numeric(each) || !numeric(first)) {
        // What is wrong most often is a number that still is text.
        const bool first_is_text = *common == ColumnType::Text;
        const Node wrong = first_is_text && numeric(each) ? first : each;
        const Node right = wrong == first ? each : first;
        fail(place(wrong),
             std::string(who) + " has " + named(type(first)) + " and " + named(type(each)),
             conversion_hint(wrong, type(right)));
        return false;
      }
      common = ColumnType::Double;
    }
  }
  for (Node& each : nodes) {
    each = convert(each, common.value_or(ColumnType::Text));
    if (each == nothing) return false;
  }
  return true;
}

// ---- operators

namespace {

Place around(Place first, Place last) noexcept {
  const std::size_t end = std::max(first.offset + first.bytes, last.offset + last.bytes);
  const std::size_t begin = std::min(first.offset, last.offset);
  return {begin, end - begin};
}

}  // namespace

Node ExpressionBuilder::negation(Node of, Place place) {
  if (!require_number(of, "'-'")) return nothing;
  settle(of, ColumnType::Int);
  return compute(negation_kernel(type(of)), type(of), {of}, place);
}

Node ExpressionBuilder::inversion(Node of, Place place) {
  if (!require(of, ColumnType::Bool, "'not'")) return nothing;
  return compute(not_kernel, ColumnType::Bool, {of}, place);
}

Node ExpressionBuilder::arithmetic(Arithmetic operation, std::string_view symbol, Node a, Node b) {
  const Place whole = around(place(a), place(b));
  for (const Node each : {a, b}) {
    if (operation == Arithmetic::Add && type(each) == ColumnType::Text && !at(each).untyped) {
      return fail(place(each), "'+' takes numbers, and this is text",
                  "concat(a, b) joins texts, int(x) makes a number of one");
    }
    if (!require_number(each, quoted(symbol))) return nothing;
  }
  if (at(a).untyped && at(b).untyped) settle(a, ColumnType::Int);
  std::vector<Node> both{a, b};
  if (!unify(both, quoted(symbol))) return nothing;
  const ColumnType result = type(both[0]);
  return compute(arithmetic_kernel(operation, result), result, std::move(both), whole);
}

Node ExpressionBuilder::comparison(Comparison operation, std::string_view symbol, Node a, Node b) {
  const Place whole = around(place(a), place(b));
  std::vector<Node> both{a, b};
  if (!unify(both, quoted(symbol))) return nothing;
  const ColumnType type_of_both = type(both[0]);
  return compute(comparison_kernel(operation, type_of_both), ColumnType::Bool, std::move(both),
                 whole);
}

Node ExpressionBuilder::logic(bool is_and, Node a, Node b) {
  const std::string_view who = is_and ? "'and'" : "'or'";
  if (!require(a, ColumnType::Bool, who) || !require(b, ColumnType::Bool, who)) return nothing;
  return compute(is_and ? and_kernel : or_kernel, ColumnType::Bool, {a, b},
                 around(place(a), place(b)));
}

Node ExpressionBuilder::like(Node text, Node pattern, bool negated, Place place) {
  if (!require(text, ColumnType::Text, "'like'")) return nothing;
  if (!require(pattern, ColumnType::Text, "'like'")) return nothing;
  const Node made = compute(like_kernel(), ColumnType::Bool, {text, pattern}, place);
  return negated && made != nothing ? inversion(made, place) : made;
}

Node ExpressionBuilder::in(Node value, std::vector<Node> members, bool negated, Place place) {
  members.push_back(value);
  if (!unify(members, "'in'")) return nothing;
  value = members.back();
  members.pop_back();
  const bool literals =
      std::all_of(members.begin(), members.end(), [&](Node each) { return is_constant(each); });
  Node made = nothing;
  if (literals && type(value) != ColumnType::Bool) {
    Operation list;
    for (const Node each : members) {
      if (at(each).result.is_null(0)) {
        list.null_among = true;
      } else {
        list.members.push_back(at(each).result.cells[0]);
      }
    }
    order_members(list.members, type(value));
    list.kernel = member_kernel(type(value));
    list.type = ColumnType::Bool;
    list.inputs = {value};
    list.offset = place.offset;
    list.bytes = place.bytes;
    made = add_and_fold(std::move(list));
  } else {
    for (const Node each : members) {
      const Node same = comparison(Comparison::Equal, "in", value, each);
      if (same == nothing) return nothing;
      made = made == nothing ? same : logic(false, made, same);
      if (made == nothing) return nothing;
    }
  }
  return negated && made != nothing ? inversion(made, place) : made;
}

Node ExpressionBuilder::is_null(Node of, bool negated, Place place) {
  return compute(negated ? is_not_null_kernel : is_null_kernel, ColumnType::Bool, {of}, place);
}

// ---- functions

Node ExpressionBuilder::call(std::string_view name, Place name_place, std::vector<Node> arguments,
                             Place place) {
  const auto known = functions();
  const auto found = std::find_if(known.begin(), known.end(), [&](const Function& each) {
    return equal_ignoring_case(each.name, name);
  });
  if (found != known.end()) return call_of(*found, arguments, place);
  std::vector<std::string_view> names;
  for (const Function& each : known) names.push_back(each.name);
  const std::string_view nearest = nearest_name(name, names);
  std::string hint;
  for (const Function& each : known) {
    if (each.name == nearest) hint = "did you mean " + std::string(each.signature) + "?";
  }
  return fail(name_place, "there is no function " + quoted(name), std::move(hint));
}

Node ExpressionBuilder::call_of(const Function& function, std::vector<Node>& arguments,
                                Place place) {
  if (!check_arguments(function, arguments, place)) return nothing;
  switch (function.kind) {
    case Function::Kind::Plain: return compute(function.kernel, function.result, arguments, place);
    case Function::Kind::Numeric: return numeric_call(function, arguments, place);
    case Function::Kind::Convert: return convert(arguments[0], function.result);
    case Function::Kind::If:
    case Function::Kind::Coalesce: return choice(function, arguments, place);
    case Function::Kind::Concat:
      for (Node& each : arguments) {
        each = convert(each, ColumnType::Text);
        if (each == nothing) return nothing;
      }
      return compute(function.kernel, function.result, arguments, place);
    case Function::Kind::Hash: return hash(arguments, place);
    case Function::Kind::Header: return header(function, arguments[0], place);
    case Function::Kind::Regex: break;
  }
  return regex(function, arguments, place);
}

bool ExpressionBuilder::check_arguments(const Function& function,
                                        const std::vector<Node>& arguments, Place place) {
  const std::size_t wanted = function.parameters.size();
  const std::string name(function.name);
  if (function.any_number ? arguments.size() < wanted : arguments.size() != wanted) {
    fail(place,
         name + " takes " + (function.any_number ? "at least " : "") + std::to_string(wanted) +
             (wanted == 1 ? " value, not " : " values, not ") + std::to_string(arguments.size()),
         std::string(function.signature));
    return false;
  }
  for (std::size_t each = 0; each < arguments.size(); ++each) {
    const Node argument = arguments[each];
    const char parameter = function.parameters[std::min(each, wanted - 1)];
    const bool fits = parameter == 't'   ? require(argument, ColumnType::Text, name)
                      : parameter == 'i' ? require(argument, ColumnType::Int, name)
                      : parameter == 'b' ? require(argument, ColumnType::Bool, name)
                      : parameter == 'n' ? require_number(argument, name)
                                         : true;
    if (!fits) return false;
  }
  return true;
}

Node ExpressionBuilder::choice(const Function& function, std::vector<Node>& arguments,
                               Place place) {
  const bool is_if = function.kind == Function::Kind::If;
  std::vector<Node> values(arguments.begin() + (is_if ? 1 : 0), arguments.end());
  if (!unify(values, function.name)) return nothing;
  const ColumnType result = type(values[0]);
  if (is_if) values.insert(values.begin(), arguments[0]);
  return compute(is_if ? if_kernel : coalesce_kernel, result, std::move(values), place);
}

Node ExpressionBuilder::hash(const std::vector<Node>& arguments, Place place) {
  Node made = nothing;
  for (const Node each : arguments) {
    std::vector<Node> inputs{each};
    if (made != nothing) inputs.push_back(made);
    made = compute(hash_kernel(type(each), made != nothing), ColumnType::Int, std::move(inputs),
                   place);
    if (made == nothing) return nothing;
  }
  return made;
}

Node ExpressionBuilder::numeric_call(const Function& function, std::vector<Node>& arguments,
                                     Place place) {
  if (at(arguments[0]).untyped && at(arguments.back()).untyped) {
    settle(arguments[0], ColumnType::Int);
  }
  if (!unify(arguments, function.name)) return nothing;
  const ColumnType result = type(arguments[0]);
  const bool ints = result == ColumnType::Int;
  return compute(ints ? function.kernel : function.on_doubles, result, arguments, place);
}

bool ExpressionBuilder::require_literal(Node node, std::string_view what) {
  if (is_constant(node) && !at(node).result.is_null(0)) return true;
  fail(place(node), std::string(what) + " must be a literal: it is settled when the file is read");
  return false;
}

Node ExpressionBuilder::regex(const Function& function, const std::vector<Node>& arguments,
                              Place place) {
  if (!require_literal(arguments[1], "the regex")) return nothing;
  const std::string expression(at(arguments[1]).result.cells[0].view());
  if (expression.size() > Expression::regex_bytes_max) {
    return fail(this->place(arguments[1]), "the regex is too long");
  }
  auto pattern = JavaPattern::make(expression);
  if (!pattern.ok()) return fail(this->place(arguments[1]), pattern.status().message());
  Operation made;
  made.pattern = std::make_unique<JavaPattern>(*std::move(pattern));
  if (arguments.size() > 2) {
    if (!require_literal(arguments[2], "the group")) return nothing;
    const std::int64_t group = at(arguments[2]).result.cells[0].integer;
    const std::size_t groups = made.pattern->groups();
    if (group < 0 || static_cast<std::uint64_t>(group) > groups) {
      return fail(
          this->place(arguments[2]),
          "the regex has no group " + std::to_string(group) + ", only " + std::to_string(groups),
          "group 0 is all that it matches; (...) makes a group");
    }
    made.number = static_cast<std::size_t>(group);
  }
  made.kernel = function.kernel;
  made.type = function.result;
  made.inputs = {arguments[0]};
  made.offset = place.offset;
  made.bytes = place.bytes;
  return add_and_fold(std::move(made));
}

Node ExpressionBuilder::header(const Function& function, Node name, Place place) {
  if (!require_literal(name, "the name of the header")) return nothing;
  if (!schema_.with_headers()) {
    return fail(place, "there are no headers here: these rows are no events any more",
                "take the header into a column in an earlier step");
  }
  Operation made;
  made.text = at(name).result.cells[0].view();
  made.kernel = function.kernel;
  made.type = function.result;
  made.offset = place.offset;
  made.bytes = place.bytes;
  return add_and_fold(std::move(made));
}

}  // namespace sluice::analytics
