#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "core/sha256.h"
#include "formats/tensor_file.h"
#include "models/curl.h"
#include "models/place.h"
#include "sam2unet/errors.h"
#include "sam2unet/models.h"

namespace sam2unet {
namespace {

namespace fs = std::filesystem;

struct Source {
  std::string address, file, sha256;
};

bool is_address(std::string_view text) {
  return text.starts_with("https://") || text.starts_with("http://") || text.starts_with("file://");
}

Source source_of(const std::string& name, const FetchOptions& options) {
  if (is_address(name)) {
    const std::string path = name.substr(0, name.find_first_of("?#"));
    const std::string file = path.substr(path.rfind('/') + 1);
    if (file.empty() || file.front() == '.')
      throw UsageError(fmt::format("{}: the address does not end with the name of a file", name));
    if (!options.sha256.empty() && !models::is_sha256(options.sha256))
      throw UsageError(fmt::format("'{}' is no SHA-256: 64 digits of 0-9 and a-f", options.sha256));
    return {name, file, options.sha256};
  }
  const KnownModel* known = find_known_model(name);
  if (known == nullptr)
    throw UsageError(fmt::format("{}: no known model, and no http, https or file address", name));
  if (known->url.empty()) {
    throw UnavailableError(fmt::format("model {} can only be got by hand: {} from {}, into {}", name,
                                       known->file, known->page, model_folders().front().string()));
  }
  return {known->url, known->file, known->sha256};
}

void check_online(const Source& s) {
  const char* offline = std::getenv("SAM2UNET_OFFLINE");
  if (offline == nullptr || *offline == '\0' || std::string_view(offline) == "0") return;
  throw UnavailableError(
      fmt::format("SAM2UNET_OFFLINE is set, so nothing is fetched; get {} by hand and put it into {}",
                  s.address, model_folders().front().string()));
}

}  // namespace

InstalledModel fetch_model(const std::string& name, const FetchOptions& options) {
  const Source s = source_of(name, options);
  const fs::path folder = model_folders().front(), to = folder / s.file;
  fs::path part = to;
  part += ".part";
  std::error_code ignored;
  const auto is_right = [&](const std::string& hash) { return s.sha256.empty() || hash == s.sha256; };
  if (fs::exists(to, ignored) && is_right(s.sha256.empty() ? "" : sha256_of_file(to)))
    return models::describe(to);
  check_online(s);
  models::folder_for_new();
  models::download(s.address, part, options.progress);

  const std::string hash = sha256_of_file(part);
  const auto refuse = [&](const std::string& why) {
    fs::remove(part, ignored);
    throw FormatError(fmt::format("{}: {}; it was removed", s.address, why));
  };
  if (!is_right(hash)) refuse(fmt::format("what came has the SHA-256 {} instead of {}", hash, s.sha256));
  try {
    formats::TensorFile::open(part);
  } catch (const FormatError& e) {
    refuse(fmt::format("what came is no weight file ({})", e.what()));
  }
  std::error_code error;
  fs::rename(part, to, error);
  if (error) throw FileError(fmt::format("{}: {}", to.string(), error.message()));
  models::note_hash(to, hash);
  return models::describe(to);
}

}  // namespace sam2unet
