// The HTML report: one file, no scripts, nothing from the network.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "eval/report_svg.h"
#include "sam2unet/errors.h"
#include "sam2unet/evaluate.h"

namespace sam2unet {

namespace {

using eval::escaped;

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--paper:#fff;--band:#f6f8fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--paper:#0d1117;--band:#151b23}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1120px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
p,li{color:var(--soft)}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .45rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
thead th{border-bottom:2px solid var(--line)}
td small{display:block;color:var(--soft);font-size:.7rem;font-weight:400}
tr.paper td{background:var(--band);font-style:italic}
.best{font-weight:700}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(320px,1fr));gap:1rem}
svg{width:100%;height:auto;font:11px system-ui,sans-serif;fill:var(--soft)}
svg .title{font-weight:600;font-size:13px;fill:var(--ink)}
svg .grid{stroke:var(--line);stroke-width:1}
svg .curve{fill:none;stroke-width:2}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;margin:.4rem 0 0;padding:0;list-style:none}
.legend span{display:inline-block;width:1.6em;height:.35em;margin-right:.5em;vertical-align:middle;border-radius:2px}
.case{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,240px));gap:.6rem;margin:0 0 1.4rem}
.case figcaption,.case h3{grid-column:1/-1;margin:0;font-size:.95rem}
figure{margin:0}figure img{width:100%;border:1px solid var(--line);border-radius:4px;background:#000}
figure figcaption{color:var(--soft);font-size:.8rem;text-align:center}
details summary{cursor:pointer;color:var(--soft)}
)";

std::string number(double v) {
  return std::isfinite(v) ? fmt::format("{:.3f}", v) : std::string("&ndash;");
}

const MetricValue* find(const std::vector<MetricValue>& values, const std::string& key) {
  const auto at =
      std::find_if(values.begin(), values.end(), [&](const MetricValue& v) { return v.key == key; });
  return at == values.end() ? nullptr : &*at;
}

// The best of several methods in a column; no one is best of one.
double best_of(std::span<const Evaluation> all, const std::string& key) {
  double best = std::numeric_limits<double>::quiet_NaN();
  if (all.size() < 2) return best;
  for (const Evaluation& e : all) {
    const double v = e.value(key);
    if (std::isnan(v)) continue;
    if (std::isnan(best) || (higher_is_better(key) ? v > best : v < best)) best = v;
  }
  return best;
}

std::string cell(const MetricValue* v, double best) {
  if (v == nullptr || std::isnan(v->value)) return "<td>&ndash;</td>";
  std::string interval;
  if (!std::isnan(v->low)) interval = fmt::format("<small>{:.3f} &ndash; {:.3f}</small>", v->low, v->high);
  return fmt::format("<td{}>{}{}</td>", v->value == best ? " class=\"best\"" : "", number(v->value),
                     interval);
}

std::string main_table(std::span<const Evaluation> all, const ReportOptions& options) {
  const std::vector<TableColumn> columns = table_columns(options.protocol);
  std::string out = "<div class=\"wide\"><table><thead><tr><th>method</th><th>images</th>";
  for (const TableColumn& c : columns) {
    out +=
        fmt::format("<th>{}&thinsp;{}</th>", escaped(c.title), higher_is_better(c.key) ? "&uarr;" : "&darr;");
  }
  out += "</tr></thead><tbody>";
  for (const Evaluation& e : all) {
    out += fmt::format("<tr><td>{}</td><td>{}</td>", escaped(e.name), e.counted);
    for (const TableColumn& c : columns) out += cell(find(e.dataset, c.key), best_of(all, c.key));
    out += "</tr>";
  }
  if (options.published != nullptr) {
    out += "<tr class=\"paper\"><td>SAM2-UNet (published)</td><td></td>";
    for (const TableColumn& c : columns) out += cell(find(options.published->values, c.key), std::nan(""));
    out += "</tr>";
  }
  out += "</tbody></table></div>";
  if (options.published != nullptr) {
    out += fmt::format("<p>Published row: {}, {}.</p>", escaped(options.published->dataset),
                       escaped(options.published->source));
  }
  return out;
}

// Every value, a row each.
std::string full_table(std::span<const Evaluation> all) {
  std::string out =
      "<details><summary>All values</summary><div class=\"wide\"><table><thead><tr><th>value</th>";
  for (const Evaluation& e : all) out += fmt::format("<th>{}</th>", escaped(e.name));
  out += "</tr></thead><tbody>";
  for (const TableColumn& c : table_columns("all")) {
    out += fmt::format("<tr><td>{}</td>", escaped(c.key));
    for (const Evaluation& e : all) out += cell(find(e.dataset, c.key), best_of(all, c.key));
    out += "</tr>";
  }
  return out + "</tbody></table></div></details>";
}

