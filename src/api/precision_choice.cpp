#include "api/precision_choice.h"

#include <fmt/format.h>

#include <optional>

namespace sam2unet::api {
namespace {

using model::PrecisionGate;
using ops::lowp::Numerics;

// Whether the precision may stand for float32; `why` gets a phrase either way.
bool passes(Precision precision, const std::optional<PrecisionGate>& gate, double limit, const Numerics& here,
            std::string& why) {
  const auto tell = [&](const std::string& what) {
    why += fmt::format("{}{} {}", why.empty() ? "" : "; ", sam2unet::name_of(precision), what);
  };
  if (!here.is_native()) {
    tell("is no faster on this processor");
  } else if (!gate) {
    tell("was not measured of these weights");
  } else if (ops::lowp::takes_bf16(here.bf16) && !gate->rounds_bf16) {
    tell("was measured on a processor that rounds less");
  } else if (gate->change > limit) {
    tell(fmt::format("changes maps by {:.5f}, more than {}", gate->change, limit));
  } else {
    tell(fmt::format("changes maps by {:.5f}, no more than {}", gate->change, limit));
    return true;
  }
  return false;
}

}  // namespace

PrecisionChoice choose_precision(DeviceKind device, Precision wanted, const model::StoredGates& stored,
                                 const Processor& processor) {
  PrecisionChoice choice;
  choice.precision = precision_on(device, wanted);
  if (wanted == Precision::automatic && device == DeviceKind::cpu) {
    if (!stored.gates) {
      choice.why =
          "the weights carry no precision gates; converting them with pictures to measure on stores some";
    } else {  // the fastest first
      const auto& gates = *stored.gates;
      if (passes(Precision::int8, gates.int8, model::kMaxChangeInt8, processor.int8, choice.why))
        choice.precision = Precision::int8;
      else if (passes(Precision::bf16, gates.bf16, model::kMaxChangeBf16, processor.bf16, choice.why))
        choice.precision = Precision::bf16;
    }
  }
  if (choice.precision == Precision::int8 && stored.gates) choice.kept = stored.gates->kept;
  return choice;
}

}  // namespace sam2unet::api
