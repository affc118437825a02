#include "serve/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "sam2unet/errors.h"

namespace sam2unet::serve {
namespace {

constexpr std::size_t kLongestName = 64;

class SegmenterNetwork final : public Network {
 public:
  SegmenterNetwork(const std::filesystem::path& file, const SegmenterOptions& options)
      : segmenter_(file, options) {}
  const SegmenterInfo& info() const override { return segmenter_.info(); }
  std::shared_ptr<const ClassTable> classes() const override { return segmenter_.classes(); }
  std::vector<Segmentation> segment(std::span<const ImageView> pictures,
                                    const SegmentOptions& options) const override {
    return segmenter_.segment(pictures, options);
  }
  std::vector<float> forward(std::span<const float> values, int count, const InputSize& size) const override {
    return segmenter_.forward(values, count, size);
  }

 private:
  Segmenter segmenter_;
};

bool is_name(std::string_view text) {
  constexpr std::string_view kAllowed = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-";
  return !text.empty() && text.size() <= kLongestName && text != "." && text != ".." &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace

OpenNetwork open_segmenters(const SegmenterOptions& options) {
  return [options](const ModelFile& m) { return std::make_unique<SegmenterNetwork>(m.file, options); };
}

Models::Models(std::vector<ModelFile> files, OpenNetwork open)
    : files_(std::move(files)), open_(std::move(open)) {
  if (files_.empty()) throw UsageError("a service needs at least one model");
  std::set<std::string> names;
  for (const ModelFile& m : files_) {
    if (!is_name(m.name)) {
      throw UsageError(fmt::format("'{}' is no name of a model: 1 to {} letters, digits, '.', '_' and '-'",
                                   m.name, kLongestName));
    }
    // The Open Inference Protocol knows each model by two names.
    if (!names.insert(m.name).second || !names.insert(m.name + "-picture").second)
      throw UsageError(fmt::format("two models would be called '{}'", m.name));
  }
}

void Models::load() {
  std::vector<SharedModel> fresh;
  const int version = version_ + 1;
  for (const ModelFile& m : files_) {
    auto model = std::make_shared<Model>();
    model->name = m.name;
    model->network = open_(m);
    model->version = version;
    fresh.push_back(std::move(model));
  }
  const std::lock_guard lock(mutex_);
  models_ = std::move(fresh);
  version_ = version;
}

bool Models::loaded() const {
  const std::lock_guard lock(mutex_);
  return !models_.empty();
}

SharedModel Models::find(std::string_view name) const {
  const std::lock_guard lock(mutex_);
  if (models_.empty()) return nullptr;
  if (name.empty()) return models_.front();
  const auto it =
      std::find_if(models_.begin(), models_.end(), [&](const auto& m) { return m->name == name; });
  return it == models_.end() ? nullptr : *it;
}

std::vector<SharedModel> Models::all() const {
  const std::lock_guard lock(mutex_);
  return models_;
}

}  // namespace sam2unet::serve
