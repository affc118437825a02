// Weight files, tensor by tensor.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "api/c/handles.h"
#include "core/tensor.h"
#include "formats/tensor_file.h"
#include "sam2unet/models.h"
#include "sam2unet/sam2unet.h"

using namespace sam2unet;
using namespace sam2unet::capi;

struct s2u_tensors {
  formats::TensorFile file;
  std::vector<std::pair<std::string, std::string>> metadata;
};

struct s2u_tensor_writer {
  std::vector<formats::PendingTensor> tensors;
  std::map<std::string, std::string> metadata;
};

namespace {

constexpr std::array kTypes = {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i64,
                               DType::i32, DType::i16, DType::i8,  DType::u8,   DType::boolean};

std::int32_t to_c(DType dtype) {
  return static_cast<std::int32_t>(std::find(kTypes.begin(), kTypes.end(), dtype) - kTypes.begin());
}

DType dtype_of(std::int32_t number) {
  if (number < 0 || static_cast<std::size_t>(number) >= kTypes.size())
    throw UsageError("element type " + std::to_string(number) + " is not known");
  return kTypes[static_cast<std::size_t>(number)];
}

std::size_t bytes_of(const TensorView& view) {
  return static_cast<std::size_t>(view.numel()) * size_of(view.dtype);
}

const formats::NamedTensor& tensor_of(const s2u_tensors* tensors, std::size_t index) {
  const auto& all = live(tensors, "the tensors").file.tensors();
  if (index >= all.size()) throw UsageError("there is no tensor " + std::to_string(index));
  return all[index];
}

Shape shape_of(const int64_t* shape, std::int32_t rank) {
  if (rank < 0 || static_cast<std::size_t>(rank) > Shape::kMaxRank)
    throw UsageError("a tensor of rank " + std::to_string(rank) + ": 0 to 8");
  if (rank == 0) return {};
  need(shape, "the shape");
  Shape out(std::span(shape, static_cast<std::size_t>(rank)));
  out.numel();  // its bounds
  return out;
}

}  // namespace

extern "C" {

s2u_status* s2u_tensors_open(const char* path, s2u_tensors** out) {
  return guarded([&] {
    need(out, "where the tensors go");
    auto file = formats::TensorFile::open(find_weights(text_of(path, "the path")));
    std::vector<std::pair<std::string, std::string>> metadata(file.metadata().begin(), file.metadata().end());
    hand_out(std::make_unique<s2u_tensors>(s2u_tensors{std::move(file), std::move(metadata)}), out);
  });
}

void s2u_tensors_free(s2u_tensors* tensors) {
  destroy(tensors);
}

size_t s2u_tensors_count(const s2u_tensors* tensors) {
  return is_live(tensors) ? tensors->file.tensors().size() : 0;
}

s2u_status* s2u_tensors_get(const s2u_tensors* tensors, size_t index, s2u_tensor* out) {
  return guarded([&] {
    const formats::NamedTensor& t = tensor_of(tensors, index);
    need(out, "the tensor");
    check_struct(out->struct_size, sizeof(s2u_tensor), "the tensor");
    out->name = t.name.c_str();
    out->dtype = to_c(t.view.dtype);
    out->rank = static_cast<std::int32_t>(t.view.shape.rank());
    for (std::size_t i = 0; i < Shape::kMaxRank; ++i)
      out->shape[i] = i < t.view.shape.rank() ? t.view.shape[i] : 0;
    out->bytes = bytes_of(t.view);
  });
}

s2u_status* s2u_tensors_read(const s2u_tensors* tensors, size_t index, void* bytes, size_t size) {
  return guarded([&] {
    const formats::NamedTensor& t = tensor_of(tensors, index);
    if (size != bytes_of(t.view)) {
      throw UsageError("tensor '" + t.name + "' has " + std::to_string(bytes_of(t.view)) + " bytes, not " +
                       std::to_string(size));
    }
    if (size == 0) return;
    need(bytes, "where the elements go");
    copy_bytes(t.view, {static_cast<std::byte*>(bytes), size});
    tensors->file.release(t.view);
  });
}

size_t s2u_tensors_metadata_count(const s2u_tensors* tensors) {
  return is_live(tensors) ? tensors->metadata.size() : 0;
}

const char* s2u_tensors_metadata_key(const s2u_tensors* tensors, size_t index) {
  return index < s2u_tensors_metadata_count(tensors) ? tensors->metadata[index].first.c_str() : nullptr;
}

const char* s2u_tensors_metadata_value(const s2u_tensors* tensors, size_t index) {
  return index < s2u_tensors_metadata_count(tensors) ? tensors->metadata[index].second.c_str() : nullptr;
}

s2u_status* s2u_tensor_writer_new(s2u_tensor_writer** out) {
  return make(out, "where the writer goes");
}

void s2u_tensor_writer_free(s2u_tensor_writer* writer) {
  destroy(writer);
}

s2u_status* s2u_tensor_writer_add(s2u_tensor_writer* writer, const char* name, int32_t dtype,
                                  const int64_t* shape, int32_t rank, const void* bytes, size_t size) {
  return guarded([&] {
    s2u_tensor_writer& w = live(writer, "the writer");
    formats::PendingTensor t{text_of(name, "the tensor's name"), dtype_of(dtype), {}, {}};
    try {
      t.shape = shape_of(shape, rank);
      const std::int64_t expected =
          checked_mul(t.shape.numel(), static_cast<std::int64_t>(size_of(t.dtype)), "tensor size");
      if (static_cast<std::uint64_t>(expected) != size) {
        throw UsageError("tensor '" + t.name + "' of shape " + to_string(t.shape) + " has " +
                         std::to_string(expected) + " bytes, not " + std::to_string(size));
      }
    } catch (const FormatError& e) {  // no file is at fault here
      throw UsageError("tensor '" + t.name + "': " + e.what());
    }
    if (size != 0) need(bytes, "the tensor's bytes");
    const std::span elements(static_cast<const std::byte*>(bytes), size);
    t.bytes = [elements](std::vector<std::byte>&) { return elements; };
    w.tensors.push_back(std::move(t));
  });
}

s2u_status* s2u_tensor_writer_set_metadata(s2u_tensor_writer* writer, const char* key, const char* value) {
  return guarded([&] {
    s2u_tensor_writer& w = live(writer, "the writer");
    w.metadata[text_of(key, "the key")] = text_of(value, "the value");
  });
}

s2u_status* s2u_tensor_writer_save(const s2u_tensor_writer* writer, const char* path) {
  return guarded([&] {
    const s2u_tensor_writer& w = live(writer, "the writer");
    const std::filesystem::path out = text_of(path, "the path");
    const std::string extension = out.extension().string();
    if (extension == ".safetensors") {
      formats::write_safetensors(out, w.tensors, w.metadata);
    } else if (extension == ".pth" || extension == ".pt") {
      formats::write_torch_zip(out, w.tensors);
    } else {
      throw UsageError(out.string() + ": the extension must be .safetensors, .pth or .pt");
    }
  });
}
}
