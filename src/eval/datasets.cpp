// Finds the papers' test sets on a disk by the names that their downloads have.
#include "eval/datasets.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "sam2unet/errors.h"
#include "sam2unet/reproduce.h"

namespace sam2unet {

namespace {

namespace fs = std::filesystem;
using eval::folded;
using eval::KnownDataset;
using Names = std::span<const std::string_view>;

template <std::size_t N>
using List = std::array<std::string_view, N>;

// Folders, folded. A whole data set's name stands for its test set, unless a folder of training data is all
// it has.
constexpr List<5> kChameleon = {"chameleon", "chameleontest", "chameleontestingdataset", "chameleonte",
                                "chamelon"};
constexpr List<5> kCamo = {"camo", "camotest", "camote", "camov10cviu2019", "camotestingdataset"};
constexpr List<4> kCod10k = {"cod10k", "cod10ktest", "cod10kte", "cod10kv3"};
constexpr List<2> kNc4k = {"nc4k", "nc4ktest"};
constexpr List<3> kDuts = {"dutste", "dutstest", "duts"};
constexpr List<5> kOmron = {"dutomron", "dutsomron", "duto", "omron", "dutomrontest"};
constexpr List<2> kHku = {"hkuis", "hku"};
constexpr List<3> kPascal = {"pascals", "pascal", "pascalstest"};
constexpr List<2> kEcssd = {"ecssd", "ecssdtest"};
constexpr List<2> kMas3k = {"mas3k", "mas3ktest"};
constexpr List<2> kRmas = {"rmas", "rmastest"};
constexpr List<2> kMsd = {"msd", "msdtest"};
constexpr List<2> kPmd = {"pmd", "pmdtest"};
constexpr List<3> kKvasir = {"kvasir", "kvasirseg", "kvasirtest"};
constexpr List<3> kClinic = {"cvcclinicdb", "clinicdb", "cvc612"};
constexpr List<2> kColon = {"cvccolondb", "colondb"};
constexpr List<3> kCvc300 = {"cvc300", "endoscene", "cvcendoscene"};
constexpr List<3> kEtis = {"etislaribpolypdb", "etis", "etislarib"};

constexpr List<6> kCodWeights = {"cod", "camouflage", "camouflaged", "cod10k", "camo", "camoufl"};
constexpr List<5> kSodWeights = {"sod", "salient", "saliency", "duts", "dutstr"};
constexpr List<3> kMas3kWeights = {"mas3k", "marine", "mas"};
constexpr List<3> kRmasWeights = {"rmas", "marine", "mas"};
constexpr List<2> kMsdWeights = {"msd", "mirror"};
constexpr List<2> kPmdWeights = {"pmd", "mirror"};
constexpr List<4> kPolypWeights = {"polyp", "polyps", "kvasir", "medical"};

constexpr std::array<KnownDataset, 18> kDatasets = {{
    {"cod", "CHAMELEON", 76, kChameleon, kCodWeights},
    {"cod", "CAMO", 250, kCamo, kCodWeights},
    {"cod", "COD10K", 2026, kCod10k, kCodWeights},
    {"cod", "NC4K", 4121, kNc4k, kCodWeights},
    {"sod", "DUTS-TE", 5019, kDuts, kSodWeights},
    {"sod", "DUT-OMRON", 5168, kOmron, kSodWeights},
    {"sod", "HKU-IS", 4447, kHku, kSodWeights},
    {"sod", "PASCAL-S", 850, kPascal, kSodWeights},
    {"sod", "ECSSD", 1000, kEcssd, kSodWeights},
    {"marine", "MAS3K", 1141, kMas3k, kMas3kWeights},
    {"marine", "RMAS", 500, kRmas, kRmasWeights},
    {"mirror", "MSD", 955, kMsd, kMsdWeights},
    {"mirror", "PMD", 571, kPmd, kPmdWeights},
    {"polyp", "Kvasir", 100, kKvasir, kPolypWeights},
    {"polyp", "CVC-ClinicDB", 62, kClinic, kPolypWeights},
    {"polyp", "CVC-ColonDB", 380, kColon, kPolypWeights},
    {"polyp", "CVC-300", 60, kCvc300, kPolypWeights},
    {"polyp", "ETIS", 196, kEtis, kPolypWeights},
}};

// Within a data set's folder, the most usual first. What only ends in one of them ("DUTS-TE-Image") comes
// last.
constexpr List<6> kImages = {"imgs", "images", "image", "img", "im", "pictures"};
constexpr List<10> kTruths = {"gt",          "masks",    "mask",
                              "gts",         "gtobject", "groundtruthmask",
                              "groundtruth", "labels",   "pixelwisegtnewpng",
                              "label"};
constexpr List<4> kTestParts = {"test", "te", "testing", "testdataset"};

bool is_training(std::string_view name) {
  return name == "train" || name == "tr" || name == "training" || name.starts_with("train") ||
         name.ends_with("train") || name.ends_with("tr") || name.starts_with("val");
}

using Folders = std::map<std::string, fs::path>;  // by folded name

// The folders in a folder, links to folders among them.
Folders folders_in(const fs::path& folder) {
  Folders out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code none;
    if (!entry.path().filename().string().starts_with('.') && entry.is_directory(none))
      out.emplace(folded(entry.path().filename().string()), entry.path());
  }
  return out;
}

// The folder with the most usual of these names.
std::optional<fs::path> usual(const Folders& folders, Names names) {
  for (const std::string_view name : names) {
    if (const auto found = folders.find(std::string(name)); found != folders.end()) return found->second;
  }
  for (const std::string_view name : names) {
    if (name.size() < 3 && name != "gt") continue;  // "im" ends too many words
    for (const auto& [own, path] : folders) {
      if (own.ends_with(name) && !is_training(own)) return path;
    }
  }
  return std::nullopt;
}

struct ImagesAndTruths {
  fs::path images, truths;
};

// CAMO's own download has Images/Test beside one folder of all ground truths.
fs::path test_part(const fs::path& images) {
  const auto part = usual(folders_in(images), std::span(kTestParts).first(1));
  return part ? *part : images;
}

// In the folder itself, or in its test part, which comes first.
std::optional<ImagesAndTruths> parts_of(const fs::path& folder) {
  const Folders inside = folders_in(folder);
  for (const std::string_view name : kTestParts) {
    const auto test = inside.find(std::string(name));
    if (test == inside.end()) continue;
    const Folders parts = folders_in(test->second);
    const auto images = usual(parts, kImages), truths = usual(parts, kTruths);
    if (images && truths) return ImagesAndTruths{*images, *truths};
  }
  const auto images = usual(inside, kImages), truths = usual(inside, kTruths);
  if (images && truths && *images != *truths) return ImagesAndTruths{test_part(*images), test_part(*truths)};
  return std::nullopt;
}

class Search {
 public:
  explicit Search(const fs::path& root) : root_(root) {}

