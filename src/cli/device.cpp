#include "device.h"

#include <map>

namespace sam2unet::cli {

void add_device_options(CLI::App& command, std::string& device, Precision& precision) {
  command
      .add_option("--device", device,
                  "what computes: cpu, or with the training component installed cuda, cuda:N, torch-cpu")
      ->capture_default_str();
  const std::map<std::string, Precision> names{
      {"auto", Precision::automatic}, {"f32", Precision::f32}, {"bf16", Precision::bf16}};
  command.add_option("--precision", precision, "auto (f32, on a GPU bf16), f32, bf16")
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->default_str("auto");
}

}  // namespace sam2unet::cli
