#include "metrics/msiou.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "metrics/msiou.cpp"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>

#include "core/tensor.h"
#include "metrics/bitmap.h"
#include "metrics/numpy_sum.h"
#include "sam2unet/errors.h"

// The reference binarises at each threshold, takes edges (a Sobel response that is not zero, the picture
// surrounded by zeros), covers them with grids of cells of 1, 2, 4, ..., 512 pixels that are aligned to the
// last row and column, and for each grid counts the cells that hold an edge of both maps:
//   ratio = (cells with both + 1) / (cells with an edge of the truth + 1); the score is the area under the
//   ratios.
// Here a lane of a vector is a threshold and its 64 bits are 64 columns. Columns and rows are counted from
// the end, so that the cells are aligned to bit 0 and row 0; the Sobel operator does not mind.

#ifndef SAM2UNET_METRICS_MSIOU_ONCE
#define SAM2UNET_METRICS_MSIOU_ONCE
namespace sam2unet::metrics {

inline constexpr int kLevels = 10;   // cells of 2^0 .. 2^9 pixels
inline constexpr int kMaxBatch = 8;  // thresholds that are worked on together, at most

struct MsiouJob {
  int height = 0;
  int words = 0;                     // of a row of level 0
  std::uint64_t last_valid = 0;      // columns of the last word that exist
  std::vector<std::uint8_t> levels;  // [height, 64 words] raw grey levels, both directions reversed
  // Smallest and largest grey level in and right around each word of 64 columns, the zeros around the picture
  // included: a cut that all of them reach, or none, has no edge there. [height, words]
  std::vector<std::uint8_t> lowest, highest;
  // Smallest and largest level of each word of 64 columns, and of it and the eight words around it, where
  // outside of the picture counts as -1: a cut that all of them reach, or none, has no edge there. [height,
  // words]
  std::vector<std::int16_t> low, high, around_low, around_high;
  // For each level the cells with an edge of the truth: bit 2^level * k of word w; [rows of cells, words of
  // level].
  std::array<std::vector<std::uint64_t>, kLevels> truth;

  // From cells of 128 on, a word of level 0 is narrower than a cell: there each cell is bit 0 of its own
  // word.
  int words_at(int level) const {
    return level <= 6 ? words : (words + (1 << (level - 6)) - 1) >> (level - 6);
  }
  int rows_at(int level) const { return (height + (1 << level) - 1) >> level; }
};

// Scratch of a batch: three rows of masks with a word of zeros on both sides, and a row of cells for each
// level.
struct MsiouScratch {
  std::vector<std::uint64_t> masks[3];
  std::vector<std::uint64_t> cells[kLevels];
};

}  // namespace sam2unet::metrics
#endif

HWY_BEFORE_NAMESPACE();
namespace sam2unet::metrics::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::CappedTag<std::uint64_t, kMaxBatch>;
using Vec = hn::Vec<Words>;

// Bit k of the result: bytes[k] >= cut.
inline std::uint64_t at_least(const std::uint8_t* bytes, int cut) {
  if (cut > 255) return 0;
  std::uint64_t word = 0;
#if HWY_TARGET == HWY_SCALAR
  for (int k = 0; k < 64; ++k) word |= static_cast<std::uint64_t>(bytes[k] >= cut) << k;
#else
  const hn::CappedTag<std::uint8_t, 64> d;
  const auto c = hn::Set(d, static_cast<std::uint8_t>(cut));
  constexpr std::size_t kLanes = hn::MaxLanes(d);
  std::uint8_t packed[8];
  for (std::size_t k = 0; k < 64; k += kLanes) {
    const auto v = hn::LoadU(d, bytes + k);
    hn::StoreMaskBits(d, hn::Eq(hn::Max(v, c), v), packed + k / 8);
  }
  std::memcpy(&word, packed, 8);
#endif
  return word;
}