  DatasetSearch run() {
    std::error_code error;
    fs::directory_iterator first(root_, error);
    if (error) throw FileError(fmt::format("{}: {}", root_.string(), error.message()));
    // `root` may be a data set's own folder.
    if (const KnownDataset* known =
            eval::known_dataset(fs::absolute(root_ / "").parent_path().filename().string()))
      take(*known, root_);
    look();
    DatasetSearch out;
    for (const KnownDataset& known : kDatasets) {
      const auto found = found_.find(known.name);
      if (found == found_.end()) {
        out.not_found.emplace_back(known.name);
      } else {
        out.found.push_back({std::string(known.task), std::string(known.name), found->second.images,
                             found->second.truths, known.pictures});
      }
    }
    for (const auto& [name, folder] : without_parts_) {
      if (found_.contains(name)) continue;
      out.notes.push_back(fmt::format(
          "{} is called like {}, but holds no folders of pictures and masks of a test set (such as Imgs "
          "and GT, images and masks, test/image and test/mask)",
          folder.string(), name));
    }
    out.notes.insert(out.notes.end(), twice_.begin(), twice_.end());
    return out;
  }

 private:
  static constexpr int kDeepest = 4;

  void take(const KnownDataset& known, const fs::path& folder) {
    if (const auto parts = parts_of(folder)) {
      add(known, *parts);
    } else {
      without_parts_.emplace(known.name, folder);
    }
  }

