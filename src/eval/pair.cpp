// The parts of the public header that are one call into the metrics.
#include "metrics/dataset.h"
#include "metrics/resize.h"
#include "metrics/scorer.h"
#include "sam2unet/evaluate.h"

namespace sam2unet {

std::vector<MetricValue> evaluate_pair(const ImageView& prediction, const ImageView& truth,
                                       const ImageView* picture) {
  metrics::Scorer scorer;
  std::vector<MetricValue> out;
  for (metrics::Value& v : metrics::image_values(scorer.score(prediction, truth, picture))) {
    out.push_back({std::move(v.key), v.value});
  }
  return out;
}

Image resize_linear(const ImageView& map, int width, int height) {
  return metrics::resize_linear(map, width, height);
}

bool higher_is_better(std::string_view key) {
  return metrics::higher_is_better(std::string(key));
}

}  // namespace sam2unet