// One row of masks; word w of lane k stands at masks[(w + 1) * lanes + k]. The cuts rise.
void mask_row(const MsiouJob& job, int y, const int* cuts, std::uint64_t* masks) {
  const int lanes = static_cast<int>(hn::Lanes(Words()));
  const auto row = static_cast<std::size_t>(y) * static_cast<std::size_t>(job.words);
  const std::uint8_t* levels = job.levels.data() + row * 64;
  for (int w = 0; w < job.words; ++w) {
    const std::uint64_t valid = w + 1 == job.words ? job.last_valid : ~std::uint64_t{0};
    std::uint64_t* const out = masks + (w + 1) * lanes;
    const int low = job.low[row + static_cast<std::size_t>(w)];
    const int high = job.high[row + static_cast<std::size_t>(w)];
    if (low >= cuts[lanes - 1] || high < cuts[0]) {
      std::fill_n(out, lanes, high < cuts[0] ? 0 : valid);
      continue;
    }
    for (int k = 0; k < lanes; ++k) out[k] = at_least(levels + 64 * w, cuts[k]) & valid;
  }
}

struct Columns {
  Vec left, here, right;  // bit x of left is column x - 1
};

inline Columns load_columns(const std::uint64_t* masks, int w) {
  const Words d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const auto before = hn::LoadU(d, masks + w * lanes);
  const auto here = hn::LoadU(d, masks + (w + 1) * lanes);
  const auto after = hn::LoadU(d, masks + (w + 2) * lanes);
  return {hn::Or(hn::ShiftLeft<1>(here), hn::ShiftRight<63>(before)), here,
          hn::Or(hn::ShiftRight<1>(here), hn::ShiftLeft<63>(after))};
}

// The three bits of a + 2 b + c.
struct Weighted {
  Vec ones, twos, fours;
};

inline Weighted weighted(Vec a, Vec b, Vec c) {
  const auto carry = hn::And(a, c);
  return {hn::Xor(a, c), hn::Xor(b, carry), hn::And(b, carry)};
}

inline Vec differ(const Weighted& a, const Weighted& b) {
  return hn::Or(hn::Or(hn::Xor(a.ones, b.ones), hn::Xor(a.twos, b.twos)), hn::Xor(a.fours, b.fours));
}

// Sobel in either direction not zero.
inline Vec edges(const Columns& a, const Columns& b, const Columns& c) {
  const auto vertical = differ(weighted(a.left, a.here, a.right), weighted(c.left, c.here, c.right));
  const auto horizontal = differ(weighted(a.left, b.left, c.left), weighted(a.right, b.right, c.right));
  return hn::Or(vertical, horizontal);
}

// A finished row of cells of one level: counts the cells that the truth has too, and passes it on to the next
// level.
void finish_cells(const MsiouJob& job, int level, int row, MsiouScratch& scratch, std::uint64_t* counts) {
  const Words d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const int words = job.words_at(level);
  const std::uint64_t* truth =
      job.truth[static_cast<std::size_t>(level)].data() + static_cast<std::ptrdiff_t>(row) * words;
  std::uint64_t* cells = scratch.cells[level].data();
  std::uint64_t* above = level + 1 < kLevels ? scratch.cells[level + 1].data() : nullptr;
  auto count = hn::LoadU(d, counts + level * lanes);
  for (int w = 0; w < words; ++w) {
    const auto cell = hn::LoadU(d, cells + w * lanes);
    if (truth[w] != 0) count = hn::Add(count, hn::PopulationCount(hn::And(cell, hn::Set(d, truth[w]))));
    if (above == nullptr) continue;
    std::uint64_t* const target = above + (level < 6 ? w : w / 2) * lanes;
    const auto pair = level < 6 ? hn::Or(cell, hn::ShiftRightSame(cell, 1 << level)) : cell;
    hn::StoreU(hn::Or(hn::LoadU(d, target), pair), d, target);
  }
  hn::StoreU(count, d, counts + level * lanes);
  std::memset(cells, 0, static_cast<std::size_t>(words * lanes) * sizeof(std::uint64_t));
}

