// The safetensors format: eight bytes with the size of a JSON header, the header, the tensors' bytes.
//   {"NAME": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {"k": "v",
//   ...}}
// Offsets count from the end of the header; the tensors fill the rest of the file without holes.
#include "formats/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "formats/byte_reader.h"
#include "formats/contents.h"
#include "formats/text.h"

namespace sam2unet::formats {
namespace {

struct DTypeName {
  DType dtype;
  std::string_view name;
};
constexpr auto kDTypes = std::to_array<DTypeName>({{DType::f64, "F64"},
                                                   {DType::f32, "F32"},
                                                   {DType::f16, "F16"},
                                                   {DType::bf16, "BF16"},
                                                   {DType::i64, "I64"},
                                                   {DType::i32, "I32"},
                                                   {DType::i16, "I16"},
                                                   {DType::i8, "I8"},
                                                   {DType::u8, "U8"},
                                                   {DType::boolean, "BOOL"}});

// One member of the header, as far as it has been read.
struct Entry {
  std::string name;
  std::optional<std::string> dtype = std::nullopt;
  std::optional<std::vector<std::int64_t>> shape = std::nullopt;
  std::optional<std::vector<std::int64_t>> offsets = std::nullopt;
};

// Takes the header apart as it is parsed, so that nothing that does not belong is ever built: values three
// levels deep, each of the one kind its place allows. The parser itself does not recurse.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::vector<Entry> entries;
  std::map<std::string, std::string> metadata;

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_float(number_float_t, const string_t&) override {
    return refuse("a number that is no integer");
  }
  bool binary(binary_t&) override { return refuse("binary data"); }
  bool number_integer(number_integer_t) override { return refuse("a negative number"); }
  bool number_unsigned(number_unsigned_t v) override {
    if (place_ != Place::array) return refuse("a number");
    constexpr std::size_t kMaxNumbers = Shape::kMaxRank;
    if (v > static_cast<std::uint64_t>(INT64_MAX) || numbers_->size() >= kMaxNumbers) {
      return refuse(fmt::format("more than {} numbers, or one too large,", kMaxNumbers));
    }
    numbers_->push_back(static_cast<std::int64_t>(v));
    return true;
  }
  bool string(string_t& v) override {
    if (place_ == Place::metadata) {
      metadata[key_] = std::move(v);
      return true;
    }
    if (place_ != Place::tensor || key_ != "dtype") return refuse("a string");
    entries.back().dtype = std::move(v);
    return true;
  }
  bool key(string_t& v) override {
    key_ = std::move(v);
    if (place_ == Place::top) {
      if (!names_.insert(key_).second)
        return fail(fmt::format("two members are named '{}'", printable(key_)));
      return true;
    }
    if (place_ == Place::metadata) {
      if (metadata.contains(key_)) return fail(fmt::format("two metadata are named '{}'", printable(key_)));
      return true;
    }
    const Entry& e = entries.back();
    if ((key_ == "dtype" && !e.dtype) || (key_ == "shape" && !e.shape) ||
        (key_ == "data_offsets" && !e.offsets)) {
      return true;
    }
    return fail(
        fmt::format("tensor '{}' has a second or unknown member '{}'", printable(e.name), printable(key_)));
  }
  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ != Place::top) {
      return refuse("an object");
    } else if (key_ == kSafetensorsMetadata) {
      place_ = Place::metadata;
    } else {
      place_ = Place::tensor;
      entries.push_back({.name = key_});
    }
    return true;
  }
  bool end_object() override {
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }
  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || key_ == "dtype") return refuse("an array");
    auto& target = key_ == "shape" ? entries.back().shape : entries.back().offsets;
    numbers_ = &target.emplace();
    place_ = Place::array;
    return true;
  }
  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(fmt::format("it is no valid JSON at byte {}", position));
  }

  const std::string& error() const { return error_; }

 private:
  enum class Place { outside, top, metadata, tensor, array };

  bool fail(std::string message) {
    error_ = std::move(message);
    return false;
  }
  bool refuse(std::string_view what) {
    const std::string_view owner = place_ == Place::tensor || place_ == Place::array
                                       ? std::string_view(entries.back().name)
                                       : std::string_view("the header");
    return fail(fmt::format("{} stands where it must not, in '{}' under '{}'", what, printable(owner),
                            printable(key_)));
  }

  Place place_ = Place::outside;
  std::string key_, error_;
  std::vector<std::int64_t>* numbers_ = nullptr;
  std::unordered_set<std::string> names_;
};

