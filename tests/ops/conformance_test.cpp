// Every operation of the vocabulary on the CPU backend against naive double-precision loops, over odd shapes.
#include <tuple>

#include "ops/backends.h"
#include "support/instruction_sets.h"

namespace sam2unet::ops {
namespace {

using lowp::LowOps;
using lowp::LowWeights;
using lowp::Numerics;
using lowp::Way;
using test::plain_input;
using test::plain_values;
using test::to;

enum class Tested {
  f32,
  bf16,         // multiplied by what every processor has
  bf16_native,  // by vdpbf16ps
  int8,         //
  int8_native,  // by vpdpbusd
  bf16_amx,     // by tdpbf16ps
  int8_amx,     // all of it by AMX
  cuda_f32,     // on a GPU, where there is one
  cuda_bf16,    //
  cuda_f16,     //
};
bool is_cuda(Tested tested) {
  return tested >= Tested::cuda_f32;
}
std::string name_of(Tested tested) {
  switch (tested) {
    case Tested::f32:
      return "f32";
    case Tested::bf16:
      return "bf16";
    case Tested::bf16_native:
      return "bf16Native";
    case Tested::int8:
      return "int8";
    case Tested::int8_native:
      return "int8Native";
    case Tested::bf16_amx:
      return "bf16Amx";
    case Tested::int8_amx:
      return "int8Amx";
    case Tested::cuda_f32:
      return "cudaF32";
    case Tested::cuda_bf16:
      return "cudaBf16";
    case Tested::cuda_f16:
      return "cudaF16";
  }
  return "?";
}
Numerics numerics_of(Tested tested) {
  using lowp::LowPrecision;
  switch (tested) {
    case Tested::bf16_native:
      return {LowPrecision::bf16, Way::dot_bf16, Way::widened};
    case Tested::bf16_amx:
      return {LowPrecision::bf16, Way::amx_bf16, Way::widened};
    case Tested::int8:
      return {LowPrecision::int8, Way::widened, Way::widened};
    case Tested::int8_native:
      return {LowPrecision::int8, Way::widened, Way::dot_int8};
    case Tested::int8_amx:
      return {LowPrecision::int8, Way::amx_bf16, Way::amx_int8};
    default:
      return {LowPrecision::bf16, Way::widened, Way::widened};
  }
}

struct Setting {
  int threads;
  std::int64_t instructions;
  Tested tested = Tested::f32;
};

class Conformance : public ::testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    if (is_cuda(GetParam().tested)) return set_up_cuda();
    const Numerics n = numerics_of(GetParam().tested);
    for (const Way way : {n.bf16, n.int8}) {
      if (way != Way::widened && lowp::native_tiles(way) == nullptr)
        GTEST_SKIP() << "this processor has no such instruction";
    }
  }

  /// f(ops, weights) on the backend at hand.
  template <class F>
  void with(F&& f) {
    const int threads = GetParam().threads;
    if (is_cuda(GetParam().tested)) {
      with_cuda(f);
    } else if (GetParam().tested == Tested::f32) {
      CpuWeights weights(source);
      CpuOps o(threads);
      f(o, weights);
    } else {
      const Numerics numerics = numerics_of(GetParam().tested);
      LowWeights weights(source, numerics);
      LowOps o(numerics, threads);
      f(o, weights);
    }
  }
#ifdef SAM2UNET_HAS_CUDA
  void set_up_cuda() {
    try {
      device = cuda::find_device("cuda");
      cuda::prepare_kernels(device.limits);
    } catch (const UnavailableError& e) {
      GTEST_SKIP() << e.what();
    }
  }
  template <class F>
  void with_cuda(F&& f) {
    const Tested t = GetParam().tested;
    const cuda::Element element = t == Tested::cuda_f32    ? cuda::Element::f32
                                  : t == Tested::cuda_bf16 ? cuda::Element::bf16
                                                           : cuda::Element::f16;
    cuda::DeviceStore store;
    cuda::CudaWeights weights(source, store, element);
    cuda::CudaOps o(device, element);
    f(o, weights);
  }
  cuda::DeviceInfo device;
#else
  void set_up_cuda() {
    GTEST_SKIP() << "built without SAM2UNET_BUILD_CUDA";
  }
  template <class F>
  void with_cuda(F&&) {}
#endif

