// How fast the training loader makes batches (decoded, resized, flipped, normalised at 352), against the rate
// at which libjpeg-turbo and libpng alone decode the same files on the same threads: rounds of both take
// turns in one run; and how fast the data is checked before training.
//
//   bench_loader [IMAGES MASKS] [seconds=10]
//
// Of the two folders the pairs of 400x300 (or 300x400) are taken; without folders, pictures are made up.
#include <cstdio>

#include <jpeglib.h>

#include <png.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "core/file.h"
#include "sam2unet/image.h"
#include "train/data.h"
#include "train/loader.h"

namespace {

namespace fs = std::filesystem;
using namespace sam2unet;
using namespace sam2unet::train;

// A decoder as small as the libraries allow: one file buffer, one picture buffer, default settings.
class BareDecoder {
 public:
  void jpeg(const fs::path& path) {
    read(path);
    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    info.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, file_.data(), file_.size());
    jpeg_read_header(&info, TRUE);
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    lay_out(info.output_height, std::size_t{3} * info.output_width);
    while (info.output_scanline < info.output_height) {
      jpeg_read_scanlines(&info, rows_.data() + info.output_scanline,
                          info.output_height - info.output_scanline);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
  }

  void png(const fs::path& path) {
    read(path);
    left_ = file_.data();
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
    png_infop info = png_create_info_struct(png);
    png_set_read_fn(png, this, [](png_structp p, png_bytep to, std::size_t n) {
      auto& self = *static_cast<BareDecoder*>(png_get_io_ptr(p));
      std::memcpy(to, self.left_, n);
      self.left_ += n;
    });
    png_read_info(png, info);
    lay_out(png_get_image_height(png, info), png_get_rowbytes(png, info));
    png_read_image(png, rows_.data());
    png_read_end(png, nullptr);
    png_destroy_read_struct(&png, &info, nullptr);
  }

 private:
  void read(const fs::path& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> f(std::fopen(path.c_str(), "rb"), std::fclose);
    if (f == nullptr) throw std::runtime_error("cannot read " + path.string());
    file_.resize(fs::file_size(path));
    if (std::fread(file_.data(), 1, file_.size(), f.get()) != file_.size())
      throw std::runtime_error("cannot read " + path.string());
  }
  void lay_out(std::size_t height, std::size_t row_bytes) {
    pixels_.resize(height * row_bytes);
    rows_.resize(height);
    for (std::size_t y = 0; y < height; ++y) rows_[y] = pixels_.data() + y * row_bytes;
  }

  std::vector<std::uint8_t> file_, pixels_;
  std::vector<std::uint8_t*> rows_;
  const std::uint8_t* left_ = nullptr;
};

void decode_all(const std::vector<Pair>& pairs, int threads) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> pool;
  for (int t = 0; t < threads; ++t) {
    pool.emplace_back([&] {
      BareDecoder decoder;
      for (std::size_t i = next++; i < pairs.size(); i = next++) {
        decoder.jpeg(pairs[i].image);
        decoder.png(pairs[i].mask);
      }
    });
  }
}

void load_all(const std::vector<Pair>& pairs, int threads, Augment augment) {
  LoaderOptions options;
  options.workers = threads;
  options.augment = augment;
  Loader loader(pairs, options, 0);
  for (std::size_t b = 0; b < loader.batches(); ++b) loader.next();
}

// Soft light and shade, fine grain and a few hard edges: about what a photograph costs to decode.
Image made_up_picture(Random& random, const Image& mask) {
  Image image(mask.width, mask.height, 3);
  std::vector<std::array<double, 6>> waves(24);
  for (auto& w : waves) {
    const double length = std::exp(random.uniform(std::log(6.0), std::log(300.0)));
    const double turn = random.uniform(0, 6.28);
    w = {std::cos(turn) * 6.28 / length, std::sin(turn) * 6.28 / length,
         random.uniform(0, 6.28),        random.uniform(0.2, 1) * std::sqrt(length),
         random.uniform(0.6, 1),         random.uniform(0.6, 1)};
  }
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      double v = mask.row(y)[x] != 0 ? 150 : 100, r = 0, b = 0;
      for (const auto& w : waves) {
        const double s = w[3] * std::sin(w[0] * x + w[1] * y + w[2]);
        v += s;
        r += s * w[4];
        b += s * w[5];
      }
      const double grain = 4 * random.normal();
      std::uint8_t* p = image.row(y) + static_cast<std::ptrdiff_t>(x) * 3;
      p[0] = static_cast<std::uint8_t>(std::clamp(v + 0.3 * r + grain, 0.0, 255.0));
      p[1] = static_cast<std::uint8_t>(std::clamp(v + grain, 0.0, 255.0));
      p[2] = static_cast<std::uint8_t>(std::clamp(v - 0.3 * b + grain, 0.0, 255.0));
    }
  }
  return image;
}

Image made_up_mask(Random& random) {
  Image mask(400, 300, 1);
  for (int blob = 0; blob < 3; ++blob) {
    const double cx = random.uniform(60, 340), cy = random.uniform(60, 240), r = random.uniform(20, 70);
    const double lobes = std::floor(random.uniform(2, 7));
    for (int y = 0; y < mask.height; ++y) {
      for (int x = 0; x < mask.width; ++x) {
        const double at = std::atan2(y - cy, x - cx);
        if (std::hypot(x - cx, y - cy) < r * (1 + 0.3 * std::sin(lobes * at))) mask.row(y)[x] = 255;
      }
    }
  }
  return mask;
}

