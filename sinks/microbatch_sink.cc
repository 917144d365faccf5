// The sink that computes: word counts, windows, running state, statistics.

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "analytics/aside_rows.h"
#include "analytics/step_types.h"
#include "core/base/nearest_name.h"
#include "sinks/batch_query.h"
#include "sinks/microbatch_reader.h"
#include "sinks/shown_outputs.h"
#include "sinks/sink.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "query",
     .type = KeyType::Text,
     .meaning = "Steps and outputs in one line, instead of `steps` and `outputs`: split whitespace "
                "| count by word | top 10 | print."},
    {.name = "batchInterval",
     .type = KeyType::Millis,
     .default_value = "2s",
     .meaning = "How long a batch is; batches end at its multiples, see align.",
     .min = 50,
     .max = 86'400'000},
    {.name = "align",
     .type = KeyType::Choice,
     .default_value = "epoch",
     .meaning =
         "What batches, and windows of processing time, are counted from: 1970, which is the "
         "same for all agents, or, as windows in Spark, when the sink was first started.",
     .choices = "epoch start"},
    {.name = "takeBatch",
     .type = KeyType::Integer,
     .default_value = "1000",
     .meaning = "Events taken from the channel at once; more where they lie together. A batch has "
                "any number of them.",
     .min = 1,
     .max = 1'000'000},
    {.name = "checkpoint.dir",
     .type = KeyType::Ignored,
     .meaning = "State lies in the store of the channel, so that both are always of one moment; "
                "with a channel in memory it ends with the process."},
    {.name = "checkpoint.interval",
     .type = KeyType::Ignored,
     .meaning = "State is committed with every batch."},
};

/// REQUIRES: the steps that it reads are there.
void judge_labels(const Settings& output, const analytics::Pipeline& pipeline,
                  std::vector<Finding>& findings) {
  if (&output.info() != &gauges_output_info) return;
  const auto inputs = output.has("input") ? std::vector{output.text("input")} : pipeline.ends();
  for (const std::string& input : inputs) {
    for (Finding& finding : judge_gauges(output, pipeline.step(input)->schema())) {
      finding.key = "outputs." + output.name() + "." + finding.key;
      findings.push_back(std::move(finding));
    }
  }
}

/// A window with late = channel, and nothing that has the late rows.
void judge_late_rows(const Settings& settings, std::vector<Finding>& findings) {
  const auto reads_late = [](const Settings& part) {
    return part.has("input") && part.text("input").ends_with(analytics::AsideRows::late);
  };
  for (const char* const list : {"steps", "outputs"}) {
    const auto& parts = settings.parts(list);
    if (std::any_of(parts.begin(), parts.end(), reads_late)) return;
  }
  for (const Settings& step : settings.parts("steps")) {
    if (!step.knows("late") || step.text("late") != "channel") continue;
    findings.push_back({Severity::Error, "steps." + step.name() + ".late",
                        "nothing has the late rows as its input",
                        "add an output of type channel with input = NAME.late, where NAME is the "
                        "aggregation behind the window",
                        0});
  }
}

std::vector<Finding> judge(const Settings& settings) {
  std::vector<Finding> findings;
  const auto pipeline = MicrobatchReader::make_pipeline(settings, 0, findings);
  if (!pipeline) return findings;
  judge_late_rows(settings, findings);
  const auto& outputs = settings.parts("outputs");
  if (outputs.empty()) {
    findings.push_back({Severity::Error, "outputs", "nothing is done with the results",
                        "add outputs = out and outputs.out.type = print", 0});
  }
  std::set<std::string> files;
  std::set<std::string> ports;
  for (const Settings& output : outputs) {
    if (output.knows("prefix") &&
        !files.insert(output.text("prefix") + "\n" + output.raw("suffix")).second) {
      findings.push_back({Severity::Error, "outputs." + output.name() + ".prefix",
                          "another output has files of these names", "give it another prefix", 0});
    }
    if (output.knows("port") && output.has("port") && output.port("port") != 0 &&
        !ports.insert(output.text("bind") + " " + output.raw("port")).second) {
      findings.push_back({Severity::Error, "outputs." + output.name() + ".port",
                          "another output has this port", "give it another one", 0});
    }
    if (!output.has("input") || pipeline->step(output.text("input")) != nullptr) {
      judge_labels(output, *pipeline, findings);
      continue;
    }
    std::vector<std::string_view> names;
    for (const Settings& step : settings.parts("steps")) names.push_back(step.name());
    const std::string_view near = nearest_name(output.text("input"), names);
    findings.push_back({Severity::Error, "outputs." + output.name() + ".input",
                        "no step is called '" + output.text("input") + "'",
                        near.empty() ? "" : "did you mean '" + std::string(near) + "'?", 0});
  }
  return findings;
}

// Functions, because the tables they give are made at the start of the program, too.
const PartList* parts() {
  static const PartList lists[] = {{"steps", "step", {}, analytics::step_types()},
                                   {"outputs", "output", "channel", batch_output_types()}};
  return lists;
}

constexpr Shorthand query{"query", write_out_query};

const ComponentInfo& info() {
  static const ComponentInfo made{.alias = "microbatch",
                                  .meaning = "Computes results of the events, batch by batch.",
                                  .keys = keys,
                                  .parts = {parts(), 2},
                                  .shorthand = &query,
                                  .judge = judge,
                                  .reads_long = true};
  return made;
}

std::unique_ptr<LongReader> make(const Settings& settings, const LongReaderContext& context) {
  return std::make_unique<MicrobatchReader>(settings, context);
}

}  // namespace

extern const SinkType microbatch_sink{&info(), nullptr, make};

}  // namespace sluice
