// Where the results of micro-batches go.
#pragma once

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
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

  /// Behind the rows of a batch and its tick(): what it is called. `number` rises by one.
  virtual void end(const analytics::Tick& tick, std::uint64_t number) = 0;
  /// Behind end(): what is to be delivered; empty when there is nothing.
  virtual std::string take_text() { return {}; }
  /// Ok: it is delivered for good. The same text may come again. Errors: Retry.
  virtual Status deliver(std::string_view /*text*/) { return {}; }
  /// Behind end(): what goes into channel(); empty when there is nothing.
  virtual std::vector<Batch> take_events() { return {}; }
  /// Null: it has none.
  virtual Channel* channel() noexcept { return nullptr; }

  analytics::Used use(const analytics::Used& /*used*/) override {
    analytics::Used all(schema().size() + 1, true);
    all.back() = false;
    return all;
  }

 private:
  const std::string label_;
};

/// The types of outputs, and their keys.
std::span<const ComponentInfo* const> batch_output_types();

/// What an output's settings say about rows of this schema. `branch`: the step, where an output has
/// the rows of several.
std::unique_ptr<BatchOutput> make_batch_output(const Settings& settings, std::string label,
                                               const std::string& branch,
                                               const analytics::Schema& schema,
                                               const LongReaderContext& context);

}  // namespace sluice