  template <class O>
  double relative_error(O& o, const typename O::Tensor& got, const PlainTensor& want) {
    return test::relative_error(plain_values(o, got), want);
  }

  /// What float32 keeps; of the others what they do. Without folded weights, bfloat16 holds all weights of
  /// these tests, and only GELU's short formula and rounded activations differ.
  double tolerance(double f32, bool is_folded = false) const {
    switch (GetParam().tested) {
      case Tested::f32:
        return f32;
      case Tested::bf16:
        return is_folded ? 4e-3 : 1e-4;
      case Tested::bf16_native:
      case Tested::bf16_amx:
        return 8e-3;
      case Tested::cuda_f32:
        return 2 * f32;
      case Tested::cuda_bf16:
        return 1e-2;
      case Tested::cuda_f16:
        return 2e-3;
      default:
        return 2e-2;
    }
  }

  sam2unet::test::InstructionSet instructions{GetParam().instructions};
  test::RoundedWeights source;
  PlainWeights plain_weights{source};
  PlainOps plain;
};

// Alone, the usual two, and more than there is work for, on the best instruction set (Highway's lowest bit);
// and two on every other.
std::vector<Setting> settings() {
  const auto sets = sam2unet::test::instruction_sets();
  std::vector<Setting> out{{1, sets[0]}, {2, sets[0]}, {5, sets[0]}};
  for (std::size_t i = 1; i < sets.size(); ++i) out.push_back({2, sets[i]});
  const auto best = sam2unet::test::all_instruction_sets();
  for (const Tested tested : {Tested::bf16, Tested::int8}) {
    for (const int threads : {1, 2, 5}) out.push_back({threads, sets[0], tested});
    for (std::size_t i = 1; i < sets.size(); ++i) out.push_back({2, sets[i], tested});
  }
  for (const Tested tested : {Tested::cuda_f32, Tested::cuda_bf16, Tested::cuda_f16})
    out.push_back({1, sets[0], tested});
  for (const Tested tested : {Tested::bf16_native, Tested::int8_native, Tested::bf16_amx, Tested::int8_amx})
    for (const int threads : {1, 2, 5}) out.push_back({threads, best, tested});
  return out;
}

INSTANTIATE_TEST_SUITE_P(Settings, Conformance, ::testing::ValuesIn(settings()), [](const auto& s) {
  const std::string set = s.param.instructions == sam2unet::test::all_instruction_sets()
                              ? "all"
                              : sam2unet::test::name_of(s.param.instructions);
  return name_of(s.param.tested) + "_" + set + "x" + std::to_string(s.param.threads);
});

TEST_P(Conformance, PatchEmbed) {
  with([&](auto& o, auto& weights) {
    for (const Extent e : {Extent{1, 32, 32, 3}, Extent{2, 64, 96, 3}, Extent{1, 160, 32, 3}}) {
      for (const int n : {16, 96, 112}) {
        const auto x = plain_input("x", e);
        EXPECT_LT(relative_error(o, o.patch_embed(to(o, x), weights.patch_embed("p", 3, n)),
                                 plain.patch_embed(x, plain_weights.patch_embed("p", 3, n))),
                  is_cuda(GetParam().tested) ? tolerance(2e-6) : 2e-6);  // pixels are not rounded
      }
    }
    (void)weights;
  });
}

TEST_P(Conformance, AddPosition) {
  with([&](auto& o, auto& weights) {
    for (const Extent e : {Extent{1, 8, 8, 16}, Extent{2, 24, 40, 24}, Extent{1, 88, 88, 16}}) {
      const auto x = plain_input("x", e);
      const int c = static_cast<int>(e.c);
      EXPECT_LT(relative_error(o, o.add_position(to(o, x), weights.position("t", c, {7, 5}, 8)),
                               plain.add_position(x, plain_weights.position("t", c, {7, 5}, 8))),
                tolerance(1e-6));
    }
    (void)weights;
  });
}

TEST_P(Conformance, LayerNorm) {
  with([&](auto& o, auto& weights) {
    for (const std::int64_t c : {1, 3, 16, 17, 96, 112, 144, 575, 1152}) {
      const auto x = plain_input("x", {2, 3, 5, c});
      const int n = static_cast<int>(c);
      EXPECT_LT(relative_error(o, o.layer_norm(to(o, x), weights.norm("n", n)),
                               plain.layer_norm(x, plain_weights.norm("n", n))),
                tolerance(4e-6))
          << c;
    }
    (void)weights;
  });
}

