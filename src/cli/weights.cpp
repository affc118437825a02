#include "weights.h"

#include <algorithm>
#include <array>

#include "sam2unet/models.h"
#include "sam2unet/segmenter.h"

namespace sam2unet::cli {

std::filesystem::path weights_file(const std::string& named) {
  return named.empty() ? default_model_path() : find_weights(named);
}

std::string name_of_weights(const std::filesystem::path& file) {
  constexpr std::array kEndings{".safetensors", ".pth", ".pt", ".ckpt", ".bin"};
  const bool is_ending =
      std::find(kEndings.begin(), kEndings.end(), file.extension().string()) != kEndings.end();
  return (is_ending ? file.stem() : file.filename()).string();
}

}  // namespace sam2unet::cli
