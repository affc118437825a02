#include "eval/report_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/report_svg.h"

namespace sam2unet::eval {
namespace {

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

}  // namespace

std::string page_head(const std::string& title) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><title>" +
         escaped(title) + "</title><style>" + kStyle + "</style></head><body><h1>" + escaped(title) + "</h1>";
}

std::string number(double v) {
  return std::isfinite(v) ? fmt::format("{:.3f}", v) : std::string("&ndash;");
}

std::string cell(const MetricValue* v, double best) {
  if (v == nullptr || std::isnan(v->value)) return "<td>&ndash;</td>";
  std::string interval;
  if (!std::isnan(v->low)) interval = fmt::format("<small>{:.3f} &ndash; {:.3f}</small>", v->low, v->high);
  return fmt::format("<td{}>{}{}</td>", v->value == best ? " class=\"best\"" : "", number(v->value),
                     interval);
}

std::string figure(const Image& image, const std::string& caption) {
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
      width, height, escaped(caption), base64(encode_png(small)), escaped(caption));
}

}  // namespace sam2unet::eval
