#include "metrics/value_table.h"

namespace sam2unet::metrics {

namespace {

using Get = double (*)(const ImageScores&, std::size_t);

Better better_of(Measure m) {
  return m == Measure::fpr || m == Measure::ber ? Better::lower : Better::higher;
}

void add_classic(std::vector<ValueEntry>& t) {
  t.push_back({"S", Better::higher, Combine::mean, [](const ImageScores& s, std::size_t) { return s.s; }});
  t.push_back(
      {"E_adp", Better::higher, Combine::mean, [](const ImageScores& s, std::size_t) { return s.e_adp; }});
  t.push_back(
      {"E_mean", Better::higher, Combine::mean, [](const ImageScores& s, std::size_t) { return s.e_mean; }});
  t.push_back({"E_max", Better::higher, Combine::mean_curve_max,
               [](const ImageScores& s, std::size_t) { return s.e_max; }, 0, CurveOf::e});
  t.push_back(
      {"wF", Better::higher, Combine::mean, [](const ImageScores& s, std::size_t) { return s.weighted_f; }});
  t.push_back({"MAE", Better::lower, Combine::mean, [](const ImageScores& s, std::size_t) { return s.mae; }});
}

void add_measures(std::vector<ValueEntry>& t) {
  const Get adp = [](const ImageScores& s, std::size_t m) { return s.measures[m].adp; };
  const Get mean = [](const ImageScores& s, std::size_t m) { return s.measures[m].mean; };
  const Get max = [](const ImageScores& s, std::size_t m) { return s.measures[m].max; };
  const Get bin = [](const ImageScores& s, std::size_t m) { return s.measures[m].bin; };
  for (std::size_t m = 0; m < kMeasures; ++m) {
    const std::string name(name_of(static_cast<Measure>(m)));
    const Better better = better_of(static_cast<Measure>(m));
    t.push_back({name + ".adp", better, Combine::mean, adp, m});
    t.push_back({name + ".mean", better, Combine::mean, mean, m});
    t.push_back({name + ".max", better, Combine::mean_curve_max, max, m, CurveOf::measure});
    t.push_back({"sample_" + name, better, Combine::mean, bin, m});
    t.push_back({"overall_" + name, better, Combine::overall, nullptr, m});
  }
}

void add_structure(std::vector<ValueEntry>& t) {
  t.push_back({"HCE", Better::lower, Combine::mean, [](const ImageScores& s, std::size_t) { return s.hce; }});
  t.push_back({"MSIoU.adp", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.msiou.adp; }});
  t.push_back({"MSIoU.mean", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.msiou.mean; }});
  t.push_back({"MSIoU.max", Better::higher, Combine::mean_curve_max,
               [](const ImageScores& s, std::size_t) { return s.msiou.max; }, 0, CurveOf::msiou});
  t.push_back({"MSIoU.bin", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.msiou.bin; }});
  t.push_back({"CM", Better::higher, Combine::mean, [](const ImageScores& s, std::size_t) { return s.cm; }});
  t.push_back(
      {"CCM", Better::higher, Combine::mean, [](const ImageScores& s, std::size_t) { return s.ccm; }});
  t.push_back(
      {"SIMAE", Better::lower, Combine::mean, [](const ImageScores& s, std::size_t) { return s.simae; }});
  t.push_back({"SIfm.adp", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.size_invariant.sample.adp; }});
  t.push_back({"SIfm.mean", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.size_invariant.sample.mean; }});
  t.push_back({"SIfm.max", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.size_invariant.sample.max; }});
  t.push_back({"sample_SIfm", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.size_invariant.sample.bin; }});
  t.push_back(
      {"overall_SIfm.mean", Better::higher, Combine::curve_mean_mean, nullptr, 0, CurveOf::size_invariant});
  t.push_back(
      {"overall_SIfm.max", Better::higher, Combine::mean_curve_max, nullptr, 0, CurveOf::size_invariant});
  t.push_back({"overall_SIfm.bin", Better::higher, Combine::overall, nullptr, kMeasures});
}

void add_outline(std::vector<ValueEntry>& t) {
  t.push_back({"BIoU", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.boundary_iou; }});
  t.push_back(
      {"HD95", Better::lower, Combine::mean, [](const ImageScores& s, std::size_t) { return s.hd95; }});
  t.push_back(
      {"ASSD", Better::lower, Combine::mean, [](const ImageScores& s, std::size_t) { return s.assd; }});
  t.push_back({"mirror.IoU", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.mirror.iou; }});
  t.push_back({"mirror.acc", Better::higher, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.mirror.accuracy; }});
  t.push_back({"mirror.F", Better::higher, Combine::mirror_f, nullptr});
  t.push_back({"mirror.MAE", Better::lower, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.mirror.mae; }});
  t.push_back({"mirror.BER", Better::lower, Combine::mean,
               [](const ImageScores& s, std::size_t) { return s.mirror.ber; }});
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