int batch_size() {
  return static_cast<int>(hn::Lanes(Words()));
}

// counts[level * lanes + k]: cells with an edge of the truth and of the prediction at cuts[k].
void count_cells(const MsiouJob& job, const int* cuts, MsiouScratch& scratch, std::uint64_t* counts) {
  const Words d;
  const auto lanes = static_cast<int>(hn::Lanes(d));
  const auto row_words = static_cast<std::size_t>(job.words + 2) * static_cast<std::size_t>(lanes);
  for (auto& masks : scratch.masks) masks.assign(row_words, 0);
  for (int level = 0; level < kLevels; ++level) {
    scratch.cells[level].assign(
        static_cast<std::size_t>(job.words_at(level)) * static_cast<std::size_t>(lanes), 0);
  }
  std::fill_n(counts, kLevels * lanes, 0);
  bool filled[kLevels] = {};  // rows of cells that may hold an edge
  mask_row(job, 0, cuts, scratch.masks[1].data());
  for (int y = 0; y < job.height; ++y) {
    std::uint64_t* const before = scratch.masks[y % 3].data();
    std::uint64_t* const here = scratch.masks[(y + 1) % 3].data();
    std::uint64_t* const after = scratch.masks[(y + 2) % 3].data();
    if (y + 1 < job.height) {
      mask_row(job, y + 1, cuts, after);
    } else {
      std::fill_n(after, row_words, 0);
    }
    for (int w = 0; w < job.words; ++w) {
      const auto at =
          static_cast<std::size_t>(y) * static_cast<std::size_t>(job.words) + static_cast<std::size_t>(w);
      if (job.around_low[at] >= cuts[lanes - 1] || job.around_high[at] < cuts[0]) continue;
      auto e = edges(load_columns(before, w), load_columns(here, w), load_columns(after, w));
      if (w + 1 == job.words) e = hn::And(e, hn::Set(d, job.last_valid));
      hn::StoreU(e, d, scratch.cells[0].data() + w * lanes);
      filled[0] = true;
    }
    // A row of cells is finished after its last row of pixels, or with the picture.
    for (int level = 0; level < kLevels; ++level) {
      if (((y + 1) & ((1 << level) - 1)) != 0 && y + 1 != job.height) break;
      if (!filled[level]) continue;
      finish_cells(job, level, y >> level, scratch, counts);
      filled[level] = false;
      if (level + 1 < kLevels) filled[level + 1] = true;
    }
  }
}

}  // namespace sam2unet::metrics::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace sam2unet::metrics {

HWY_EXPORT(count_cells);
HWY_EXPORT(batch_size);

namespace {

MsiouJob reversed(const std::uint8_t* pixels, std::ptrdiff_t stride, int width, int height) {
  MsiouJob job;
  job.height = height;
  job.words = (width + 63) / 64;
  job.last_valid = width % 64 == 0 ? ~std::uint64_t{0} : (std::uint64_t{1} << (width % 64)) - 1;
  const auto row_bytes = static_cast<std::size_t>(job.words) * 64;
  job.levels.assign(row_bytes * static_cast<std::size_t>(height), 0);
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* from = pixels + (height - 1 - y) * stride;
    std::reverse_copy(from, from + width, job.levels.data() + static_cast<std::size_t>(y) * row_bytes);
  }
  return job;
}

