// The models on this machine: looked for in folders, known by what they are, checked by SHA-256.
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
  try {
    auto path = find_default_model(own_folder());
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

// All weight files in the folders, and the model that comes with the program.
std::vector<fs::path> weight_files() {
  std::vector<fs::path> all;
  std::error_code ignored;
  for (const auto& folder : model_folders()) {
    std::vector<fs::path> here;
    for (const auto& entry : fs::directory_iterator(folder, ignored)) {
      const bool is_hidden = entry.path().filename().string().starts_with(".");
      if (is_weight_file(entry.path()) && !is_hidden && entry.is_regular_file(ignored))
        here.push_back(entry.path());
    }
    std::sort(here.begin(), here.end());
    all.insert(all.end(), here.begin(), here.end());
  }
  const fs::path own = default_model();
  const auto is_own = [&](const fs::path& path) { return fs::equivalent(path, own, ignored); };
  if (!own.empty() && std::none_of(all.begin(), all.end(), is_own)) all.push_back(own);
  return all;
}

// Hashed only where it may be a model whose hash is known.
bool is_called(const fs::path& path, const std::string& name) {
  if (path.filename() == name || path.stem() == name) return true;
  const KnownModel* known = find_known_model(name);
  if (known == nullptr) return false;
  if (known->sha256.empty()) return path.filename() == known->file;
  std::error_code ignored;
  return fs::file_size(path, ignored) == known->bytes && sha256_of_file(path) == known->sha256;
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
  for (const auto& path : weight_files()) out.push_back(models::describe(path));
  return out;
}

fs::path model_path(const std::string& name) {
  for (const auto& path : weight_files())
    if (is_called(path, name)) return path;
  std::string looked, names;
  for (const auto& f : model_folders()) looked += (looked.empty() ? "" : ", ") + f.string();
  const KnownModel* known = find_known_model(name);
  if (known == nullptr) {
    for (const KnownModel& m : known_models()) names += (names.empty() ? "" : ", ") + m.name;
    throw FileError(
        fmt::format("no model {} in {}, and none of that name is known ({}); `sam2unet models add FILE` puts "
                    "a file there",
                    name, looked, names));
  }
  const std::string sum = known->sha256.empty() ? "" : fmt::format(" (SHA-256 {})", known->sha256);
  throw FileError(
      fmt::format("model {} is not on this machine: {}{} is to lie in {}; {}", name, known->file, sum, looked,
                  known->url.empty()
                      ? fmt::format("get it from {}, then `sam2unet models add {}`", known->page, known->file)
                      : fmt::format("`sam2unet models fetch {}` gets it from {}", name, known->url)));
}

fs::path find_weights(const fs::path& named) {
  std::error_code ignored;
  if (named.empty() || named.has_parent_path() || fs::exists(named, ignored)) return named;
  try {
    return model_path(named.string());
  } catch (const FileError& e) {
    throw FileError(fmt::format("{}: no such file, and {}", named.string(), e.what()));
  }
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
  fs::path folder = model_folders().front();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError(fmt::format("{}: {}", folder.string(), error.message()));
  return folder;
}

void note_hash(const fs::path& path, const std::string& hash) {
  write_file(sum_file(path), fmt::format("{}  {}\n", hash, path.filename().string()));
}

InstalledModel describe(const fs::path& path) {
  std::error_code gone;
  const std::uint64_t size = fs::file_size(path, gone);
  const std::uint64_t bytes = gone ? 0 : size;
  return {name_for(path, bytes), path, bytes};
}

}  // namespace models
}  // namespace sam2unet
