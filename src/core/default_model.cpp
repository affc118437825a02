#include "core/default_model.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "sam2unet/errors.h"

namespace sam2unet {

std::filesystem::path find_default_model(const std::filesystem::path& folder) {
  constexpr const char* kName = "sam2unet_t_duts_int8.safetensors";
  if (const char* set = std::getenv("SAM2UNET_MODEL"); set != nullptr && *set != '\0') return set;
  std::string looked;
  // Where /lib is a link to /usr/lib, a library of /usr is loaded as one of /lib.
  std::error_code unresolved;
  std::vector<std::filesystem::path> places;
  if (!folder.empty()) places.push_back(std::filesystem::absolute(folder));
  if (const auto real = std::filesystem::canonical(folder, unresolved); !unresolved && real != places.front())
    places.push_back(real);
  for (const auto& place : places) {
    for (const char* up : {"../share/sam2unet/models", "../../share/sam2unet/models", "../../../models"}) {
      auto candidate = (place / up / kName).lexically_normal();
      std::error_code ignored;
      if (std::filesystem::exists(candidate, ignored)) return candidate;
      looked += (looked.empty() ? "" : ", ") + candidate.string();
    }
  }
  throw FileError(
      fmt::format("the default model is not installed (looked for {}); name a file of weights, or set "
                  "SAM2UNET_MODEL to one",
                  looked));
}

std::filesystem::path own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr)
    return {};
  std::filesystem::path file = info.dli_fname;
  std::error_code unknown;
  // A program is told as it was called, and one that PATH was searched for without a folder.
  if (!file.has_parent_path()) file = std::filesystem::read_symlink("/proc/self/exe", unknown);
  return file.empty() ? file : std::filesystem::absolute(file).parent_path();
}

}  // namespace sam2unet