// The ranges of levels by which words without an edge are told.
void add_ranges(MsiouJob& job, int width) {
  const auto words = static_cast<std::size_t>(job.words);
  const auto size = words * static_cast<std::size_t>(job.height);
  job.low.resize(size);
  job.high.resize(size);
  for (std::size_t y = 0; y < static_cast<std::size_t>(job.height); ++y) {
    for (std::size_t w = 0; w < words; ++w) {
      const std::uint8_t* first = job.levels.data() + (y * words + w) * 64;
      const std::uint8_t* last = first + std::min<std::size_t>(64, static_cast<std::size_t>(width) - 64 * w);
      std::uint8_t low = 255, high = 0;
      for (const std::uint8_t* v = first; v != last; ++v) {
        low = std::min(low, *v);
        high = std::max(high, *v);
      }
      job.low[y * words + w] = low;
      job.high[y * words + w] = high;
    }
  }
  job.around_low.resize(size);
  job.around_high.resize(size);
  for (int y = 0; y < job.height; ++y) {
    for (int w = 0; w < job.words; ++w) {
      const bool inside = y > 0 && y + 1 < job.height && w > 0 && w + 1 < job.words;
      std::int16_t low = inside ? 255 : -1, high = 0;
      for (int i = std::max(0, y - 1); i <= std::min(job.height - 1, y + 1); ++i) {
        for (int k = std::max(0, w - 1); k <= std::min(job.words - 1, w + 1); ++k) {
          const auto at = static_cast<std::size_t>(i) * words + static_cast<std::size_t>(k);
          low = std::min(low, job.low[at]);
          high = std::max(high, job.high[at]);
        }
      }
      const auto at = static_cast<std::size_t>(y) * words + static_cast<std::size_t>(w);
      job.around_low[at] = low;
      job.around_high[at] = high;
    }
  }
}

// The truth's edges: bit x of word x / 64. The same arithmetic as the vectors', one word at a time.
std::vector<std::uint64_t> truth_edges(const MsiouJob& truth, int width) {
  Bitmap bits(width, truth.height);
  for (int y = 0; y < truth.height; ++y) {
    const std::uint8_t* row =
        truth.levels.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(truth.words) * 64;
    for (int w = 0; w < truth.words; ++w) {
      for (int k = 0; k < 64; ++k) bits.row(y)[w] |= static_cast<std::uint64_t>(row[64 * w + k] & 1) << k;
    }
  }
  struct Weighted {
    std::uint64_t ones, twos, fours;
  };
  const auto weighted = [](std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    const std::uint64_t carry = a & c;
    return Weighted{a ^ c, b ^ carry, b & carry};
  };
  const auto differ = [](const Weighted& a, const Weighted& b) {
    return (a.ones ^ b.ones) | (a.twos ^ b.twos) | (a.fours ^ b.fours);
  };
  std::vector<std::uint64_t> out;
  for (int y = 0; y < truth.height; ++y) {
    for (int w = 0; w < truth.words; ++w) {
      std::uint64_t left[3], here[3], right[3];
      for (int i = 0; i < 3; ++i) {
        const std::uint64_t* row = bits.row(y + i - 1);
        left[i] = Bitmap::from_left(row, w);
        here[i] = row[w];
        right[i] = Bitmap::from_right(row, w);
      }
      const std::uint64_t vertical =
          differ(weighted(left[0], here[0], right[0]), weighted(left[2], here[2], right[2]));
      const std::uint64_t horizontal =
          differ(weighted(left[0], left[1], left[2]), weighted(right[0], right[1], right[2]));
      out.push_back((vertical | horizontal) & bits.valid(w));
    }
  }
  return out;
}

