// TensorBoard's event files: TFRecord framing (masked CRC-32C) around protobuf Event messages with scalars
// and pictures.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace sam2unet::train {

class EventWriter {
 public:
  /// Makes events.out.tfevents.TIME.sam2unet in the folder; where `steps` were made before, TensorBoard drops
  /// what other files of the folder hold behind them. FileError.
  explicit EventWriter(const std::filesystem::path& folder, std::int64_t steps = 0);
  void scalar(const std::string& tag, std::int64_t step, double value);
  void picture(const std::string& tag, std::int64_t step, int width, int height,
               std::span<const std::byte> png);

 private:
  void record(const std::string& event);
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }  // NOLINT(cppcoreguidelines-owning-memory)
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::filesystem::path path_;
};

}  // namespace sam2unet::train
