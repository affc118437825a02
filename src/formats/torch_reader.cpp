// PyTorch's two file formats (torch/serialization.py of 2.11). Both are a pickle, which names storages by
// key, and the storages' bytes: as entries of a zip, or one after the other behind the pickles.
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "formats/byte_reader.h"
#include "formats/contents.h"
#include "formats/state_dict.h"
#include "formats/text.h"
#include "formats/torch_objects.h"
#include "formats/zip_reader.h"

namespace sam2unet::formats {
namespace {

using Storages = std::vector<std::span<const std::byte>>;

std::uint64_t byte_size(const StorageRef& s) {
  return static_cast<std::uint64_t>(s.numel) * size_of(s.dtype);
}

// The elements [first, first + numel) of the storage that `s` is a part of.
std::span<const std::byte> part_of(std::span<const std::byte> bytes, const StorageRef& s) {
  const std::uint64_t first = static_cast<std::uint64_t>(s.first) * size_of(s.dtype);
  if (first > bytes.size() || byte_size(s) > bytes.size() - first) {
    throw FormatError(fmt::format("storage '{}' has {} bytes where {} are needed; the file is damaged",
                                  printable(s.key), bytes.size(), first + byte_size(s)));
  }
  return bytes.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(byte_size(s)));
}

// Every tensor is checked, those that are not part of the model too: a file is sound or it is refused.
Contents collect(const PickleMachine& machine, const TorchObjects& objects, const Value& root,
                 const Storages& storages) {
  const std::string_view foreign =
      objects.foreign().empty() ? std::string_view() : std::string_view(*objects.foreign().begin());
  const StateDict dict = find_state_dict(machine, root, foreign);
  std::unordered_map<std::uint32_t, std::string_view> names;
  for (const auto& e : dict.entries) names.emplace(e.tensor, e.name);
  std::vector<TensorView> views;
  views.reserve(objects.tensors().size());
  for (const auto& t : objects.tensors()) {
    try {
      views.push_back(view_of(t, storages[t.storage]));
    } catch (const FormatError& e) {
      const auto name = names.find(static_cast<std::uint32_t>(views.size()));
      throw FormatError(fmt::format("tensor '{}': {}",
                                    name == names.end() ? "(unnamed)" : printable(name->second), e.what()));
    }
  }
  Contents out;
  out.wrapper = dict.wrapper;
  out.passed_over.assign(objects.foreign().begin(), objects.foreign().end());
  out.tensors.reserve(dict.entries.size());
  for (const auto& e : dict.entries) out.tensors.push_back({std::string(e.name), views[e.tensor]});
  return out;
}

// Everything in such a file lies under one folder, whose name is that of the file when it was written.
std::string_view folder_of(const ZipArchive& zip) {
  if (zip.entries().empty()) throw FormatError("an empty zip file");
  const std::string_view first = zip.entries().front().name;
  const std::size_t slash = first.find('/');
  return slash == std::string_view::npos ? std::string_view() : first.substr(0, slash + 1);
}

// People zip weights, and pass NumPy's and Keras' zip files.
[[noreturn]] void refuse_archive(const ZipArchive& zip) {
  for (const ZipEntry& e : zip.entries()) {
    for (const std::string_view inside : {".pth", ".pt", ".ckpt", ".safetensors", ".bin"}) {
      if (e.name.ends_with(inside)) {
        throw FormatError(
            fmt::format("a zip archive around weights ({}); unpack it first", printable(e.name)));
      }
    }
    if (e.name.ends_with(".npy"))
      throw FormatError("NumPy arrays (.npz), not a checkpoint; save model.state_dict() with torch.save");
  }
  throw FormatError(
      fmt::format("a zip file without data.pkl: not one written by torch.save (it holds {}{})",
                  printable(zip.entries().front().name),
                  zip.entries().size() > 1 ? fmt::format(" and {} more", zip.entries().size() - 1) : ""));
}

const ZipEntry& pickle_entry(const ZipArchive& zip, std::string_view folder) {
  if (zip.find(fmt::format("{}constants.pkl", folder)) != nullptr) {
    throw FormatError(
        "a TorchScript program, not a checkpoint; load it in Python and torch.save(model.state_dict())");
  }
  const ZipEntry* entry = zip.find(fmt::format("{}data.pkl", folder));
  if (entry == nullptr) refuse_archive(zip);
  return *entry;
}

constexpr std::string_view kLegacyMagic =
    "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";  // 0x1950a86a20f9469cfc6c
constexpr std::int64_t kLegacyProtocol = 1001;

void check_system(const PickleMachine& machine, const Value& system) {
  if (!system.is(ValueKind::dict))
    throw FormatError("PyTorch's stream format without its system information");
  const auto items = machine.items(system);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].is_text("little_endian") && items[i + 1].integer != 1) {
      throw FormatError(
          "written on a big-endian machine, which is not read; save it again on a little-endian one");
    }
  }
}

