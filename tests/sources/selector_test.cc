// Which part of a batch each channel gets.

#include "sources/selector.h"

#include "channels/commit.h"
#include "channels/memory_channel.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/memory_channels.h"
#include "tests/support/receipt_book.h"

namespace sluice {
namespace {

struct Bench {
  SlabPool pool{64 * 1024, keep_no_free_slabs};
  MemoryChannel a{roomy_channel("a"), pool};
  MemoryChannel b{roomy_channel("b"), pool};
  MemoryChannel rest{roomy_channel("rest"), pool};

  Selector by_type(Route otherwise) {
    return Selector(std::move(otherwise), "type",
                    {{"a", {{&a}, {}}}, {"b", {{&b}, {}}}, {"both", {{&a, &b}, {&rest}}}});
  }
  /// An event a value, numbered from 0; "-" has no such header.
  Batch typed(const std::vector<std::string>& values) {
    BatchBuilder builder(pool, EventHeaders::Own);
    builder.renew();
    for (std::size_t i = 0; i < values.size(); ++i) {
      TestHeaders headers{{"other", "x"}};
      if (values[i] != "-") headers.emplace_back("type", values[i]);
      REQUIRE(builder.append(std::to_string(i), encoded(headers)));
    }
    return builder.seal();
  }
};

using Numbers = std::vector<std::uint64_t>;

Numbers in(const Routed& routed, const Channel& channel) {
  for (const Routed::Part& part : routed.required) {
    if (part.channel == &channel) return numbers_of(part.batch);
  }
  return {};
}

TEST_CASE("without mappings every channel shares the whole batch") {
  Bench bench;
  Selector selector({{&bench.a, &bench.b}, {&bench.rest}});
  const Batch batch = numbered(bench.pool, 0, 5);
  const Routed routed = selector.route(batch);
  REQUIRE(routed.required.size() == 2);
  REQUIRE(routed.optional.size() == 1);
  CHECK(routed.required[1].batch.body(3).data() == batch.body(3).data());
  CHECK(routed.amount().events == 15);
  CHECK(routed.no_say == 0);
  CHECK(routed.unrouted.events == 0);
}

TEST_CASE("events go by the value of their header, in order") {
  Bench bench;
  Selector selector = bench.by_type({{&bench.rest}, {}});
  const Batch batch = bench.typed({"a", "b", "a", "both", "c", "-", "b"});
  const Routed routed = selector.route(batch);
  CHECK(in(routed, bench.a) == Numbers{0, 2, 3});
  CHECK(in(routed, bench.b) == Numbers{1, 3, 6});
  CHECK(in(routed, bench.rest) == Numbers{4, 5});
  REQUIRE(routed.optional.size() == 1);
  CHECK(routed.optional[0].channel == &bench.rest);
  CHECK(numbers_of(routed.optional[0].batch) == Numbers{3});
  CHECK(routed.amount().events == 9);
  CHECK(routed.amount().bytes == 9);
  // The next batch remembers nothing of it.
  CHECK(in(selector.route(bench.typed({"b", "a"})), bench.a) == Numbers{1});
}

TEST_CASE("blank counts as missing, and values are taken letter by letter") {
  Bench bench;
  Selector selector({{&bench.rest}, {}}, "type",
                    {{" ", {{&bench.a}, {}}}, {"x", {{&bench.b}, {}}}});
  const Routed routed = selector.route(bench.typed({"", " ", " \t\r", "X", " x", "x"}));
  CHECK(in(routed, bench.rest) == Numbers{0, 1, 2, 3, 4});
  CHECK(in(routed, bench.b) == Numbers{5});
  CHECK(in(routed, bench.a).empty());
}

TEST_CASE("what has no way is counted, and what has only optional channels has no say") {
  Bench bench;
  Selector selector({{}, {}}, "type", {{"a", {{&bench.a}, {}}}, {"o", {{}, {&bench.b}}}});
  const Routed some = selector.route(bench.typed({"a", "o", "x", "-", "a"}));
  CHECK(some.unrouted.events == 2);
  CHECK(some.unrouted.bytes == 2);
  CHECK(some.no_say == 3);
  CHECK(in(some, bench.a) == Numbers{0, 4});
  const Routed none = selector.route(bench.typed({"x", "x"}));
  CHECK(none.empty());
  CHECK(none.unrouted.events == 2);
  CHECK(none.no_say == 2);
  const Routed optional = selector.route(bench.typed({"o", "o"}));
  CHECK(optional.required.empty());
  CHECK(optional.no_say == 2);
  CHECK(optional.unrouted.events == 0);
  CHECK(selector.route(Batch()).empty());
}

TEST_CASE("a header that all events share decides for all of them") {
  Bench bench;
  Selector selector = bench.by_type({{&bench.rest}, {}});
  const HeaderBlock is_a(encoded({{"type", "a"}}));
  const HeaderBlock is_b(encoded({{"type", "b"}}));
  const Batch plain = numbered(bench.pool, 0, 3);
  CHECK(in(selector.route(plain), bench.rest) == Numbers{0, 1, 2});
  CHECK(in(selector.route(plain.with_shared_headers(is_a, {})), bench.a) == Numbers{0, 1, 2});
  CHECK(in(selector.route(plain.with_shared_headers({}, is_a)), bench.a) == Numbers{0, 1, 2});
  CHECK(in(selector.route(plain.with_shared_headers(is_b, is_a)), bench.b) == Numbers{0, 1, 2});
  // An event's own header stands between the two.
  const Batch own = bench.typed({"b", "-", "b"});
  const Routed mixed = selector.route(own.with_shared_headers({}, is_a));
  CHECK(in(mixed, bench.b) == Numbers{0, 2});
  CHECK(in(mixed, bench.a) == Numbers{1});
  CHECK(in(selector.route(own.with_shared_headers(is_a, is_b)), bench.a) == Numbers{0, 1, 2});
}

TEST_CASE("a batch that goes one way whole is shared, and a run of neighbours is a slice of it") {
  Bench bench;
  Selector selector = bench.by_type({{&bench.rest}, {}});
  const Batch all = bench.typed({"a", "a", "a"});
  const Routed whole = selector.route(all);
  REQUIRE(whole.required.size() == 1);
  CHECK(whole.required[0].batch.beside_bytes() == Batch::overhead_bytes);
  const Routed runs = selector.route(bench.typed({"a", "a", "b", "b", "b"}));
  CHECK(in(runs, bench.a) == Numbers{0, 1});
  CHECK(in(runs, bench.b) == Numbers{2, 3, 4});
  for (const Routed::Part& part : runs.required) {
    CHECK(part.batch.beside_bytes() == Batch::overhead_bytes);
  }
}

TEST_CASE("a channel may be required of some events and optional for others") {
  Bench bench;
  Selector selector({{&bench.a}, {}}, "type", {{"o", {{&bench.b}, {&bench.a}}}});
  const Routed routed = selector.route(bench.typed({"o", "-", "o"}));
  CHECK(in(routed, bench.a) == Numbers{1});
  CHECK(in(routed, bench.b) == Numbers{0, 2});
  REQUIRE(routed.optional.size() == 1);
  CHECK(routed.optional[0].channel == &bench.a);
  CHECK(numbers_of(routed.optional[0].batch) == Numbers{0, 2});
  CHECK(selector.required() == std::vector<Channel*>{&bench.a, &bench.b});
}

TEST_CASE("optional parts carry no receipt") {
  Bench bench;
  const auto book = std::make_shared<ReceiptBook>();
  Selector selector = bench.by_type({{&bench.a}, {}});
  const Batch batch = bench.typed({"both", "-"});
  const Routed routed = selector.route(batch.with_receipt(Receipt::make(book, 1, 2)));
  for (const Routed::Part& part : routed.required) CHECK(part.batch.receipt());
  REQUIRE(routed.optional.size() == 1);
  CHECK_FALSE(routed.optional[0].batch.receipt());
}

}  // namespace
}  // namespace sluice
