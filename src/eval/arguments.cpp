#include "eval/arguments.h"

#include <algorithm>

#include "data/pairing.h"
#include "sam2unet/cores.h"
#include "sam2unet/errors.h"

namespace sam2unet::eval {

namespace fs = std::filesystem;

void check(const EvaluateOptions& o) {
  if (o.resamples < 0 || o.resamples > 1000000) throw UsageError("resamples must lie between 0 and 1000000");
  if (o.threads < 0 || o.threads > 1024) throw UsageError("threads must lie between 0 and 1024");
  if (o.predicting < 0 || o.predicting > 4096) throw UsageError("predicting must lie between 0 and 4096");
}

int threads_of(const EvaluateOptions& o) {
  return o.threads > 0 ? o.threads : available_cores();
}

std::string folder_name(const fs::path& folder) {
  const fs::path whole = fs::absolute(folder).lexically_normal();
  return (whole.has_filename() ? whole.filename() : whole.parent_path().filename()).string();
}

std::string shown_name(const std::string& pair_name, const fs::path& truth) {
  const std::size_t slash = pair_name.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : pair_name.substr(0, slash + 1);
  return folder + truth.filename().string();
}

void note_unpaired(const std::vector<fs::path>& alone, const fs::path& partner, bool strict,
                   std::vector<std::string>& warnings, std::vector<fs::path>& unpaired) {
  if (alone.empty()) return;
  const std::string message = data::describe_unpaired(alone, partner);
  if (strict) throw UsageError(message);
  warnings.push_back(message);
  unpaired.insert(unpaired.end(), alone.begin(), alone.end());
}

}  // namespace sam2unet::eval
