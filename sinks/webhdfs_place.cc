#include <utility>

#include "core/base/assert.h"
#include "sinks/file_place.h"

namespace sluice {
namespace {

/// Counts what goes by.
class Counted final : public Content {
 public:
  explicit Counted(Content& content) : content_(content) {}
  Status begin() override {
    bytes_ = 0;
    return content_.begin();
  }
  Status more(std::string& out) override {
    const std::size_t before = out.size();
    Status status = content_.more(out);
    bytes_ += out.size() - before;
    return status;
  }
  std::uint64_t bytes() const noexcept { return bytes_; }

 private:
  Content& content_;
  std::uint64_t bytes_ = 0;
};

class WebHdfsPlace final : public FilePlace {
 public:
  explicit WebHdfsPlace(WebHdfs::Options options) : hdfs_(std::move(options)) {}

  Result<std::uint64_t> write(const std::string& name, Content& content) override {
    const std::string path = path_of(name);
    Counted counted(content);
    if (Status status = hdfs_.write(path, counted); !status.ok()) return status;
    const auto found = hdfs_.find(path);
    if (!found.ok()) return found.status();
    const std::optional<WebHdfsFile>& file = found.value();
    if (!file || file->bytes != counted.bytes()) {
      return Retry(name + " has " + (file ? std::to_string(file->bytes) : "no") + " bytes of " +
                   std::to_string(counted.bytes()) + " that were sent");
    }
    return counted.bytes();
  }

  Result<std::optional<std::uint64_t>> size_of(const std::string& name) override {
    const auto found = hdfs_.find(path_of(name));
    if (!found.ok()) return found.status();
    return found.value() ? std::optional(found.value()->bytes) : std::nullopt;
  }

  /// Hadoop answers only whether it did it. Why it did not, and whether an earlier call did of
  /// which the answer was lost, is seen from what is there.
  Status rename_new(const std::string& from, const std::string& to) override {
    // Into a directory of that name the file would be moved.
    const auto taken = hdfs_.find(path_of(to));
    if (!taken.ok()) return taken.status();
    if (taken.value() && taken.value()->directory) return Reject(to + " is a directory");
    for (int i = 0;; ++i) {
      const auto renamed = hdfs_.rename(path_of(from), path_of(to));
      if (renamed.code() == Code::Closed || (renamed.ok() && renamed.value())) {
        return renamed.status();
      }
      const auto source = size_of(from);
      if (!source.ok()) return source.status();
      const auto target = size_of(to);
      if (!target.ok()) return target.status();
      if (!source.value()) {
        return target.value() ? Status() : Retry(from + " is not there any more");
      }
      if (target.value()) return Reject(to + " is there already");
      if (!renamed.ok()) return renamed.status();
      if (i > 0) return Retry("the namenode does not rename " + from + " to " + to);
      // Its directory is not there, if it is another one.
      if (Status status = hdfs_.make_directories(path_of(directory_of(to))); !status.ok()) {
        return status;
      }
    }
  }

  Status remove(const std::string& name) override { return hdfs_.remove(path_of(name)); }
  void abort() noexcept override { hdfs_.abort(); }

 private:
  /// Without doubled slashes, which Hadoop takes for one.
  std::string path_of(const std::string& name) const {
    const std::string& file_system = hdfs_.file_system();
    if (name == file_system) return "/";
    SLUICE_ASSERT(name.starts_with(file_system + "/"), "a name of this file system");
    std::string path;
    for (std::size_t i = file_system.size(); i < name.size(); ++i) {
      if (name[i] != '/' || !path.ends_with('/')) path += name[i];
    }
    return path;
  }

  WebHdfs hdfs_;
};

}  // namespace

std::unique_ptr<FilePlace> make_webhdfs_place(WebHdfs::Options options) {
  return std::make_unique<WebHdfsPlace>(std::move(options));
}

}  // namespace sluice
