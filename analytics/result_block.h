// What a console shows of a batch's result, in the forms of Spark.
#pragma once

#include <cstdint>
#include <string>

#include "analytics/rows.h"
#include "analytics/text_table.h"
#include "core/base/time_zone.h"

namespace sluice::analytics {

enum class BlockStyle : unsigned char {
  Scala,   ///< DStream.print(): "Time: 1357008430000 ms", (hello,1)
  Python,  ///< DStream.pprint(): "Time: 2014-10-14 15:25:21", ('hello', 1)
  Table,   ///< Structured Streaming's console: "Batch: 0", a table
};

struct BlockOptions {
  BlockStyle style = BlockStyle::Scala;
  std::uint64_t num = 10;  ///< How many rows to print; 0: all of them.
  TimeZone zone;           ///< Of the clock in the Python style.
};

/// Makes the block of one batch after the other, from chunks of rows.
///
/// A block is a headline between two lines of 43 dashes, the first rows in the order they came,
/// "..." (Table: "only showing top 10 rows") if there were more, and an empty line. A batch without
/// rows has its headline and the empty line; a Table also the names of the columns if add() has
/// been called. Never fails.
///
/// One thread. Holds the text of the rows it prints, no views; its memory serves the next batch.
class ResultBlock {
 public:
  explicit ResultBlock(BlockOptions options);

  /// Names the batch that is open, whose rows may be there already.
  void name(std::int64_t batch_time_ms, std::uint64_t batch_number);
  /// A new batch, and nothing of the one before. The time is in milliseconds since 1970 UTC.
  void begin(std::int64_t batch_time_ms, std::uint64_t batch_number);
  /// The batch's next rows. Costs nothing once there are more than `num`. REQUIRES: begin() has
  /// been called, and the schema is the same for all chunks of a batch.
  void add(const Rows& rows, const Schema& schema);
  /// Appends the block of what was added since begin() to `out`. REQUIRES: begin() has been called.
  void end(std::string& out) const;

 private:
  void append_headline(std::string& out) const;

  const BlockOptions options_;
  std::int64_t batch_time_ms_ = 0;
  std::uint64_t batch_number_ = 0;
  std::uint64_t rows_ = 0;  ///< In lines_ or table_.
  bool more_ = false;       ///< There were rows that are in neither.
  std::string lines_;
  TextTable table_;
};

}  // namespace sluice::analytics
