// What this processor multiplies low precisions with.
#pragma once

#include <cstdint>
#include <string>

#include "ops/lowp/kernels.h"

namespace sam2unet::ops::lowp {

enum class LowPrecision : std::uint8_t {
  bf16,  ///< everywhere
  int8,  ///< weights of int8 where the layer bears it, else bfloat16
};

/// How a network's products are computed.
struct Numerics {
  LowPrecision precision = LowPrecision::bf16;
  Way bf16 = Way::widened;  ///< of bfloat16 products
  Way int8 = Way::widened;  ///< of int8 products

  bool is_int8() const { return precision == LowPrecision::int8; }
  /// Whether the processor has an instruction for the precision.
  bool is_native() const { return (is_int8() ? int8 : bf16) != Way::widened; }
  /// What activations are stored as: rounded where the products want them so.
  Element activations() const { return takes_bf16(bf16) ? Element::bf16 : Element::f32; }
};

/// Whether the processor has the instructions, the system lets us use them, and ONEDNN_MAX_CPU_ISA, which
/// restricts us as it does oneDNN, allows them.
bool may_use(Way way);

/// The fastest of this processor: AMX where it is. vdpbf16ps only where it is faster than float32
/// multiply-adds: Intel's cores run it at half their rate (Sapphire Rapids; measured), since they count on
/// AMX.
Numerics best_numerics(LowPrecision precision);

/// The one that rounds most of what this processor can, however slow: what changes the maps little with it
/// does so with every other.
Numerics roughest_numerics(LowPrecision precision);

/// What multiplies, for people; says where the processor has no instruction of its own for the precision.
std::string words_of(const Numerics& numerics);

}  // namespace sam2unet::ops::lowp
