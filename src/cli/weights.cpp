#include "weights.h"

#include "sam2unet/models.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

std::filesystem::path weights_file(const std::string& named) {
  return named.empty() ? default_model_path() : find_weights(named);
}

}  // namespace sam2unet::cli
