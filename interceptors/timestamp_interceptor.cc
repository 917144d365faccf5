// When an event came in.

#include <string>

#include "interceptors/interceptor_type.h"
#include "interceptors/shared_header.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "headerName",
     .type = KeyType::Text,
     .default_value = "timestamp",
     .meaning = "Name of the header."},
    {.name = "preserveExisting",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Leave events alone that have this header already."},
};

constexpr ComponentInfo info{
    .alias = "timestamp",
    .class_name = "org.apache.flume.interceptor.TimestampInterceptor$Builder",
    .meaning = "Adds the time as a header, in milliseconds since 1970 UTC.",
    .keys = keys};

/// Looks at the clock once a batch: its events were read together.
class TimestampInterceptor final : public Interceptor {
 public:
  TimestampInterceptor(const Settings& settings, const Clock& clock)
      : clock_(clock), header_(settings.text("headerName"), settings.boolean("preserveExisting")) {}

  Batch intercept(Batch batch) override {
    return header_.put_into(batch, std::to_string(clock_.wall_ms()));
  }

 private:
  const Clock& clock_;
  SharedHeader header_;
};

std::unique_ptr<Interceptor> make(const Settings& settings, const Clock& clock) {
  return std::make_unique<TimestampInterceptor>(settings, clock);
}

}  // namespace

extern const InterceptorType timestamp_interceptor{&info, make};

}  // namespace sluice
