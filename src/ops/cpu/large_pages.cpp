#include "ops/cpu/large_pages.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#define SAM2UNET_SHARE_CHUNKS 1
#if defined(__SANITIZE_ADDRESS__) || !defined(__linux__)
#undef SAM2UNET_SHARE_CHUNKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#undef SAM2UNET_SHARE_CHUNKS
#endif
#endif

#ifdef SAM2UNET_SHARE_CHUNKS
#include <sys/mman.h>
#endif

namespace sam2unet::ops {
namespace {

constexpr std::size_t kPage = std::size_t{2} << 20, kSmallestChunk = std::size_t{32} << 20,
                      kLargestChunk = std::size_t{256} << 20;

std::size_t up_to(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

#ifdef SAM2UNET_SHARE_CHUNKS
constexpr bool kShared = true;

// Whole pages, of which those count that are written to. Null where there is no room for addresses.
std::shared_ptr<std::byte> new_chunk(std::size_t bytes) {
  void* all = ::mmap(nullptr, bytes + kPage, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  void* first = all;
  std::size_t room = bytes + kPage;
  std::align(kPage, bytes, first, room);
  // Where the system has no such pages, the usual ones do.
  (void)::madvise(first, bytes, MADV_HUGEPAGE);
  return {static_cast<std::byte*>(first), [all, bytes](std::byte*) { ::munmap(all, bytes + kPage); }};
}
#else
constexpr bool kShared = false;

std::shared_ptr<std::byte> new_chunk(std::size_t bytes) {
  constexpr std::align_val_t kAligned{LargePages::kAlignment};
  auto* p = static_cast<std::byte*>(::operator new[](bytes, kAligned));
  std::memset(p, 0, bytes);
  return {p, [](std::byte* q) { ::operator delete[](q, kAligned); }};
}
#endif

}  // namespace

const bool LargePages::kShareChunks = kShared;

std::shared_ptr<std::byte> LargePages::take(std::size_t bytes) {
  if (!kShareChunks) return new_chunk(std::max<std::size_t>(bytes, 1));
  bytes = up_to(bytes, kAlignment);
  if (bytes > size_ - used_) {
    // As much as there is already: few chunks, whose last pages are filled in part, and addresses for twice
    // as much at most, which some clusters limit.
    std::size_t size = up_to(std::max(bytes, std::clamp(taken_, kSmallestChunk, kLargestChunk)), kPage);
    auto chunk = new_chunk(size);
    if (chunk == nullptr) chunk = new_chunk(size = up_to(bytes, kPage));  // a limit on addresses
    if (chunk == nullptr) throw std::bad_alloc();
    chunk_ = std::move(chunk);
    size_ = size;
    used_ = 0;
    taken_ += size;
  }
  std::byte* piece = chunk_.get() + used_;
  used_ += bytes;
  return {chunk_, piece};
}

}  // namespace sam2unet::ops