// Cells of every level from the edges of the truth; returns how many each level has.
std::array<std::int64_t, kLevels> make_truth_cells(MsiouJob& job, std::vector<std::uint64_t> edges) {
  std::array<std::int64_t, kLevels> counts{};
  job.truth[0] = std::move(edges);
  for (int level = 0; level < kLevels; ++level) {
    const auto l = static_cast<std::size_t>(level);
    for (const std::uint64_t word : job.truth[l]) counts[l] += std::popcount(word);
    if (level + 1 == kLevels) break;
    const auto words = static_cast<std::size_t>(job.words_at(level));
    const auto next_words = static_cast<std::size_t>(job.words_at(level + 1));
    auto& next = job.truth[l + 1];
    next.assign(next_words * static_cast<std::size_t>(job.rows_at(level + 1)), 0);
    // Cells of level + 1 start at every 2^(level + 1)-th bit.
    std::uint64_t starts = 0;
    for (int b = 0; b < 64; b += 2 << level) starts |= std::uint64_t{1} << (b & 63);
    for (std::size_t y = 0; y < static_cast<std::size_t>(job.rows_at(level)); ++y) {
      for (std::size_t w = 0; w < words; ++w) {
        const std::uint64_t cell = job.truth[l][y * words + w];
        auto& target = next[(y / 2) * next_words + (level < 6 ? w : w / 2)];
        target |= level < 6 ? (cell | cell >> (1 << level)) & starts : cell;
      }
    }
  }
  return counts;
}

// The reference's edge maps are float16, as numpy's hypot of booleans is, and so is the sum of the truth's
// cells: beyond 2,048 it is rounded, after each 8,192 elements of the array (numpy's buffer), and beyond
// 65,504 infinite. numpy 1.26 then adds 1 in double; 2.x adds it in float16, which moves MSIoU by about 1e-6.
double half_sum_plus_one(const MsiouJob& job, int level, int width, std::int64_t count,
                         MsiouOptions::PlusOne plus_one) {
  if (count < 2048 || (count == 2048 && plus_one == MsiouOptions::PlusOne::in_double))
    return static_cast<double>(count + 1);
  constexpr std::int64_t kBuffer = 8192;
  const int columns = (width + (1 << level) - 1) >> level;
  const int rows = job.rows_at(level);
  const int words = job.words_at(level);
  const auto& cells = job.truth[static_cast<std::size_t>(level)];
  const int shift =
      level < 6 ? level : 6;  // a cell starts at bit (x << shift) % 64 of word (x << shift) / 64
  std::uint16_t sum = 0;
  std::int64_t in_buffer = 0, element = 0;
  const auto flush = [&] {
    sum = f32_to_f16(f16_to_f32(sum) + static_cast<float>(in_buffer));
    in_buffer = 0;
  };
  for (int y = rows - 1; y >= 0; --y) {
    for (int x = columns - 1; x >= 0; --x) {
      const std::int64_t bit = std::int64_t{x} << shift;
      in_buffer +=
          static_cast<std::int64_t>((cells[static_cast<std::size_t>(y) * static_cast<std::size_t>(words) +
                                           static_cast<std::size_t>(bit / 64)] >>
                                     (bit % 64)) &
                                    1);
      if (++element % kBuffer == 0) flush();
    }
  }
  flush();
  if (plus_one == MsiouOptions::PlusOne::in_half)
    return static_cast<double>(f16_to_f32(f32_to_f16(f16_to_f32(sum) + 1)));
  return static_cast<double>(f16_to_f32(sum)) + 1;
}

// np.trapz(ratios, dx = 1 / (levels - 1)) of (both + 1) / (truth + 1); level i is the grid of 2^grids[i]
// pixels.
double area(std::span<const std::int64_t, kLevels> both, const std::array<double, kLevels>& truth_plus_one,
            std::span<const std::size_t> grids) {
  const auto ratio = [&](std::int64_t i) {
    const std::size_t grid = grids[static_cast<std::size_t>(i)];
    return static_cast<double>(both[grid] + 1) / truth_plus_one[grid];
  };
  const auto steps = static_cast<std::int64_t>(grids.size()) - 1;
  const double dx = 1.0 / static_cast<double>(steps);
  return numpy_sum<double>([&](std::int64_t i) { return dx * (ratio(i + 1) + ratio(i)) / 2.0; }, steps);
}

