// The models that are known by name. Checksums stand here only where the file itself was hashed: Meta and the
// authors of SAM2-UNet publish none.
#include <fmt/format.h>

#include <algorithm>

#include "sam2unet/models.h"

namespace sam2unet {
namespace {

constexpr std::uint64_t kMegabyte = 1'000'000;

struct Trunk {
  const char *variant, *file;
  std::uint64_t megabytes;
};

KnownModel trunk(const Trunk& t, const char* generation, const char* folder) {
  KnownModel m;
  const std::string prefix = generation == std::string("2.1") ? "sam2.1_hiera_" : "sam2_hiera_";
  m.name = fmt::format("sam{}-{}", generation, t.variant);
  m.what = fmt::format("SAM{} trunk, to train from", generation);
  m.file = fmt::format("{}{}.pt", prefix, t.file);
  m.url = fmt::format("https://dl.fbaipublicfiles.com/segment_anything_2/{}/{}", folder, m.file);
  m.page = "https://github.com/facebookresearch/sam2";
  m.code_licence = m.weights_licence = "Apache-2.0";
  m.data_licence = "SA-1B and SA-V: see Meta's terms";
  m.bytes = t.megabytes * kMegabyte;
  return m;
}

KnownModel official(const char* task, const char* what, const char* data) {
  KnownModel m;
  m.name = fmt::format("sam2unet-{}", task);
  m.what = fmt::format("SAM2-UNet-L of the paper, {}", what);
  std::string upper = task;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  m.file = fmt::format("SAM2-UNet-{}.pth", task == std::string("polyp") ? "Polyp" : upper);
  m.page = "https://github.com/WZH0120/SAM2-UNet#testing";
  m.code_licence = "Apache-2.0";
  m.weights_licence = "not stated";
  m.data_licence = data;
  m.bytes = 866 * kMegabyte;
  return m;
}

std::vector<KnownModel> make_registry() {
  std::vector<KnownModel> all;
  KnownModel own;
  own.name = "sam2unet-t-duts";
  own.what = "SAM2-UNet-T, salient objects; comes with the program";
  own.file = "sam2unet_t_duts_int8.safetensors";
  own.page = "the models/ folder of this project";
  own.code_licence = "Apache-2.0";
  own.weights_licence = "research use";
  own.data_licence = "DUTS-TR: research use";
  own.sha256 = "e18e73b72047455c72929bde4829565dc695bc94a745ded705c5fb4d247267de";
  own.bytes = 30'122'808;
  all.push_back(own);
  for (const Trunk& t : {Trunk{"t", "tiny", 156}, Trunk{"s", "small", 184}, Trunk{"b+", "base_plus", 323},
                         Trunk{"l", "large", 898}})
    all.push_back(trunk(t, "2", "072824"));
  for (const Trunk& t : {Trunk{"t", "tiny", 156}, Trunk{"s", "small", 184}, Trunk{"b+", "base_plus", 323},
                         Trunk{"l", "large", 898}})
    all.push_back(trunk(t, "2.1", "092824"));
  all.push_back(official("cod", "camouflaged objects", "COD10K, CAMO: research use"));
  all.push_back(official("sod", "salient objects", "DUTS-TR: research use"));
  all.push_back(official("mas3k", "marine animals", "MAS3K: research use"));
  all.push_back(official("rmas", "marine animals", "RMAS: research use"));
  all.push_back(official("msd", "mirrors", "MSD: research use"));
  all.push_back(official("pmd", "mirrors", "PMD: research use"));
  all.push_back(official("polyp", "polyps", "Kvasir-SEG, CVC-ClinicDB: research use"));
  return all;
}

}  // namespace

const std::vector<KnownModel>& known_models() {
  static const std::vector<KnownModel> all = make_registry();
  return all;
}

const KnownModel* find_known_model(const std::string& name) {
  const auto& all = known_models();
  const auto it = std::find_if(all.begin(), all.end(), [&](const KnownModel& m) { return m.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace sam2unet