TEST_P(Conformance, LinearAndItsFusions) {
  with([&](auto& o, auto& weights) {
    for (const auto& [pixels, k, n] :
         {std::tuple{1, 96, 288}, {7, 16, 3}, {121, 33, 47}, {484, 64, 1}, {35, 144, 32}, {3, 700, 150}}) {
      const auto x = plain_input("x", {1, 1, pixels, k});
      const auto r = plain_input("r", {1, 1, pixels, n});
      const auto w = weights.linear("l", k, n);
      const auto pw = plain_weights.linear("l", k, n);
      const auto cx = to(o, x);
      EXPECT_LT(relative_error(o, o.linear(cx, w), plain.linear(x, pw)), tolerance(2e-6)) << n;
      EXPECT_LT(relative_error(o, o.linear_gelu(cx, w), plain.linear_gelu(x, pw)), tolerance(2e-6)) << n;
      EXPECT_LT(relative_error(o, o.linear_add(cx, w, to(o, r)), plain.linear_add(x, pw, r)), tolerance(2e-6))
          << n;
      EXPECT_LT(relative_error(o, o.linear_gelu_add(cx, w, to(o, r)), plain.linear_gelu_add(x, pw, r)),
                tolerance(2e-6))
          << n;
    }
    (void)weights;
  });
}

TEST_P(Conformance, Elementwise) {
  with([&](auto& o, auto& weights) {
    const auto x = plain_input("x", {2, 3, 5, 7}), y = plain_input("y", {2, 3, 5, 7});
    EXPECT_LT(relative_error(o, o.gelu(to(o, x)), plain.gelu(x)), tolerance(1e-6));
    EXPECT_LT(relative_error(o, o.relu(to(o, x)), plain.relu(x)), tolerance(1e-7));
    EXPECT_LT(relative_error(o, o.add(to(o, x), to(o, y)), plain.add(x, y)), tolerance(1e-6));
    (void)weights;
  });
}

TEST_P(Conformance, WindowAttention) {
  with([&](auto& o, auto& weights) {
    struct Case {
      Extent e;  // c = 3 x dim
      AttentionGeometry g;
    };
    const Case cases[] = {
        {{1, 8, 8, 3 * 16}, {1, 8, 1}},     // whole windows
        {{2, 16, 8, 3 * 96}, {1, 8, 1}},    //
        {{1, 11, 11, 3 * 48}, {2, 7, 1}},   // windows cut on both sides
        {{2, 22, 22, 3 * 64}, {4, 14, 1}},  //
        {{1, 3, 5, 3 * 30}, {3, 8, 1}},     // a window larger than the picture
        {{1, 22, 22, 3 * 56}, {1, 0, 1}},   // global
        {{2, 5, 3, 3 * 72}, {2, 0, 1}},     //
        {{1, 22, 22, 3 * 32}, {2, 14, 2}},  // queries pooled in cut windows
        {{2, 8, 12, 3 * 24}, {1, 8, 2}},    //
        {{1, 6, 4, 3 * 24}, {1, 0, 2}},     // queries pooled over the whole picture
        {{1, 2, 2, 3 * 5}, {1, 16, 2}},     // one pooled query, nearly all padding
    };
    for (const auto& c : cases) {
      const auto x = plain_input("qkv", c.e);
      const int n = static_cast<int>(c.e.c);
      EXPECT_LT(relative_error(o, o.window_attention(to(o, x), weights.linear("a", 8, n), c.g),
                               plain.window_attention(x, plain_weights.linear("a", 8, n), c.g)),
                tolerance(2e-6))
          << "window " << c.g.window << " of " << c.e.h << "x" << c.e.w;
    }
    (void)weights;
  });
}

TEST_P(Conformance, MaxPool) {
  with([&](auto& o, auto& weights) {
    for (const Extent e : {Extent{1, 2, 2, 1}, Extent{2, 6, 10, 19}, Extent{1, 44, 44, 96}}) {
      const auto x = plain_input("x", e);
      EXPECT_LT(relative_error(o, o.max_pool_2x2(to(o, x)), plain.max_pool_2x2(x)), tolerance(1e-7));
    }
    (void)weights;
  });
}

