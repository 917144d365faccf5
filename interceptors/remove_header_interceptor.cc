// Headers that are not to travel on.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/assert.h"
#include "core/base/java_pattern.h"
#include "interceptors/interceptor_type.h"

namespace sluice {
namespace {

constexpr std::size_t remembered_names_max = 1000;

constexpr Key keys[] = {
    {.name = "withName", .type = KeyType::Text, .meaning = "The header of this name goes."},
    {.name = "fromList", .type = KeyType::Text, .meaning = "Headers of these names go."},
    {.name = "fromListSeparator",
     .type = KeyType::Pattern,
     .default_value = "\\s*,\\s*",
     .meaning = "What stands between the names of fromList."},
    {.name = "matching",
     .type = KeyType::Pattern,
     .meaning = "Headers whose whole name this expression matches go."},
};

constexpr ComponentInfo info{
    .alias = "remove_header",
    .class_name = "org.apache.flume.interceptor.RemoveHeaderInterceptor$Builder",
    .meaning = "Removes headers by name, list or regular expression.",
    .keys = keys};

JavaPattern compiled(const std::string& expression) {
  auto pattern = JavaPattern::make(expression);
  SLUICE_ASSERT(pattern.ok(), "the loader let a bad expression through");
  return *std::move(pattern);
}

/// Java's String.split(): a separator at the very front of some width leaves an empty first part;
/// empty parts at the end are left out.
std::vector<std::string> split(std::string_view text, const JavaPattern& separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t from = 0; from <= text.size();) {
    JavaPattern::Range found;
    if (separator.find(text, from, found) != JavaPattern::Answer::Yes) break;
    const bool empty = found.end == found.begin;
    if (!(empty && (found.begin == 0 || found.begin == text.size()))) {
      parts.emplace_back(text.substr(begin, found.begin - begin));
      begin = found.end;
    }
    from = empty ? found.end + 1 : found.end;
  }
  parts.emplace_back(text.substr(begin));
  while (!parts.empty() && parts.back().empty()) parts.pop_back();
  return parts;
}

class RemoveHeaderInterceptor final : public Interceptor {
 public:
  explicit RemoveHeaderInterceptor(const Settings& settings) {
    if (settings.has("fromList")) {
      names_ = split(settings.text("fromList"), compiled(settings.text("fromListSeparator")));
    }
    if (settings.has("withName")) names_.push_back(settings.text("withName"));
    if (settings.has("matching")) matching_ = compiled(settings.text("matching"));
  }

  Batch intercept(Batch batch) override {
    if (batch.without_headers()) return batch;
    batch = without_own(std::move(batch));
    const HeaderBlock imposed = imposed_.without(batch.imposed_headers(), *this);
    const HeaderBlock fallback = fallback_.without(batch.fallback_headers(), *this);
    const bool same = imposed.bytes().data() == batch.imposed_headers().bytes().data() &&
                      fallback.bytes().data() == batch.fallback_headers().bytes().data();
    return same ? batch : batch.with_shared_headers(imposed, fallback);
  }

 private:
  /// The block that many batches share, and what is left of it: worked out when it changes.
  class Shared {
   public:
    const HeaderBlock& without(const HeaderBlock& block, RemoveHeaderInterceptor& owner) {
      // before_ is kept, so its bytes cannot have become those of another block.
      if (block.bytes().data() == before_.bytes().data()) return after_;
      before_ = block;
      std::string left;
      after_ = owner.append_left(block.bytes(), left) ? HeaderBlock(std::move(left)) : block;
      return after_;
    }

   private:
    HeaderBlock before_;
    HeaderBlock after_;
  };

  bool goes(std::string_view name) {
    const auto known = known_.find(name);
    if (known != known_.end()) return known->second;
    if (known_.size() == remembered_names_max) known_.clear();
    const bool gone = std::find(names_.begin(), names_.end(), name) != names_.end() ||
                      (matching_ && matching_->matches(name) == JavaPattern::Answer::Yes);
    known_.emplace(name, gone);
    return gone;
  }

  /// Appends what is left of a block. True when something went.
  bool append_left(std::string_view block, std::string& left) {
    bool any = false;
    HeaderCursor cursor(block);
    std::string_view name;
    std::string_view value;
    while (cursor.next(name, value)) {
      if (goes(name)) {
        any = true;
      } else {
        append_header(left, name, value);
      }
    }
    return any;
  }

  /// The blocks of the events themselves are written anew, behind each other, if any of them
  /// changes.
  Batch without_own(Batch batch) {
    if (!batch.own_headers()) return batch;
    blocks_.clear();
    places_.clear();
    bool any = false;
    for (std::uint32_t i = 0; i < batch.size(); ++i) {
      const std::size_t begin = blocks_.size();
      any = append_left(batch.own_headers(i), blocks_) || any;
      places_.push_back(
          {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(blocks_.size() - begin)});
    }
    return any ? batch.with_own_headers(blocks_, places_) : batch;
  }

  std::vector<std::string> names_;
  std::optional<JavaPattern> matching_;
  std::map<std::string, bool, std::less<>> known_;  ///< Names that were seen.
  Shared imposed_;
  Shared fallback_;
  std::string blocks_;              ///< Of the batch at hand; kept for its room.
  std::vector<IndexEntry> places_;  ///< The same.
};

std::unique_ptr<Interceptor> make(const Settings& settings, const Clock&) {
  return std::make_unique<RemoveHeaderInterceptor>(settings);
}

}  // namespace

extern const InterceptorType remove_header_interceptor{&info, make};

}  // namespace sluice
