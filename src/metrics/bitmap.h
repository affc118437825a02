// Binary pictures with 64 pixels in a word. Bit x % 64 of word x / 64 is column x; bits right of the width
// are zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "metrics/sample.h"

namespace sam2unet::metrics {

class Bitmap {
 public:
  Bitmap() = default;
  Bitmap(int width, int height) { reset(width, height); }

  /// All pixels zero.
  void reset(int width, int height);

  int width() const { return width_; }
  int height() const { return height_; }
  int words() const { return words_; }
  /// Words -1 and words() of a row, and rows -1 and height(), exist and are zero.
  std::uint64_t* row(int y) { return bits_.data() + index(y); }
  const std::uint64_t* row(int y) const { return bits_.data() + index(y); }
  bool at(int x, int y) const { return ((row(y)[x >> 6] >> (x & 63)) & 1) != 0; }
  void set(int x, int y) { row(y)[x >> 6] |= std::uint64_t{1} << (x & 63); }
  /// Ones where a word has pixels of the picture.
  std::uint64_t valid(int word) const {
    return word + 1 < words_ || width_ % 64 == 0 ? ~std::uint64_t{0}
                                                 : (std::uint64_t{1} << (width_ % 64)) - 1;
  }
  std::int64_t count() const;
  bool any() const;

  /// Word w of the row shifted so that bit x holds column x - 1, or column x + 1.
  static std::uint64_t from_left(const std::uint64_t* row, int w) {
    return (row[w] << 1) | (row[w - 1] >> 63);
  }
  static std::uint64_t from_right(const std::uint64_t* row, int w) {
    return (row[w] >> 1) | (row[w + 1] << 63);
  }

 private:
  std::size_t index(int y) const {
    return static_cast<std::size_t>(y + 1) * static_cast<std::size_t>(words_ + 2) + 1;
  }
  int width_ = 0, height_ = 0, words_ = 0;
  std::vector<std::uint64_t> bits_;
};

/// Pixels whose raw grey level is at least `cut`.
Bitmap predicted_at(const Sample& sample, int cut);
Bitmap truth_of(const Sample& sample);

/// out(x) = op(a(x), b(x)) word by word. `op` must keep zero where both are zero.
template <typename Op>
Bitmap combine(const Bitmap& a, const Bitmap& b, const Op& op) {
  Bitmap out(a.width(), a.height());
  for (int y = 0; y < a.height(); ++y) {
    for (int w = 0; w < a.words(); ++w) out.row(y)[w] = op(a.row(y)[w], b.row(y)[w]);
  }
  return out;
}
inline Bitmap operator&(const Bitmap& a, const Bitmap& b) {
  return combine(a, b, [](std::uint64_t u, std::uint64_t v) { return u & v; });
}
inline Bitmap operator|(const Bitmap& a, const Bitmap& b) {
  return combine(a, b, [](std::uint64_t u, std::uint64_t v) { return u | v; });
}
/// a without b.
inline Bitmap operator-(const Bitmap& a, const Bitmap& b) {
  return combine(a, b, [](std::uint64_t u, std::uint64_t v) { return u & ~v; });
}
Bitmap inverted(const Bitmap& a);

/// The pixel or one of its four neighbours is set.
Bitmap dilate_cross(const Bitmap& a);
/// The pixel and its four neighbours are set; neighbours outside the picture count as set (OpenCV's default
/// border) or as unset (SciPy's).
enum class Outside { set, unset };
Bitmap erode_cross(const Bitmap& a, Outside outside);
/// All pixels at most `radius` rows and columns away are set; pixels outside the picture are not.
Bitmap erode_square(const Bitmap& a, int radius);

}  // namespace sam2unet::metrics
