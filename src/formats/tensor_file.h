// A file of named tensors, whatever its format: safetensors, or PyTorch's zip and older stream formats.
// Owner of the mapping; the views it hands out point into the file and live as long as it does.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace sam2unet::formats {

enum class FileFormat { safetensors, torch_zip, torch_legacy };

std::string_view name_of(FileFormat format);

struct NamedTensor {
  std::string name;  // as stored, less any wrapping ("model.", "state_dict", "module.")
  TensorView view;
};

class TensorFile {
 public:
  /// Reads the directory of the file, not the data. FileError, or FormatError if any bound, size or opcode is
  /// not allowed; nothing in the file is ever executed.
  static TensorFile open(const std::filesystem::path& path);
  /// The same for bytes in memory, which must outlive it. `name` appears in messages and is what path()
  /// answers.
  static TensorFile view(std::span<const std::byte> bytes, const std::filesystem::path& name);

  FileFormat format() const;
  const std::filesystem::path& path() const;
  /// Key under which the tensors lay in a pickle: "", "model", "state_dict", "checkpoint.model", ...
  const std::string& wrapper() const;
  /// What was cut off every name: "", "module.", "_orig_mod.module.", ...
  const std::string& prefix() const;
  /// In file order.
  const std::vector<NamedTensor>& tensors() const;
  /// Classes and functions of objects beside the tensors, which were passed over: "omegaconf.DictConfig".
  const std::vector<std::string>& passed_over() const;
  /// Gives tensor i the name `names[i]`; those with an empty one are left out. Names must not come twice.
  void rename(std::vector<std::string> names);
  /// nullptr if there is none of that name.
  const TensorView* find(std::string_view name) const;
  /// safetensors' __metadata__; empty for pickles.
  const std::map<std::string, std::string>& metadata() const;
  /// Says that this tensor's bytes were consumed, so that they leave memory.
  void release(const TensorView& view) const;

  TensorFile(TensorFile&&) noexcept;
  TensorFile& operator=(TensorFile&&) noexcept;
  ~TensorFile();

 private:
  struct Impl;
  explicit TensorFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Writes the file whole or not at all (AtomicFile). Tensors in the order given; views may be strided.
void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);
/// A bare state_dict (OrderedDict) that `torch.load(weights_only=True)` reads.
void write_torch_zip(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors);

/// A tensor whose elements are made when they are written: converting a large file needs memory for one
/// tensor only.
struct PendingTensor {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  /// The elements in row-major order; `buffer` may hold them. Called once, in the order of the file.
  std::function<std::span<const std::byte>(std::vector<std::byte>& buffer)> bytes;
};
void write_safetensors(const std::filesystem::path& path, const std::vector<PendingTensor>& tensors,
                       const std::map<std::string, std::string>& metadata);
/// `under`: the key the tensors lie under, as "model" in SAM2's files; none for a bare state_dict.
void write_torch_zip(const std::filesystem::path& path, const std::vector<PendingTensor>& tensors,
                     std::string_view under = {});
/// One that is written as it is.
PendingTensor pending(const NamedTensor& tensor);

}  // namespace sam2unet::formats
