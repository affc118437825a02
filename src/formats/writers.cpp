// Safetensors and PyTorch's zip format, written from views that may be strided.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/file.h"
#include "formats/safetensors.h"
#include "formats/tensor_file.h"
#include "formats/text.h"
#include "formats/zip_writer.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

std::int64_t byte_size(const PendingTensor& t) {
  return checked_mul(t.shape.numel(), static_cast<std::int64_t>(size_of(t.dtype)), "tensor size");
}

std::span<const std::byte> bytes_of(const PendingTensor& t, std::vector<std::byte>& buffer) {
  const auto bytes = t.bytes(buffer);
  if (static_cast<std::int64_t>(bytes.size()) != byte_size(t)) {  // the directory already says otherwise
    throw Error(fmt::format("tensor '{}' of {} bytes where {} were announced", printable(t.name),
                            bytes.size(), byte_size(t)));
  }
  return bytes;
}

std::vector<PendingTensor> pending_all(const std::vector<NamedTensor>& tensors) {
  std::vector<PendingTensor> out;
  out.reserve(tensors.size());
  for (const auto& t : tensors) out.push_back(pending(t));
  return out;
}

void check_names(const std::vector<PendingTensor>& tensors) {
  std::unordered_set<std::string_view> names;
  for (const auto& t : tensors) {
    if (!is_valid_utf8(t.name))
      throw FormatError(fmt::format("a tensor's name is not text: '{}'", printable(t.name)));
    if (!names.insert(t.name).second)
      throw FormatError(fmt::format("two tensors are named '{}'", printable(t.name)));
  }
}

// Opcodes after CPython's Lib/pickletools.py, protocol 2.
class PickleWriter {
 public:
  PickleWriter() { out_ = "\x80\x02"; }

  void op(char code) { out_ += code; }
  void global(std::string_view module, std::string_view name) {
    out_ += fmt::format("c{}\n{}\n", module, name);
  }
  void text(std::string_view s) {
    out_ += 'X';
    number(s.size(), 4);
    out_ += s;
  }
  void integer(std::int64_t v) {
    if (v >= 0 && v < 0x100) {
      out_ += 'K';
      number(static_cast<std::uint64_t>(v), 1);
    } else if (v >= 0 && v <= INT32_MAX) {
      out_ += 'J';
      number(static_cast<std::uint64_t>(v), 4);
    } else {
      out_ += "\x8a\x08";
      number(static_cast<std::uint64_t>(v), 8);
    }
  }
  void integers(const Shape& values) {
    op('(');
    for (const auto v : values) integer(v);
    op('t');
  }
  void memo_put(std::size_t index) {
    out_ += 'q';
    number(index, 1);
  }
  void memo_get(std::size_t index) {
    out_ += 'h';
    number(index, 1);
  }
  const std::string& bytes() const { return out_; }

 private:
  void number(std::uint64_t v, int n) {
    for (int i = 0; i < n; ++i) out_ += static_cast<char>((v >> (8 * i)) & 0xFFu);
  }
  std::string out_;
};

std::string_view torch_storage(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return "DoubleStorage";
    case DType::f32:
      return "FloatStorage";
    case DType::f16:
      return "HalfStorage";
    case DType::bf16:
      return "BFloat16Storage";
    case DType::i64:
      return "LongStorage";
    case DType::i32:
      return "IntStorage";
    case DType::i16:
      return "ShortStorage";
    case DType::i8:
      return "CharStorage";
    case DType::u8:
      return "ByteStorage";
    case DType::boolean:
      return "BoolStorage";
  }
  return "FloatStorage";
}

// OrderedDict of name -> torch._utils._rebuild_tensor_v2(('storage', type, key, 'cpu', numel), 0, size,
// stride, False, OrderedDict()), a storage for each tensor; {under: that} if a key is given.
std::string pickle_of(const std::vector<PendingTensor>& tensors, std::string_view under) {
  enum Memo : std::size_t { kOrderedDict, kRebuild };
  PickleWriter p;
  if (!under.empty()) {
    p.op('}');
    p.text(under);
  }
  p.global("collections", "OrderedDict");
  p.memo_put(kOrderedDict);
  p.op(')');
  p.op('R');
  p.op('(');
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& t = tensors[i];
    p.text(t.name);
    if (i ==
        0) {  // PyTorch's restricted reader knows no POP: what is remembered is stored where it is first used
      p.global("torch._utils", "_rebuild_tensor_v2");
      p.memo_put(kRebuild);
    } else {
      p.memo_get(kRebuild);
    }
    p.op('(');
    p.op('(');
    p.text("storage");
    p.global("torch", torch_storage(t.dtype));
    p.text(std::to_string(i));
    p.text("cpu");
    p.integer(t.shape.numel());
    p.op('t');
    p.op('Q');
    p.integer(0);
    p.integers(t.shape);
    p.integers(t.shape.dense_strides());
    p.op('\x89');  // requires_grad: False
    p.memo_get(kOrderedDict);
    p.op(')');
    p.op('R');
    p.op('t');
    p.op('R');
  }
  p.op('u');
  if (!under.empty()) p.op('s');
  p.op('.');
  return p.bytes();
}

}  // namespace

