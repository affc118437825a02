#include "api/plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string_view>
#include <system_error>

#include "sam2unet/errors.h"
#include "sam2unet/version.h"

namespace sam2unet::api {
namespace {

int flags_for(const PluginFile& plugin) {
  constexpr int kUsual = RTLD_NOW | RTLD_LOCAL;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)  // they refuse the other flag
  static_cast<void>(plugin);
  return kUsual;
#else
  return plugin.binds_deep ? kUsual | RTLD_DEEPBIND : kUsual;
#endif
}

}  // namespace

std::filesystem::path path_of(const PluginFile& plugin) {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&path_of), &info) == 0 || info.dli_fname == nullptr)
    return plugin.file;
  return std::filesystem::absolute(info.dli_fname).parent_path() / plugin.file;
}

bool is_installed(const PluginFile& plugin) {
  std::error_code ignored;
  return std::filesystem::exists(path_of(plugin), ignored);
}

std::string missing(const PluginFile& plugin) {
  if (is_installed(plugin)) return {};
  return fmt::format("needs {}, which is not installed ({} is missing); {}", plugin.component,
                     path_of(plugin).string(), plugin.how_to_build);
}

const void* load_plugin(const PluginFile& plugin, const std::string& purpose, const std::string& otherwise) {
  const auto file = path_of(plugin);
  if (const std::string problem = missing(plugin); !problem.empty())
    throw UnavailableError(fmt::format("{} {}{}", purpose, problem, otherwise));
  void* library = ::dlopen(file.c_str(), flags_for(plugin));
  if (library == nullptr) {
    throw UnavailableError(fmt::format("{} needs {}, which cannot be loaded: {}; {}", purpose,
                                       plugin.component, ::dlerror(), plugin.if_unloadable));
  }
  const void* entry = ::dlsym(library, plugin.entry);
  const char* built_for = entry == nullptr ? "unknown" : *static_cast<const char* const*>(entry);
  if (std::string_view(built_for) != version()) {
    throw UnavailableError(
        fmt::format("{}: {} is of version {}, the library of {}; install both from one build", purpose,
                    file.string(), built_for, version()));
  }
  return entry;
}

}  // namespace sam2unet::api
