// Outcomes.

#include "core/base/status.h"

#include <cerrno>

#include "tests/catch.h"

namespace sluice {
namespace {

TEST_CASE("a status keeps code and message through copies, moves and context") {
  const Status ok;
  CHECK(ok.ok());
  CHECK(ok.message().empty());
  CHECK(ok.with_context("file").ok());
  Status status = Retry("full");
  const Status copy = status;
  const Status moved = std::move(status);
  CHECK(copy.code() == Code::Retry);
  CHECK(moved.message() == "full");
  CHECK(moved.with_context("disk").message() == "disk: full");
  Status assigned;
  assigned = copy;
  CHECK(assigned.message() == "full");
  assigned = Status();
  CHECK(assigned.ok());
}

TEST_CASE("a result is a value or a reason") {
  Result<int> value(7);
  CHECK(value.ok());
  CHECK(*value == 7);
  CHECK(value.status().ok());
  const Result<int> none(Closed("over"));
  CHECK_FALSE(none.ok());
  CHECK(none.code() == Code::Closed);
  CHECK(none.status().message() == "over");
}

TEST_CASE("an errno value is named with its number") {
  CHECK(errno_text(ENOENT) == "No such file or directory (2)");
}

}  // namespace
}  // namespace sluice