PendingTensor pending(const NamedTensor& tensor) {
  return {tensor.name, tensor.view.dtype, tensor.view.shape,
          [v = tensor.view](std::vector<std::byte>& buffer) {
            const auto size = static_cast<std::size_t>(v.numel()) * size_of(v.dtype);
            if (v.is_dense()) return std::span(v.data, size);
            buffer.resize(size);
            copy_bytes(v, buffer);
            return std::span<const std::byte>(buffer);
          }};
}

void write_safetensors(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_safetensors(path, pending_all(tensors), metadata);
}

void write_torch_zip(const std::filesystem::path& path, const std::vector<NamedTensor>& tensors) {
  write_torch_zip(path, pending_all(tensors));
}

void write_safetensors(const std::filesystem::path& path, const std::vector<PendingTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  check_names(tensors);
  for (const auto& t : tensors) {
    if (t.name == kSafetensorsMetadata) {
      throw FormatError(
          fmt::format("no tensor of a safetensors file can be named '{}', where its metadata stands; "
                      "rename it",
                      kSafetensorsMetadata));
    }
  }
  // Wider elements first, so that each begins at a multiple of its own size; the header keeps the order
  // given.
  std::vector<std::size_t> order(tensors.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t i) { return size_of(tensors[i].dtype); });
  std::vector<std::array<std::int64_t, 2>> offsets(tensors.size());
  std::int64_t at = 0;
  for (const std::size_t i : order) {
    const std::int64_t end = checked_add(at, byte_size(tensors[i]), "size of the file");
    offsets[i] = {at, end};
    at = end;
  }
  nlohmann::ordered_json entries = nlohmann::ordered_json::object();
  std::string header = "{";
  const auto member = [&](const std::string& name, const nlohmann::ordered_json& value) {
    if (header.size() > 1) header += ',';
    header += nlohmann::json(name).dump();
    header += ':';
    header += value.dump();
  };
  try {
    if (!metadata.empty()) member(std::string(kSafetensorsMetadata), metadata);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const auto& t = tensors[i];
      member(t.name, {{"dtype", safetensors_name(t.dtype)},
                      {"shape", std::vector<std::int64_t>(t.shape.begin(), t.shape.end())},
                      {"data_offsets", offsets[i]}});
    }
  } catch (const nlohmann::json::exception&) {
    throw FormatError("metadata that is not UTF-8 cannot be written to safetensors");
  }
  header += '}';
  header.append((8 - header.size() % 8) % 8, ' ');
  if (header.size() > kMaxSafetensorsHeader) throw FormatError("too many tensors for a safetensors file");

  AtomicFile file(path);
  const std::uint64_t size = header.size();
  file.write(std::as_bytes(std::span(&size, 1)));
  file.write(header);
  std::vector<std::byte> buffer;
  for (const std::size_t i : order) file.write(bytes_of(tensors[i], buffer));
  file.commit();
}

void write_torch_zip(const std::filesystem::path& path, const std::vector<PendingTensor>& tensors,
                     std::string_view under) {
  check_names(tensors);
  AtomicFile file(path);
  ZipWriter zip([&](std::span<const std::byte> bytes) { file.write(bytes); });
  zip.add("archive/data.pkl", pickle_of(tensors, under));
  zip.add("archive/.format_version", "1");
  zip.add("archive/.storage_alignment", std::to_string(ZipWriter::kAlignment));
  zip.add("archive/byteorder", "little");
  std::vector<std::byte> buffer;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    zip.add(fmt::format("archive/data/{}", i), bytes_of(tensors[i], buffer));
  }
  zip.add("archive/version", "3\n");
  zip.finish();
  file.commit();
}

}  // namespace sam2unet::formats
