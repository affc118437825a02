// Golden forward passes: the network of the file's configuration on deterministic weights and input, every
// named intermediate result compared.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <string>

#include "api/make_backend.h"
#include "api/verify_parts.h"
#include "model/weight_source.h"
#include "sam2unet/errors.h"

namespace sam2unet::api {
namespace {

struct Sampling {
  std::int64_t channel = 1, row = 1, column = 1;
};

// "1", or "channel 16, row 4, column 4": what part the file holds of the intermediate results (metadata
// feature_stride) or of the outputs (output_stride, which not every file has).
Sampling parse_sampling(const formats::TensorFile& file, const char* key) {
  constexpr long kMaxStride = 65536;
  const auto it = file.metadata().find(key);
  Sampling s;
  if (it == file.metadata().end() || it->second == "1") return s;
  long c = 0, r = 0, x = 0;
  if (std::sscanf(it->second.c_str(), "channel %ld, row %ld, column %ld", &c, &r, &x) != 3 ||
      std::min({c, r, x}) < 1 || std::max({c, r, x}) > kMaxStride) {
    throw FormatError(fmt::format("{}: metadata {} '{}' is not 'channel C, row R, column S' of 1 to {}",
                                  file.path().string(), key, it->second, kMaxStride));
  }
  return {c, r, x};
}

// [B,H,W,C] -> every so many of [B,C,H,W], as the files hold it.
std::vector<double> sample(const ops::Extent& e, std::span<const float> t, const Sampling& s) {
  std::vector<double> out;
  for (std::int64_t b = 0; b < e.b; ++b)
    for (std::int64_t c = 0; c < e.c; c += s.channel)
      for (std::int64_t y = 0; y < e.h; y += s.row)
        for (std::int64_t x = 0; x < e.w; x += s.column)
          out.push_back(t[static_cast<std::size_t>(((b * e.h + y) * e.w + x) * e.c + c)]);
  return out;
}

// Mean, standard deviation, first and last element of a block's output.
std::array<double, 4> statistics(std::span<const float> t) {
  const auto n = static_cast<double>(t.size());
  double mean = 0.0, squares = 0.0;
  for (const float v : t) mean += v;
  mean /= n;
  for (const float v : t) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / (n - 1)), t.front(), t.back()};
}

// Of a tensor's range. L's deterministic weights amplify: its logits reach 1100. bf16 was 4.6 % off at worst
// (B+), int8 11 % (B+).
double tolerance_of(Precision precision, bool is_l) {
  switch (precision) {
    case Precision::int8:
      return 0.2;
    case Precision::bf16:
      return 0.1;
    case Precision::f16:  // not measured yet: a bound, of 11 bits instead of bf16's 8
      return 2e-2;
    case Precision::tf32:  // not measured yet: a bound, of as many bits, but sums and norms are float32
      return is_l ? 2e-2 : 5e-3;
    case Precision::automatic:  // no backend says so
    case Precision::standard:
    case Precision::f32:
      break;
  }
  return is_l ? 1e-4 : 2e-5;
}

}  // namespace

double relative_error(const std::vector<double>& got, const std::vector<double>& want) {
  if (got.size() != want.size() || want.empty()) return std::numeric_limits<double>::infinity();
  const auto [low, high] = std::minmax_element(want.begin(), want.end());
  double worst = 0.0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double d = std::abs(got[i] - want[i]);
    if (std::isnan(d)) return std::numeric_limits<double>::infinity();
    worst = std::max(worst, d);
  }
  return worst / std::max(*high - *low, 1e-30);
}

bool verify_forward(const formats::TensorFile& file, const VerifyOptions& options, const Report& report) {
  const std::string where = file.path().string();
  const auto metadata = [&](const char* key) -> const std::string& {
    const auto it = file.metadata().find(key);
    if (it == file.metadata().end())
      throw FormatError(fmt::format("{}: no metadata '{}'; not a golden file", where, key));
    return it->second;
  };
  const auto config = model::Config::from_json(metadata("config"));
  const Sampling features = parse_sampling(file, "feature_stride");
  const Sampling outputs = parse_sampling(file, "output_stride");
  const TensorView* out = file.find("out");
  if (out == nullptr || out->shape.rank() != 4 || out->shape[1] != config.out_channels) {
    throw FormatError(fmt::format("{}: no tensor 'out' of shape [B,{},H,W]; not a golden file", where,
                                  config.out_channels));
  }
  // A picture's sides are multiples of 32, and so of every stride that makes sense.
  const std::int64_t batch = out->shape[0], height = out->shape[2] * outputs.row,
                     width = out->shape[3] * outputs.column;
  config.check_input(height, width);
  if (batch < 1 || batch > 64)
    throw FormatError(fmt::format("{}: a batch of {} is not in 1..64", where, batch));

  model::DeterministicWeights source;
  const auto backend = make_backend(source, config, {options.threads, options.device, options.precision});
  const auto values = model::deterministic_values(metadata("input"), batch * 3 * height * width);
  std::map<std::string, std::vector<double>> got;
  // The file's input is [B,3,H,W], twice the generator's values.
  std::vector<float> image(values.size());
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t c = 0; c < 3; ++c)
      for (std::int64_t i = 0; i < height * width; ++i) {
        image[static_cast<std::size_t>((b * height * width + i) * 3 + c)] =
            static_cast<float>(2.0 * values[static_cast<std::size_t>((b * 3 + c) * height * width + i)]);
      }
  const auto trace = [&](const char* what, int index, const ops::Extent& e, std::span<const float> t) {
    if (std::string_view(what) == "block") {
      const auto s = statistics(t);
      got["block_stats"].insert(got["block_stats"].end(), s.begin(), s.end());
    } else {
      got[what + std::to_string(index)] = sample(e, t, std::string_view(what) == "out" ? outputs : features);
    }
  };
  const auto use = [&](const Logits& l) { got["out"] = sample(l.extent, l.values, outputs); };
  backend->run(BackendInput({batch, height, width, 3}, image), use, trace);

  const double tolerance = tolerance_of(backend->info().precision, model::variant_name(config) == "l");
  bool ok = true;
  for (const auto& t : file.tensors()) {
    const auto it = got.find(t.name);
    if (it == got.end()) throw FormatError(fmt::format("{}: unexpected tensor '{}'", where, t.name));
    std::vector<double> want(static_cast<std::size_t>(t.view.numel()));
    copy_to(t.view, std::span(want));
    const VerifyCheck check{t.name, relative_error(it->second, want), tolerance, "of range"};
    ok = ok && check.ok();
    report(check);
  }
  return ok;
}

}  // namespace sam2unet::api
