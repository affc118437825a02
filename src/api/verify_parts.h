// What can be verified, each kind in a file of its own.
#pragma once

#include <functional>
#include <vector>

#include "formats/tensor_file.h"
#include "sam2unet/verify.h"

namespace sam2unet::api {

using Report = std::function<void(const VerifyCheck&)>;

bool verify_forward(const formats::TensorFile& file, const VerifyOptions& options, const Report& report);
bool verify_onnx(const std::filesystem::path& path, const VerifyOptions& options, const Report& report);
bool verify_pictures(const std::filesystem::path& folder, const VerifyOptions& options, const Report& report);

/// Largest difference over the range of `want`; infinite where the sizes differ or a value is NaN.
double relative_error(const std::vector<double>& got, const std::vector<double>& want);

}  // namespace sam2unet::api