NamedTensor tensor_of(const Entry& e, std::span<const std::byte> data) {
  if (!e.dtype || !e.shape || !e.offsets || e.offsets->size() != 2) {
    throw FormatError("it lacks its dtype, shape or pair of offsets");
  }
  const auto dtype = safetensors_dtype(*e.dtype);
  if (!dtype)
    throw FormatError(
        fmt::format("element type '{}' is not read; convert the tensor first", printable(*e.dtype)));
  const Shape shape{std::span<const std::int64_t>(*e.shape)};
  const auto begin = static_cast<std::uint64_t>((*e.offsets)[0]),
             end = static_cast<std::uint64_t>((*e.offsets)[1]);
  if (begin > end || end > data.size()) {
    throw FormatError(
        fmt::format("bytes {} to {} lie outside of the {} there are; the file is truncated or damaged", begin,
                    end, data.size()));
  }
  const auto bytes = checked_mul(shape.numel(), static_cast<std::int64_t>(size_of(*dtype)), "tensor size");
  if (static_cast<std::uint64_t>(bytes) != end - begin) {
    throw FormatError(
        fmt::format("{} {} needs {} bytes, not {}", *e.dtype, to_string(shape), bytes, end - begin));
  }
  return {e.name,
          {.data = data.data() + begin, .dtype = *dtype, .shape = shape, .strides = shape.dense_strides()}};
}

// In the order of their bytes, each begins where the one before it ended.
void check_contiguous(const std::vector<Entry>& entries, std::size_t size) {
  std::vector<const Entry*> order;
  order.reserve(entries.size());
  for (const auto& e : entries) order.push_back(&e);
  std::ranges::sort(order, {}, [](const Entry* e) { return *e->offsets; });
  std::int64_t at = 0;
  for (const Entry* e : order) {
    if ((*e->offsets)[0] != at) {
      throw FormatError(
          fmt::format("tensor '{}': its bytes overlap another's or leave a hole (byte {}, expected {})",
                      printable(e->name), (*e->offsets)[0], at));
    }
    at = (*e->offsets)[1];
  }
  if (static_cast<std::size_t>(at) != size) {
    throw FormatError(fmt::format("{} bytes of tensors, but {} in the file; it is damaged", at, size));
  }
}

}  // namespace

std::string_view safetensors_name(DType dtype) {
  return std::ranges::find(kDTypes, dtype, &DTypeName::dtype)->name;
}

std::optional<DType> safetensors_dtype(std::string_view name) {
  const auto it = std::ranges::find(kDTypes, name, &DTypeName::name);
  return it == kDTypes.end() ? std::nullopt : std::optional(it->dtype);
}

Contents read_safetensors(std::span<const std::byte> file) {
  ByteReader in(file, "safetensors file");
  const std::uint64_t size = in.u64();
  if (size > kMaxSafetensorsHeader || size > in.remaining()) {
    throw FormatError(fmt::format(
        "a safetensors header of {} bytes in a file of {}; it is truncated or damaged", size, file.size()));
  }
  const std::string_view text = in.text(size);
  HeaderReader header;
  if (!text.starts_with('{') || !nlohmann::json::sax_parse(text, &header)) {
    throw FormatError(
        fmt::format("safetensors header: {}", header.error().empty() ? "it is no object" : header.error()));
  }
  const auto data = in.take(in.remaining());
  Contents out;
  out.metadata = std::move(header.metadata);
  out.tensors.reserve(header.entries.size());
  for (const auto& e : header.entries) {
    try {
      out.tensors.push_back(tensor_of(e, data));
    } catch (const FormatError& error) {
      throw FormatError(fmt::format("tensor '{}': {}", printable(e.name), error.what()));
    }
  }
  check_contiguous(header.entries, data.size());
  return out;
}

}  // namespace sam2unet::formats
