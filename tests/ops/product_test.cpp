// Blocks of products by themselves: every way of multiplying on every instruction set, beside the sums one by
// one. Left sides and weights are small whole numbers and scales are powers of two, so that every result is
// exact.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "ops/lowp/kernels.h"
#include "support/instruction_sets.h"

namespace sam2unet::ops::lowp {
namespace {

constexpr std::uint8_t kGuard = 0xA5;

// Bytes that begin at a multiple of 64.
class Aligned {
 public:
  explicit Aligned(std::int64_t size) : bytes_(static_cast<std::size_t>(size) + 64, std::byte{kGuard}) {}
  std::size_t size() const { return bytes_.size() - 64; }
  std::byte* data() {
    const auto at = reinterpret_cast<std::uintptr_t>(bytes_.data());
    return bytes_.data() + (64 - at % 64) % 64;
  }

 private:
  std::vector<std::byte> bytes_;
};

// How the rows of the left side lie: at one distance, or one of the sixteen elsewhere.
enum class Rows { even, third_is_elsewhere, last_is_elsewhere };

struct Shape {
  int count, taps, units, columns;
  Finish finish;
  Element out_type;
  Rows rows;
};

void put(std::byte* to, Way way, Storage storage, std::int64_t i, int v) {
  if (way == Way::widened && storage == Storage::f32) {
    const auto f = static_cast<float>(v);
    std::memcpy(to + 4 * i, &f, 4);
  } else if (takes_bf16(way) || (way == Way::widened && storage == Storage::bf16)) {
    const std::uint16_t bits = f32_to_bf16(static_cast<float>(v));
    std::memcpy(to + 2 * i, &bits, 2);
  } else {
    to[i] = static_cast<std::byte>(v);
  }
}

// A whole job with its numbers, and what must come of it.
class Product {
 public:
  Product(const Shape& s, Way way, Storage storage, unsigned seed)
      : s_(s),
        way_(way),
        storage_(storage),
        left_(std::int64_t{s.taps} * kStored * row_bytes() + 4096),
        panels_(panel_bytes(way, storage, std::int64_t{s.taps} * s.units, s.columns) + kAmxSlack + 64),
        sums_(sums_bytes(kStored)),
        widened_(widened_bytes(s.taps, s.units)) {
    random_.seed(seed);
    std::memset(panels_.data(), 0, panels_.size());
    make_left();
    make_panels();
    for (int c = 0; c < (s.columns + kLanes - 1) / kLanes * kLanes; ++c) {
      bias_.push_back(static_cast<float>(some(-9, 9)));
      column_scale_.push_back(std::ldexp(1.0F, some(-2, 2)));
      column_sum_.push_back(static_cast<float>(some(-9, 9)));
    }
    for (int r = 0; r < s.count; ++r) {
      row_scale_.push_back(std::ldexp(1.0F, some(-1, 1)));
      row_low_.push_back(static_cast<float>(some(-4, 4)));
    }
    for (int r = 0; r < s.count; ++r)
      for (int c = 0; c < s.columns; ++c) wanted_.push_back(finished(wanted(r, c), (r + c) % 7 - 3));
  }

  void check() {
    const std::int64_t size = s_.out_type == Element::f32 ? 4 : 2, stride = (s_.columns + 5) * size;
    Aligned out(stride * s_.count), added(stride * s_.count);
    std::vector<std::byte*> out_rows;
    std::vector<const std::byte*> added_rows;
    for (int r = 0; r < s_.count; ++r) {
      for (int c = 0; c < s_.columns; ++c)
        store(added.data() + r * stride, c, static_cast<float>((r + c) % 7 - 3));
      out_rows.push_back(out.data() + r * stride);
      added_rows.push_back(added.data() + r * stride);
    }
    BlockJob j = job();
    j.out = out_rows.data();
    j.added = added_rows.data();
    const int panels = (s_.columns + kColumns - 1) / kColumns;
    for (j.first_panel = 0; j.first_panel < panels; ++j.first_panel) {  // one at a time, as threads take them
      j.last_panel = j.first_panel + 1;
      product_block(j);
    }
    for (int r = 0; r < s_.count; ++r) {
      for (int c = 0; c < s_.columns; ++c) {
        const double want = wanted_[static_cast<std::size_t>(r * s_.columns + c)];
        const bool is_exact = s_.finish != Finish::gelu && s_.finish != Finish::gelu_add;
        const double got = load(out.data() + r * stride, c);
        if (is_exact)
          ASSERT_EQ(got, s_.out_type == Element::f32 ? want : rounded(want)) << r << ", " << c;
        else
          ASSERT_NEAR(got, want, (s_.out_type == Element::f32 ? 1e-4 : 4e-3) * std::max(1.0, std::abs(want)))
              << r << ", " << c;
      }
      for (std::int64_t i = s_.columns * size; i < stride; ++i)
        ASSERT_EQ(out.data()[r * stride + i], std::byte{kGuard}) << "behind row " << r;
    }
  }