std::string charts(std::span<const Evaluation> all) {
  std::vector<double> thresholds(256);
  std::iota(thresholds.begin(), thresholds.end(), 0);
  eval::Chart pr{"Precision and recall", "recall", "precision", 1, {}};
  eval::Chart f{"F-measure by threshold", "threshold", "F (\xce\xb2\xc2\xb2 = 0.3)", 255, {}};
  eval::Chart e_chart{"E-measure by threshold", "threshold", "E", 255, {}};
  std::string legend;
  for (std::size_t n = 0; n < all.size(); ++n) {
    const Evaluation& e = all[n];
    pr.lines.push_back({e.name, e.curves.recall, e.curves.precision});
    f.lines.push_back({e.name, thresholds, e.curves.f});
    e_chart.lines.push_back({e.name, thresholds, e.curves.e});
    legend +=
        fmt::format("<li><span style=\"background:{}\"></span>{}</li>", eval::line_color(n), escaped(e.name));
  }
  return "<div class=\"charts\"><div>" + to_svg(pr) + "</div><div>" + to_svg(f) + "</div><div>" +
         to_svg(e_chart) + "</div></div><ul class=\"legend\">" + legend + "</ul>";
}

std::string base64(const std::vector<std::byte>& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = (group << 8) | (i + k < bytes.size() ? std::to_integer<unsigned>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= bytes.size() ? kDigits[(group >> (18 - 6 * k)) & 63] : '=';
    }
  }
  return out;
}

std::string figure(const Image& image, const char* caption) {
  constexpr int kSide = 240;
  const double scale = std::min(1.0, static_cast<double>(kSide) / std::max(image.width, image.height));
  const int width = std::max(1, static_cast<int>(std::lround(image.width * scale)));
  const int height = std::max(1, static_cast<int>(std::lround(image.height * scale)));
  const Image small = width == image.width && height == image.height
                          ? image
                          : resize_pillow(image, width, height, ResizeFilter::bilinear);
  return fmt::format(
      "<figure><img width=\"{}\" height=\"{}\" alt=\"{}\" "
      "src=\"data:image/png;base64,{}\"><figcaption>{}</figcaption></figure>",
      width, height, caption, base64(encode_png(small)), caption);
}

// One of the worst pictures. What cannot be read any more is said in its place.
std::string worst_case(const Evaluation& e, const EvaluatedImage& image, const ReportOptions& options) {
  const auto column = static_cast<std::size_t>(
      std::find(e.image_keys.begin(), e.image_keys.end(), options.worst_by) - e.image_keys.begin());
  std::string out = fmt::format("<div class=\"case\"><h3>{} &middot; {} {}</h3>", escaped(image.name),
                                escaped(options.worst_by), number(image.values[column]));
  const auto read = [&](const std::filesystem::path& path, ColorMode mode) {
    return read_image(path, {.mode = mode, .apply_exif_orientation = options.apply_exif_orientation});
  };
  try {
    Image picture;
    if (!image.picture.empty()) {
      picture = read(image.picture, ColorMode::rgb);
      out += figure(picture, "picture");
    }
    out += figure(read(image.truth, ColorMode::gray), "ground truth");
    if (!image.prediction.empty()) {
      out += figure(read(image.prediction, ColorMode::gray), "prediction");
    } else if (options.predictor && !image.picture.empty()) {
      out += figure(options.predictor(picture), "prediction");
    }
  } catch (const Error& error) {
    out += fmt::format("<p>{}</p>", escaped(error.what()));
  }
  return out + "</div>";
}

std::string notes(const Evaluation& e) {
  std::string policy = e.empty == EmptyPolicy::paper  ? "scored as PySODMetrics does"
                       : e.empty == EmptyPolicy::skip ? "left out"
                                                      : "counted as 1 where the prediction is empty too";
  std::string out = fmt::format("<li>{}: {} pictures counted; {} with an empty ground truth, {}",
                                escaped(e.name), e.counted, e.empty_truths, policy);
  if (!e.failures.empty()) out += fmt::format("; <strong>{} could not be scored</strong>", e.failures.size());
  out += "</li>";
  for (const std::string& w : e.warnings) out += fmt::format("<li>{}: {}</li>", escaped(e.name), escaped(w));
  for (const EvaluationFailure& f : e.failures)
    out += fmt::format("<li>{}: {}</li>", escaped(e.name), escaped(f.message));
  return out;
}

}  // namespace

std::string to_html(std::span<const Evaluation> all, const ReportOptions& options) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\"><title>";
  out += escaped(options.title) + "</title><style>" + kStyle + "</style></head><body>";
  out += "<h1>" + escaped(options.title) + "</h1><ul>";
  for (const Evaluation& e : all) out += notes(e);
  if (!all.empty() && all.front().resamples > 0) {
    out += fmt::format("<li>Small figures: 95 % intervals of {} bootstrap resamples, seed {}</li>",
                       all.front().resamples, all.front().seed);
  }
  out += "</ul>" + main_table(all, options) + full_table(all);
  out += "<h2>Curves</h2>" + charts(all);
  for (const Evaluation& e : all) {
    const std::vector<std::size_t> worst = worst_images(e, options.worst_by, options.worst);
    if (worst.empty()) continue;
    out += fmt::format("<h2>Worst by {}: {}</h2>", escaped(options.worst_by), escaped(e.name));
    for (const std::size_t i : worst) out += worst_case(e, e.images[i], options);
  }
  return out + "</body></html>\n";
}

}  // namespace sam2unet
