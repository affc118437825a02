#include "measured.h"

#include <fmt/format.h>

namespace sam2unet::cli {

std::vector<std::string> measured_lines(const WeightsInfo& info) {
  std::vector<std::string> out;
  for (const MeasuredPrecision& m : info.measured) {
    out.push_back(fmt::format("{:<12}changes maps by {:.5f} on {} pictures: {} {}", m.precision, m.change,
                              info.measured_pictures,
                              m.passed() ? "--precision auto may take it, up to" : "more than", m.limit));
  }
  if (!info.kept_in_bf16.empty()) {
    out.push_back(fmt::format("int8 keeps  {} layers in bf16: {}", info.kept_in_bf16.size(),
                              fmt::join(info.kept_in_bf16, ", ")));
  }
  if (!info.measured_problem.empty())
    out.push_back("precisions  what is stored of them does not count: " + info.measured_problem);
  return out;
}

}  // namespace sam2unet::cli