void write_jpeg(const fs::path& path, const Image& image) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> f(std::fopen(path.c_str(), "wb"), std::fclose);
  if (f == nullptr) throw std::runtime_error("cannot write " + path.string());
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  jpeg_stdio_dest(&info, f.get());
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = 3;
  info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 85, TRUE);
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    auto* row = const_cast<std::uint8_t*>(image.row(static_cast<int>(info.next_scanline)));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
}

std::vector<Pair> made_up_pairs(const fs::path& folder) {
  std::vector<Pair> pairs;
  for (std::uint64_t i = 0; i < 24; ++i) {
    Random random(1, 2, i);
    const Image mask = made_up_mask(random);
    pairs.push_back({folder / (std::to_string(i) + ".jpg"), folder / (std::to_string(i) + ".png")});
    write_jpeg(pairs.back().image, made_up_picture(random, mask));
    write_png(pairs.back().mask, mask);
  }
  return pairs;
}

std::vector<Pair> usual_pairs(const fs::path& images, const fs::path& masks) {
  std::vector<Pair> out;
  for (const Pair& p : find_pairs(images, masks)) {
    ImageInfo picture, truth;
    const Image image = read_image(p.image, {}, &picture), mask = read_image(p.mask, {}, &truth);
    const bool is_usual = image.width + image.height == 700 && std::abs(image.width - image.height) == 100;
    if (is_usual && picture.format == ImageFormat::jpeg && truth.format == ImageFormat::png) out.push_back(p);
  }
  if (out.empty()) throw std::runtime_error("no pairs of a 400x300 JPEG and PNG in these folders");
  return out;
}

struct Rate {
  double pairs_per_s = 0, cpu_per_pair = 0;  // cpu in seconds, of all threads
};

template <class Run>
Rate timed(const std::vector<Pair>& pairs, const Run& run) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  run();
  const auto n = static_cast<double>(pairs.size());
  return {n / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(),
          static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / n};
}

double median(std::vector<double> v) {
  const auto middle = v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2);
  std::nth_element(v.begin(), middle, v.end());
  return *middle;
}

// The ratio of processor times is the same on a busy machine; that of the rates is what a user sees.
void compare(const char* name, const std::vector<Pair>& pairs, int threads, double seconds,
             const std::function<void()>& run) {
  std::vector<double> bare, ours, ratio, cpu_ratio;
  const auto start = std::chrono::steady_clock::now();
  while (ratio.size() < 3 ||
         std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
    const Rate b = timed(pairs, [&] { decode_all(pairs, threads); });
    const Rate o = timed(pairs, run);
    bare.push_back(b.pairs_per_s);
    ours.push_back(o.pairs_per_s);
    ratio.push_back(o.pairs_per_s / b.pairs_per_s);
    cpu_ratio.push_back(b.cpu_per_pair / o.cpu_per_pair);
  }
  std::printf(
      "%-8s  threads %d  decoding alone %7.1f pairs/s  %7.1f pairs/s  ratio %.3f  by processor time %.3f"
      "  (medians of %zu rounds)\n",
      name, threads, median(bare), median(ours), median(ratio), median(cpu_ratio), ratio.size());
  std::fflush(stdout);
}

void compare_all(const std::vector<Pair>& pairs, double seconds) {
  for (const Augment augment : {Augment::official, Augment::strong}) {
    for (const int threads : {1, 2}) {
      compare(augment == Augment::official ? "official" : "strong", pairs, threads, seconds,
              [&] { load_all(pairs, threads, augment); });
    }
  }
  compare("check", pairs, 2, seconds, [&] {  // what `train` does before the first epoch
    Data data{pairs, {}};
    check_data(data, {});
  });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const fs::path folder = fs::temp_directory_path() / ("bench_loader." + std::to_string(::getpid()));
    const bool has_folders = argc > 2;
    if (!has_folders) fs::create_directories(folder);
    const auto unique = has_folders ? usual_pairs(argv[1], argv[2]) : made_up_pairs(folder);
    const double seconds = argc > (has_folders ? 3 : 1) ? std::atof(argv[has_folders ? 3 : 1]) : 10;
    std::vector<Pair> pairs;
    while (pairs.size() < 1200) pairs.insert(pairs.end(), unique.begin(), unique.end());
    std::uintmax_t jpeg = 0, png = 0;
    for (const Pair& p : unique) {
      jpeg += fs::file_size(p.image);
      png += fs::file_size(p.mask);
    }
    std::printf("%zu different pairs of 400x300, JPEG %.1f KB, PNG %.1f KB on average\n", unique.size(),
                static_cast<double>(jpeg) * 1e-3 / static_cast<double>(unique.size()),
                static_cast<double>(png) * 1e-3 / static_cast<double>(unique.size()));
    compare_all(pairs, seconds);
    if (!has_folders) fs::remove_all(folder);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_loader: %s\n", e.what());
    return 1;
  }
}
