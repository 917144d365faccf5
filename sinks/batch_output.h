// Where the results of micro-batches go.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "analytics/result_block.h"
#include "analytics/step.h"
#include "channels/channel.h"
#include "core/base/file.h"
#include "core/base/status.h"
#include "core/config/settings.h"
#include "core/event/batch_builder.h"
#include "sinks/long_reader.h"

namespace sluice {

/// The last step behind a pipeline. What a batch has brought is a text, which can be kept until it
/// is delivered, or events for a channel. One thread.
class BatchOutput : public analytics::Step {
 public:
  BatchOutput(std::string label, const analytics::Schema& schema)
      : Step(schema), label_(std::move(label)) {}

  /// The same for the same output of the same configuration.
  const std::string& label() const noexcept { return label_; }

  void push(const analytics::Rows& rows) final {
    row_count_ += rows.size;
    add(rows);
  }
  /// Rows since the last call.
  std::uint64_t take_row_count() noexcept { return std::exchange(row_count_, 0); }

  void tick(const analytics::Tick& tick) final { due_ = tick.due; }

  /// Behind the rows of a batch and its tick(): what it is called. `number` rises by one.
  virtual void end(const analytics::Tick& tick, std::uint64_t number) = 0;
  /// Behind end(): what is to be delivered; empty when there is nothing.
  virtual std::string take_text() { return {}; }
  /// Ok: it is delivered for good. The same text may come again. Errors: Retry.
  virtual Status deliver(std::string_view /*text*/) { return {}; }
  /// Behind end(): what goes into channel(); empty when there is nothing.
  virtual std::vector<Batch> take_events() { return {}; }
  /// Behind the commit of the batch: lets those see it who look just now. Nothing is kept of it
  /// beyond the process.
  virtual void show() {}
  /// Null: it has none.
  virtual Channel* channel() noexcept { return nullptr; }

  analytics::Used use(const analytics::Used& /*used*/) override {
    analytics::Used all(schema().size() + 1, true);
    all.back() = false;
    return all;
  }

 protected:
  /// Behind tick(): false where a batch without rows is none for this output, because no window
  /// ended in it.
  bool due() const noexcept { return due_; }

 private:
  /// Rows as push() has them.
  virtual void add(const analytics::Rows& rows) = 0;

  const std::string label_;
  std::uint64_t row_count_ = 0;
  bool due_ = true;
};

/// The types of outputs, and their keys.
std::span<const ComponentInfo* const> batch_output_types();

/// Whose rows an output gets.
struct OutputInput {
  std::string sink;
  std::string branch;               ///< The step, where an output has the rows of several.
  const analytics::Schema& schema;  ///< Of the rows.
  milliseconds interval;            ///< Of batches.
};

/// What an output's settings say about such rows.
std::unique_ptr<BatchOutput> make_batch_output(const Settings& settings, std::string label,
                                               const OutputInput& input,
                                               const LongReaderContext& context);

}  // namespace sluice