  void add(const KnownDataset& known, const ImagesAndTruths& parts) {
    const auto [at, is_new] = found_.emplace(known.name, parts);
    if (is_new || at->second.images == parts.images) return;
    twice_.push_back(fmt::format("{} is there twice: {} is taken, {} is not", known.name,
                                 at->second.images.parent_path().string(),
                                 parts.images.parent_path().string()));
  }

  // Level by level, so that of two folders for one data set the nearer is taken.
  void look() {
    std::deque<std::pair<fs::path, int>> waiting{{root_, 1}};
    for (; !waiting.empty(); waiting.pop_front()) {
      const auto [folder, depth] = waiting.front();
      const Folders inside = folders_in(folder);
      beside_each_other(inside);
      for (const auto& [name, path] : inside) {
        if (const KnownDataset* known = eval::known_dataset(name)) {
          take(*known, path);
        } else if (depth < kDeepest && !is_training(name)) {
          waiting.emplace_back(path, depth + 1);
        }
      }
    }
  }

  // Imgs/CAMO and GT/CAMO.
  void beside_each_other(const Folders& inside) {
    const auto images = usual(inside, kImages), truths = usual(inside, kTruths);
    if (!images || !truths) return;
    const Folders all_truths = folders_in(*truths);
    for (const auto& [name, path] : folders_in(*images)) {
      const KnownDataset* known = eval::known_dataset(name);
      const auto partner = all_truths.find(name);
      if (known == nullptr || partner == all_truths.end()) continue;
      add(*known, {path, partner->second});
      without_parts_.erase(known->name);
    }
  }

  fs::path root_;
  std::map<std::string_view, ImagesAndTruths> found_;
  std::map<std::string_view, fs::path> without_parts_;
  std::vector<std::string> twice_;
};

// "SAM2-UNet_COD.pth": sam2, unet, cod.
std::set<std::string> words_of(const fs::path& file) {
  std::set<std::string> words;
  std::string word;
  for (const char c : file.stem().string() + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      words.insert(std::move(word));
      word.clear();
    }
  }
  return words;
}

}  // namespace

namespace eval {

std::span<const KnownDataset> known_datasets() {
  return kDatasets;
}

const KnownDataset* known_dataset(std::string_view folder) {
  const std::string name = folded(folder);
  for (const KnownDataset& known : kDatasets) {
    if (name == folded(known.name) ||
        std::find(known.folders.begin(), known.folders.end(), name) != known.folders.end())
      return &known;
  }
  return nullptr;
}

std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

}  // namespace eval

DatasetSearch find_datasets(const fs::path& root) {
  return Search(root).run();
}

fs::path weights_for(const DatasetFolder& dataset, std::span<const fs::path> files) {
  const KnownDataset* known = eval::known_dataset(dataset.dataset);
  if (known == nullptr) return {};
  for (const std::string_view word : known->weights) {
    std::vector<fs::path> fitting;
    for (const fs::path& file : files) {
      if (words_of(file).contains(std::string(word))) fitting.push_back(file);
    }
    if (fitting.size() > 1) {
      throw UsageError(fmt::format("{} and {} are both named for {}: leave one of them in the folder",
                                   fitting[0].string(), fitting[1].filename().string(), dataset.dataset));
    }
    if (!fitting.empty()) return fitting.front();
  }
  return {};
}

}  // namespace sam2unet
