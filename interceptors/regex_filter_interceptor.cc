// Events go on or not by what is in their bodies.

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/assert.h"
#include "core/base/java_pattern.h"
#include "core/base/log.h"
#include "core/base/rarely.h"
#include "interceptors/interceptor_type.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "regex",
     .type = KeyType::Pattern,
     .default_value = ".*",
     .meaning = "Looked for anywhere in the body."},
    {.name = "excludeEvents",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Events in which it is found are dropped; false: the others are."},
};

constexpr ComponentInfo info{
    .alias = "regex_filter",
    .class_name = "org.apache.flume.interceptor.RegexFilteringInterceptor$Builder",
    .meaning = "Keeps or drops events by a regular expression.",
    .keys = keys};

JavaPattern compiled(const std::string& expression) {
  auto pattern = JavaPattern::make(expression);
  SLUICE_ASSERT(pattern.ok(), "the loader let a bad expression through");
  return *std::move(pattern);
}

class RegexFilterInterceptor final : public Interceptor {
 public:
  explicit RegexFilterInterceptor(const Settings& settings)
      : component_(settings.component()),
        pattern_(compiled(settings.text("regex"))),
        dropped_(settings.boolean("excludeEvents") ? JavaPattern::Answer::Yes
                                                   : JavaPattern::Answer::No) {}

  Batch intercept(Batch batch) override {
    kept_.clear();
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      const JavaPattern::Answer answer = pattern_.find(batch.body(i));
      if (answer == JavaPattern::Answer::GaveUp) say_undecided(batch.body(i).size());
      if (answer != dropped_) kept_.push_back(i);
    }
    return kept_.size() == batch.size() ? batch : batch.select(kept_);
  }

 private:
  /// In doubt an event goes on: a filter that cannot judge must not lose.
  void say_undecided(std::size_t body_bytes) {
    if (!worth_saying(++undecided_)) return;
    log::warn(
        "{}: its regex has too many ways to match a body of {} bytes; what it cannot judge goes on "
        "({} events since the start)",
        component_, body_bytes, undecided_);
  }

  const std::string component_;
  const JavaPattern pattern_;
  const JavaPattern::Answer dropped_;
  std::vector<std::uint32_t> kept_;  ///< Of the batch at hand; kept for its room.
  std::uint64_t undecided_ = 0;
};

std::unique_ptr<Interceptor> make(const Settings& settings, const Clock&) {
  return std::make_unique<RegexFilterInterceptor>(settings);
}

}  // namespace

extern const InterceptorType regex_filter_interceptor{&info, make};

}  // namespace sluice
