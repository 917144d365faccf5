// One fixed header for every event.

#include "interceptors/interceptor_type.h"
#include "interceptors/shared_header.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "key",
     .type = KeyType::Text,
     .default_value = "key",
     .meaning = "Name of the header."},
    {.name = "value",
     .type = KeyType::Text,
     .default_value = "value",
     .meaning = "Value of the header."},
    {.name = "preserveExisting",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "Leave events alone that have this header already."},
};

constexpr ComponentInfo info{.alias = "static",
                             .class_name = "org.apache.flume.interceptor.StaticInterceptor$Builder",
                             .meaning = "Adds one fixed header to every event.",
                             .keys = keys};

class StaticInterceptor final : public Interceptor {
 public:
  explicit StaticInterceptor(const Settings& settings)
      : value_(settings.text("value")),
        header_(settings.text("key"), settings.boolean("preserveExisting")) {}

  Batch intercept(Batch batch) override { return header_.put_into(batch, value_); }

 private:
  const std::string value_;
  SharedHeader header_;
};

std::unique_ptr<Interceptor> make(const Settings& settings, const Clock&) {
  return std::make_unique<StaticInterceptor>(settings);
}

}  // namespace

extern const InterceptorType static_interceptor{&info, make};

}  // namespace sluice
