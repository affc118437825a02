// Weight files: what they hold, and conversion.
#include "sam2unet/weights.h"

#include <string>
#include <vector>

#include "api/c/handles.h"

using namespace sam2unet;
using namespace sam2unet::capi;

struct s2u_convert_options {
  ConvertOptions value;
};

namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

}  // namespace

extern "C" {

s2u_status* s2u_weights_info(const char* path, s2u_text** json) {
  return guarded([&] {
    need(json, "where the text goes");
    give_text(to_json(inspect_weights(text_of(path, "the path"))), json);
  });
}

s2u_status* s2u_convert_options_new(s2u_convert_options** out) {
  return make(out, "where the options go");
}

void s2u_convert_options_free(s2u_convert_options* options) {
  destroy(options);
}

s2u_status* s2u_convert_options_set_precision(s2u_convert_options* options, int32_t precision) {
  return guarded([&] {
    live(options, "the options").value.precision =
        chosen(precision,
               {WeightsPrecision::keep, WeightsPrecision::f32, WeightsPrecision::f16, WeightsPrecision::bf16,
                WeightsPrecision::int8},
               "precision");
  });
}

s2u_status* s2u_convert_options_set_task_only(s2u_convert_options* options, int32_t task_only) {
  return guarded([&] { live(options, "the options").value.task_only = flag(task_only, "task only"); });
}

s2u_status* s2u_convert_options_set_trunk(s2u_convert_options* options, const char* path) {
  return guarded([&] { live(options, "the options").value.trunk = text_of(path, "the trunk's path"); });
}

s2u_status* s2u_weights_convert(const char* in, const char* out, const s2u_convert_options* options,
                                s2u_text** notes) {
  return guarded([&] {
    const std::vector<std::string> lines = convert_weights(
        text_of(in, "the input's path"), text_of(out, "the output's path"), value_of(options, "the options"));
    if (notes != nullptr) give_text(joined(lines), notes);
  });
}
}
