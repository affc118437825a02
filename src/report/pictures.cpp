#include "report/pictures.h"

#include <algorithm>
#include <array>
#include <map>

#include "html/page.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"

namespace sam2unet::report {

namespace {

namespace fs = std::filesystem;
constexpr int kSide = 200;
constexpr std::size_t kPanels = 3;  // picture, ground truth, map
constexpr std::size_t kRowsOfOne = 12, kRowsOfSeveral = 8;

std::vector<fs::path> files_of(const TrainingRun& run) {
  std::vector<fs::path> files;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(run.folder / "validation", none)) {
    if (entry.path().extension() == ".png" && entry.is_regular_file(none)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// One of the panels, without copying it.
ImageView panel(const Image& row, std::size_t n) {
  const int width = row.width / static_cast<int>(kPanels);
  const ImageView whole = row;
  return {whole.data + static_cast<std::ptrdiff_t>(n) * width * whole.channels, width, whole.height,
          whole.channels, whole.stride};
}

Image read_row(const fs::path& file) {
  Image row = read_image(file, {.apply_exif_orientation = false});
  if (row.width < static_cast<int>(kPanels)) throw ImageError(file.string() + ": no three panels");
  return row;
}

std::string note(const Error& error) {
  return "<p>" + html::escaped(error.what()) + "</p>";
}

}  // namespace

std::string picture_rows(const TrainingRun& run) {
  constexpr std::array kCaptions = {"picture", "ground truth", "map"};
  std::string out;
  std::vector<fs::path> files = files_of(run);
  files.resize(std::min(files.size(), kRowsOfOne));
  for (const fs::path& file : files) {
    out += "<div class=\"case\"><h3>" + html::escaped(file.stem().string()) + "</h3>";
    try {
      const Image row = read_row(file);
      for (std::size_t n = 0; n < kPanels; ++n) out += html::figure(panel(row, n), kCaptions[n], kSide);
    } catch (const Error& error) {
      out += note(error);
    }
    out += "</div>";
  }
  return out.empty() ? out : "<h2>Validation pictures, after the last epoch</h2>" + out;
}

std::string compared_pictures(std::span<const TrainingRun> runs) {
  std::map<std::string, std::vector<std::pair<std::string, fs::path>>> by_name;  // run and file
  for (const TrainingRun& run : runs) {
    for (const fs::path& file : files_of(run)) by_name[file.stem().string()].emplace_back(run.name, file);
  }
  std::string out;
  std::size_t shown = 0;
  for (const auto& [name, files] : by_name) {
    if (files.size() < 2 || shown == kRowsOfSeveral) continue;
    ++shown;
    out += "<div class=\"case\"><h3>" + html::escaped(name) + "</h3>";
    bool is_first = true;
    for (const auto& [run, file] : files) {
      try {
        const Image row = read_row(file);
        if (is_first) {
          out += html::figure(panel(row, 0), "picture", kSide) +
                 html::figure(panel(row, 1), "ground truth", kSide);
          is_first = false;
        }
        out += html::figure(panel(row, 2), run, kSide);
      } catch (const Error& error) {
        out += note(error);
      }
    }
    out += "</div>";
  }
  return out.empty() ? out : "<h2>Validation pictures, after the last epoch</h2>" + out;
}

}  // namespace sam2unet::report
