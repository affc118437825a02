// What PyTorch's pickles name: storages, the functions that rebuild tensors from them, and the plain classes
// that training checkpoints carry beside. Other names stand for placeholders, whatever is done with them
// makes another empty one; names whose only use is to run something are refused. Nothing is ever executed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "formats/pickle.h"

namespace sam2unet::formats {

/// A storage as a pickle refers to it; its bytes lie elsewhere in the file, under `key`.
struct StorageRef {
  DType dtype = DType::u8;
  std::string_view key;
  std::int64_t numel = 0;
  std::int64_t first = 0;  // files of before 2018 only: a part of the storage `key`, from this element on
};

struct TensorRef {
  std::uint32_t storage = 0;  // index into storages()
  DType dtype = DType::f32;
  std::int64_t offset = 0;  // in elements
  Shape shape, strides;
};

class TorchObjects final : public PickleHost {
 public:
  Value global(std::string_view module, std::string_view name) override;
  Value call(PickleMachine& machine, const Value& callable, const Value& args) override;
  Value persistent(PickleMachine& machine, const Value& id) override;

  const std::vector<StorageRef>& storages() const { return storages_; }
  const std::vector<TensorRef>& tensors() const { return tensors_; }
  /// Names that stand for placeholders: "omegaconf.dictconfig.DictConfig".
  const std::set<std::string, std::less<>>& foreign() const { return foreign_; }

 private:
  Value rebuild_tensor(PickleMachine& machine, std::span<const Value> args, std::optional<DType> dtype);

  std::vector<StorageRef> storages_;
  std::vector<TensorRef> tensors_;
  std::set<std::string, std::less<>> foreign_;  // a placeholder's text points into it
};

/// The tensor as a view of its storage's bytes. FormatError if it reaches outside of them.
TensorView view_of(const TensorRef& tensor, std::span<const std::byte> storage);

}  // namespace sam2unet::formats
