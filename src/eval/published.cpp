// Results of SAM2-UNet (arXiv 2408.08870) that could be read in a source, to be shown below one's own. Rows
// that are only remembered are not here.
#include <array>
#include <cctype>

#include "sam2unet/evaluate.h"

namespace sam2unet {

namespace {

constexpr const char* kNextPaperCod =
    "SAM2-UNeXT, arXiv 2508.03566, Table 2 (a later paper of the same first authors)";
constexpr const char* kNextPaperMarine =
    "SAM2-UNeXT, arXiv 2508.03566, Table 3 (a later paper of the same first authors)";
constexpr const char* kBenchmarkCopy =
    "beta.hyper.ai/en/papers/2408.08870 (a copy of the Papers-with-Code benchmark entries)";
constexpr const char* kArchiveCopy =
    "paperswithcode2.com/paper/482130 (an archive of Papers with Code; it prints two digits)";

// Letters and digits in lower case: "COD-10K" is "cod10k".
std::string folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

// Other ways in which folders of a data set are called.
struct Alias {
  std::string_view folded, dataset;
};
constexpr std::array kAliases = {
    Alias{"dutste", "DUTS-TE"},     Alias{"dutstest", "DUTS-TE"},    Alias{"duts", "DUTS-TE"},
    Alias{"dutomron", "DUT-OMRON"}, Alias{"dutsomron", "DUT-OMRON"}, Alias{"omron", "DUT-OMRON"},
    Alias{"cod10kte", "COD10K"},    Alias{"cod10ktest", "COD10K"},   Alias{"camotest", "CAMO"},
    Alias{"camote", "CAMO"},        Alias{"mas3ktest", "MAS3K"},     Alias{"rmastest", "RMAS"},
    Alias{"msdtest", "MSD"},        Alias{"pmdtest", "PMD"},         Alias{"ecssdtest", "ECSSD"},
};

}  // namespace

const std::vector<PublishedResult>& published_results() {
  static const std::vector<PublishedResult> results = {
      {"cod",
       "CHAMELEON",
       {{"S", 0.914}, {"fm.adp", 0.863}, {"E_mean", 0.961}, {"MAE", 0.022}},
       kNextPaperCod},
      {"cod", "CAMO", {{"S", 0.884}, {"fm.adp", 0.861}, {"E_mean", 0.932}, {"MAE", 0.042}}, kNextPaperCod},
      {"cod", "COD10K", {{"S", 0.880}, {"fm.adp", 0.789}, {"E_mean", 0.936}, {"MAE", 0.021}}, kNextPaperCod},
      {"cod", "NC4K", {{"S", 0.901}, {"fm.adp", 0.863}, {"E_mean", 0.941}, {"MAE", 0.029}}, kNextPaperCod},
      {"sod", "DUTS-TE", {{"S", 0.934}, {"E_mean", 0.959}, {"MAE", 0.020}}, kBenchmarkCopy},
      {"sod", "DUT-OMRON", {{"S", 0.884}, {"E_mean", 0.912}, {"MAE", 0.039}}, kBenchmarkCopy},
      {"sod", "ECSSD", {{"E_mean", 0.97}, {"MAE", 0.02}}, kArchiveCopy},
      {"marine",
       "MAS3K",
       {{"iou.mean", 0.799}, {"S", 0.903}, {"wF", 0.848}, {"E_mean", 0.943}, {"MAE", 0.021}},
       kNextPaperMarine},
      {"marine",
       "RMAS",
       {{"iou.mean", 0.738}, {"S", 0.874}, {"wF", 0.810}, {"E_mean", 0.944}, {"MAE", 0.022}},
       kNextPaperMarine},
      {"mirror", "MSD", {{"mirror.IoU", 0.918}, {"mirror.F", 0.957}, {"mirror.MAE", 0.022}}, kBenchmarkCopy},
      {"mirror", "PMD", {{"mirror.IoU", 0.728}, {"mirror.F", 0.826}, {"mirror.MAE", 0.027}}, kBenchmarkCopy},
  };
  return results;
}

const PublishedResult* find_published(std::string_view dataset) {
  std::string name = folded(dataset);
  for (const Alias& a : kAliases) {
    if (a.folded == name) name = folded(a.dataset);
  }
  for (const PublishedResult& r : published_results()) {
    if (folded(r.dataset) == name) return &r;
  }
  return nullptr;
}

}  // namespace sam2unet