// np.linspace(0, 9, levels, dtype=int)
std::vector<std::size_t> grids_of(int levels) {
  std::vector<std::size_t> out;
  const double step = 9.0 / (levels - 1);
  for (int i = 0; i + 1 < levels; ++i) out.push_back(static_cast<std::size_t>(i * step));
  out.push_back(9);
  return out;
}

}  // namespace

std::vector<double> msiou_at(const BytePlanes& planes, std::span<const int> cuts,
                             const MsiouOptions& options) {
  if (options.levels < 2) throw UsageError("MSIoU needs two levels at least");
  MsiouJob job = reversed(planes.prediction, planes.prediction_stride, planes.width, planes.height);
  add_ranges(job, planes.width);
  const int lowest = *std::min_element(job.low.begin(), job.low.end());
  const std::array<std::int64_t, kLevels> cells = make_truth_cells(
      job,
      truth_edges(reversed(planes.truth, planes.truth_stride, planes.width, planes.height), planes.width));
  std::array<double, kLevels> truth{};
  for (int l = 0; l < kLevels; ++l) {
    truth[static_cast<std::size_t>(l)] =
        half_sum_plus_one(job, l, planes.width, cells[static_cast<std::size_t>(l)], options.plus_one);
  }
  const std::vector<std::size_t> grids = grids_of(options.levels);

  // Equal cuts are worked on once; one at or below the lowest level takes every pixel, like cut 0.
  const auto same_as = [&](int cut) { return static_cast<std::size_t>(cut <= lowest ? 0 : cut); };
  std::array<bool, 257> wanted{};
  for (const int cut : cuts) wanted[same_as(cut)] = true;
  std::vector<int> distinct;
  for (int c = 0; c <= 256; ++c) {
    if (wanted[static_cast<std::size_t>(c)]) distinct.push_back(c);
  }
  std::array<double, 257> score_of{};
  const auto batch = static_cast<std::size_t>(HWY_DYNAMIC_DISPATCH(batch_size)());
  MsiouScratch scratch;
  std::array<std::uint64_t, kLevels * kMaxBatch> counts{};
  for (std::size_t first = 0; first < distinct.size(); first += batch) {
    std::array<int, kMaxBatch> now;
    now.fill(256);
    for (std::size_t k = 0; k < batch && first + k < distinct.size(); ++k) now[k] = distinct[first + k];
    HWY_DYNAMIC_DISPATCH(count_cells)(job, now.data(), scratch, counts.data());
    for (std::size_t k = 0; k < batch && first + k < distinct.size(); ++k) {
      std::array<std::int64_t, kLevels> both{};
      for (std::size_t l = 0; l < kLevels; ++l) both[l] = static_cast<std::int64_t>(counts[l * batch + k]);
      score_of[static_cast<std::size_t>(now[k])] = area(both, truth, grids);
    }
  }
  std::vector<double> out;
  out.reserve(cuts.size());
  for (const int cut : cuts) out.push_back(score_of[same_as(cut)]);
  return out;
}

Summary msiou(const Sample& s, MsiouCurve& curve, const MsiouOptions& options) {
  // Every threshold is a cut in raw grey levels.
  std::vector<int> cuts;
  for (int t = 0; t <= 256; ++t) cuts.push_back(t == 0 ? 0 : s.levels.cut_for(t));
  cuts.push_back(s.levels.adaptive_cut);
  cuts.push_back(s.levels.binary_cut);
  const std::vector<double> scores =
      msiou_at({s.width, s.height, s.prediction.data(), s.stride, s.truth.data(), s.stride}, cuts, options);
  std::copy_n(scores.begin(), curve.size(), curve.begin());
  Summary out;
  out.adp = scores[257];
  out.bin = scores[258];
  out.mean = numpy_sum<double>([&](std::int64_t i) { return curve[static_cast<std::size_t>(i)]; }, 257) / 257;
  out.max = *std::max_element(curve.begin(), curve.end());
  return out;
}

}  // namespace sam2unet::metrics
#endif  // HWY_ONCE
