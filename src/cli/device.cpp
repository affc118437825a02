#include "device.h"

#include <map>

#include "sam2unet/errors.h"

namespace sam2unet::cli {

void add_device_options(CLI::App& command, std::string& device, Precision& precision) {
  command
      .add_option(
          "--device", device,
          "what computes: cpu; where the CUDA backend is installed cuda, cuda:N; with the training component "
          "cuda-torch, cuda-torch:N, torch-cpu")
      ->capture_default_str();
  const std::map<std::string, Precision> names{
      {"auto", Precision::automatic}, {"f32", Precision::f32},   {"fp32", Precision::f32},
      {"bf16", Precision::bf16},      {"int8", Precision::int8}, {"tf32", Precision::tf32},
      {"f16", Precision::f16},        {"fp16", Precision::f16},  {"standard", Precision::standard}};
  command
      .add_option(
          "--precision", precision,
          "standard (fp32, on a GPU bf16), auto (on the device cpu the fastest that this processor has "
          "instructions for and that changes the maps of these weights by little, as convert --gates "
          "stores it; else as standard), fp32, bf16, int8 (on the device cpu), tf32 (on the device "
          "cuda-torch), fp16 (on the device cuda)")
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->default_str("standard");
}

std::string words_of(const SegmenterInfo& info) {
  return "computes " + info.arithmetic + " on " + info.device +
         (info.choice.empty() ? "" : " (auto: " + info.choice + ")");
}

void add_streams_option(CLI::App& command, std::string& streams) {
  command
      .add_option(
          "--streams", streams,
          "on the device cpu, how many pictures at a time share the threads: each takes longer and more "
          "memory, all may be done sooner; auto: in bf16 and int8 up to 4 for 16 pictures or more, else 1")
      ->type_name("N|auto")
      ->capture_default_str();
}

int streams_of(const std::string& streams, std::size_t pictures) {
  if (streams == "auto") return pictures < kManyPictures ? 1 : 0;
  int number = 0;
  if (!CLI::detail::lexical_cast(streams, number) || number < 1 || number > 64)
    throw UsageError("--streams " + streams + ": must be auto or 1 to 64");
  return number;
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
