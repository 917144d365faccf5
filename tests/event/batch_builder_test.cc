// The edges of BatchBuilder and of the small types around it.

#include "core/event/batch_builder.h"

#include "core/event/compactor.h"
#include "core/wire/line_splitter.h"
#include "tests/catch.h"
#include "tests/support/batches.h"
#include "tests/support/receipt_book.h"

namespace sluice {
namespace {

TEST_CASE("bodies and index meet without touching") {
  SlabPool pool(4096, keep_no_free_slabs);
  for (const std::size_t bytes : {0U, 1U, 7U, 8U, 100U}) {
    BatchBuilder builder(pool);
    builder.renew();
    const std::string body(bytes, 'b');
    std::vector<Batch> batches;
    std::size_t events = 0;
    while (builder.append(body)) {
      ++events;
      if (events % 10 == 0) batches.push_back(builder.seal());
    }
    batches.push_back(builder.seal());
    CHECK(events == 4096 / (bytes + 1 + sizeof(IndexEntry)));
    std::size_t seen = 0;
    for (const Batch& batch : batches) {
      for (std::uint32_t i = 0; i < batch.size(); ++i, ++seen) REQUIRE(batch.body(i) == body);
    }
    CHECK(seen == events);
  }
}

TEST_CASE("a slab full of line feeds becomes as many events as its index holds") {
  SlabPool pool(4096, keep_no_free_slabs);
  BatchBuilder builder(pool);
  builder.renew();
  const auto space = builder.space();
  std::fill(space.begin(), space.end(), '\n');
  builder.written(space.size());
  const std::size_t room = builder.entries_left();
  const LineScan scan =
      split_lines({builder.base(), 0, 0, space.size()}, builder.index_top(), room);
  CHECK(scan.events == room);
  builder.marked(scan.events, scan.body_bytes, true);
  CHECK(builder.entries_left() == 0);
  const Batch batch = builder.seal();
  CHECK(batch.lines());
  CHECK(batch.text() == std::string(room, '\n'));
  CHECK(batch.body_bytes() == 0);
}

TEST_CASE("space leaves room for the index of lines like the last ones") {
  SlabPool pool;
  BatchBuilder builder(pool);
  for (const std::size_t bytes : {3U, 40U, 900U}) {
    // The first fills teach the builder how long lines are.
    for (int round = 0; round < 20; ++round) {
      builder.renew();
      const auto space = builder.space();
      for (std::size_t i = 0; i < space.size(); ++i)
        space[i] = i % (bytes + 1) == bytes ? '\n' : 'x';
      builder.written(space.size());
      const LineScan scan = split_lines({builder.base(), 0, 0, space.size()}, builder.index_top(),
                                        builder.entries_left());
      builder.marked(scan.events, scan.body_bytes, true);
      if (round == 19) CHECK(space.size() - scan.line_begin <= bytes);
      builder.discard();
    }
  }
}

TEST_CASE("a fresh slab has the space that is asked for, however short the last events were") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  for (const EventHeaders headers : {EventHeaders::Shared, EventHeaders::Own}) {
    BatchBuilder builder(pool, headers);
    for (const std::size_t bytes : {0U, 1U, 20'000U, 60'000U, 300'000U}) {
      builder.renew();
      while (builder.append("")) continue;
      CHECK_FALSE(builder.seal().empty());
      builder.renew_with_space(bytes);
      CHECK(builder.space().size() >= bytes);
    }
  }
}

TEST_CASE("a large event gets a slab of its own size") {
  SlabPool pool(4096, keep_no_free_slabs);
  BatchBuilder builder(pool);
  builder.renew();
  const std::string large(100'000, 'L');
  CHECK_FALSE(builder.append(large));
  builder.renew(large.size() + 64);
  REQUIRE(builder.append(large));
  const Batch batch = builder.seal();
  CHECK(batch.body(0) == large);
  CHECK(batch.slab()->capacity() >= large.size());
  builder.renew();
  CHECK(pool.live_slabs() == 2);
}

TEST_CASE("reserve keeps the slab while there is room and renews it when there is none") {
  SlabPool pool(4096, keep_no_free_slabs);
  BatchBuilder builder(pool);
  builder.reserve(100);
  char* const first = builder.base();
  REQUIRE(builder.append("one"));
  const Batch one = builder.seal();
  builder.reserve(1000);
  CHECK(builder.base() == first);
  builder.reserve(4090);
  CHECK(builder.base() != first);
  CHECK(one.body(0) == "one");
}

TEST_CASE("an unterminated body at the end of what is written gets its line feed") {
  SlabPool pool(4096, keep_no_free_slabs);
  BatchBuilder builder(pool);
  builder.renew();
  std::copy_n("abcdef", 6, builder.base());
  builder.written(6);
  builder.mark(0, 3);  // followed by written bytes that are no line feed
  builder.mark(3, 3);
  const Batch batch = builder.seal();
  CHECK_FALSE(batch.lines());
  std::string text;
  batch.for_each_text_run([&](std::string_view run, bool inside) {
    text += run;
    if (!inside) text += '\n';
  });
  CHECK(text == "abc\ndef\n");
  CHECK(builder.position() == 7);
}

TEST_CASE("what is discarded or rewound leaves no trace") {
  SlabPool pool(4096, keep_no_free_slabs);
  BatchBuilder builder(pool);
  builder.renew();
  REQUIRE(builder.append("kept"));
  const Batch kept = builder.seal();
  const std::size_t place = builder.position();
  REQUIRE(builder.append("gone"));
  builder.discard();
  builder.rewind(place);
  CHECK(builder.seal().empty());
  REQUIRE(builder.append("next"));
  const Batch next = builder.seal();
  CHECK(kept.body(0) == "kept");
  CHECK(next.body(0) == "next");
  CHECK(next.text().data() == kept.text().data() + 5);
}

TEST_CASE("the window pays for the slab being filled and for nothing else") {
  SlabPool pool(4096, keep_no_free_slabs);
  MemoryAccount window("window", 1 << 20);
  BatchBuilder builder(pool, EventHeaders::Shared, &window);
  CHECK(window.used_bytes() == 0);
  builder.renew();
  CHECK(window.used_bytes() == 4096);
  REQUIRE(builder.append("one"));
  const Batch sealed = builder.seal();
  builder.renew();
  CHECK(window.used_bytes() == 4096);
  builder.reset();
  CHECK(window.used_bytes() == 0);
  CHECK(pool.live_slabs() == 1);
  CHECK(builder.space().empty());
  CHECK(builder.entries_left() == 0);
  builder.renew();
  REQUIRE(builder.append("two"));
  CHECK(builder.seal().body(0) == "two");
}

TEST_CASE("a slab counts once an account and refuses a fifth payer") {
  SlabPool pool(4096, keep_no_free_slabs);
  SlabRef slab = pool.acquire();
  std::vector<std::unique_ptr<MemoryAccount>> accounts;
  for (int i = 0; i < 5; ++i) accounts.push_back(std::make_unique<MemoryAccount>("a", 1 << 20));
  for (int i = 0; i < 4; ++i) {
    REQUIRE(slab->charge(*accounts[static_cast<std::size_t>(i)]));
    REQUIRE(slab->charge(*accounts[static_cast<std::size_t>(i)]));
    CHECK(accounts[static_cast<std::size_t>(i)]->used_bytes() == 4096);
  }
  CHECK_FALSE(slab->charge(*accounts[4]));
  slab->release(*accounts[0]);
  CHECK(accounts[0]->used_bytes() == 4096);
  slab->release(*accounts[0]);
  CHECK(accounts[0]->used_bytes() == 0);
  CHECK(slab->charge(*accounts[4]));
  slab->release(*accounts[4]);
  for (std::size_t i = 1; i < 4; ++i) {
    slab->release(*accounts[i]);
    slab->release(*accounts[i]);
    CHECK(accounts[i]->peak_bytes() == 4096);
  }
}

TEST_CASE("free slabs are kept up to a bound and the warmest is used first") {
  SlabPool pool(4096, 2);
  SlabRef one = pool.acquire();
  SlabRef two = pool.acquire();
  SlabRef three = pool.acquire();
  const Slab* const warm = one.get();
  two.reset();
  one.reset();
  CHECK(pool.live_slabs() == 3);
  three.reset();
  CHECK(pool.live_slabs() == 2);
  CHECK(pool.acquire().get() == warm);
  CHECK(pool.acquire(5000)->capacity() >= 5000);
}

TEST_CASE("what a compactor copies shares slabs") {
  SlabPool pool(64 * 1024, keep_no_free_slabs);
  MemoryAccount account("c", 1 << 20);
  Compactor compactor(pool, account);
  std::vector<Batch> copies;
  for (std::uint64_t i = 0; i < 100; ++i) {
    Batch batch = numbered(pool, i, 3).with_shared_headers(HeaderBlock(encoded({{"k", "v"}})), {});
    copies.push_back(compactor.copy(batch));
  }
  CHECK(pool.live_slabs() == 1);
  for (std::uint64_t i = 0; i < 100; ++i) {
    CHECK(numbers_of(copies[i]) == std::vector<std::uint64_t>{i, i + 1, i + 2});
    CHECK(headers_of(copies[i][0]) == TestHeaders{{"k", "v"}});
  }
  compactor.reset();
  CHECK(account.used_bytes() == 0);
}

TEST_CASE("the first block that has a name wins") {
  SlabPool pool(4096, keep_no_free_slabs);
  Batch batch = batch_of(pool, {"x"}, {{"a", "own"}, {"b", "own"}});
  batch = batch.with_shared_headers(HeaderBlock(encoded({{"b", "imposed"}})),
                                    HeaderBlock(encoded({{"a", "fallback"}, {"c", "fallback"}})));
  CHECK(headers_of(batch[0]) == TestHeaders{{"b", "imposed"}, {"a", "own"}, {"c", "fallback"}});
  std::string_view value;
  CHECK(batch.headers(0).find("c", value));
  CHECK(value == "fallback");
  CHECK_FALSE(batch.headers(0).find("d", value));
}

TEST_CASE("a header block is changed by making another") {
  const HeaderBlock block(encoded({{"a", "1"}, {"b", "2"}}));
  CHECK(block.with("a", "9").bytes() == encoded({{"a", "9"}, {"b", "2"}}));
  CHECK(block.with("c", "").bytes() == encoded({{"a", "1"}, {"b", "2"}, {"c", ""}}));
  CHECK(block.without("a").bytes() == encoded({{"b", "2"}}));
  CHECK(block.without("a").without("b").empty());
  CHECK(block.bytes() == encoded({{"a", "1"}, {"b", "2"}}));
}

TEST_CASE("a receipt is delivered once, by the last settlement, or not at all") {
  auto book = std::make_shared<ReceiptBook>();
  {
    const Receipt receipt = Receipt::make(book, 1, 5);
    receipt.expect_more(5);
    receipt.settle(9);
    CHECK(book->settled_receipts() == 0);
    const Receipt other = receipt;
    other.settle(1);
    CHECK(book->delivered(1));
  }
  {
    const Receipt torn = Receipt::make(book, 2, 2);
    torn.settle(1);
  }
  CHECK(book->not_delivered(2));
  CHECK_FALSE(book->twice());
}

}  // namespace
}  // namespace sluice
