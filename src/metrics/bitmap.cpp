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

namespace {

// Word w of a row of `words` words whose bit x holds column x + shift; zero beyond the row on both sides.
std::uint64_t shifted(const std::uint64_t* row, int words, int w, int shift) {
  const int whole = shift >> 6;  // rounds down, also for negative shifts
  const int bits = shift & 63;
  const auto at = [&](int i) { return i >= 0 && i < words ? row[i] : std::uint64_t{0}; };
  const std::uint64_t low = at(w + whole);
  return bits == 0 ? low : (low >> bits) | (at(w + whole + 1) << (64 - bits));
}

// Lengths of runs that doubling goes through on the way to `length`: each step ANDs a run with itself, `step`
// further.
template <typename Step>
void grow_runs(int length, const Step& step) {
  int reached = 1;
  while (reached < length) {
    const int by = std::min(reached, length - reached);
    step(by);
    reached += by;
  }
}

}  // namespace

Bitmap erode_square(const Bitmap& a, int radius) {
  const int length = 2 * radius + 1;
  if (length > a.width() || length > a.height()) return Bitmap(a.width(), a.height());
  // A pixel of `runs` says that it and the next ones to the right are set, then so many downwards too.
  Bitmap runs = a;
  std::vector<std::uint64_t> row(static_cast<std::size_t>(a.words()));
  for (int y = 0; y < a.height(); ++y) {
    std::uint64_t* const r = runs.row(y);
    grow_runs(length, [&](int by) {
      for (int w = 0; w < a.words(); ++w)
        row[static_cast<std::size_t>(w)] = r[w] & shifted(r, a.words(), w, by);
      std::copy(row.begin(), row.end(), r);
    });
  }
  grow_runs(length, [&](int by) {
    for (int y = 0; y < a.height(); ++y) {
      for (int w = 0; w < a.words(); ++w) runs.row(y)[w] &= y + by < a.height() ? runs.row(y + by)[w] : 0;
    }
  });
  Bitmap out(a.width(), a.height());
  for (int y = radius; y < a.height(); ++y) {
    for (int w = 0; w < a.words(); ++w) out.row(y)[w] = shifted(runs.row(y - radius), a.words(), w, -radius);
  }
  return out;
}

}  // namespace sam2unet::metrics
