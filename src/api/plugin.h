// Opens the library's plug-ins: shared libraries that lie beside it and are loaded when they are first
// needed.
#pragma once

#include <filesystem>
#include <string>

namespace sam2unet::api {

/// A plug-in's one symbol is an entry that begins with the version it was built for. Both sides are C++ and
/// must be of one version.
struct PluginFile {
  const char* file;           ///< its name
  const char* entry;          ///< its symbol
  const char* component;      ///< what users call it
  const char* how_to_build;   ///< "... ; build it with ..."
  const char* if_unloadable;  ///< what may be wrong then, as a question
  bool binds_deep;            ///< it brings libraries whose functions other ones of the program have too
};

/// Where it lies if it is installed: beside this library.
std::filesystem::path path_of(const PluginFile& plugin);
bool is_installed(const PluginFile& plugin);
/// Why it cannot be used and what to do, told without loading it; empty where it is installed.
std::string missing(const PluginFile& plugin);
/// Its entry; it stays loaded. UnavailableError that begins with `purpose` if it is not installed, not
/// loadable or of another version; `otherwise` is then added where it is not installed.
const void* load_plugin(const PluginFile& plugin, const std::string& purpose,
                        const std::string& otherwise = {});

}  // namespace sam2unet::api
