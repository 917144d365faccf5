#include "analytics/pipeline.h"

#include <algorithm>
#include <utility>

#include "analytics/aggregate_step.h"
#include "analytics/aside_rows.h"
#include "analytics/pipeline_builder.h"
#include "analytics/row_steps.h"
#include "analytics/state_step.h"
#include "core/base/assert.h"
#include "core/base/nearest_name.h"

namespace sluice::analytics {
namespace {

const Schema& event_schema() {
  static const Schema schema({{"body", ColumnType::Text}}, true);
  return schema;
}

std::string under(std::string_view step, std::string_view key) {
  return std::string(step) + "/" + std::string(key);
}

/// Puts the name of a step in front of its keys.
class StepState final : public StateWriter {
 public:
  StepState(StateWriter& all, std::string_view step) : all_(all), step_(step) {}
  void put(std::string_view key, std::string value) override {
    all_.put(under(step_, key), std::move(value));
  }

 private:
  StateWriter& all_;
  const std::string_view step_;
};

}  // namespace

/// Events on their way in: whole to steps that take them so, else as rows of bodies.
class Pipeline::Source final : public Step {
 public:
  Source() : Step(event_schema()) {}
  Used use(const Used& used) override {
    used_ = used;
    return {};
  }
  void push(const Rows& rows) override { pass(rows); }
  void push(const Batch& events) override {
    for (Step* const each : next()) {
      if (each->takes_events()) {
        each->push(events);
      } else {
        push_rows(events, *each);
      }
    }
  }

 private:
  void push_rows(const Batch& events, Step& to) {
    rows_.batch = &events;
    rows_.columns = {&bodies_};
    for (std::uint32_t begin = 0; begin < events.size(); begin += Rows::chunk) {
      rows_.size = std::min(Rows::chunk, events.size() - begin);
      bodies_.clear();
      numbers_.clear();
      for (std::uint32_t i = begin; i < begin + rows_.size; ++i) {
        bodies_.push_back(Cell::of(events.body(i)));
        if (used_.back()) numbers_.push_back(i);
      }
      rows_.events = used_.back() ? numbers_.data() : nullptr;
      to.push(rows_);
    }
  }

  Used used_;
  Column bodies_;
  std::vector<std::uint32_t> numbers_;
  Rows rows_;
};

Pipeline::Pipeline() : source_(std::make_unique<Source>()) {}
Pipeline::~Pipeline() = default;

/// Puts the steps together; a step's input comes before it in the list.
class PipelineBuilder {
 public:
  PipelineBuilder(const Pipeline::Options& options, std::vector<Finding>& findings)
      : builder_(options.interval, options.seed, options.origin_ms, findings) {}

  std::unique_ptr<Pipeline> build(const std::vector<Settings>& steps) {
    Place before{pipeline_->source_.get(), {&event_schema(), true, nullptr}};
    for (const Settings& step : steps) {
      if (step.has("input")) {
        const auto found = places_.find(step.text("input"));
        if (found == places_.end()) {
          unknown_input(step);
          return nullptr;
        }
        before = found->second;
      }
      const auto after = add(step, before);
      if (!after) return nullptr;
      before = *after;
      places_.emplace(step.name(), before);
    }
    return unused_windows(steps) ? nullptr : std::move(pipeline_);
  }

 private:
  struct Place {
    Step* step;
    StepInput input;  ///< Of the steps behind it.
  };

  std::optional<Place> add(const Settings& settings, const Place& before) {
    if (settings.info().alias == "window") {
      if (!builder_.check_window(settings)) return std::nullopt;
      if (before.input.window != nullptr) {
        builder_.error(settings, "type", "a window within a window",
                       "an aggregation has one; put it behind an aggregation, or on a branch");
        return std::nullopt;
      }
      Place after = before;
      after.input.window = &settings;
      after.input.is_events = before.input.is_events;
      return after;
    }
    auto built = builder_.build(settings, before.input);
    if (!built) return std::nullopt;
    Step& step = *built->step;
    before.step->add_next(step);
    for (Pipeline::Node& node : pipeline_->nodes_) node.is_read |= node.step.get() == before.step;
    const std::string_view type = settings.info().alias;
    const bool by_row = type == "parse" || type == "split" || type == "map" || type == "filter";
    if (before.input.window != nullptr && !by_row) used_windows_.insert(before.input.window);
    if (before.input.window != nullptr && !by_row && type != "aggregate") {
      builder_.error(*before.input.window, "type",
                     "no aggregation follows on it, but '" + settings.name() + "'",
                     "a window says which rows an aggregation puts together");
      return std::nullopt;
    }
    if (AsideRows* const aside = step.aside()) {
      places_.emplace(settings.name() + std::string(aside->suffix()),
                      Place{aside, {&aside->schema(), false, nullptr}});
    }
    pipeline_->nodes_.push_back(
        {settings.name(), std::move(built->fingerprint), std::move(built->step), false});
    return Place{&step, {&step.schema(), false, by_row ? before.input.window : nullptr}};
  }

  void unknown_input(const Settings& step) {
    std::vector<std::string_view> names;
    for (const auto& [name, place] : places_) names.push_back(name);
    const std::string_view near = nearest_name(step.text("input"), names);
    builder_.error(step, "input", "no step before it is called '" + step.text("input") + "'",
                   near.empty() ? "" : "did you mean '" + std::string(near) + "'?");
  }

