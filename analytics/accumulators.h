// What each aggregate function keeps of a group: small structs that live in the group's words.
//
// Each is loaded from its words, changed and stored back, so it is trivially copyable; all bits
// zero is one that has seen nothing. What does not fit hangs on a pointer that destroy() frees.
// Each has:
//   Value                      what add() takes: bool, std::int64_t, double or std::string_view
//   invertible                 whether there is a subtract()
//   add(value, context)        a value that is not null, in order of arrival
//   subtract(what, context)    takes out what was merged in before
//   merge(from, context)       all that `from` has seen came after what this has
//   finish(column, context)    appends the result, or a null
//   encode(out), decode(in, context)   as in Aggregates; decode() of one that has seen nothing
//   destroy(context)           frees what it owns
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "analytics/ddsketch.h"
#include "analytics/hyperloglog.h"
#include "analytics/rows.h"
#include "analytics/state_budget.h"
#include "analytics/state_codec.h"

namespace sluice::analytics {

/// What accumulators need besides their words.
struct AccumulatorContext {
  std::uint64_t& owned_bytes;  ///< What hangs on pointers, in all groups.
  std::size_t limit = 0;       ///< Of collect.
  /// What add() may make of owned_bytes; a value that takes more is left out, and counted.
  std::uint64_t owned_max = StateBudget::no_limit;
  StateBudget* budget = nullptr;  ///< Counts them; there is one where there is a bound.

  /// Less room than any sketch can grow by.
  bool is_short() const noexcept {
    constexpr std::uint64_t sketch_bytes_max = 64 * 1024;
    return owned_bytes >= owned_max || owned_max - owned_bytes < sketch_bytes_max;
  }
  bool has_room(std::uint64_t more) const noexcept {
    if (more == 0 || (owned_bytes <= owned_max && more <= owned_max - owned_bytes)) return true;
    budget->refuse_value();
    return false;
  }
};

/// What finish() needs besides.
struct FinishContext {
  TextArena& texts;
  double quantile = 0;
  double seconds = 0;  ///< The length of the window; 0 when there is none.
};

template <typename T>
T value_of(const Cell& cell) noexcept {
  if constexpr (std::is_same_v<T, bool>) {
    return cell.truth;
  } else if constexpr (std::is_same_v<T, std::int64_t>) {
    return cell.integer;
  } else if constexpr (std::is_same_v<T, double>) {
    return cell.real;
  } else {
    return cell.view();
  }
}

/// The order of min and max: NaN is above all numbers, and equal to itself, as in Spark.
template <typename T>
bool is_less(const T& a, const T& b) noexcept {
  if constexpr (std::is_same_v<T, double>) return a < b || (std::isnan(b) && !std::isnan(a));
  return a < b;
}

/// A value, so that encode() and decode() are the same for all three.
template <typename T>
void put_value(T value, std::string& out) {
  if constexpr (std::is_same_v<T, double>) {
    put_double(value, out);
  } else {
    put_signed(value, out);
  }
}

template <typename T>
bool take_value(std::string_view& in, T& value) {
  if constexpr (std::is_same_v<T, double>) {
    return take_double(in, value);
  } else if constexpr (std::is_same_v<T, bool>) {
    std::int64_t number = 0;
    if (!take_signed(in, number) || number < 0 || number > 1) return false;
    value = number == 1;
    return true;
  } else {
    return take_signed(in, value);
  }
}

// ---- numbers: nothing owned

struct NothingOwned {
  void destroy(AccumulatorContext&) noexcept {}
};

/// Of rows when there is no argument; its fold loop is in aggregates.cc.
template <typename T>
struct CountOf : NothingOwned {
  using Value = T;
  static constexpr bool invertible = true;
  std::uint64_t count;

  void add(const T&, AccumulatorContext&) noexcept { ++count; }
  void merge(const CountOf& from, AccumulatorContext&) noexcept { count += from.count; }
  void subtract(const CountOf& what, AccumulatorContext&) noexcept { count -= what.count; }
  void finish(Column& out, const FinishContext&) const {
    out.push_back(Cell::of(static_cast<std::int64_t>(count)));
  }
  void encode(std::string& out) const { put_number(count, out); }
  bool decode(std::string_view& in, AccumulatorContext&) { return take_number(in, count); }
};

struct RateOf : CountOf<bool> {
  void finish(Column& out, const FinishContext& context) const {
    if (!(context.seconds > 0)) return out.push_null();
    out.push_back(Cell::of(static_cast<double>(count) / context.seconds));
  }
};

template <typename T>
struct SumOf : NothingOwned {
  using Value = T;
  // What rounding lost of a double does not come back when the double is taken out.
  static constexpr bool invertible = std::is_same_v<T, std::int64_t>;
  T sum;
  std::uint64_t count;

