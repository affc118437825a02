// The HTML report of evaluations with classes.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "data/class_colors.h"
#include "eval/report_parts.h"
#include "html/page.h"
#include "sam2unet/class_masks.h"
#include "sam2unet/class_metrics.h"
#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

using eval::cell;
using html::escaped;
using html::figure;
using html::number;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

const MetricValue* find(const std::vector<MetricValue>& values, const std::string& key) {
  const auto at =
      std::find_if(values.begin(), values.end(), [&](const MetricValue& v) { return v.key == key; });
  return at == values.end() ? nullptr : &*at;
}

double best_of(std::span<const ClassEvaluation> all, const std::string& key) {
  double best = kNone;
  if (all.size() < 2) return best;
  for (const ClassEvaluation& e : all) {
    const double v = e.value(key);
    if (!std::isnan(v) && !(v <= best)) best = v;
  }
  return best;
}

std::string main_table(std::span<const ClassEvaluation> all) {
  std::string out =
      "<div "
      "class=\"wide\"><table><thead><tr><th>method</th><th>images</th><th>mIoU</th><th>mDice</th><th>mAcc</"
      "th>"
      "<th>aAcc</th><th>mIoU*</th><th>mDice*</th>"
      "<th>mIoU&dagger;</th></tr></thead><tbody>";
  for (const ClassEvaluation& e : all) {
    out += fmt::format("<tr><td>{}</td><td>{}</td>", escaped(e.name), e.images.size());
    for (const char* key :
         {"mIoU", "mDice", "mAcc", "aAcc", "foreground.mIoU", "foreground.mDice", "per_image.mIoU"}) {
      out += cell(find(e.dataset, key), best_of(all, key));
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string swatch(Color c) {
  return fmt::format(
      "<span style=\"display:inline-block;width:.8em;height:.8em;margin-right:.5em;border:1px solid "
      "var(--line);background:{}\"></span>",
      to_string(c));
}

std::string class_table(const ClassEvaluation& e) {
  std::string out =
      "<div "
      "class=\"wide\"><table><thead><tr><th>class</th><th>IoU</th><th>Dice</th><th>precision</th><th>recall</"
      "th>"
      "<th>pixels in the truth</th><th>predicted</th></tr></thead><tbody>";
  for (std::size_t c = 0; c < e.classes.size(); ++c) {
    const ClassScore& s = e.classes[c];
    out += fmt::format("<tr><td>{}{} {}</td>", swatch(e.table.classes[c].color), c,
                       escaped(e.table.classes[c].name));
    for (const MetricValue* v : {&s.iou, &s.dice, &s.precision, &s.recall}) out += cell(v, kNone);
    out += fmt::format("<td>{}</td><td>{}</td></tr>", s.truth_pixels, s.predicted_pixels);
  }
  return out + "</tbody></table></div>";
}

// Names of many or long classes do not fit beside a cell.
std::string label(const ClassEvaluation& e, std::size_t c, std::size_t most) {
  if (c >= e.table.classes.size()) return "no class";
  std::string name = e.table.classes[c].name;
  if (name.size() > most) {
    name.resize(most);
    while (!name.empty() && (static_cast<unsigned char>(name.back()) & 0xC0) == 0x80) name.pop_back();
    if (!name.empty() && static_cast<unsigned char>(name.back()) >= 0xC0) name.pop_back();
    name += "\xE2\x80\xA6";
  }
  return name;
}

// Each row is a class of the truth, and its cells what part of it was predicted as what.
std::string matrix_svg(const ClassEvaluation& e) {
  const std::size_t k = e.table.classes.size();
  bool other = false;
  for (std::size_t row = 0; row < k; ++row) other |= e.confusion[row * (k + 1) + k] > 0;
  const std::size_t columns = k + (other ? 1 : 0);
  constexpr double kLeft = 150, kTop = 130, kRight = 80;
  const double side = std::clamp(760.0 / static_cast<double>(columns), 6.0, 56.0);
  const double width = kLeft + side * static_cast<double>(columns) + kRight,
               height = kTop + side * static_cast<double>(k) + 24;
  const bool text = side >= 30;
  std::string out = fmt::format(
      "<svg viewBox=\"0 0 {0:.0f} {1:.0f}\" style=\"max-width:{0:.0f}px\" role=\"img\" "
      "aria-label=\"confusion matrix\">",
      width, height);
  const double font = std::min(11.0, side * 0.9);
  for (std::size_t c = 0; c < columns; ++c) {
    const double x = kLeft + side * (static_cast<double>(c) + 0.5);
    out +=
        fmt::format("<text font-size=\"{:.1f}\" transform=\"translate({:.1f} {:.1f}) rotate(-60)\">{}</text>",
                    font, x + 3, kTop - 6, escaped(label(e, c, 18)));
  }
  for (std::size_t row = 0; row < k; ++row) {
    const double y = kTop + side * static_cast<double>(row);
    out += fmt::format("<text font-size=\"{:.1f}\" text-anchor=\"end\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>",
                       font, kLeft - 6, y + side / 2 + font / 3, escaped(label(e, row, 18)));
    std::int64_t sum = 0;
    for (std::size_t c = 0; c <= k; ++c) sum += e.confusion[row * (k + 1) + c];
    for (std::size_t c = 0; c < columns; ++c) {
      const std::int64_t n = e.confusion[row * (k + 1) + c];
      const double share = sum == 0 ? 0 : static_cast<double>(n) / static_cast<double>(sum);
      const double x = kLeft + side * static_cast<double>(c);
      out += fmt::format(
          "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\" "
          "fill-opacity=\"{:.3f}\" stroke=\"var(--line)\" stroke-width=\".5\"><title>{}: {}: {} pixels, "
          "{:.2f} %</title></rect>",
          x, y, side, side, row == c ? "#0072b2" : "#d55e00", share, escaped(label(e, row, 64)),
          escaped(label(e, c, 64)), n, 100 * share);
      if (text && sum > 0) {
        out += fmt::format(
            "<text font-size=\"10\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{:.1f}\"{}>{:.1f}</text>",
            x + side / 2, y + side / 2 + 3.5, share > 0.6 ? " fill=\"#fff\"" : "", 100 * share);
      }
    }
  }
  return out + "</svg>";
}

// ReportOptions' default is a measure of maps, which classes have not: then mIoU, the first.
std::string key_of_worst(const std::string& wanted) {
  const auto& keys = class_image_keys();
  return std::find(keys.begin(), keys.end(), wanted) == keys.end() ? keys.front() : wanted;
}

std::string worst_case(const ClassEvaluation& e, const ClassEvaluatedImage& image, const std::string& key,
                       const ReportOptions& options) {
  const auto column = static_cast<std::size_t>(std::find(e.image_keys.begin(), e.image_keys.end(), key) -
                                               e.image_keys.begin());
  std::string out = fmt::format("<div class=\"case\"><h3>{} &middot; {} {}</h3>", escaped(image.name), key,
                                number(image.values[column]));
  try {
    Image picture;
    if (!image.picture.empty()) {
      picture = read_image(
          image.picture, {.mode = ColorMode::rgb, .apply_exif_orientation = options.apply_exif_orientation});
      out += figure(picture, "picture");
    }
    out += figure(data::class_colors(read_class_mask(image.truth, e.table), e.table), "ground truth");
    if (!image.prediction.empty()) {
      out += figure(data::class_colors(read_class_mask(image.prediction, e.table), e.table), "prediction");
    } else if (options.predictor && !image.picture.empty()) {
      out += figure(data::class_colors(options.predictor(picture), e.table), "prediction");
    }
  } catch (const Error& error) {
    out += fmt::format("<p>{}</p>", escaped(error.what()));
  }
  return out + "</div>";
}

std::string notes(const ClassEvaluation& e) {
  std::string out = fmt::format("<li>{}: {} pictures scored; {} pixels ignored", escaped(e.name),
                                e.images.size(), e.ignored);
  return out + eval::troubles(e.name, e.warnings, e.failures);
}

}  // namespace

std::string to_html(std::span<const ClassEvaluation> all, const ReportOptions& options) {
  std::string out = "<h1>" + escaped(options.title) + "</h1><ul>";
  for (const ClassEvaluation& e : all) out += notes(e);
  if (!all.empty()) out += eval::interval_note(all.front().resamples, all.front().seed);
  out +=
      "<li>Pixels are added up over all pictures, ratios taken of the sums, and the mean over the classes "
      "that "
      "occur</li></ul>" +
      main_table(all);
  for (const ClassEvaluation& e : all) {
    out += fmt::format("<h2>Classes: {}</h2>", escaped(e.name)) + class_table(e);
    out +=
        fmt::format(
            "<h2>Who is taken for whom: {}</h2><p>Rows: ground truth; columns: prediction; per cent of the "
            "row's pixels.</p>",
            escaped(e.name)) +
        matrix_svg(e);
    const std::string key = key_of_worst(options.worst_by);
    const std::vector<std::size_t> worst = worst_images(e, key, options.worst);
    if (worst.empty()) continue;
    out += fmt::format("<h2>Worst by {}: {}</h2>", key, escaped(e.name));
    for (const std::size_t i : worst) out += worst_case(e, e.images[i], key, options);
  }
  return html::page(options.title, out);
}

}  // namespace sam2unet
