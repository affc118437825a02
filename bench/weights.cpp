// Writes a checkpoint of the golden files' weights (docs/golden.md), which are functions of their names: for
// timing what wants a file of weights on a machine that has none.
//
//   bench_weights VARIANT FILE.safetensors
#include <cstddef>
#include <cstdio>
#include <exception>
#include <list>
#include <string>
#include <vector>

#include "formats/tensor_file.h"
#include "model/config.h"
#include "model/tensor_table.h"
#include "model/weight_source.h"

namespace {

using namespace sam2unet;

void write(const std::string& variant, const char* path) {
  model::DeterministicWeights source;
  std::list<std::vector<float>> values;
  std::vector<formats::NamedTensor> tensors;
  for (const auto& spec : model::tensor_table(model::Config::of_variant(variant))) {
    const std::vector<float>& here = values.emplace_back(source.read(spec.name, spec.shape));
    tensors.push_back({spec.name,
                       {reinterpret_cast<const std::byte*>(here.data()), DType::f32, spec.shape,
                        spec.shape.dense_strides()}});
  }
  formats::write_safetensors(path, tensors, {{"config", model::Config::of_variant(variant).to_json()}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_weights VARIANT FILE.safetensors\n");
    return 2;
  }
  try {
    write(argv[1], argv[2]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_weights: %s\n", e.what());
    return 1;
  }
}
