// Headers of events: small blocks of names and values, shared by a run of events where they are the
// same for all of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace sluice {

/// Appends one header to an encoded block: name length, value length (32 bits each), name, value.
void append_header(std::string& block, std::string_view name, std::string_view value);

/// Walks an encoded block in the order in which it was written.
class HeaderCursor {
 public:
  explicit HeaderCursor(std::string_view block) noexcept : rest_(block) {}
  /// False at the end. The views live as long as the block.
  bool next(std::string_view& name, std::string_view& value) noexcept;

 private:
  std::string_view rest_;
};

/// Finds a header in an encoded block; nullptr data when it is not there.
bool find_header(std::string_view block, std::string_view name, std::string_view& value) noexcept;

/// An immutable, shared block, for headers that many batches have in common. A value.
class HeaderBlock {
 public:
  HeaderBlock() noexcept = default;
  /// `encoded` as append_header() writes it.
  explicit HeaderBlock(std::string encoded);
  HeaderBlock(const HeaderBlock& other) noexcept;
  HeaderBlock(HeaderBlock&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  HeaderBlock& operator=(HeaderBlock other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~HeaderBlock();

  bool empty() const noexcept { return rep_ == nullptr; }
  std::string_view bytes() const noexcept { return rep_ ? std::string_view(rep_->encoded) : ""; }

  /// The same block with `name` set to `value` (in its old place, or at the end).
  HeaderBlock with(std::string_view name, std::string_view value) const;
  /// The same block without `name`.
  HeaderBlock without(std::string_view name) const;

 private:
  struct Rep {
    std::atomic<std::uint32_t> refs;
    std::string encoded;
  };
  Rep* rep_ = nullptr;
};

/// All headers of one event, seen through up to three blocks: what the batch imposes, the event's
/// own, and what the batch has for events without it. The first block that has a name wins.
class HeaderView {
 public:
  HeaderView(std::string_view imposed, std::string_view own, std::string_view fallback) noexcept
      : blocks_{imposed, own, fallback} {}

  bool empty() const noexcept {
    return blocks_[0].empty() && blocks_[1].empty() && blocks_[2].empty();
  }
  bool find(std::string_view name, std::string_view& value) const noexcept;

  /// Calls f(name, value) once for each name.
  template <typename F>
  void for_each(F&& f) const {
    std::string_view name;
    std::string_view value;
    for (int i = 0; i < 3; ++i) {
      HeaderCursor cursor(blocks_[i]);
      while (cursor.next(name, value)) {
        if (!hidden(name, i)) f(name, value);
      }
    }
  }

 private:
  bool hidden(std::string_view name, int before) const noexcept;
  std::string_view blocks_[3];
};

}  // namespace sluice
