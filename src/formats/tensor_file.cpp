#include "formats/tensor_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include "core/file.h"
#include "formats/contents.h"
#include "formats/state_dict.h"
#include "formats/text.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

bool starts_with(std::span<const std::byte> file, std::string_view text) {
  return std::string_view(reinterpret_cast<const char*>(file.data()), file.size()).starts_with(text);
}

// Without a byte order mark and white space before it.
std::string_view text_start(std::span<const std::byte> file) {
  std::string_view text(reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 512));
  for (const std::string_view mark : {"\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"}) {
    if (text.starts_with(mark)) text.remove_prefix(mark.size());
  }
  // UTF-16 has a zero beside each of these.
  const auto first = text.find_first_not_of(std::string_view(" \t\r\n\0", 5));
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

struct Magic {
  std::string_view bytes, what;
  std::size_t at = 0;
};
using namespace std::string_view_literals;
constexpr auto kArchives = std::to_array<Magic>({{"\x1F\x8B"sv, "a gzip"},
                                                 {"BZh"sv, "a bzip2"},
                                                 {"\xFD"
                                                  "7zXZ\0"sv,
                                                  "an xz"},
                                                 {"7z\xBC\xAF\x27\x1C"sv, "a 7z"},
                                                 {"Rar!\x1A\x07"sv, "a rar"},
                                                 {"\x28\xB5\x2F\xFD"sv, "a zstd"},
                                                 {"\x04\x22\x4D\x18"sv, "an lz4"},
                                                 {"ustar"sv, "a tar", 257}});

// What people pass by mistake deserves its own words.
[[noreturn]] void refuse_unknown(std::span<const std::byte> file) {
  if (file.empty()) throw FormatError("the file is empty");
  if (starts_with(file, "version https://git-lfs")) {
    throw FormatError("a Git LFS pointer, not the weights themselves; fetch them with `git lfs pull`");
  }
  for (const Magic& m : kArchives) {
    if (file.size() > m.at && starts_with(file.subspan(m.at), m.bytes))
      throw FormatError(fmt::format("{} archive, not the weights themselves; unpack it first", m.what));
  }
  const std::string_view text = text_start(file);
  if (text.starts_with('<')) throw FormatError("a web page, not weights; the download went wrong");
  if (text.starts_with('{'))
    throw FormatError("a text (JSON), not weights; the download went wrong, or another file was meant");
  if (starts_with(file, "\x89HDF")) throw FormatError("an HDF5 file (Keras), not a PyTorch checkpoint");
  if (starts_with(file, "\x80"))
    throw FormatError("a plain pickle, not written by torch.save; save the state_dict with torch.save");
  throw FormatError("neither safetensors nor a PyTorch checkpoint (.pth, .pt)");
}

FileFormat format_of(std::span<const std::byte> file) {
  if (starts_with(file, "PK\x03\x04") || starts_with(file, "PK\x05\x06")) return FileFormat::torch_zip;
  if (is_torch_legacy(file)) return FileFormat::torch_legacy;
  if (file.size() > 8 && file[8] == std::byte{'{'}) return FileFormat::safetensors;
  refuse_unknown(file);
}

Contents read(std::span<const std::byte> file, FileFormat format) {
  switch (format) {
    case FileFormat::safetensors:
      return read_safetensors(file);
    case FileFormat::torch_zip:
      return read_torch_zip(file);
    case FileFormat::torch_legacy:
      return read_torch_legacy(file);
  }
  refuse_unknown(file);
}

// Cuts "module." and the like off every name; what was cut.
std::string cut_prefix(std::vector<NamedTensor>& tensors) {
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const auto& t : tensors) names.push_back(t.name);
  std::string prefix = common_prefix(names);
  for (auto& t : tensors) t.name.erase(0, prefix.size());
  return prefix;
}

}  // namespace

std::string_view name_of(FileFormat format) {
  switch (format) {
    case FileFormat::safetensors:
      return "safetensors";
    case FileFormat::torch_zip:
      return "PyTorch";
    case FileFormat::torch_legacy:
      return "PyTorch (stream format of before 1.6)";
  }
  return "?";
}

struct TensorFile::Impl {
  std::optional<MappedFile> mapping;  // none if the bytes are somebody else's
  std::filesystem::path path;
  FileFormat format = FileFormat::safetensors;
  Contents contents;
  std::string prefix;
  std::unordered_map<std::string_view, const TensorView*> by_name;  // into contents

  void load(std::span<const std::byte> bytes) {
    try {
      format = format_of(bytes);
      contents = read(bytes, format);
      prefix = cut_prefix(contents.tensors);
    } catch (const FormatError& e) {
      throw FormatError(fmt::format("cannot read {}: {}", path.string(), e.what()));
    }
    index();
  }

  void index() {
    by_name.clear();
    for (const auto& t : contents.tensors) by_name.emplace(t.name, &t.view);
  }
};

TensorFile TensorFile::open(const std::filesystem::path& path) {
  auto impl = std::make_unique<Impl>();
  impl->path = path;
  impl->mapping.emplace(path);
  impl->load(impl->mapping->bytes());
  return TensorFile(std::move(impl));
}

TensorFile TensorFile::view(std::span<const std::byte> bytes, const std::filesystem::path& name) {
  auto impl = std::make_unique<Impl>();
  impl->path = name;
  impl->load(bytes);
  return TensorFile(std::move(impl));
}

TensorFile::TensorFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
TensorFile::TensorFile(TensorFile&&) noexcept = default;
TensorFile& TensorFile::operator=(TensorFile&&) noexcept = default;
TensorFile::~TensorFile() = default;

FileFormat TensorFile::format() const {
  return impl_->format;
}
const std::filesystem::path& TensorFile::path() const {
  return impl_->path;
}
const std::string& TensorFile::wrapper() const {
  return impl_->contents.wrapper;
}
const std::string& TensorFile::prefix() const {
  return impl_->prefix;
}
const std::vector<NamedTensor>& TensorFile::tensors() const {
  return impl_->contents.tensors;
}
const std::map<std::string, std::string>& TensorFile::metadata() const {
  return impl_->contents.metadata;
}

const std::vector<std::string>& TensorFile::passed_over() const {
  return impl_->contents.passed_over;
}

void TensorFile::rename(std::vector<std::string> names) {
  std::vector<NamedTensor>& tensors = impl_->contents.tensors;
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].name = std::move(names[i]);
  std::erase_if(tensors, [](const NamedTensor& t) { return t.name.empty(); });
  impl_->index();
}

const TensorView* TensorFile::find(std::string_view name) const {
  const auto it = impl_->by_name.find(name);
  return it == impl_->by_name.end() ? nullptr : it->second;
}

void TensorFile::release(const TensorView& view) const {
  if (!impl_->mapping || view.numel() == 0) return;
  std::int64_t last = 0;  // elements lie within [0, last]; the reader has checked that this does not overflow
  for (std::size_t d = 0; d < view.shape.rank(); ++d) last += (view.shape[d] - 1) * view.strides[d];
  impl_->mapping->release({view.data, static_cast<std::size_t>(last + 1) * size_of(view.dtype)});
}

}  // namespace sam2unet::formats
