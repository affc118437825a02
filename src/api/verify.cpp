#include "sam2unet/verify.h"

#include <fmt/format.h>

#include "api/torch_plugin.h"
#include "api/verify_parts.h"
#include "sam2unet/errors.h"

namespace sam2unet {

bool verify(const std::filesystem::path& path, const VerifyOptions& options,
            const std::function<void(const VerifyCheck&)>& report) {
  if (std::filesystem::is_directory(path)) return api::verify_pictures(path, options, report);
  if (path.extension() == ".onnx") return api::verify_onnx(path, options, report);
  const auto file = formats::TensorFile::open(path);
  if (file.find("losses") != nullptr) {
    return api::torch_plugin(fmt::format("{}: golden values of training: checking them", path.string()))
        .verify_training(path, options, report);
  }
  return api::verify_forward(file, options, report);
}

}  // namespace sam2unet
