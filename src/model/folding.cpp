#include "model/folding.h"

#include <cmath>
#include <cstddef>

namespace sam2unet::model {

std::vector<float> fold_batch_norm(const WeightSource& source, const std::string& bn, int out,
                                   std::span<float> weight) {
  const auto read = [&](const char* what) { return source.read(bn + what, {out}); };
  const auto gamma = read(".weight"), beta = read(".bias");
  const auto mean = read(".running_mean"), variance = read(".running_var");
  std::vector<float> bias(static_cast<std::size_t>(out));
  const std::size_t row = weight.size() / bias.size();
  for (std::size_t n = 0; n < bias.size(); ++n) {
    const double scale = gamma[n] / std::sqrt(static_cast<double>(variance[n]) + 1e-5);
    bias[n] = static_cast<float>(beta[n] - mean[n] * scale);
    for (std::size_t k = 0; k < row; ++k) {
      weight[n * row + k] = static_cast<float>(static_cast<double>(weight[n * row + k]) * scale);
    }
  }
  return bias;
}

FoldedFan fold_fan(const WeightSource& source, std::span<const std::string> names, int in, int out) {
  FoldedFan fan;
  for (const std::string& name : names) {
    auto weight = source.read(name + ".conv.weight", {out, in, 1, 1});
    const auto bias = fold_batch_norm(source, name + ".bn", out, weight);
    fan.weight.insert(fan.weight.end(), weight.begin(), weight.end());
    fan.bias.insert(fan.bias.end(), bias.begin(), bias.end());
  }
  return fan;
}

}  // namespace sam2unet::model
