// The file that a spool becomes.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/content.h"
#include "core/base/file.h"
#include "sinks/file_book.h"
#include "sinks/spool_records.h"

namespace sluice {

/// Read and made piece by piece. Errors: Retry, with what is wrong with the spool.
class SpoolContent final : public Content {
 public:
  /// So many bytes of it count. Ends with an error once it is given up. The references outlive it.
  SpoolContent(FileSystem& files, const BookedFile& booked, std::uint64_t bytes,
               const std::atomic<bool>& given_up)
      : files_(files), booked_(booked), bytes_(bytes), given_up_(given_up) {}

  Status begin() override;
  Status more(std::string& out) override;

 private:
  FileSystem& files_;
  const BookedFile& booked_;
  const std::uint64_t bytes_;
  const std::atomic<bool>& given_up_;
  std::unique_ptr<FileMaker> maker_;  ///< None: the file is at its end.
  std::string unused_;                ///< Read, but no whole record.
  std::uint64_t offset_ = 0;
  bool begun_ = false;
};

}  // namespace sluice
