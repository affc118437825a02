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

std::string troubles(const std::string& name, std::span<const std::string> warnings,
                     std::span<const EvaluationFailure> failures) {
  using html::escaped;
  std::string out;
  if (!failures.empty()) out += fmt::format("; <strong>{} could not be scored</strong>", failures.size());
  out += "</li>";
  for (const std::string& w : warnings) out += fmt::format("<li>{}: {}</li>", escaped(name), escaped(w));
  for (const EvaluationFailure& f : failures)
    out += fmt::format("<li>{}: {}</li>", escaped(name), escaped(f.message));
  return out;
}

std::string interval_note(int resamples, std::uint64_t seed) {
  if (resamples <= 0) return {};
  return fmt::format("<li>Small figures: 95 % intervals of {} bootstrap resamples, seed {}</li>", resamples,
                     seed);
}

}  // namespace sam2unet::eval
