#include "passes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sam2unet/errors.h"

namespace sam2unet::cli {
namespace {

// CLI::Range lets "nan" pass.
CLI::Validator number_between(double low, double high) {
  return {[low, high](std::string& text) {
            double value = -1.0;
            const bool ok = CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
            return ok ? std::string() : fmt::format("'{}' is not a number from {} to {}", text, low, high);
          },
          ""};
}

int side_of(const std::string& text) {
  if (text == "auto") return 0;
  constexpr int kLeast = 32, kLargest = 1 << 20;
  const bool digits = !text.empty() && text.size() <= 7 &&
                      std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  const int value = digits ? std::stoi(text) : 0;
  if (value < kLeast || value > kLargest) {
    throw UsageError(
        fmt::format("--tile {}: give the side of a tile in pixels of the picture, {} to {}, or auto", text,
                    kLeast, kLargest));
  }
  return value;
}

}  // namespace

void add_pass_options(CLI::App& command, PassArguments& a) {
  command
      .add_option(
          "--tile", a.tile,
          "cut large pictures into tiles of N pixels a side and blend their results; auto is half of "
          "the picture's longer side, but no less than the network's input. Each tile is resized to "
          "that input, so objects are seen larger than in the whole picture: tiles alone change their "
          "scale, which may harm; see --tile-context. Pictures that one tile covers stay as they are")
      ->type_name("N|auto");
  command
      .add_option_function<double>(
          "--overlap",
          [&a](double value) {
            a.overlap = value;
            a.of_tiles_given = true;
          },
          "the least part of a tile's side that it shares with its neighbour")
      ->check(number_between(0.0, 0.9))
      ->type_name("PART")
      ->default_str("0.25");
  command
      .add_option_function<double>(
          "--tile-context",
          [&a](double value) {
            a.context = value;
            a.of_tiles_given = true;
          },
          "how much the whole picture, seen at the network's size, counts against the tiles: 0 to 1, of the "
          "logits")
      ->check(number_between(0.0, 1.0))
      ->type_name("WEIGHT")
      ->default_str("0");
  command
      .add_option(
          "--tta", a.augmentation,
          "also show the picture turned or at other scales, and average the probabilities: any of "
          "hflip, vflip, rot90, scale=A:B (of the network's input), separated by commas; each costs a "
          "pass")
      ->type_name("LIST");
}

void apply(const PassArguments& a, SegmentOptions& options) {
  if (a.tile.empty() && a.of_tiles_given)
    throw UsageError("--overlap and --tile-context are of tiles; add --tile N or --tile auto");
  if (!a.tile.empty()) {
    TileOptions tiles;
    tiles.side = side_of(a.tile);
    tiles.overlap = a.overlap;
    tiles.context = a.context;
    options.tiles = std::move(tiles);
  }
  try {
    options.augmentation = parse_augmentation(a.augmentation);
  } catch (const UsageError& e) {
    throw UsageError(fmt::format("--tta {}: {}", a.augmentation, e.what()));
  }
  if (options.official && a.any()) {
    throw UsageError(fmt::format("{}: not with --official, since the reference's test.py has no such thing",
                                 a.tile.empty() ? "--tta" : "--tile"));
  }
}

std::string describe(const PassArguments& a) {
  std::string out;
  if (!a.tile.empty()) {
    out = a.tile == "auto" ? "automatic tiles" : fmt::format("tiles of {} pixels", a.tile);
    if (a.context > 0.0) out += fmt::format(" with {} of the whole", a.context);
  }
  if (!a.augmentation.empty()) out += (out.empty() ? "" : ", ") + a.augmentation;
  return out;
}

}  // namespace sam2unet::cli
