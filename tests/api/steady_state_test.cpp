// After the first picture of a size, a session takes no new memory and makes no new plans.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "model/network.h"
#include "model/weight_source.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/lowp/low_ops.h"
#include "support/tiny_weights.h"

namespace {

// Counts what is allocated, and that in large pieces: oneDNN makes small argument maps in each call.
std::atomic<long> g_all{0}, g_large{0};
constexpr std::size_t kLarge = 4096;

void count(std::size_t n) {
  g_all.fetch_add(1);
  if (n >= kLarge) g_large.fetch_add(1);
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t n) {
  count(n);
  void* p = std::malloc(n);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
[[gnu::noinline]] void* operator new(std::size_t n, std::align_val_t a) {
  count(n);
  const auto align = static_cast<std::size_t>(a);
  void* p = std::aligned_alloc(align, (n + align - 1) / align * align);
  if (p == nullptr) throw std::bad_alloc();
  return p;
}
[[gnu::noinline]] void operator delete(void* p) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept {
  std::free(p);
}
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}

namespace sam2unet {
namespace {

// Three pictures of a size after a first one; what `counter` counts.
template <class Ops>
void expect_no_new_memory(Ops& o, const model::Network<typename Ops::Weights>& net,
                          const std::atomic<long>& counter) {
  const auto picture = [&](float value) {
    auto image = o.make({1, 352, 352, 3});
    std::fill_n(image.data(), image.extent().numel(), value);
    return model::sam2unet(o, net, image, model::Sides::wanted).out.data()[0];
  };
  const float first = picture(0.5F);
  const std::size_t arena = o.arena_bytes();
  const long before = counter;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(picture(0.5F), first);  // and the same bits each time
  EXPECT_EQ(counter, before);
  EXPECT_EQ(o.arena_bytes(), arena);
}

TEST(SteadyState, NoMemoryIsTakenAfterTheFirstPicture) {
  model::DeterministicWeights source;
  ops::CpuWeights weights(source);
  const auto net = model::Network<ops::CpuWeights>::make(weights, test::nano_config());
  ops::CpuOps o(2);
  expect_no_new_memory(o, net, g_large);
}

// On this processor and as on one without instructions for them; with layers of both precisions too. Not a
// byte.
TEST(SteadyState, NorInLowPrecisions) {
  using ops::lowp::LowPrecision, ops::lowp::Numerics;
  const std::vector<std::string> kept{"encoder.blocks.1.block.mlp", "encoder.blocks.2.block.attn", "up1"};
  for (const LowPrecision precision : {LowPrecision::bf16, LowPrecision::int8})
    for (const Numerics& numerics : {ops::lowp::best_numerics(precision), Numerics{precision}})
      for (const bool keeps : {false, true}) {
        model::DeterministicWeights source;
        ops::lowp::LowWeights weights(source, numerics, keeps ? kept : std::vector<std::string>());
        const auto net = model::Network<ops::lowp::LowWeights>::make(weights, test::nano_config());
        ops::lowp::LowOps o(numerics, 2);
        expect_no_new_memory(o, net, g_all);
      }
}

}  // namespace
}  // namespace sam2unet