 private:
  static constexpr int kStored = 96;  // rows of the left side in memory, some of them not looked at

  int some(int low, int high) {
    return low + static_cast<int>(random_() % static_cast<unsigned>(high - low + 1));
  }
  int channels() const { return s_.units * unit_of(way_); }
  std::int64_t row_bytes() const { return std::int64_t{s_.units} * 4; }
  bool is_scaled() const { return takes_bytes(way_) || storage_ == Storage::int8; }

  // Where row r of a tap lies in memory.
  int place(int r) const {
    const int in_tile = r % 16;
    const bool is_elsewhere = (s_.rows == Rows::third_is_elsewhere && in_tile == 2) ||
                              (s_.rows == Rows::last_is_elsewhere && in_tile == 15);
    return is_elsewhere ? kStored - 1 - r / 16 : r;
  }
  void make_left() {
    const Storage as = Storage::f32;  // units of Way::widened
    values_.resize(static_cast<std::size_t>(s_.taps) * kStored * static_cast<std::size_t>(channels()));
    for (std::size_t i = 0; i < values_.size(); ++i)
      values_[i] = takes_bytes(way_) ? (i % 11 == 0 ? 255 : some(0, 40)) : some(-3, 3);
    for (int row = 0; row < s_.taps * kStored; ++row)
      for (int k = 0; k < channels(); ++k) put(left_.data() + row * row_bytes(), way_, as, k, left(row, k));
    const int rows = rows_of(way_), tiles = (s_.count + rows - 1) / rows;
    for (int tile = 0; tile < tiles; ++tile)
      for (int tap = 0; tap < s_.taps; ++tap)
        for (int r = 0; r < rows; ++r) {
          const int row = std::min(tile * rows + r, s_.count - 1);  // those that are none repeat another
          pointers_.push_back(left_.data() + (std::int64_t{tap} * kStored + place(row)) * row_bytes());
        }
  }
  int left(int row, int k) const {
    return values_[static_cast<std::size_t>(row) * static_cast<std::size_t>(channels()) +
                   static_cast<std::size_t>(k)];
  }
  // Panel by panel [taps * units][columns][channels of a unit].
  void make_panels() {
    const int unit = way_ == Way::widened ? 1 : unit_of(way_);
    weights_.resize(static_cast<std::size_t>(s_.columns * s_.taps * channels()));
    for (auto& w : weights_) w = some(-3, 3);
    std::int64_t at = 0;
    for (int column = 0; column < s_.columns; column += kColumns) {
      const int width = std::min(kColumns, (s_.columns - column + kLanes - 1) / kLanes * kLanes);
      for (int u = 0; u < s_.taps * s_.units; ++u)
        for (int c = 0; c < width; ++c)
          for (int k = 0; k < unit; ++k, ++at)
            put(panels_.data(), way_, storage_, at,
                column + c < s_.columns ? weight(column + c, u * unit + k) : 0);
    }
  }
  int weight(int column, int k) const {
    return weights_[static_cast<std::size_t>(column * s_.taps * channels() + k)];
  }
  BlockJob job() {
    BlockJob j;
    j.way = way_;
    j.storage = storage_;
    j.finish = s_.finish;
    j.out_type = j.added_type = s_.out_type;
    j.count = s_.count;
    j.taps = s_.taps;
    j.units = s_.units;
    j.columns = s_.columns;
    j.rows = pointers_.data();
    j.panels = panels_.data();
    j.bias = bias_.data();
    if (is_scaled()) {
      j.column_scale = column_scale_.data();
      j.column_sum = column_sum_.data();
      j.row_low = row_low_.data();
    }
    if (is_scaled() || s_.count % 2 == 0) j.row_scale = row_scale_.data();
    j.sums = sums_.data();
    j.widened = widened_.data();
    j.tiles = native_tiles(way_);
    return j;
  }
  double wanted(int r, int c) const {
    std::int64_t sum = 0;
    for (int tap = 0; tap < s_.taps; ++tap)
      for (int k = 0; k < channels(); ++k)
        sum += std::int64_t{left(tap * kStored + place(r), k)} * weight(c, tap * channels() + k);
    const auto row = static_cast<std::size_t>(r), column = static_cast<std::size_t>(c);
    double v = static_cast<double>(sum);
    if (is_scaled()) {
      v = static_cast<double>(row_scale_[row]) * column_scale_[column] * v +
          static_cast<double>(row_low_[row]) * column_sum_[column];
    } else if (s_.count % 2 == 0) {
      v *= row_scale_[row];
    }
    return v + bias_[column];
  }
  double finished(double v, double more) const {
    const double gelu = 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
    switch (s_.finish) {
      case Finish::none:
        return v;
      case Finish::gelu:
        return gelu;
      case Finish::relu:
        return std::max(v, 0.0);
      case Finish::add:
        return more + v;
      case Finish::gelu_add:
        return more + gelu;
      case Finish::add_relu:
        return std::max(more + v, 0.0);
    }
    return 0;
  }
  static double rounded(double v) { return bf16_to_f32(f32_to_bf16(static_cast<float>(v))); }
  void store(std::byte* row, int c, float v) const {
    put(row, s_.out_type == Element::f32 ? Way::widened : Way::dot_bf16, Storage::f32, c,
        static_cast<int>(v));
  }
  double load(const std::byte* row, int c) const {
    if (s_.out_type == Element::f32) {
      float v = 0;
      std::memcpy(&v, row + 4 * c, 4);
      return v;
    }
    std::uint16_t bits = 0;
    std::memcpy(&bits, row + 2 * c, 2);
    return bf16_to_f32(bits);
  }

