// Files that are read as something else than their bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/base/input_file.h"

namespace sluice {

/// Content that is made out of a file, from its beginning to its end.
///
/// Offsets count bytes of the content. Reading on is cheap; reading before the last read's offset,
/// or far behind it, makes all that lies before. Where something is wrong with the file, its
/// content reads like a shorter one, but a read at the end is an error: Reject. look() is that of
/// the file.
class ContentFile : public InputFile {
 public:
  explicit ContentFile(std::unique_ptr<InputFile> file);

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> into) final;
  Result<FileLook> look() final { return file_->look(); }
  std::uint64_t skip_hole(std::uint64_t offset) final { return offset; }

 protected:
  InputFile& file() noexcept { return *file_; }

 private:
  /// Appends to the content, or at least comes nearer to it. False: this was the last of it, and
  /// `damage` says why if there should be more. Errors: as InputFile::read_at() of the file.
  virtual Result<bool> make_some(std::string& content, Status& damage) = 0;
  /// The next make_some() is the first one.
  virtual void begin_again() = 0;

  std::size_t kept_bytes() const noexcept { return kept_.size() - front_; }
  void forget_before(std::uint64_t offset);

  const std::unique_ptr<InputFile> file_;
  std::string kept_;  ///< The first front_ bytes are forgotten.
  std::size_t front_ = 0;
  std::uint64_t begin_ = 0;  ///< Offset of what is kept.
  bool over_ = false;        ///< There is no more content.
  Status damage_;            ///< Why.
};

}  // namespace sluice
