#include "eval/report_parts.h"

#include <fmt/format.h>

#include <cmath>

#include "html/page.h"

namespace sam2unet::eval {

std::string cell(const MetricValue* v, double best) {
  if (v == nullptr || std::isnan(v->value)) return "<td>&ndash;</td>";
  std::string interval;
  if (!std::isnan(v->low)) interval = fmt::format("<small>{:.3f} &ndash; {:.3f}</small>", v->low, v->high);
  return fmt::format("<td{}>{}{}</td>", v->value == best ? " class=\"best\"" : "", html::number(v->value),
                     interval);
}

}  // namespace sam2unet::eval
