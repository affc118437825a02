#include "metrics/bitmap.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sam2unet::metrics {

namespace {

// Bit k of the result is the lowest bit of byte k, where all bytes are 0 or 255.
std::uint64_t gather_bits(std::uint64_t bytes) {
  return ((bytes & 0x0101010101010101u) * 0x0102040810204080u) >> 56;
}

std::uint64_t pack_word(const std::uint8_t* bytes) {
  std::uint64_t word = 0;
  for (int k = 0; k < 8; ++k) {
    std::uint64_t eight;
    std::memcpy(&eight, bytes + 8 * k, 8);
    word |= gather_bits(eight) << (8 * k);
  }
  return word;
}

}  // namespace

void Bitmap::reset(int width, int height) {
  width_ = width;
  height_ = height;
  words_ = (width + 63) / 64;
  bits_.assign(static_cast<std::size_t>(words_ + 2) * static_cast<std::size_t>(height + 2), 0);
}

std::int64_t Bitmap::count() const {
  std::int64_t n = 0;
  for (const std::uint64_t word : bits_) n += std::popcount(word);
  return n;
}

bool Bitmap::any() const {
  return std::any_of(bits_.begin(), bits_.end(), [](std::uint64_t word) { return word != 0; });
}

Bitmap predicted_at(const Sample& s, int cut) {
  Bitmap out(s.width, s.height);
  std::uint8_t bytes[64];
  for (int y = 0; y < s.height; ++y) {
    const std::uint8_t* p = s.prediction_row(y);
    for (int w = 0; w < out.words(); ++w) {
      for (int k = 0; k < 64; ++k) bytes[k] = p[64 * w + k] >= cut ? 255 : 0;
      out.row(y)[w] = pack_word(bytes) & out.valid(w);
    }
  }
  return out;
}

Bitmap truth_of(const Sample& s) {
  Bitmap out(s.width, s.height);
  for (int y = 0; y < s.height; ++y) {
    for (int w = 0; w < out.words(); ++w) out.row(y)[w] = pack_word(s.truth_row(y) + 64 * w);
  }
  return out;
}

Bitmap inverted(const Bitmap& a) {
  Bitmap out(a.width(), a.height());
  for (int y = 0; y < a.height(); ++y) {
    for (int w = 0; w < a.words(); ++w) out.row(y)[w] = ~a.row(y)[w] & a.valid(w);
  }
  return out;
}

Bitmap dilate_cross(const Bitmap& a) {
  Bitmap out(a.width(), a.height());
  for (int y = 0; y < a.height(); ++y) {
    const std::uint64_t* above = a.row(y - 1);
    const std::uint64_t* here = a.row(y);
    const std::uint64_t* below = a.row(y + 1);
    for (int w = 0; w < a.words(); ++w) {
      out.row(y)[w] =
          (here[w] | above[w] | below[w] | Bitmap::from_left(here, w) | Bitmap::from_right(here, w)) &
          a.valid(w);
    }
  }
  return out;
}

Bitmap erode_cross(const Bitmap& a, Outside outside) {
  if (outside == Outside::set) return inverted(dilate_cross(inverted(a)));
  Bitmap out(a.width(), a.height());
  for (int y = 0; y < a.height(); ++y) {
    const std::uint64_t* above = a.row(y - 1);
    const std::uint64_t* here = a.row(y);
    const std::uint64_t* below = a.row(y + 1);
    for (int w = 0; w < a.words(); ++w) {
      out.row(y)[w] =
          here[w] & above[w] & below[w] & Bitmap::from_left(here, w) & Bitmap::from_right(here, w);
    }
  }
  return out;
}

Bitmap erode_square(const Bitmap& a, int radius) {
  // Rows first: a run of set pixels loses `radius` at both ends. Then the same down the columns by counting
  // how many rows in sequence have been set.
  const int width = a.width();
  const int height = a.height();
  Bitmap horizontal(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width;) {
      if (!a.at(x, y)) {
        if (a.row(y)[x >> 6] >> (x & 63) == 0) {
          x = ((x >> 6) + 1) * 64;
        } else {
          x += std::countr_zero(a.row(y)[x >> 6] >> (x & 63));
        }
        continue;
      }
      int end = x;
      while (end < width && a.at(end, y)) {
        const std::uint64_t rest = ~(a.row(y)[end >> 6] >> (end & 63));
        end = std::min(width, end + std::min(rest == 0 ? 64 : std::countr_zero(rest), 64 - (end & 63)));
      }
      for (int k = x + radius; k < end - radius; ++k) horizontal.set(k, y);
      x = end;
    }
  }
  Bitmap out(width, height);
  const int length = 2 * radius + 1;
  for (int w = 0; w < horizontal.words(); ++w) {
    std::vector<int> run(64, 0);
    for (int y = 0; y < height; ++y) {
      const std::uint64_t word = horizontal.row(y)[w];
      for (int k = 0; k < 64; ++k) {
        auto& r = run[static_cast<std::size_t>(k)];
        r = ((word >> k) & 1) != 0 ? r + 1 : 0;
        if (r >= length) out.set(64 * w + k, y - radius);
      }
    }
  }
  return out;
}

}  // namespace sam2unet::metrics
