#include "html/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace sam2unet::html {

namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#59636e;--line:#d1d9e0;--paper:#fff;--band:#f6f8fa;--warn:#9a6700}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--paper:#0d1117;--band:#151b23;--warn:#d29922}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1120px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0 0 .3rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}
p,li{color:var(--soft);overflow-wrap:anywhere}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{padding:.35rem .45rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
thead th{border-bottom:2px solid var(--line)}
td small{display:block;color:var(--soft);font-size:.7rem;font-weight:400}
td.text{text-align:left;white-space:normal;overflow-wrap:anywhere}
tr.paper td{background:var(--band);font-style:italic}
tr.mean td{background:var(--band)}
.best{font-weight:700}
.warn{color:var(--warn)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:.6rem;margin:1rem 0}
.cards div{background:var(--band);border:1px solid var(--line);border-radius:6px;padding:.5rem .7rem;color:var(--soft);font-size:.8rem}
.cards b{display:block;color:var(--ink);font-size:1.25rem;overflow-wrap:anywhere}
pre{background:var(--band);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;overflow-x:auto;font-size:.85rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(320px,100%),1fr));gap:1rem}
svg{width:100%;height:auto;font:11px system-ui,sans-serif;fill:var(--soft)}
svg .title{font-weight:600;font-size:13px;fill:var(--ink)}
svg .grid{stroke:var(--line);stroke-width:1}
svg .mark{stroke:var(--soft);stroke-width:1;stroke-dasharray:4 3}
svg .curve{fill:none;stroke-width:2}
svg .faint{stroke-width:1;opacity:.35}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;margin:.4rem 0 0;padding:0;list-style:none}
.legend span{display:inline-block;width:1.6em;height:.35em;margin-right:.5em;vertical-align:middle;border-radius:2px}
.case{display:flex;flex-wrap:wrap;gap:.6rem;margin:0 0 1.4rem}
.case h3,.case p{flex:1 0 100%;margin:0;font-size:.95rem;overflow-wrap:anywhere}
.case figure{flex:0 1 min(240px,31%)}
figure{margin:0}figure img{width:100%;height:auto;border:1px solid var(--line);border-radius:4px;background:#000}
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

std::string page(std::string_view title, const std::string& body) {
  return "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\"><title>" +
         escaped(title) + "</title><style>" + kStyle + "</style></head><body>" + body + "</body></html>\n";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string figure(const ImageView& image, std::string_view caption, int side) {
  const double scale = std::min(1.0, static_cast<double>(side) / std::max(image.width, image.height));
  const int width = std::max(1, static_cast<int>(std::lround(image.width * scale)));
  const int height = std::max(1, static_cast<int>(std::lround(image.height * scale)));
  const std::vector<std::byte> png =
      width == image.width && height == image.height
          ? encode_png(image)
          : encode_png(resize_pillow(image, width, height, ResizeFilter::bilinear));
  return fmt::format(
      "<figure><img width=\"{}\" height=\"{}\" alt=\"{}\" "
      "src=\"data:image/png;base64,{}\"><figcaption>{}</figcaption></figure>",
      width, height, escaped(caption), base64(png), escaped(caption));
}

std::string number(double v) {
  return std::isfinite(v) ? fmt::format("{:.3f}", v) : std::string("&ndash;");
}

}  // namespace sam2unet::html