TEST_P(Conformance, ConvBnAndItsFusions) {
  with([&](auto& o, auto& weights) {
    for (const Extent e :
         {Extent{1, 3, 3, 64}, Extent{2, 11, 5, 64}, Extent{1, 22, 22, 64}, Extent{1, 1, 2, 128}}) {
      for (const Kernel k :
           {Kernel{3, 3, 1}, {1, 3, 1}, {3, 1, 1}, {1, 7, 1}, {7, 1, 1}, {3, 3, 3}, {3, 3, 5}, {3, 3, 7}}) {
        const auto x = plain_input("x", e), r = plain_input("r", {e.b, e.h, e.w, 64});
        const auto w = weights.conv_bn("c", "b", static_cast<int>(e.c), 64, k);
        const auto pw = plain_weights.conv_bn("c", "b", static_cast<int>(e.c), 64, k);
        const auto cx = to(o, x);
        EXPECT_LT(relative_error(o, o.conv_bn(cx, w), plain.conv_bn(x, pw)), tolerance(2e-6, true));
        EXPECT_LT(relative_error(o, o.conv_bn_relu(cx, w), plain.conv_bn_relu(x, pw)), tolerance(2e-6, true));
        EXPECT_LT(relative_error(o, o.conv_bn_add_relu(cx, w, to(o, r)), plain.conv_bn_add_relu(x, pw, r)),
                  tolerance(2e-6, true));
      }
    }
    (void)weights;
  });
}

TEST_P(Conformance, ConvBnFan) {
  with([&](auto& o, auto& weights) {
    const std::array<std::string, kFan> names{"a", "b", "c", "d", "e"};
    for (const Extent e : {Extent{1, 2, 3, 16}, Extent{2, 11, 11, 96}}) {
      const auto x = plain_input("x", e);
      const int k = static_cast<int>(e.c);
      const auto got = o.conv_bn_fan(to(o, x), weights.conv_bn_fan(names, k, 64));
      const auto want = plain.conv_bn_fan(x, plain_weights.conv_bn_fan(names, k, 64));
      for (std::size_t i = 0; i < got.size(); ++i)
        EXPECT_LT(relative_error(o, got[i], want[i]), tolerance(2e-6, true)) << i;
    }
    (void)weights;
  });
}

TEST_P(Conformance, Concat) {
  with([&](auto& o, auto& weights) {
    const auto a = plain_input("a", {2, 3, 5, 7}), b = plain_input("b", {2, 3, 5, 16}),
               c = plain_input("c", {2, 3, 5, 1});
    EXPECT_LT(relative_error(o, o.concat(to(o, a), to(o, b)), plain.concat(a, b)), tolerance(1e-7));
    EXPECT_LT(relative_error(o, o.concat(to(o, a), to(o, b), to(o, c), to(o, a)), plain.concat(a, b, c, a)),
              tolerance(1e-7));
    (void)weights;
  });
}

TEST_P(Conformance, Upsample) {
  with([&](auto& o, auto& weights) {
    for (const Corners corners : {Corners::unaligned, Corners::aligned}) {
      for (const Extent e :
           {Extent{1, 1, 1, 1}, Extent{2, 3, 5, 1}, Extent{1, 11, 11, 64}, Extent{1, 2, 7, 19}}) {
        const auto x = plain_input("x", e);
        EXPECT_LT(relative_error(o, o.upsample(to(o, x), 2 * e.h, 2 * e.w, corners),
                                 plain.upsample(x, 2 * e.h, 2 * e.w, corners)),
                  tolerance(1e-6));
        EXPECT_LT(relative_error(o, o.upsample(to(o, x), 37, 5, corners), plain.upsample(x, 37, 5, corners)),
                  tolerance(1e-6));
      }
    }
    const auto skip = plain_input("s", {2, 6, 10, 64}), x = plain_input("x", {2, 3, 5, 64});
    EXPECT_LT(relative_error(o, o.upsample_behind(to(o, skip), to(o, x)), plain.upsample_behind(skip, x)),
              tolerance(1e-6));
    (void)weights;
  });
}

}  // namespace
}  // namespace sam2unet::ops