  static T plus(T a, T b) noexcept {
    if constexpr (std::is_same_v<T, double>) return a + b;
    return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));  // Wraps.
  }
  void add(T value, AccumulatorContext&) noexcept {
    sum = plus(sum, value);
    ++count;
  }
  void merge(const SumOf& from, AccumulatorContext&) noexcept {
    sum = plus(sum, from.sum);
    count += from.count;
  }
  void subtract(const SumOf& what, AccumulatorContext&) noexcept {
    sum = static_cast<T>(static_cast<std::uint64_t>(sum) - static_cast<std::uint64_t>(what.sum));
    count -= what.count;
  }
  void finish(Column& out, const FinishContext&) const {
    if (count == 0) return out.push_null();
    out.push_back(Cell::of(sum));
  }
  void encode(std::string& out) const {
    put_value(sum, out);
    put_number(count, out);
  }
  bool decode(std::string_view& in, AccumulatorContext&) {
    return take_value(in, sum) && take_number(in, count);
  }
};

struct AvgOfDoubles : SumOf<double> {
  void finish(Column& out, const FinishContext&) const {
    if (count == 0) return out.push_null();
    out.push_back(Cell::of(sum / static_cast<double>(count)));
  }
};

/// With a sum of 128 bits, which no number of events brings to its end.
struct AvgOfInts : NothingOwned {
  using Value = std::int64_t;
  __extension__ using Wide = unsigned __int128;
  __extension__ using SignedWide = __int128;
  static constexpr bool invertible = true;
  std::uint64_t low;
  std::uint64_t high;
  std::uint64_t count;

  Wide sum() const noexcept { return static_cast<Wide>(high) << 64 | low; }
  void set_sum(Wide sum) noexcept {
    low = static_cast<std::uint64_t>(sum);
    high = static_cast<std::uint64_t>(sum >> 64);
  }
  void add(std::int64_t value, AccumulatorContext&) noexcept {
    set_sum(sum() + static_cast<Wide>(static_cast<SignedWide>(value)));
    ++count;
  }
  void merge(const AvgOfInts& from, AccumulatorContext&) noexcept {
    set_sum(sum() + from.sum());
    count += from.count;
  }
  void subtract(const AvgOfInts& what, AccumulatorContext&) noexcept {
    set_sum(sum() - what.sum());
    count -= what.count;
  }
  void finish(Column& out, const FinishContext&) const {
    if (count == 0) return out.push_null();
    const auto total = static_cast<double>(static_cast<SignedWide>(sum()));
    out.push_back(Cell::of(total / static_cast<double>(count)));
  }
  void encode(std::string& out) const {
    put_number(low, out);
    put_signed(static_cast<std::int64_t>(high), out);
    put_number(count, out);
  }
  bool decode(std::string_view& in, AccumulatorContext&) {
    std::int64_t upper = 0;
    if (!take_number(in, low) || !take_signed(in, upper)) return false;
    high = static_cast<std::uint64_t>(upper);
    return take_number(in, count);
  }
};

/// Mean and squared distances from it, by Welford and, for merges, by Chan: no difference of large
/// squares, so a small variance around a large mean comes out right.
template <typename T, bool square_root>
struct VarianceOf : NothingOwned {
  using Value = T;
  static constexpr bool invertible = false;
  std::uint64_t count;
  double mean;
  double distances;

  void add(T value, AccumulatorContext&) noexcept {
    const auto x = static_cast<double>(value);
    const double off = x - mean;
    mean += off / static_cast<double>(++count);
    distances += off * (x - mean);
  }
  void merge(const VarianceOf& from, AccumulatorContext&) noexcept {
    if (from.count == 0) return;
    if (count == 0) {
      *this = from;
      return;
    }
    const auto mine = static_cast<double>(count);
    const auto theirs = static_cast<double>(from.count);
    const double off = from.mean - mean;
    count += from.count;
    mean += off * theirs / (mine + theirs);
    distances += from.distances + off * off * mine * theirs / (mine + theirs);
  }
  void finish(Column& out, const FinishContext&) const {
    if (count < 2) return out.push_null();
    const double variance = distances / static_cast<double>(count - 1);
    out.push_back(Cell::of(square_root ? std::sqrt(variance) : variance));
  }
  void encode(std::string& out) const {
    put_number(count, out);
    put_double(mean, out);
    put_double(distances, out);
  }
  bool decode(std::string_view& in, AccumulatorContext&) {
    return take_number(in, count) && take_double(in, mean) && take_double(in, distances);
  }
};

// ---- one of the values

/// Which of two values stays, the second having come later.
enum class Keep : unsigned char { Smallest, Largest, First, Last };

