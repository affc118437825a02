#include "metrics/value_table.h"

namespace sam2unet::metrics {

namespace {

using Get = double (*)(const ImageScores&, std::size_t);

bool lower_is_better(Measure m) {
  return m == Measure::fpr || m == Measure::ber;
}

void add_classic(std::vector<ValueEntry>& t) {
  t.push_back({"S", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.s; }});
  t.push_back({"E_adp", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.e_adp; }});
  t.push_back({"E_mean", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.e_mean; }});
  t.push_back({"E_max", true, Combine::mean_curve_max,
               [](const ImageScores& s, std::size_t) { return s.e_max; }, 0, CurveOf::e});
  t.push_back({"wF", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.weighted_f; }});
  t.push_back({"MAE", false, Combine::mean, [](const ImageScores& s, std::size_t) { return s.mae; }});
}

void add_measures(std::vector<ValueEntry>& t) {
  const Get adp = [](const ImageScores& s, std::size_t m) { return s.measures[m].adp; };
  const Get mean = [](const ImageScores& s, std::size_t m) { return s.measures[m].mean; };
  const Get max = [](const ImageScores& s, std::size_t m) { return s.measures[m].max; };
  const Get bin = [](const ImageScores& s, std::size_t m) { return s.measures[m].bin; };
  for (std::size_t m = 0; m < kMeasures; ++m) {
    const std::string name(name_of(static_cast<Measure>(m)));
    const bool higher = !lower_is_better(static_cast<Measure>(m));
    t.push_back({name + ".adp", higher, Combine::mean, adp, m});
    t.push_back({name + ".mean", higher, Combine::mean, mean, m});
    t.push_back({name + ".max", higher, Combine::mean_curve_max, max, m, CurveOf::measure});
    t.push_back({"sample_" + name, higher, Combine::mean, bin, m});
    t.push_back({"overall_" + name, higher, Combine::overall, nullptr, m});
  }
}

void add_structure(std::vector<ValueEntry>& t) {
  t.push_back({"HCE", false, Combine::mean, [](const ImageScores& s, std::size_t) { return s.hce; }});
  t.push_back(
      {"MSIoU.adp", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.msiou.adp; }});
  t.push_back(
      {"MSIoU.mean", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.msiou.mean; }});
  t.push_back({"MSIoU.max", true, Combine::mean_curve_max,
               [](const ImageScores& s, std::size_t) { return s.msiou.max; }, 0, CurveOf::msiou});
  t.push_back(
      {"MSIoU.bin", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.msiou.bin; }});
  t.push_back({"CM", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.cm; }});
  t.push_back({"CCM", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.ccm; }});
  t.push_back({"SIMAE", false, Combine::mean, [](const ImageScores& s, std::size_t) { return s.simae; }});
  t.push_back({"SIfm.adp", true, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.size_invariant.sample.adp; }});
  t.push_back({"SIfm.mean", true, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.size_invariant.sample.mean; }});
  t.push_back({"SIfm.max", true, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.size_invariant.sample.max; }});
  t.push_back({"sample_SIfm", true, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.size_invariant.sample.bin; }});
  t.push_back({"overall_SIfm.mean", true, Combine::curve_mean_mean, nullptr, 0, CurveOf::size_invariant});
  t.push_back({"overall_SIfm.max", true, Combine::mean_curve_max, nullptr, 0, CurveOf::size_invariant});
  t.push_back({"overall_SIfm.bin", true, Combine::overall, nullptr, kMeasures});
}

void add_outline(std::vector<ValueEntry>& t) {
  t.push_back(
      {"BIoU", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.boundary_iou; }});
  t.push_back({"HD95", false, Combine::mean, [](const ImageScores& s, std::size_t) { return s.hd95; }});
  t.push_back({"ASSD", false, Combine::mean, [](const ImageScores& s, std::size_t) { return s.assd; }});
  t.push_back(
      {"mirror.IoU", true, Combine::mean, [](const ImageScores& s, std::size_t) { return s.mirror.iou; }});
  t.push_back({"mirror.acc", true, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.mirror.accuracy; }});
  t.push_back({"mirror.F", true, Combine::mirror_f, nullptr});
  t.push_back(
      {"mirror.MAE", false, Combine::mean, [](const ImageScores& s, std::size_t) { return s.mirror.mae; }});
  t.push_back(
      {"mirror.BER", false, Combine::mean, [](const ImageScores& s, std::size_t) { return s.mirror.ber; }});
}

}  // namespace

const std::vector<ValueEntry>& value_table() {
  static const std::vector<ValueEntry> table = [] {
    std::vector<ValueEntry> t;
    add_classic(t);
    add_measures(t);
    add_structure(t);
    add_outline(t);
    return t;
  }();
  return table;
}

}  // namespace sam2unet::metrics
