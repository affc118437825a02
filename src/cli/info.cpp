#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "commands.h"
#include "measured.h"
#include "sam2unet/classes.h"
#include "sam2unet/devices.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"
#include "sam2unet/version.h"
#include "sam2unet/weights.h"

namespace sam2unet::cli {
namespace {

struct Arguments {
  std::string file;
  bool json = false, tensors = false, tries = false;
};

// Without a file: what this installation is.

std::string precisions_of(const DeviceInfo& device) {
  std::string out;
  for (const Precision p : device.precisions) out += (out.empty() ? "" : ", ") + std::string(name_of(p));
  return out;
}

void print_installation(const std::vector<DeviceInfo>& all, bool tried) {
  std::printf("version     %s\n", version());
  for (const DeviceInfo& d : all) {
    std::printf("%-11s %s: %s\n", d.name.c_str(), d.description.c_str(), precisions_of(d).c_str());
    if (!d.usable())
      std::printf("            not usable: %s\n", d.problem.c_str());
    else if (tried)
      std::printf("            works: %s\n", d.arithmetic.c_str());
  }
  if (!tried)
    std::printf(
        "Nothing was loaded to tell this; --try makes each device ready, and tells whether it works.\n");
}

nlohmann::json to_json(const std::vector<DeviceInfo>& all, bool tried) {
  nlohmann::json out = nlohmann::json::array();
  for (const DeviceInfo& d : all) {
    nlohmann::json precisions = nlohmann::json::array();
    for (const Precision p : d.precisions) precisions.push_back(name_of(p));
    out.push_back({{"name", d.name},
                   {"description", d.description},
                   {"precisions", std::move(precisions)},
                   {"usable", d.usable()},
                   {"problem", d.problem},
                   {"arithmetic", d.arithmetic}});
  }
  return {{"version", version()}, {"tried", tried}, {"devices", std::move(out)}};
}

void tell_installation(const Arguments& a) {
  if (a.tensors) throw UsageError("--tensors: of which FILE?");
  const auto all = devices(a.tries ? DeviceSearch::tried : DeviceSearch::installed);
  if (a.json)
    std::printf("%s\n", to_json(all, a.tries).dump(2).c_str());
  else
    print_installation(all, a.tries);
}

void print_some(const char* what, const std::vector<std::string>& names) {
  constexpr std::size_t kMax = 10;
  if (names.empty()) return;
  std::printf("%s (%zu):\n", what, names.size());
  for (std::size_t i = 0; i < names.size() && i < kMax; ++i) std::printf("  %s\n", names[i].c_str());
  if (names.size() > kMax) std::printf("  ... and %zu more\n", names.size() - kMax);
}

// "4: background, cat, dog, bird", or the number alone where the file brings no names.
std::string classes_of(const WeightsInfo& i) {
  std::string out = std::to_string(i.out_channels);
  const auto it = i.metadata.find("classes");
  if (it == i.metadata.end()) return out + ", background included";
  try {
    const ClassTable table = class_table_from_json(it->second);
    for (const ClassInfo& c : table.classes) out += (&c == &table.classes.front() ? ": " : ", ") + c.name;
  } catch (const FormatError& e) {
    out += std::string(" (") + e.what() + ")";
  }
  return out;
}

void run(const Arguments& a) {
  if (a.file.empty()) {
    tell_installation(a);
    return;
  }
  if (a.tries) throw UsageError("--try is of the devices, and goes without a FILE");
  const std::filesystem::path file = find_weights(a.file);
  const WeightsInfo i = inspect_weights(file);
  if (a.json) {
    std::printf("%s\n", to_json(i).c_str());
    return;
  }
  std::printf("file        %s\n", file.c_str());
  std::printf("format      %s%s\n", i.format.c_str(),
              i.wrapper.empty() ? "" : (", tensors under \"" + i.wrapper + "\"").c_str());
  std::printf("contents    %s%s\n", i.contents.c_str(),
              i.variant.empty() ? "" : (", variant " + i.variant).c_str());
  if (i.out_channels > 1) std::printf("classes     %s\n", classes_of(i).c_str());
  for (const auto& d : i.differences) std::printf("differs     %s\n", d.c_str());
  std::printf("size        %.1f MB\n", static_cast<double>(i.file_size) * 1e-6);
  std::printf("tensors     %zu\n", i.tensors.size());
  std::printf("parameters  %lld", static_cast<long long>(i.parameters));
  if (i.trainable > 0)
    std::printf(" (%lld trained by the official recipe)", static_cast<long long>(i.trainable));
  std::printf("\n");
  for (const auto& [part, n] : i.parts)
    std::printf("  %-12s %lld\n", part.c_str(), static_cast<long long>(n));
  std::printf("dtypes      ");
  for (const auto& [dtype, n] : i.dtypes)
    std::printf("%s x %lld  ", dtype.c_str(), static_cast<long long>(n));
  if (const auto it = i.metadata.find("input_size"); it != i.metadata.end())
    std::printf("\ntrained at  %s", it->second.c_str());
  if (const auto it = i.metadata.find("fit"); it != i.metadata.end())
    std::printf("\nfit         %s", it->second.c_str());
  std::printf("\nusable for  %s\n", i.usable_for.c_str());
  for (const std::string& line : measured_lines(i)) std::printf("%s\n", line.c_str());
  print_some("missing", i.missing);
  print_some("misshapen", i.misshapen);
  print_some("not of this network", i.unexpected);
  print_some("left out, of a training tool or a loss", i.left_out);
  print_some("passed over, objects beside the tensors", i.passed_over);
  print_some("with NaN, infinity or a negative variance", i.not_finite);
  if (!a.tensors) return;
  for (const auto& t : i.tensors) {
    std::string shape;
    for (const auto d : t.shape) shape += (shape.empty() ? "" : ", ") + std::to_string(d);
    std::printf("%-5s [%s]  %s\n", t.dtype.c_str(), shape.c_str(), t.name.c_str());
  }
}

}  // namespace

void add_info(CLI::App& app) {
  auto* c = app.add_subcommand(
      "info",
      "Say what a weight file holds and what it can be used for, or what this installation computes on");
  auto a = std::make_shared<Arguments>();
  c->add_option(
      "FILE", a->file,
      "safetensors, .pth or .pt, or the name of a model; without it, the devices that are installed");
  c->add_flag("--json", a->json, "everything, as JSON");
  c->add_flag("--tensors", a->tensors, "list every tensor");
  c->add_flag("--try", a->tries,
              "without FILE: make each device ready too, which loads its libraries and the GPU's driver");
  c->footer(
      "Examples:\n"
      "  sam2unet info SAM2-UNet-COD.pth\n"
      "  sam2unet info --try                                     which devices work here, and why not");
  c->callback([a] { run(*a); });
}

}  // namespace sam2unet::cli