template <Keep keep, typename T>
bool replaces(const T& later, const T& held) noexcept {
  if constexpr (keep == Keep::Smallest) return is_less(later, held);
  if constexpr (keep == Keep::Largest) return is_less(held, later);
  return keep == Keep::Last;
}

template <Keep keep, typename T>
struct OneOf : NothingOwned {
  using Value = T;
  static constexpr bool invertible = false;
  std::uint64_t is_held;
  T held;

  void add(T value, AccumulatorContext&) noexcept {
    if (is_held != 0 && !replaces<keep>(value, held)) return;
    held = value;
    is_held = 1;
  }
  void merge(const OneOf& from, AccumulatorContext& context) noexcept {
    if (from.is_held != 0) add(from.held, context);
  }
  void finish(Column& out, const FinishContext&) const {
    if (is_held == 0) return out.push_null();
    out.push_back(Cell::of(held));
  }
  void encode(std::string& out) const {
    put_number(is_held, out);
    if (is_held != 0) put_value(held, out);
  }
  bool decode(std::string_view& in, AccumulatorContext&) {
    unsigned has_value = 0;
    if (!take_byte(in, 1, has_value)) return false;
    if (has_value != 0 && !take_value(in, held)) return false;
    is_held = has_value;
    return true;
  }
};

/// A copy of a text in memory of its own, which serves again for the next one when that fits.
class OwnedText {
 public:
  bool is_held() const noexcept { return block_ != nullptr; }
  std::string_view view() const noexcept;
  /// How many bytes more it takes to hold this text.
  std::uint64_t growth(std::string_view text) const noexcept;
  void assign(std::string_view text, AccumulatorContext& context);
  void destroy(AccumulatorContext& context) noexcept;

 private:
  char* block_;  // Eight bytes that say how many follow, then room for the text.
  std::uint64_t bytes_;
};

template <Keep keep>
struct OneText {
  using Value = std::string_view;
  static constexpr bool invertible = false;
  OwnedText held;

  void add(std::string_view value, AccumulatorContext& context) {
    if (held.is_held() && !replaces<keep>(value, held.view())) return;
    if (context.has_room(held.growth(value))) held.assign(value, context);
  }
  void merge(const OneText& from, AccumulatorContext& context) {
    if (from.held.is_held()) add(from.held.view(), context);
  }
  void finish(Column& out, const FinishContext&) const {
    if (!held.is_held()) return out.push_null();
    out.push_back(Cell::of(held.view()));
  }
  void encode(std::string& out) const {
    put_number(held.is_held() ? 1 : 0, out);
    if (held.is_held()) put_text(held.view(), out);
  }
  bool decode(std::string_view& in, AccumulatorContext& context) {
    unsigned has_value = 0;
    std::string_view text;
    if (!take_byte(in, 1, has_value)) return false;
    if (has_value == 0) return true;
    if (!take_text(in, text)) return false;
    held.assign(text, context);
    return true;
  }
  void destroy(AccumulatorContext& context) noexcept { held.destroy(context); }
};

// ---- many of the values

/// The first values as texts, each behind its length.
struct Collected {
  std::uint64_t count = 0;
  std::string texts;

  std::size_t bytes() const noexcept { return texts.capacity(); }
  /// bytes(), were this text in it too.
  std::size_t bytes_with(std::string_view text) const noexcept;
  void add(std::string_view text);
  /// Adds of `from` what the limit has room for.
  void add_some(const Collected& from, std::size_t limit);
  std::string_view list(TextArena& arena) const;
  void encode(std::string& out) const;
  [[nodiscard]] bool decode(std::string_view& in, std::size_t limit);
};

/// The value as collect() shows it: "true", "-7", "0.25", the text itself. `room` is for numbers.
template <typename T>
std::string_view shown(const T& value, std::span<char, 32> room) noexcept {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return value;
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else {
    const auto [end, error] = std::to_chars(room.data(), room.data() + room.size(), value);
    return {room.data(), static_cast<std::size_t>(end - room.data())};
  }
}

/// An object on the heap, there from the first value on, whose bytes() are accounted for.
template <typename Kept>
struct OnHeap {
  Kept* kept;

  /// Whether there is room for `bytes`, instead of those that it has.
  bool has_room(const AccumulatorContext& context, std::size_t bytes) const {
    if (kept == nullptr) return context.has_room(sizeof(Kept) + bytes);
    return context.has_room(bytes - std::min(bytes, kept->bytes()));
  }
  template <typename Change>
  void change(AccumulatorContext& context, Change what) {
    const std::size_t before = kept == nullptr ? 0 : sizeof(Kept) + kept->bytes();
    if (kept == nullptr) kept = new Kept;
    what(*kept);
    context.owned_bytes += sizeof(Kept) + kept->bytes() - before;
  }
  void destroy(AccumulatorContext& context) noexcept {
    if (kept == nullptr) return;
    context.owned_bytes -= sizeof(Kept) + kept->bytes();
    delete kept;
    kept = nullptr;
  }
};

