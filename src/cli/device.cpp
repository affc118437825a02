#include "device.h"

#include <map>

namespace sam2unet::cli {

void add_device_options(CLI::App& command, std::string& device, Precision& precision) {
  command
      .add_option(
          "--device", device,
          "what computes: cpu; where the CUDA backend is installed cuda, cuda:N; with the training component "
          "cuda-torch, cuda-torch:N, torch-cpu")
      ->capture_default_str();
  const std::map<std::string, Precision> names{{"auto", Precision::automatic}, {"f32", Precision::f32},
                                               {"fp32", Precision::f32},       {"bf16", Precision::bf16},
                                               {"int8", Precision::int8},      {"tf32", Precision::tf32},
                                               {"f16", Precision::f16},        {"fp16", Precision::f16}};
  command
      .add_option("--precision", precision,
                  "auto (fp32, on a GPU bf16), fp32, bf16, int8 (on the device cpu), tf32 (on the device "
                  "cuda-torch), "
                  "fp16 (on the device cuda)")
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->default_str("auto");
}

std::string words_of(const SegmenterInfo& info) {
  return "computes " + info.arithmetic + " on " + info.device;
}

void add_batch_options(CLI::App& command, int& batch, std::string& fit) {
  command
      .add_option("--batch", batch,
                  "pictures the network sees at once; 0 is what is fastest on the device: 1 on the CPU")
      ->check(CLI::Range(0, 256).description(""))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--fit", fit,
                  "how a picture becomes the network's input: squash (as the reference) or letterbox (its "
                  "shape is kept); without it, as the weights were trained")
      ->check(CLI::IsMember({"squash", "letterbox"}).description(""))
      ->type_name("HOW");
}

}  // namespace sam2unet::cli
