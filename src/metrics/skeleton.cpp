#include "metrics/skeleton.h"

#include <algorithm>
#include <array>
#include <bit>

namespace sam2unet::metrics {

namespace {

// Which pixels may go, by their eight neighbours. scikit-image (_skeletonize_various_cy.pyx,
// _fast_skeletonize) numbers the neighbours from the upper left clockwise as bits 0 to 7 and looks up 1 (goes
// in the first pass), 2 (in the second), 3 (in both). Its table is Zhang and Suen's rule (two to six
// neighbours set, one 0 -> 1 step around, and two products that are zero) but for 25 neighbourhoods; those
// are listed here with its answers.
struct Exception {
  std::uint8_t neighbours;
  std::uint8_t passes;
};
constexpr Exception kExceptions[] = {
    {3, 1},   {6, 1},   {10, 3},  {11, 1},  {12, 1},  {14, 1},  {24, 2},  {26, 2},  {40, 3},
    {48, 0},  {56, 2},  {96, 2},  {104, 2}, {108, 2}, {129, 0}, {130, 3}, {131, 1}, {134, 1},
    {160, 3}, {161, 1}, {176, 2}, {192, 2}, {194, 1}, {198, 1}, {224, 2},
};

constexpr std::array<std::uint8_t, 256> removal_table() {
  std::array<std::uint8_t, 256> table{};
  for (unsigned n = 0; n < 256; ++n) {
    const auto bit = [n](unsigned k) { return (n >> k) & 1u; };
    unsigned steps = 0, set = 0;
    for (unsigned k = 0; k < 8; ++k) {
      set += bit(k);
      steps += bit(k) == 0 && bit((k + 1) % 8) == 1 ? 1 : 0;
    }
    const unsigned north = bit(1), east = bit(3), south = bit(5), west = bit(7);
    if (set < 2 || set > 6 || steps != 1) continue;
    if (north * east * south == 0 && east * south * west == 0) table[n] |= 1;
    if (north * east * west == 0 && north * south * west == 0) table[n] |= 2;
  }
  for (const Exception& e : kExceptions) table[e.neighbours] = e.passes;
  return table;
}

constexpr std::array<std::uint8_t, 256> kRemoval = removal_table();

constexpr bool stays_inside() {
  constexpr unsigned kDirect = 2 | 8 | 32 | 128;
  for (unsigned n = 0; n < 256; ++n) {
    if ((n & kDirect) == kDirect && kRemoval[n] != 0) return false;
  }
  return true;
}
static_assert(stays_inside(), "a pixel whose four direct neighbours are set is never removed");

// The pixels of a row that go in this pass.
bool removals(const Bitmap& p, int y, unsigned pass, std::vector<std::uint64_t>& out) {
  const std::uint64_t* above = p.row(y - 1);
  const std::uint64_t* here = p.row(y);
  const std::uint64_t* below = p.row(y + 1);
  bool any = false;
  for (int w = 0; w < p.words(); ++w) {
    out[static_cast<std::size_t>(w)] = 0;
    if (here[w] == 0) continue;
    // With its four direct neighbours set a pixel stays.
    const std::uint64_t west = Bitmap::from_left(here, w), east = Bitmap::from_right(here, w);
    std::uint64_t candidates = here[w] & ~(above[w] & below[w] & west & east);
    if (candidates == 0) continue;
    const std::uint64_t n[8] = {Bitmap::from_left(above, w),  above[w], Bitmap::from_right(above, w), east,
                                Bitmap::from_right(below, w), below[w], Bitmap::from_left(below, w),  west};
    std::uint64_t gone = 0;
    while (candidates != 0) {
      const int b = std::countr_zero(candidates);
      candidates &= candidates - 1;
      unsigned index = 0;
      for (unsigned k = 0; k < 8; ++k) index |= static_cast<unsigned>((n[k] >> b) & 1) << k;
      if ((kRemoval[index] & pass) != 0) gone |= std::uint64_t{1} << b;
    }
    out[static_cast<std::size_t>(w)] = gone;
    any = any || gone != 0;
  }
  return any;
}

}  // namespace

Bitmap skeletonize(const Bitmap& picture) {
  Bitmap p = picture;
  const auto rows = static_cast<std::size_t>(p.height());
  // A pass looks at a row again only if the row or a neighbour has changed since it looked last.
  std::vector<int> changed(rows, 0);
  std::vector<int> looked[2] = {std::vector<int>(rows, -1), std::vector<int>(rows, -1)};
  struct Removal {
    int y;
    std::vector<std::uint64_t> words;
  };
  std::vector<Removal> found;
  std::vector<std::uint64_t> words(static_cast<std::size_t>(p.words()));
  bool removed = true;
  for (int time = 0; removed;) {
    removed = false;
    for (unsigned pass = 1; pass <= 2; ++pass, ++time) {
      found.clear();
      for (std::size_t y = 0; y < rows; ++y) {
        int last = changed[y];
        if (y > 0) last = std::max(last, changed[y - 1]);
        if (y + 1 < rows) last = std::max(last, changed[y + 1]);
        int& seen = looked[pass - 1][y];
        if (last < seen) continue;
        seen = time;
        if (removals(p, static_cast<int>(y), pass, words)) found.push_back({static_cast<int>(y), words});
      }
      for (const Removal& r : found) {
        for (int w = 0; w < p.words(); ++w) p.row(r.y)[w] &= ~r.words[static_cast<std::size_t>(w)];
        changed[static_cast<std::size_t>(r.y)] = time;
      }
      removed = removed || !found.empty();
    }
  }
  return p;
}

}  // namespace sam2unet::metrics