template <typename T>
struct CollectOf : OnHeap<Collected> {
  using Value = T;
  static constexpr bool invertible = false;

  void add(const T& value, AccumulatorContext& context) {
    if (kept != nullptr && kept->count >= context.limit) return;
    char room[32];
    const std::string_view text = shown(value, room);
    const std::size_t bytes =
        kept == nullptr ? Collected().bytes_with(text) : kept->bytes_with(text);
    if (!this->has_room(context, bytes)) return;
    change(context, [&](Collected& all) { all.add(text); });
  }
  void merge(const CollectOf& from, AccumulatorContext& context) {
    if (from.kept == nullptr) return;
    change(context, [&](Collected& all) { all.add_some(*from.kept, context.limit); });
  }
  void finish(Column& out, const FinishContext& context) const {
    out.push_back(Cell::of(kept == nullptr ? "[]" : kept->list(context.texts)));
  }
  void encode(std::string& out) const { kept == nullptr ? put_number(0, out) : kept->encode(out); }
  bool decode(std::string_view& in, AccumulatorContext& context) {
    bool sound = false;
    change(context, [&](Collected& all) { sound = all.decode(in, context.limit); });
    return sound;
  }
};

// The hashes are part of what is saved and sent: changing them makes old sketches count double.
std::uint64_t hash_of(std::uint64_t bits) noexcept;
std::uint64_t hash_of(std::string_view text) noexcept;
/// -0 is 0, and there is one NaN.
std::uint64_t hash_of(double value) noexcept;
inline std::uint64_t hash_of(bool value) noexcept { return hash_of(std::uint64_t{value}); }
inline std::uint64_t hash_of(std::int64_t value) noexcept {
  return hash_of(static_cast<std::uint64_t>(value));
}

/// A sketch, or nothing as long as there was no value.
template <typename Sketch>
struct OnHeapSketch : OnHeap<Sketch> {
  /// Adds a value (or its hash), if there is room for what that may make of the sketch.
  template <typename Value>
  void add_to_sketch(Value value, AccumulatorContext& context) {
    if (context.is_short()) {
      const std::size_t bytes =
          this->kept == nullptr ? Sketch().bytes_with(value) : this->kept->bytes_with(value);
      if (!this->has_room(context, bytes)) return;
    }
    this->change(context, [&](Sketch& sketch) { sketch.add(value); });
  }
  void merge(const OnHeapSketch& from, AccumulatorContext& context) {
    if (from.kept == nullptr) return;
    this->change(context, [&](Sketch& sketch) { sketch.merge(*from.kept); });
  }
  void encode(std::string& out) const {
    put_number(this->kept == nullptr ? 0 : 1, out);
    if (this->kept != nullptr) this->kept->encode(out);
  }
  bool decode(std::string_view& in, AccumulatorContext& context) {
    unsigned is_there = 0;
    if (!take_byte(in, 1, is_there)) return false;
    if (is_there == 0) return true;
    bool sound = false;
    this->change(context, [&](Sketch& sketch) { sound = Sketch::decode(in, sketch); });
    return sound;
  }
};

template <typename T>
struct DistinctOf : OnHeapSketch<HyperLogLog> {
  using Value = T;
  static constexpr bool invertible = false;

  void add(const T& value, AccumulatorContext& context) {
    this->add_to_sketch(hash_of(value), context);
  }
  void finish(Column& out, const FinishContext&) const {
    // Registers that somebody made up may tell of more than an int holds.
    const double count = kept == nullptr ? 0 : std::min(kept->estimate(), 0x1p62);
    out.push_back(Cell::of(static_cast<std::int64_t>(std::llround(count))));
  }
};

template <typename T>
struct QuantileOf : OnHeapSketch<DDSketch> {
  using Value = T;
  static constexpr bool invertible = true;

  void add(T value, AccumulatorContext& context) {
    this->add_to_sketch(static_cast<double>(value), context);
  }
  void subtract(const QuantileOf& what, AccumulatorContext& context) {
    if (kept == nullptr || what.kept == nullptr) return;
    change(context, [&](DDSketch& sketch) { sketch.subtract(*what.kept); });
  }
  void finish(Column& out, const FinishContext& context) const {
    const auto value = kept == nullptr ? std::nullopt : kept->quantile(context.quantile);
    if (!value) return out.push_null();
    out.push_back(Cell::of(*value));
  }
};

}  // namespace sluice::analytics
