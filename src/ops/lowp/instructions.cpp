#include "ops/lowp/instructions.h"

#include <hwy/detect_targets.h>
#include <hwy/targets.h>

#include <dnnl.hpp>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace sam2unet::ops::lowp {
namespace {

bool is_intel() {
#if defined(__x86_64__)
  unsigned int highest = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(0, &highest, &b, &c, &d) != 0 && b == signature_INTEL_ebx && d == signature_INTEL_edx &&
         c == signature_INTEL_ecx;
#else
  return false;
#endif
}

}  // namespace

bool may_use(Way way) {
  if (way == Way::widened) return true;
  using isa = dnnl::cpu_isa;
  const isa needed = is_amx(way)            ? isa::avx512_core_amx
                     : way == Way::dot_bf16 ? isa::avx512_core_bf16
                                            : isa::avx512_core_vnni;
  // Each set has the bits of those that it includes.
  const auto bits = static_cast<unsigned>(dnnl::get_effective_cpu_isa()), all = static_cast<unsigned>(needed);
  return (bits & all) == all && native_tiles(way) != nullptr;
}

Numerics roughest_numerics(LowPrecision precision) {
  Numerics n;
  n.precision = precision;
  // What restricts our other kernels (a test) restricts these too. The target stands for Ice Lake and later.
  if ((hwy::SupportedTargets() & HWY_AVX3_DL) == 0) return n;
  for (const Way way : {Way::dot_bf16, Way::amx_bf16})
    if (may_use(way)) n.bf16 = way;
  for (const Way way : {Way::dot_int8, Way::amx_int8})
    if (may_use(way)) n.int8 = way;
  return n;
}

Numerics best_numerics(LowPrecision precision) {
  Numerics n = roughest_numerics(precision);
  if (n.bf16 == Way::dot_bf16 && is_intel()) n.bf16 = Way::widened;
  return n;
}

std::string words_of(const Numerics& n) {
  switch (n.is_int8() ? n.int8 : n.bf16) {
    case Way::amx_int8:
      return "int8 by AMX";
    case Way::dot_int8:
      return "int8 by AVX512-VNNI";
    case Way::amx_bf16:
      return "bf16 by AMX";
    case Way::dot_bf16:
      return "bf16 by AVX512-BF16";
    case Way::widened:
      break;
  }
  return n.is_int8()
             ? "int8 without instructions for it on this processor: no faster than f32, in a quarter of "
               "the memory"
             : "bf16 weights, float32 multiply-adds: this processor has no faster instruction for bf16";
}

}  // namespace sam2unet::ops::lowp
