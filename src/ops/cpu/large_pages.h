// Memory for weights and activations. They are read from one end to the other for every picture, and with
// pages of 4 KiB a processor spends much of that time (in a virtual machine most of it) looking pages up: AMX
// ran a layer of L 2.2 to 3.4 times as fast from pages of 2 MiB. Pieces are cut from large chunks, for single
// ones are too small to fill such a page.
#pragma once

#include <cstddef>
#include <memory>

namespace sam2unet::ops {

class LargePages {
 public:
  static constexpr std::size_t kAlignment = 64;
  /// Whether pieces are cut from chunks at all: not under AddressSanitizer, which is to see what is read past
  /// their ends.
  static const bool kShareChunks;

  /// At least `bytes`, zero where nobody has written. A chunk goes back to the system with the last of its
  /// pieces. Throws std::bad_alloc.
  std::shared_ptr<std::byte> take(std::size_t bytes);

 private:
  std::shared_ptr<std::byte> chunk_;
  std::size_t size_ = 0, used_ = 0;  // of the chunk
  std::size_t taken_ = 0;            // of all chunks
};

}  // namespace sam2unet::ops
