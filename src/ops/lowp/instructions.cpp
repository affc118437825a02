#include "ops/lowp/instructions.h"

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

Numerics best_numerics(bool is_int8) {
  Numerics n;
  n.is_int8 = is_int8;
  if (native_tiles(Way::dot_bf16) != nullptr && !is_intel()) n.bf16 = Way::dot_bf16;
  if (native_tiles(Way::dot_int8) != nullptr) n.int8 = Way::dot_int8;
  return n;
}

bool has_native(const Numerics& numerics) {
  return numerics.is_int8 ? numerics.int8 == Way::dot_int8 : numerics.bf16 == Way::dot_bf16;
}

}  // namespace sam2unet::ops::lowp
