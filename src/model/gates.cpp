#include "model/gates.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <unordered_set>

#include "core/hash.h"
#include "model/checkpoint.h"
#include "model/metadata.h"
#include "sam2unet/errors.h"

namespace sam2unet::model {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;
constexpr std::size_t kMaxText = std::size_t{1} << 18;  // a kept group takes some 40 bytes, L has 155
constexpr int kMaxPictures = 100'000'000;

[[noreturn]] void refuse(const std::string& what) {
  throw FormatError(fmt::format("metadata \"{}\": {}", kGatesKey, what));
}

const json& member(const json& j, const char* key) {
  const auto it = j.find(key);
  if (it == j.end()) refuse(fmt::format("\"{}\" is missing", key));
  return *it;
}

PrecisionGate gate_from(const json& j, const char* name) {
  if (!j.is_object()) refuse(fmt::format("\"{}\" is no object", name));
  const json &change = member(j, "change"), &rounds = member(j, "rounds_bf16");
  PrecisionGate g;
  if (!change.is_number()) refuse(fmt::format("the change of {} is no number", name));
  g.change = change.get<double>();
  if (!(g.change >= 0.0 && g.change <= 1.0)) refuse(fmt::format("the change of {} is not in 0 to 1", name));
  if (!rounds.is_boolean()) refuse(fmt::format("\"rounds_bf16\" of {} is neither true nor false", name));
  g.rounds_bf16 = rounds.get<bool>();
  return g;
}

json to_json(const PrecisionGate& g) {
  return {{"change", g.change}, {"rounds_bf16", g.rounds_bf16}};
}

std::vector<std::string> kept_from(const json& j, const Config& config) {
  const auto groups = layer_groups(config);
  if (!j.is_array() || j.size() > groups.size()) refuse("\"kept\" is no list of layers");
  std::unordered_set<std::string> seen;
  std::vector<std::string> out;
  for (const json& item : j) {
    if (!item.is_string()) refuse("\"kept\" is no list of layers");
    const auto& name = item.get_ref<const std::string&>();
    if (std::find(groups.begin(), groups.end(), name) == groups.end() || !seen.insert(name).second)
      refuse("\"kept\" names layers that this network has not, or one twice");
    out.push_back(name);
  }
  return out;
}

std::uint64_t fingerprint_from(const json& j) {
  constexpr std::size_t kDigits = 16;
  if (!j.is_string()) refuse("\"weights\" is no fingerprint");
  const auto& text = j.get_ref<const std::string&>();
  if (text.size() != kDigits || text.find_first_not_of("0123456789abcdef") != std::string::npos)
    refuse("\"weights\" is no fingerprint");
  return std::stoull(text, nullptr, 16);
}

// Some bytes from the middle, where a tensor lies in one piece.
std::span<const std::byte> sample_of(const TensorView& v) {
  constexpr std::int64_t kBytes = 64;
  if (!v.is_dense()) return {};
  const std::int64_t size = v.numel() * static_cast<std::int64_t>(size_of(v.dtype)),
                     n = std::min(size, kBytes);
  return {v.data + (size - n) / 2, static_cast<std::size_t>(n)};
}

}  // namespace

std::vector<std::string> layer_groups(const Config& config) {
  std::vector<std::string> out;
  for (const BlockConfig& b : config.blocks()) {
    const std::string layer = fmt::format("encoder.blocks.{}.", b.index);
    out.push_back(layer + "prompt_learn");
    out.push_back(layer + "block.attn");
    if (b.dim_in != b.dim_out) out.push_back(layer + "block.proj");
    out.push_back(layer + "block.mlp");
  }
  if (config.neck == NeckKind::rfb) {
    for (int i = 1; i <= 4; ++i) out.push_back(fmt::format("rfb{}", i));
  }
  for (int i = 1; i <= (config.calls_up4 ? 4 : 3); ++i) out.push_back(fmt::format("up{}", i));
  return out;
}

std::string PrecisionGates::to_json() const {
  json j{{"version", kVersion}, {"pictures", pictures}, {"weights", fmt::format("{:016x}", weights)}};
  if (bf16) j["bf16"] = model::to_json(*bf16);
  if (int8) {
    j["int8"] = model::to_json(*int8);
    j["int8"]["kept"] = kept;
  }
  return j.dump();
}

PrecisionGates gates_from_json(std::string_view text, const Config& config) {
  if (text.size() > kMaxText) refuse("too long");
  const json j = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!j.is_object()) refuse("no JSON object");
  if (member(j, "version") != kVersion) refuse("of another version of this program");
  const json& pictures = member(j, "pictures");
  PrecisionGates g;
  if (!pictures.is_number_integer() || pictures < 1 || pictures > kMaxPictures)
    refuse("\"pictures\" is no number of pictures");
  g.pictures = pictures.get<int>();
  g.weights = fingerprint_from(member(j, "weights"));
  if (const auto it = j.find("bf16"); it != j.end()) g.bf16 = gate_from(*it, "bf16");
  if (const auto it = j.find("int8"); it != j.end()) {
    g.int8 = gate_from(*it, "int8");
    g.kept = kept_from(member(*it, "kept"), config);
  }
  return g;
}

std::uint64_t fingerprint(const formats::TensorFile& file, const Recognition& recognition) {
  const Config& config = *recognition.config;
  std::uint64_t h = fnv1a(config.to_json());
  const auto add = [&](const std::string& stored) {
    const TensorView* v = file.find(stored);
    if (v == nullptr) return;
    h = fnv1a(sample_of(*v), fnv1a(fmt::format("{} {}", name_of(v->dtype), to_string(v->shape)), h));
  };
  for (const TensorSpec& spec : tensor_table(config)) {
    const std::string stored = stored_name(spec.name, recognition);
    h = fnv1a(spec.name, h);
    add(stored);
    add(stored + std::string(kScaleSuffix));
  }
  return h;
}

StoredGates stored_gates(const formats::TensorFile& file, const Recognition& recognition) {
  StoredGates out;
  const auto it = file.metadata().find(kGatesKey);
  if (it == file.metadata().end() || recognition.contents != Contents::full) return out;
  try {
    PrecisionGates gates = gates_from_json(it->second, *recognition.config);
    if (gates.weights == fingerprint(file, recognition))
      out.gates = std::move(gates);
    else
      out.problem = "the precision gates in it were measured of other weights";
  } catch (const FormatError& e) {
    out.problem = e.what();
  }
  return out;
}

}  // namespace sam2unet::model