// Behind the pickles: for each key of the last one the number of its elements, then the elements.
Storages read_legacy_storages(const TorchObjects& objects, std::span<const Value> keys, ByteReader& rest) {
  std::unordered_map<std::string_view, const StorageRef*> by_key;
  for (const auto& s : objects.storages()) by_key.emplace(s.key, &s);
  std::unordered_map<std::string_view, std::span<const std::byte>> bytes;
  for (const Value& key : keys) {
    const auto it = key.is(ValueKind::text) ? by_key.find(key.text) : by_key.end();
    if (it == by_key.end())
      throw FormatError(fmt::format("a storage '{}' that nothing refers to", printable(key.text)));
    const std::uint64_t numel = rest.u64();
    const std::size_t item = size_of(it->second->dtype);
    if (numel > rest.remaining() / item) {
      throw FormatError(fmt::format("storage '{}' of {} elements is cut off; the file is truncated",
                                    printable(key.text), numel));
    }
    if (!bytes.emplace(key.text, rest.take(numel * item)).second) {
      throw FormatError(fmt::format("two storages '{}'", printable(key.text)));
    }
  }
  Storages out;
  out.reserve(objects.storages().size());
  for (const auto& s : objects.storages()) {
    const auto it = bytes.find(s.key);
    if (it == bytes.end()) throw FormatError(fmt::format("storage '{}' is missing", printable(s.key)));
    out.push_back(part_of(it->second, s));
  }
  return out;
}

}  // namespace

Contents read_torch_zip(std::span<const std::byte> file) {
  const ZipArchive zip = ZipArchive::read(file);
  const std::string_view folder = folder_of(zip);
  const ZipEntry& entry = pickle_entry(zip, folder);
  if (const ZipEntry* order = zip.find(fmt::format("{}byteorder", folder)); order != nullptr) {
    constexpr std::string_view kLittle = "little";
    if (!std::ranges::equal(order->stored(), std::as_bytes(std::span(kLittle)))) {
      throw FormatError(
          "written on a big-endian machine, which is not read; save it again on a little-endian one");
    }
  }
  check_crc(entry);
  TorchObjects objects;
  PickleMachine machine(objects);
  const Value root = machine.run(entry.data).value;
  Storages storages;
  storages.reserve(objects.storages().size());
  for (const auto& s : objects.storages()) {
    const ZipEntry* data = zip.find(fmt::format("{}data/{}", folder, s.key));
    if (data == nullptr)
      throw FormatError(fmt::format("storage '{}' is missing in the zip file", printable(s.key)));
    storages.push_back(part_of(data->stored(), s));
  }
  return collect(machine, objects, root, storages);
}

bool is_torch_legacy(std::span<const std::byte> file) {
  // PROTO n, for some protocols a FRAME, LONG1 of ten bytes.
  constexpr std::size_t kFarthest = 32;
  const std::string_view start(reinterpret_cast<const char*>(file.data()), std::min(file.size(), kFarthest));
  return start.starts_with('\x80') && start.find(kLegacyMagic) != std::string_view::npos;
}

Contents read_torch_legacy(std::span<const std::byte> file) {
  TorchObjects objects;
  PickleMachine machine(objects);
  ByteReader rest(file, "PyTorch's stream format");
  const auto next = [&] {
    const auto result = machine.run(file.subspan(rest.position()));
    rest.take(result.size);
    return result.value;
  };
  if (const Value magic = next(); !magic.is(ValueKind::big_integer) || magic.text != kLegacyMagic) {
    throw FormatError("not PyTorch's stream format: its magic number is missing");
  }
  if (const Value version = next(); !version.is(ValueKind::integer) || version.integer != kLegacyProtocol) {
    throw FormatError("PyTorch's stream format of an unknown version");
  }
  check_system(machine, next());
  const Value root = next();
  const Value keys = next();
  if (!keys.is(ValueKind::list)) throw FormatError("PyTorch's stream format without its list of storages");
  const auto storages = read_legacy_storages(objects, machine.items(keys), rest);
  return collect(machine, objects, root, storages);
}

}  // namespace sam2unet::formats