  bool unused_windows(const std::vector<Settings>& steps) {
    for (const Settings& step : steps) {
      if (step.info().alias != "window" || used_windows_.contains(&step)) continue;
      builder_.error(step, "type", "no aggregation follows on this window",
                     "a window says which rows an aggregation puts together");
      return true;
    }
    return false;
  }

  StepBuilder builder_;
  std::unique_ptr<Pipeline> pipeline_{new Pipeline()};
  std::map<std::string, Place, std::less<>> places_;
  std::set<const Settings*> used_windows_;
};

std::unique_ptr<Pipeline> Pipeline::make(const std::vector<Settings>& steps, const Options& options,
                                         std::vector<Finding>& findings) {
  return PipelineBuilder(options, findings).build(steps);
}

Pipeline::Node* Pipeline::find(std::string_view name) noexcept {
  const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                  [&](const Node& node) { return node.name == name; });
  return found == nodes_.end() ? nullptr : &*found;
}

const Step* Pipeline::step(std::string_view name) const noexcept {
  if (name.empty() && nodes_.empty()) return source_.get();
  if (name.empty()) return nodes_.back().step.get();
  auto* const self = const_cast<Pipeline*>(this);
  if (const Node* const node = self->find(name)) return node->step.get();
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return nullptr;
  const Node* const node = self->find(name.substr(0, dot));
  AsideRows* const aside = node == nullptr ? nullptr : node->step->aside();
  return aside != nullptr && aside->suffix() == name.substr(dot) ? aside : nullptr;
}

std::vector<std::string> Pipeline::ends() const {
  std::vector<std::string> names;
  for (const Node& node : nodes_) {
    if (!node.is_read) names.push_back(node.name);
  }
  if (nodes_.empty()) names.emplace_back();
  return names;
}

void Pipeline::attach(std::string_view step_name, Step& output) {
  Step* const to = const_cast<Step*>(step(step_name));
  SLUICE_ASSERT(to != nullptr, "an output of a step that is not there");
  to->add_next(output);
}

/// What is read of a step's rows, by all behind it.
Used Pipeline::use(Step& step) {
  Used used(step.schema().size() + 1, false);
  for (Step* const next : step.next()) {
    const Used reads = use(*next);
    for (std::size_t i = 0; i < used.size() && i < reads.size(); ++i) {
      used[i] = used[i] || reads[i];
    }
  }
  Used reads = step.use(used);
  if (AsideRows* const aside = step.aside()) aside->use_input(use(*aside), reads);
  return reads;
}

void Pipeline::start(std::int64_t now_ms) {
  use(*source_);
  for (Node& node : nodes_) node.step->start(now_ms);
}

void Pipeline::push(const Batch& events, std::int64_t now_ms) {
  for (Node& node : nodes_) node.step->set_now(now_ms);
  static_cast<Step&>(*source_).push(events);
}

void Pipeline::rest() {
  for (Node& node : nodes_) node.step->rest();
}

void Pipeline::tick(const Tick& tick) { source_->tick(tick); }

bool Pipeline::keeps_state() const noexcept {
  return std::any_of(nodes_.begin(), nodes_.end(),
                     [](const Node& node) { return !node.fingerprint.empty(); });
}

std::string Pipeline::fingerprint() const {
  // The number is that of the format that steps save in.
  std::string all = keeps_state() ? "3\n" : "";
  for (const Node& node : nodes_) {
    if (!node.fingerprint.empty()) all += node.name + "\n" + node.fingerprint + "\n\n";
  }
  return all;
}

Status Pipeline::begin_with(std::string_view step_name, std::string_view csv) {
  Node* const node = find(step_name);
  SLUICE_ASSERT(node != nullptr, "the state of a step that is not there");
  return dynamic_cast<StateStep&>(*node->step).begin_with(csv);
}

void Pipeline::save(StateWriter& state) {
  for (Node& node : nodes_) {
    if (node.fingerprint.empty()) continue;
    StepState own(state, node.name);
    node.step->save(own);
  }
}

Status Pipeline::load(const SavedState& state) {
  std::map<std::string, SavedState, std::less<>> by_step;
  for (const auto& [key, value] : state) {
    const std::size_t slash = key.find('/');
    if (slash == std::string::npos) return Invalid("the state has a key without a step: " + key);
    by_step[key.substr(0, slash)].emplace(key.substr(slash + 1), value);
  }
  for (const auto& [name, own] : by_step) {
    Node* const node = find(name);
    if (node == nullptr || !node->step->load(own)) {
      return Invalid("the state of step " + name + " cannot be read");
    }
  }
  return {};
}

std::uint64_t Pipeline::state_bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const Node& node : nodes_) sum += node.step->state_bytes();
  return sum;
}

std::uint64_t Pipeline::keys() const noexcept {
  std::uint64_t sum = 0;
  for (const Node& node : nodes_) sum += node.step->keys();
  return sum;
}

std::map<std::string, std::uint64_t> Pipeline::left_out() const {
  std::map<std::string, std::uint64_t> counts;
  for (const Node& node : nodes_) {
    for (const LeftOut& each : node.step->left_out()) {
      counts[node.name + " " + std::string(each.why)] = each.rows;
    }
  }
  return counts;
}

}  // namespace sluice::analytics
