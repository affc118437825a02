#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <unordered_map>

#include "formats/tensor_file.h"
#include "model/checkpoint.h"
#include "model/finite.h"
#include "sam2unet/models.h"
#include "sam2unet/weights.h"

namespace sam2unet {
namespace {

// As predict decides, so that both never disagree.
std::string use_of(const formats::TensorFile& file, const model::Recognition& r, const std::string& wrong) {
  const std::string why = model::why_not_usable(file, r);
  if (!wrong.empty()) return "nothing as it is: " + wrong;
  if (r.contents == model::Contents::full && !why.empty()) return "nothing as it is: " + why;
  if (!r.rivals.empty()) return "nothing as it is: " + why;
  switch (r.contents) {
    case model::Contents::full:
      return "predict, eval, verify, convert; a start for training";
    case model::Contents::trunk:
      return "a start for training, or the trunk that convert completes a task-only file with; not for "
             "predict: adapters, RFB, decoder and heads are missing";
    case model::Contents::task_only:
      return "convert, which makes a full SAM2-UNet of it and a SAM2 trunk; not for predict: the trunk is "
             "missing";
    case model::Contents::partial:
      return "nothing as it is: " + why;
    case model::Contents::unknown:
      return "nothing here: it holds no SAM2-UNet and no SAM2 trunk";
  }
  return "";
}

// SAM2.1's configurations set no_obj_embed_spatial (sam2/modeling/sam2_base.py:178), SAM2's do not.
std::string trunk_of(const formats::TensorFile& file, const model::Recognition& r) {
  if (file.find("no_obj_embed_spatial") != nullptr) return "SAM2.1 trunk";
  return r.trunk_prefix == "image_encoder.trunk." ? "SAM2 trunk" : "Hiera trunk";
}

// The first of the network's tensors with a number that is none; the names of all go to `names`.
std::string find_wrong_numbers(const formats::TensorFile& file, std::vector<std::string>& names) {
  const auto& tensors = file.tensors();
  std::vector<std::optional<model::WrongNumber>> found(tensors.size());
  std::atomic<std::size_t> next{0};
  {
    std::vector<std::jthread> pool;
    for (unsigned k = 0; k < std::clamp(std::thread::hardware_concurrency(), 1U, 8U); ++k) {
      pool.emplace_back([&] {
        for (std::size_t i = next++; i < tensors.size(); i = next++) {
          found[i] = model::find_wrong_number(tensors[i].name, tensors[i].view);
          file.release(tensors[i].view);
        }
      });
    }
  }
  std::string first;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!found[i]) continue;
    names.push_back(tensors[i].name);
    if (first.empty()) first = model::describe(tensors[i].name, *found[i]);
  }
  return first;
}

void tell_gates(const model::StoredGates& stored, WeightsInfo& info) {
  info.measured_problem = stored.problem;
  if (!stored.gates) return;
  const auto& g = *stored.gates;
  info.measured_pictures = g.pictures;
  info.kept_in_bf16 = g.kept;
  if (g.bf16) info.measured.push_back({"bf16", g.bf16->change, model::kMaxChangeBf16});
  if (g.int8) info.measured.push_back({"int8", g.int8->change, model::kMaxChangeInt8});
}

}  // namespace

WeightsInfo inspect_weights(const std::filesystem::path& named) {
  const std::filesystem::path path = find_weights(named);
  auto file = formats::TensorFile::open(path);
  const auto r = model::recognise(file);
  WeightsInfo info;
  info.format = formats::name_of(file.format());
  info.contents = r.contents == model::Contents::trunk ? trunk_of(file, r) : model::name_of(r.contents);
  info.usable_for = use_of(file, r, find_wrong_numbers(file, info.not_finite));
  info.left_out = r.left_out;
  info.passed_over = file.passed_over();
  info.wrapper = file.wrapper();
  info.file_size = std::filesystem::file_size(path);
  info.metadata = file.metadata();
  info.missing = r.missing;
  info.misshapen = r.misshapen;
  tell_gates(model::stored_gates(file, r), info);
  info.unexpected = r.unexpected;
  std::unordered_map<std::string, model::TensorSpec> specs;
  if (r.config) {
    info.variant = model::variant_name(*r.config);
    info.config = r.config->to_json();
    if (r.contents != model::Contents::trunk) {
      info.out_channels = r.config->out_channels;
      info.differences = model::differences_from_original(*r.config);
    }
    for (auto& s : model::tensor_table(*r.config)) specs.emplace(model::stored_name(s.name, r), s);
  }
  for (const auto& t : file.tensors()) {
    ++info.dtypes[std::string(name_of(t.view.dtype))];
    info.tensors.push_back(
        {t.name, std::string(name_of(t.view.dtype)), {t.view.shape.begin(), t.view.shape.end()}});
    const bool is_number =
        t.view.dtype != DType::i64 && t.view.dtype != DType::i32 && t.view.dtype != DType::boolean;
    const auto it = specs.find(t.name);
    if (it == specs.end()) {
      if (!is_number || t.name.ends_with(model::kScaleSuffix)) continue;
      info.parameters += t.view.numel();
      info.parts["other"] += t.view.numel();
      continue;
    }
    const auto& spec = it->second;
    if (spec.is_buffer()) continue;
    info.parameters += t.view.numel();
    if (spec.trainable()) info.trainable += t.view.numel();
    info.parts[std::string(model::name_of(spec.part))] += t.view.numel();
  }
  return info;
}

std::string to_json(const WeightsInfo& i) {
  nlohmann::json tensors = nlohmann::json::array();
  for (const auto& t : i.tensors)
    tensors.push_back({{"name", t.name}, {"dtype", t.dtype}, {"shape", t.shape}});
  nlohmann::json measured = nlohmann::json::array();
  for (const auto& m : i.measured) {
    measured.push_back(
        {{"precision", m.precision}, {"change", m.change}, {"limit", m.limit}, {"passed", m.passed()}});
  }
  nlohmann::json j{{"format", i.format},
                   {"contents", i.contents},
                   {"variant", i.variant},
                   {"usable_for", i.usable_for},
                   {"file_size", i.file_size},
                   {"parameters", i.parameters},
                   {"trainable", i.trainable},
                   {"dtypes", i.dtypes},
                   {"parts", i.parts},
                   {"out_channels", i.out_channels},
                   {"differences", i.differences},
                   {"metadata", i.metadata},
                   {"wrapper", i.wrapper},
                   {"missing", i.missing},
                   {"misshapen", i.misshapen},
                   {"unexpected", i.unexpected},
                   {"left_out", i.left_out},
                   {"passed_over", i.passed_over},
                   {"not_finite", i.not_finite},
                   {"measured", std::move(measured)},
                   {"measured_pictures", i.measured_pictures},
                   {"kept_in_bf16", i.kept_in_bf16},
                   {"measured_problem", i.measured_problem},
                   {"tensors", std::move(tensors)}};
  j["config"] = i.config.empty() ? nlohmann::json() : nlohmann::json::parse(i.config);
  // Names come from the file.
  return j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sam2unet
