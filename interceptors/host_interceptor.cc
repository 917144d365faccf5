// Where an event came in.

#include "core/base/host_name.h"
#include "core/base/log.h"
#include "interceptors/interceptor_type.h"
#include "interceptors/shared_header.h"

namespace sluice {
namespace {

constexpr Key keys[] = {
    {.name = "hostHeader",
     .type = KeyType::Text,
     .default_value = "host",
     .meaning = "Name of the header."},
    {.name = "useIP",
     .type = KeyType::Boolean,
     .default_value = "true",
     .meaning = "The address of this machine; false: its name."},
    {.name = "preserveExisting",
     .type = KeyType::Boolean,
     .default_value = "false",
     .meaning = "Leave events alone that have this header already."},
};

constexpr ComponentInfo info{.alias = "host",
                             .class_name = "org.apache.flume.interceptor.HostInterceptor$Builder",
                             .meaning = "Adds the address or name of this machine as a header.",
                             .keys = keys};

class HostInterceptor final : public Interceptor {
 public:
  /// Resolved once, here.
  explicit HostInterceptor(const Settings& settings)
      : host_(settings.boolean("useIP") ? local_address() : local_host_name()),
        header_(settings.text("hostHeader"), settings.boolean("preserveExisting")) {
    if (host_.empty()) {
      log::warn("{}: this machine has neither address nor name; events get no {} header",
                settings.component(), settings.text("hostHeader"));
    }
  }

  Batch intercept(Batch batch) override {
    return host_.empty() ? batch : header_.put_into(batch, host_);
  }

 private:
  const std::string host_;
  SharedHeader header_;
};

std::unique_ptr<Interceptor> make(const Settings& settings, const Clock&) {
  return std::make_unique<HostInterceptor>(settings);
}

}  // namespace

extern const InterceptorType host_interceptor{&info, make};

}  // namespace sluice
