// The models on this machine: looked for in folders, known by what they are, checked by SHA-256.
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <system_error>

#include "core/default_model.h"
#include "core/file.h"
#include "core/sha256.h"
#include "formats/tensor_file.h"
#include "models/place.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

bool is_weight_file(const fs::path& path) {
  const auto e = path.extension();
  return e == ".safetensors" || e == ".pth" || e == ".pt";
}

fs::path sum_file(const fs::path& path) {
  fs::path beside = path;
  return beside += ".sha256";
}

// The model that comes with the program, wherever it is installed.
fs::path default_model() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<const void*>(&default_model), &info) == 0 || info.dli_fname == nullptr)
    return {};
  try {
    auto path = find_default_model(fs::absolute(info.dli_fname).parent_path());
    return fs::exists(path) ? path : fs::path();
  } catch (const FileError&) {
    return {};
  }
}

// Which model a file is. Hashed only where its size is one's whose hash is known.
std::string name_for(const fs::path& path, std::uint64_t bytes) {
  std::string hash;
  for (const KnownModel& m : known_models()) {
    if (m.sha256.empty()) {
      if (path.filename() == m.file) return m.name;
    } else if (m.bytes == bytes) {
      if (hash.empty()) hash = sha256_of_file(path);
      if (hash == m.sha256) return m.name;
    }
  }
  return path.stem().string();
}

std::vector<InstalledModel> models_in(const fs::path& folder) {
  std::vector<InstalledModel> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const fs::path& path = entry.path();
    if (!is_weight_file(path) || path.filename().string().starts_with(".") || !entry.is_regular_file(ignored))
      continue;
    const std::uint64_t bytes = entry.file_size(ignored);
    out.push_back({name_for(path, bytes), path, bytes});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

// The hash that `add_model` or a user put beside the file, if any.
std::string noted_hash(const fs::path& path) {
  std::error_code ignored;
  if (!fs::exists(sum_file(path), ignored)) return {};
  const auto bytes = read_file(sum_file(path));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto hash = text.substr(0, text.find_first_of(" \t\r\n"));
  return models::is_sha256(hash) ? std::string(hash) : std::string();
}

}  // namespace

std::vector<fs::path> model_folders() {
  std::vector<fs::path> out;
  if (const std::string set = environment("SAM2UNET_MODELS"); !set.empty()) {
    for (std::size_t at = 0; at <= set.size();) {
      const std::size_t end = std::min(set.find(':', at), set.size());
      if (end > at) out.emplace_back(set.substr(at, end - at));
      at = end + 1;
    }
    if (!out.empty()) return out;
  }
  const std::string data = environment("XDG_DATA_HOME"), home = environment("HOME");
  if (!data.empty() && fs::path(data).is_absolute()) return {fs::path(data) / "sam2unet" / "models"};
  if (home.empty())
    throw FileError("no folder for models: none of SAM2UNET_MODELS, XDG_DATA_HOME and HOME is set");
  return {fs::path(home) / ".local" / "share" / "sam2unet" / "models"};
}

std::vector<InstalledModel> installed_models() {
  std::vector<InstalledModel> out;
  for (const auto& folder : model_folders())
    for (auto& m : models_in(folder)) out.push_back(std::move(m));
  const fs::path own = default_model();
  const auto is_own = [&](const InstalledModel& m) {
    std::error_code ignored;
    return fs::equivalent(m.path, own, ignored);
  };
  if (!own.empty() && std::none_of(out.begin(), out.end(), is_own)) {
    out.push_back(models::describe(own));
  }
  return out;
}

fs::path model_path(const std::string& name) {
  for (const InstalledModel& m : installed_models())
    if (m.name == name || m.path.filename() == name) return m.path;
  std::string looked;
  for (const auto& f : model_folders()) looked += (looked.empty() ? "" : ", ") + f.string();
  const KnownModel* known = find_known_model(name);
  if (known == nullptr)
    throw FileError(fmt::format("no model {} in {}, and none of that name is known", name, looked));
  throw FileError(
      fmt::format("model {} is not on this machine: {}{} is to lie in {}; it is at {}", name, known->file,
                  known->sha256.empty() ? std::string() : fmt::format(" (SHA-256 {})", known->sha256), looked,
                  known->url.empty() ? known->page : known->url));
}

ModelCheck check_model(const InstalledModel& model) {
  ModelCheck c;
  c.sha256 = sha256_of_file(model.path);
  const auto damaged = [&](std::string why) {
    c.state = ModelState::damaged;
    c.why = std::move(why);
    return c;
  };
  const KnownModel* known = find_known_model(model.name);
  const std::string wanted =
      known != nullptr && !known->sha256.empty() ? known->sha256 : noted_hash(model.path);
  if (!wanted.empty() && wanted != c.sha256) return damaged(fmt::format("its SHA-256 should be {}", wanted));
  try {
    formats::TensorFile::open(model.path);
  } catch (const Error& e) {
    return damaged(e.what());
  }
  c.state = wanted.empty() ? ModelState::unknown : ModelState::sound;
  return c;
}

InstalledModel add_model(const fs::path& file) {
  if (!is_weight_file(file))
    throw UsageError(
        fmt::format("{}: no weight file by its name; use .safetensors, .pth or .pt", file.string()));
  formats::TensorFile::open(file);  // throws where it is none
  const std::string hash = sha256_of_file(file);
  const fs::path to = models::folder_for_new() / file.filename();
  std::error_code ignored;
  if (fs::exists(to, ignored)) {
    if (sha256_of_file(to) != hash)
      throw UsageError(fmt::format("{} is there already, and another file; rename one of them", to.string()));
  } else {
    constexpr std::size_t kPart = std::size_t{1} << 22;
    const MappedFile from(file);
    AtomicFile out(to);
    for (std::size_t at = 0; at < from.bytes().size(); at += kPart) {
      const auto part = from.bytes().subspan(at, std::min(kPart, from.bytes().size() - at));
      out.write(part);
      from.release(part);
    }
    out.commit();
  }
  models::note_hash(to, hash);
  return models::describe(to);
}

namespace models {

bool is_sha256(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

fs::path folder_for_new() {
  const fs::path folder = model_folders().front();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError(fmt::format("{}: {}", folder.string(), error.message()));
  return folder;
}

void note_hash(const fs::path& path, const std::string& hash) {
  write_file(sum_file(path), fmt::format("{}  {}\n", hash, path.filename().string()));
}

InstalledModel describe(const fs::path& path) {
  const std::uint64_t bytes = fs::file_size(path);
  return {name_for(path, bytes), path, bytes};
}

}  // namespace models
}  // namespace sam2unet
