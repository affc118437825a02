#include "model/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sam2unet/classes.h"
#include "sam2unet/errors.h"

namespace sam2unet::model {

std::string_view name_of(NeckKind kind) {
  return kind == NeckKind::pointwise ? "1x1" : "rfb";
}

NeckKind parse_neck(std::string_view name) {
  for (const auto kind : {NeckKind::rfb, NeckKind::pointwise}) {
    if (name == name_of(kind)) return kind;
  }
  throw UsageError(fmt::format("unknown neck '{}'; use rfb or 1x1", name));
}

std::array<int, 4> Config::stage_dims() const {
  return {embed_dim, embed_dim * 2, embed_dim * 4, embed_dim * 8};
}

// hieradet.py:225-262: the window size lags a block behind the stage; dimensions and heads double at its
// first block.
std::vector<BlockConfig> Config::blocks() const {
  std::vector<BlockConfig> out;
  int dim = embed_dim, heads = num_heads, stage = 0, first_of_stage = 0;
  for (int i = 0; i < depth(); ++i) {
    BlockConfig b;
    b.index = i;
    b.dim_in = dim;
    b.attention.window = window_spec[static_cast<std::size_t>(stage)];
    const bool is_global =
        std::find(global_att_blocks.begin(), global_att_blocks.end(), i) != global_att_blocks.end();
    if (is_global) b.attention.window = 0;
    if (i == first_of_stage + stages[static_cast<std::size_t>(stage)]) {
      first_of_stage = i;
      ++stage;
      dim *= 2;
      heads *= 2;
      if (stage <= q_pool) b.attention.q_pool = 2;
    }
    b.stage = stage;
    b.dim_out = dim;
    b.attention.heads = heads;
    b.ends_stage = i + 1 == first_of_stage + stages[static_cast<std::size_t>(stage)];
    out.push_back(b);
  }
  return out;
}

void Config::validate() const {
  const auto refuse = [](const std::string& why) { throw WeightsError("network configuration: " + why); };
  if (embed_dim < 1 || embed_dim > 4096) refuse(fmt::format("embed_dim {} is not in 1..4096", embed_dim));
  if (num_heads < 1 || embed_dim % num_heads != 0) {
    refuse(fmt::format("num_heads {} does not divide embed_dim {}", num_heads, embed_dim));
  }
  for (const int n : stages) {
    if (n < 1 || n > 256) refuse(fmt::format("a stage of {} blocks is not in 1..256", n));
  }
  // One beyond the last names no block, as in the reference, whose default is 12, 16, 20 for any depth.
  for (const int i : global_att_blocks) {
    if (i < 0) refuse(fmt::format("global_att_blocks names block {}", i));
  }
  for (const int w : window_spec) {
    if (w < 1 || w > 1024) refuse(fmt::format("window_spec {} is not in 1..1024", w));
  }
  for (const int s : window_pos_embed_bkg_spatial_size) {
    if (s < 1 || s > 1024) refuse(fmt::format("window_pos_embed_bkg_spatial_size {} is not in 1..1024", s));
  }
  const auto check_width = [&](const char* what, int value, int max) {
    if (value < 1 || value > max) refuse(fmt::format("{} {} is not in 1..{}", what, value, max));
  };
  check_width("out_channels", out_channels, ClassTable::kMaxClasses);
  check_width("adapter_width", adapter_width, 4096);
  check_width("decoder_width", decoder_width, 1024);
  // The decoder joins stage outputs that halve from one to the next.
  if (q_pool != 3) refuse(fmt::format("q_pool {} is not supported; the decoder needs 3", q_pool));
  for (const auto& b : blocks()) {
    if (b.attention.q_pool == 2 && b.attention.window % 2 != 0) {
      refuse(fmt::format("block {} pools queries in windows of odd side {}", b.index, b.attention.window));
    }
  }
}

void Config::check_input(std::int64_t height, std::int64_t width) const {
  constexpr std::int64_t kLargest = kMaxInputSide;
  if (height < 32 || width < 32 || height % 32 != 0 || width % 32 != 0 || height > kLargest ||
      width > kLargest) {
    throw UsageError(
        fmt::format("input size {}x{}: both sides must be multiples of 32, from 32 to {}; try {}x{}", height,
                    width, kLargest, std::clamp((height + 16) / 32 * 32, std::int64_t{32}, kLargest),
                    std::clamp((width + 16) / 32 * 32, std::int64_t{32}, kLargest)));
  }
  // hieradet.py:275 tiles the window embedding a whole number of times.
  if (height / 4 % window_spec[0] != 0 || width / 4 % window_spec[0] != 0) {
    throw UsageError(fmt::format(
        "input size {}x{}: this network's first window of {} needs sides that are multiples of {}", height,
        width, window_spec[0], 4 * window_spec[0]));
  }
}

Config Config::from_json(std::string_view text) {
  return from_json(text, Config());
}

Config Config::from_json(std::string_view text, const Config& missing) {
  Config c = missing;
  try {
    const auto j = nlohmann::json::parse(text);
    const auto read = [&](const char* key, auto& field) {
      if (j.contains(key)) j.at(key).get_to(field);
    };
    read("embed_dim", c.embed_dim);
    read("num_heads", c.num_heads);
    read("stages", c.stages);
    if (j.contains("global_att_blocks") && j["global_att_blocks"].is_null()) {
      c.global_att_blocks.clear();  // Python's None: windows everywhere
    } else {
      read("global_att_blocks", c.global_att_blocks);
    }
    read("window_spec", c.window_spec);
    read("window_pos_embed_bkg_spatial_size", c.window_pos_embed_bkg_spatial_size);
    read("q_pool", c.q_pool);
    read("out_channels", c.out_channels);
    read("adapter_width", c.adapter_width);
    read("decoder_width", c.decoder_width);
    read("up4", c.calls_up4);
    if (j.contains("neck")) c.neck = parse_neck(j.at("neck").get<std::string>());
    // What the network has no other value of must not be passed over in silence.
    const auto fixed = [&](const char* key, const nlohmann::json& only) {
      if (j.contains(key) && j.at(key) != only && j.at(key) != nlohmann::json{only, only}) {
        throw WeightsError(fmt::format("network configuration: {} {} is not supported, only {}", key,
                                       j.at(key).dump(), only.dump()));
      }
    };
    fixed("q_stride", 2);
    fixed("dim_mul", 2.0);
    fixed("head_mul", 2.0);
  } catch (const nlohmann::json::exception& e) {
    throw FormatError(fmt::format("network configuration: not the JSON object expected ({})", e.what()));
  }
  c.validate();
  return c;
}

std::string Config::to_json() const {
  nlohmann::json j{{"embed_dim", embed_dim},
                   {"num_heads", num_heads},
                   {"stages", stages},
                   {"global_att_blocks", global_att_blocks},
                   {"window_spec", window_spec},
                   {"window_pos_embed_bkg_spatial_size", window_pos_embed_bkg_spatial_size},
                   {"q_pool", q_pool}};
  const Config original;
  if (out_channels != original.out_channels) j["out_channels"] = out_channels;
  if (adapter_width != original.adapter_width) j["adapter_width"] = adapter_width;
  if (decoder_width != original.decoder_width) j["decoder_width"] = decoder_width;
  if (neck != original.neck) j["neck"] = name_of(neck);
  if (calls_up4) j["up4"] = true;
  return j.dump();
}

// sam2/configs/sam2/sam2_hiera_{t,s,b+,l}.yaml
Config Config::of_variant(std::string_view variant) {
  if (variant == "t") return {96, 1, {1, 2, 7, 2}, {5, 7, 9}, {8, 4, 14, 7}, {7, 7}, 3};
  if (variant == "s") return {96, 1, {1, 2, 11, 2}, {7, 10, 13}, {8, 4, 14, 7}, {7, 7}, 3};
  if (variant == "b+") return {112, 2, {2, 3, 16, 3}, {12, 16, 20}, {8, 4, 14, 7}, {14, 14}, 3};
  if (variant == "l") return {144, 2, {2, 6, 36, 4}, {23, 33, 43}, {8, 4, 16, 8}, {7, 7}, 3};
  throw UsageError(fmt::format("unknown variant '{}'; use t, s, b+ or l", variant));
}

std::string variant_name(const Config& config) {
  for (const char* v : {"t", "s", "b+", "l"}) {
    if (same_trunk(config, Config::of_variant(v))) return v;
  }
  return "custom";
}

bool same_trunk(const Config& a, const Config& b) {
  Config bare = b;
  bare.out_channels = a.out_channels;
  bare.adapter_width = a.adapter_width;
  bare.decoder_width = a.decoder_width;
  bare.neck = a.neck;
  bare.calls_up4 = a.calls_up4;
  return a == bare;
}

std::vector<std::string> differences_from_original(const Config& config) {
  const Config original;
  std::vector<std::string> out;
  const auto number = [&](const char* what, int value, int usual) {
    if (value != usual) out.push_back(fmt::format("{} {} instead of {}", what, value, usual));
  };
  number("output channels", config.out_channels, original.out_channels);
  number("adapter width", config.adapter_width, original.adapter_width);
  number("decoder width", config.decoder_width, original.decoder_width);
  if (config.neck == NeckKind::pointwise) out.emplace_back("1x1 convolutions instead of RFB blocks");
  if (config.calls_up4) out.emplace_back("up4 is called, on the first stage's skip upsampled");
  return out;
}

}  // namespace sam2unet::model
