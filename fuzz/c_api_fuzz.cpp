// Any sequence of calls of the C API, with any arguments and with handles that are none, were freed or are of
// another kind, ends in a status. Without the network itself, whose library clang cannot build here.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "sam2unet/s2u_metrics.h"
#include "sam2unet/sam2unet.h"

namespace {

// Numbers from the input; zeros behind its end.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  std::uint8_t byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  /// Small, or one of those at which arithmetic ends.
  std::int32_t number() {
    constexpr std::array<std::int32_t, 6> kOdd = {0, -1, INT32_MAX, INT32_MIN, 1 << 16, 1 << 28};
    const std::uint8_t b = byte();
    return b < 200 ? b : kOdd[b % kOdd.size()];
  }
  double real() {
    double v = 0.0;
    std::array<std::uint8_t, sizeof v> bytes{};
    if (byte() < 128) return byte() / 16.0;
    for (auto& b : bytes) b = byte();
    std::memcpy(&v, bytes.data(), sizeof v);
    return v;
  }
  std::vector<std::uint8_t> rest(std::size_t most) {
    const std::size_t n = left_ < most ? left_ : most;
    std::vector<std::uint8_t> out(data_, data_ + n);
    data_ += n;
    left_ -= n;
    return out;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

void done(s2u_status* status) {
  if (status != nullptr && (s2u_status_code(status) == S2U_OK || s2u_status_text(status)[0] == '\0' ||
                            s2u_status_code(status) == S2U_INTERNAL))
    __builtin_trap();
  s2u_status_free(status);
}

// A plane over this memory, described rightly or wrongly, but for its data: what is described wrongly must be
// refused before the memory is read.
class Pixels {
 public:
  explicit Pixels(Input& in) {
    plane_.struct_size = in.byte() < 240 ? sizeof plane_ : in.byte();
    plane_.type = static_cast<s2u_type>(in.byte() % 4);
    constexpr std::array<int, 5> kChannels = {1, 1, 3, 4, 2};
    plane_.channels = kChannels[in.byte() % kChannels.size()];
    const int size = plane_.type == S2U_F64 ? 8 : plane_.type == S2U_F32 ? 4 : 1;
    const int w = 1 + in.byte() % 24, h = 1 + in.byte() % 24;
    plane_.width = w;
    plane_.height = h;
    const int row = w * plane_.channels * size;
    plane_.stride = row;
    memory_.resize(static_cast<std::size_t>(row) * static_cast<std::size_t>(h));
    const auto values = in.rest(in.byte());
    for (std::size_t i = 0; i < memory_.size(); ++i)
      memory_[i] = values.empty() ? static_cast<std::uint8_t>(i * 7) : values[i % values.size()];
    plane_.data = memory_.data();
    switch (in.byte() % 8) {
      case 0:
        plane_.data = memory_.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(h - 1);
        plane_.stride = -row;
        break;
      case 1:
        plane_.data = nullptr;
        break;
      case 2:
        plane_.width = 0;
        break;
      case 3:
        plane_.height = INT32_MAX;
        break;
      case 4:
        if (h > 1) plane_.stride = row - 1;
        break;
      default:
        break;
    }
  }
  const s2u_plane* plane() const { return &plane_; }

 private:
  std::vector<std::uint8_t> memory_;
  s2u_plane plane_{};
};

// Handles of sam2unet.h, alive or not, of all kinds alike.
struct Handles {
  std::array<void*, 8> all{};
  std::size_t next = 0;

  template <class T>
  T* any(Input& in) const {
    return static_cast<T*>(all[in.byte() % all.size()]);
  }
  template <class T>
  void keep(T* handle) {
    if (handle == nullptr) return;
    free_all(all[next % all.size()]);
    all[next++ % all.size()] = handle;
  }
  // Only the function of its kind frees it; a second time nothing does.
  static void free_all(void* handle) {
    for (int twice = 0; twice < 2; ++twice) {
      s2u_image_free(static_cast<s2u_image*>(handle));
      s2u_decode_options_free(static_cast<s2u_decode_options*>(handle));
      s2u_polygons_free(static_cast<s2u_polygons*>(handle));
      s2u_regions_free(static_cast<s2u_regions*>(handle));
      s2u_tensor_writer_free(static_cast<s2u_tensor_writer*>(handle));
      s2u_text_free(static_cast<s2u_text*>(handle));
    }
  }
  ~Handles() {
    for (void* handle : all) free_all(handle);
  }
};

void picture_calls(Input& in, Handles& handles) {
  switch (in.byte() % 6) {
    case 0: {
      s2u_decode_options* o = nullptr;
      done(s2u_decode_options_new(&o));
      done(s2u_decode_options_set_max_pixels(o, 1 << 16));
      handles.keep(o);
      break;
    }
    case 1:
      done(s2u_decode_options_set_color(handles.any<s2u_decode_options>(in), in.number()));
      done(s2u_decode_options_set_orientation(handles.any<s2u_decode_options>(in), in.number()));
      break;
    case 2: {
      s2u_decode_options* o = nullptr;
      done(s2u_decode_options_new(&o));
      done(s2u_decode_options_set_max_pixels(o, 1 << 16));
      const auto bytes = in.rest(4096);
      s2u_image* image = nullptr;
      done(s2u_image_decode(bytes.empty() ? nullptr : bytes.data(), bytes.size(), nullptr, o, &image));
      s2u_decode_options_free(o);
      handles.keep(image);
      break;
    }
    case 3: {
      s2u_plane plane{};
      plane.struct_size = in.byte();
      done(s2u_image_plane(handles.any<s2u_image>(in), &plane));
      break;
    }
    default: {
      const Pixels pixels(in);
      const std::int32_t w = in.number(), h = in.number(), filter = in.byte() % 3, version = in.byte() % 3;
      std::size_t count = 0;
      done(s2u_resize_pillow(pixels.plane(), w, h, filter, version, nullptr, &count));
      if (count > (1u << 20)) break;
      std::vector<std::uint8_t> out(count + 1);
      done(s2u_resize_pillow(pixels.plane(), w, h, filter, version, out.data(), &count));
      if (out.back() != 0) __builtin_trap();
      break;
    }
  }
}

void outline_calls(Input& in, Handles& handles) {
  switch (in.byte() % 4) {
    case 0: {
      const Pixels pixels(in);
      s2u_polygons* p = nullptr;
      done(s2u_mask_polygons(pixels.plane(), in.real(), &p));
      handles.keep(p);
      break;
    }
    case 1: {
      const Pixels pixels(in);
      const std::vector<float> confidence(576, 0.5F);
      s2u_regions* r = nullptr;
      done(s2u_ids_regions(pixels.plane(), confidence.data(), in.number(), in.number(), in.real(), &r));
      handles.keep(r);
      break;
    }
    case 2: {
      const auto* p = handles.any<s2u_polygons>(in);
      const std::size_t polygon = in.byte(), ring = in.byte();
      s2u_polygons_count(p);
      s2u_polygons_ring_count(p, polygon);
      std::vector<std::int32_t> xy(in.byte());
      std::size_t count = xy.size();
      done(s2u_polygons_ring(p, polygon, ring, xy.data(), &count));
      break;
    }
    default: {
      const auto* r = handles.any<s2u_regions>(in);
      s2u_region region{};
      region.struct_size = in.byte();
      const std::size_t index = in.byte();
      done(s2u_regions_get(r, index, &region));
      handles.free_all(const_cast<s2u_polygons*>(s2u_regions_polygons(r, index)));  // lent: stays
      s2u_polygons_count(s2u_regions_polygons(r, index));
      break;
    }
  }
}

void writer_calls(Input& in, Handles& handles) {
  if (in.byte() % 2 == 0) {
    s2u_tensor_writer* w = nullptr;
    done(s2u_tensor_writer_new(&w));
    handles.keep(w);
    return;
  }
  static const std::array<std::uint8_t, 64> kBytes{};
  std::array<std::int64_t, 8> shape{};
  for (auto& d : shape) d = in.byte() < 200 ? in.byte() % 4 : std::int64_t{in.number()} << 31;
  auto* w = handles.any<s2u_tensor_writer>(in);
  done(s2u_tensor_writer_add(w, in.byte() < 240 ? "t" : nullptr, in.number(), shape.data(), in.number() % 12,
                             kBytes.data(), in.byte() % 65));
  done(s2u_tensor_writer_set_metadata(w, "key", "value"));
  s2u_text_size(handles.any<s2u_text>(in));
}

void metric_calls(Input& in) {
  s2u_pair* pair = nullptr;
  done(s2u_pair_new(&pair));
  double value = 0.0;
  if (in.byte() % 2 == 0) done(s2u_pair_mae(pair, &value));
  const Pixels prediction(in), truth(in);
  done(s2u_pair_set(pair, prediction.plane(), truth.plane()));
  done(s2u_pair_s_measure(pair, in.real(), &value));
  done(s2u_pair_weighted_f(pair, in.real(), &value));
  std::size_t targets = 0;
  done(s2u_pair_target_count(pair, &targets));
  s2u_pair_free(pair);
  const auto bytes = in.rest(8192);
  s2u_scores* scores = nullptr;
  done(s2u_scores_read(bytes.data(), bytes.size(), &scores));
  s2u_scores_free(scores);
  s2u_scorer* scorer = nullptr;
  done(s2u_scorer_new(in.byte(), &scorer));
  done(s2u_scorer_score(scorer, prediction.plane(), truth.plane(), nullptr, &scores));
  s2u_scores_free(scores);
  s2u_scorer_free(scorer);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  Handles handles;
  while (!in.empty()) {
    switch (in.byte() % 4) {
      case 0:
        picture_calls(in, handles);
        break;
      case 1:
        outline_calls(in, handles);
        break;
      case 2:
        writer_calls(in, handles);
        break;
      default:
        metric_calls(in);
    }
  }
  return 0;
}
