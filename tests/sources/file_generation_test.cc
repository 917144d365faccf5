#include "sources/file_generation.h"

#include "sources/deliveries.h"
#include "tests/catch.h"
#include "tests/support/fake_input_files.h"

namespace sluice {
namespace {

TEST_CASE("a position moves over batches in their order, whatever the order in which they arrive") {
  Deliveries deliveries;
  const auto first = deliveries.expect(7, {.offset = 10});
  const auto second = deliveries.expect(7, {.offset = 20});
  const auto other = deliveries.expect(8, {.offset = 5});
  deliveries.settled(second, true);
  CHECK(deliveries.take_advanced().empty());
  deliveries.settled(other, true);
  const auto advanced = deliveries.take_advanced();
  REQUIRE(advanced.size() == 1);
  CHECK(advanced[0].first == 8);
  CHECK_FALSE(deliveries.idle(7));
  deliveries.settled(first, true);
  CHECK(deliveries.take_advanced()[0].second.offset == 20);
  CHECK(deliveries.idle(7));
}

TEST_CASE("a batch that does not arrive holds the position for good") {
  Deliveries deliveries;
  const auto first = deliveries.expect(7, {.offset = 10});
  const auto second = deliveries.expect(7, {.offset = 20});
  deliveries.settled(first, false);
  deliveries.settled(second, true);
  CHECK(deliveries.take_advanced().empty());
  CHECK_FALSE(deliveries.idle(7));
}

TEST_CASE("a generation is known by its first bytes and by those before its position") {
  FakeInputFiles files;
  const std::string text = "head " + std::string(3000, '.') + " tail";
  const auto holds = [&](std::string other) {
    FileGeneration generation;
    generation.advance(text);
    const auto node = files.create("/f");
    files.append(node, other);
    return *generation.is_in(**files.open("/f"), other.size());
  };
  CHECK(holds(text));
  CHECK(holds(text + "more"));
  CHECK_FALSE(holds(text.substr(1)));
  std::string other_head = text;
  other_head[3] = 'D';
  CHECK_FALSE(holds(other_head));
  std::string other_tail = text;
  other_tail.back() = 'L';
  CHECK_FALSE(holds(other_tail));
}

TEST_CASE("a position does not learn from a file that was written anew") {
  FakeInputFiles files;
  const auto node = files.create("/f");
  files.append(node, "one two three");
  FileGeneration before;
  before.advance("one two");
  FileGeneration generation;
  generation.at = before.at;
  generation.file = *files.open("/f");
  files.truncate(node);
  files.append(node, "four five six");
  CHECK_FALSE(generation.learn().ok());
  CHECK(generation.at.mark == before.at.mark);
  CHECK_FALSE(generation.checked);
  files.truncate(node);
  files.append(node, "one two three");
  CHECK(generation.learn().ok());
  CHECK(generation.mark_behind(" three").tail_bytes == 13);
}

TEST_CASE("a position is kept as text and read back") {
  FilePosition position;
  position.id = random_id();
  position.identity = {1, 2, 3};
  position.path = "/a b/c";
  position.head = {4, 5};
  position.mark = {6, 7, 8};
  const auto read = decode_position(encode(position));
  REQUIRE(read);
  CHECK(read->id == position.id);
  CHECK(read->identity == position.identity);
  CHECK(read->path == position.path);
  CHECK(read->mark == position.mark);
  CHECK_FALSE(decode_position("2 " + encode(position).substr(2)));
  CHECK_FALSE(decode_position("1 x 1 2"));
  CHECK_FALSE(decode_position(""));
}

}  // namespace
}  // namespace sluice
