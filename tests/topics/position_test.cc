#include "core/topics/position.h"

#include <optional>
#include <vector>

#include "tests/catch.h"

namespace sluice {
namespace {

constexpr OriginId ours{1, 2};
constexpr OriginId other{3, 4};
using Notes = std::vector<KafkaPosition>;

bool goes_on(const KafkaChoice& choice, std::optional<std::int64_t> offset,
             std::optional<OriginId> log) {
  return choice.offset == offset && choice.log == log;
}

TEST_CASE("a Kafka position is read as it was written, and nothing else is one") {
  const KafkaPosition position{{0x0123456789abcdef, 0xfedcba9876543210}, 17};
  CHECK(kafka_note(position) == "1 0123456789abcdeffedcba9876543210 17");
  CHECK(parse_kafka_note(kafka_note(position)) == position);
  CHECK(kafka_metadata(position.log) == "sluice 1 0123456789abcdeffedcba9876543210");
  CHECK(parse_kafka_metadata(kafka_metadata(position.log)) == position.log);
  for (const char* text :
       {"", "1", "1 ", "1 0123", "2 0123456789abcdeffedcba9876543210 17",
        "1 0123456789abcdeffedcba9876543210", "1 0123456789abcdeffedcba9876543210 ",
        "1 0123456789abcdeffedcba9876543210 -1", "1 0123456789abcdeffedcba9876543210 17x",
        "1 0123456789abcdeffedcba987654321g 17", "1 00000000000000000000000000000000 17",
        "sluice 1 ", "sluice 2 0123456789abcdeffedcba9876543210",
        "sluice 1 0123456789abcdeffedcba98765432100", "made by hand"}) {
    INFO(text);
    CHECK_FALSE(parse_kafka_note(text));
    CHECK_FALSE(parse_kafka_metadata(text));
  }
}

TEST_CASE("who knows more about a log says where to go on") {
  CHECK(goes_on(choose_position({}, {}), std::nullopt, std::nullopt));
  CHECK(goes_on(choose_position({}, Notes{{ours, 7}}), 7, ours));
  CHECK(goes_on(choose_position(KafkaGroupPosition{7, ours}, {}), 7, ours));
  CHECK(goes_on(choose_position(KafkaGroupPosition{7, ours}, Notes{{ours, 9}}), 9, ours));
  CHECK(goes_on(choose_position(KafkaGroupPosition{12, ours}, Notes{{ours, 9}}), 12, ours));
}

TEST_CASE("of several stores the lowest counts") {
  CHECK(goes_on(choose_position({}, Notes{{ours, 9}, {ours, 7}}), 7, ours));
  CHECK(
      goes_on(choose_position(KafkaGroupPosition{5, ours}, Notes{{ours, 9}, {ours, 7}}), 7, ours));
  // One of them was not reached by the note of a new log any more.
  CHECK(
      goes_on(choose_position(KafkaGroupPosition{5, ours}, Notes{{other, 1}, {ours, 7}}), 7, ours));
}

TEST_CASE("where the group speaks of another log, or was set by hand, it is right") {
  CHECK(goes_on(choose_position(KafkaGroupPosition{5, other}, Notes{{ours, 9}}), 5, other));
  CHECK(goes_on(choose_position(KafkaGroupPosition{5, std::nullopt}, Notes{{ours, 9}}), 5,
                std::nullopt));
}

TEST_CASE("every log that is drawn is another") { CHECK(draw_kafka_log() != draw_kafka_log()); }

}  // namespace
}  // namespace sluice