  Shape s_;
  Way way_;
  Storage storage_;
  std::mt19937 random_;
  Aligned left_, panels_, sums_, widened_;
  std::vector<int> values_, weights_;
  std::vector<const std::byte*> pointers_;
  std::vector<double> wanted_;
  std::vector<float> bias_, column_scale_, column_sum_, row_scale_, row_low_;
};

// Less than a tile, whole ones and more; less than a register of units, one, more, more than are looked at
// together (128) and more than are summed up at a time (512); one to four vectors of columns, and a second
// panel.
constexpr Shape kShapes[] = {
    {1, 1, 1, 1, Finish::none, Element::f32, Rows::even},
    {5, 1, 15, 16, Finish::relu, Element::f32, Rows::even},
    {6, 3, 16, 17, Finish::add, Element::f32, Rows::third_is_elsewhere},
    {7, 1, 17, 33, Finish::add_relu, Element::bf16, Rows::even},
    {16, 1, 33, 48, Finish::none, Element::bf16, Rows::last_is_elsewhere},
    {17, 3, 5, 64, Finish::gelu, Element::f32, Rows::even},
    {32, 1, 128, 30, Finish::none, Element::f32, Rows::even},
    {33, 2, 129, 15, Finish::add_relu, Element::f32, Rows::third_is_elsewhere},
    {31, 1, 150, 80, Finish::gelu_add, Element::bf16, Rows::last_is_elsewhere},
    {34, 1, 530, 20, Finish::add, Element::f32, Rows::last_is_elsewhere},
    {13, 1, 1030, 70, Finish::relu, Element::f32, Rows::even},
    {6, 2, 520, 16, Finish::none, Element::f32, Rows::even},  // of several taps all at once
};

TEST(ProductBlocks, AreTheSumsOfTheirProducts) {
  struct Kind {
    Way way;
    Storage storage;
  };
  const std::vector<Kind> kinds = {{Way::widened, Storage::f32},   {Way::widened, Storage::bf16},
                                   {Way::widened, Storage::int8},  {Way::dot_bf16, Storage::bf16},
                                   {Way::dot_int8, Storage::int8}, {Way::amx_bf16, Storage::bf16},
                                   {Way::amx_int8, Storage::int8}};
  for (const Kind& kind : kinds) {
    if (kind.way != Way::widened && native_tiles(kind.way) == nullptr) continue;
    for (std::size_t i = 0; i < std::size(kShapes); ++i) {
      Product product(kShapes[i], kind.way, kind.storage, static_cast<unsigned>(i));
      for (const std::int64_t set : sam2unet::test::instruction_sets()) {
        const sam2unet::test::InstructionSet use(set);
        SCOPED_TRACE(testing::Message()
                     << "way " << static_cast<int>(kind.way) << ", weights " << static_cast<int>(kind.storage)
                     << ", shape " << i << ", " << sam2unet::test::name_of(set));
        product.check();
        if (HasFatalFailure()) return;
      }
    }
  }
}

}  // namespace
}  // namespace sam2unet::ops::lowp
