#include "metrics/confusion.h"

namespace sam2unet::metrics {

namespace {

// Products of pixel counts of a whole data set do not fit 64 bits.
__extension__ typedef __int128 Wide;

double divide(double numerator, double denominator) {
  return denominator != 0 ? numerator / denominator : 0;
}

// a * b + c * d and n * n as doubles, rounded once.
struct Chance {
  double agreement;
  double square;
};

Chance chance_of(const Confusion& c) {
  // The reference's last factor is tn + tp, not the tn + fp of Cohen's kappa; it is kept.
  const std::int64_t n = c.tp + c.fp + c.tn + c.fn;
  if (n < (std::int64_t{1} << 31)) {  // what one picture has: 64 bits are enough
    return {static_cast<double>((c.tp + c.fp) * (c.tp + c.fn) + (c.tn + c.fn) * (c.tn + c.tp)),
            static_cast<double>(n * n)};
  }
  return {static_cast<double>(Wide{c.tp + c.fp} * (c.tp + c.fn) + Wide{c.tn + c.fn} * (c.tn + c.tp)),
          static_cast<double>(Wide{n} * n)};
}

double f_of(double precision, double recall, double beta2) {
  return divide((beta2 + 1) * precision * recall, beta2 * precision + recall);
}

}  // namespace

Confusion& Confusion::operator+=(const Confusion& other) {
  tp += other.tp;
  fp += other.fp;
  tn += other.tn;
  fn += other.fn;
  return *this;
}

std::string_view name_of(Measure measure) {
  static constexpr std::string_view kNames[kMeasures] = {"fm",   "f1",   "pre", "rec", "fpr",  "iou",
                                                         "dice", "spec", "ber", "oa",  "kappa"};
  return kNames[static_cast<std::size_t>(measure)];
}

double f_measure(const Confusion& c, double beta2) {
  const auto tp = static_cast<double>(c.tp);
  return f_of(divide(tp, static_cast<double>(c.tp + c.fp)), divide(tp, static_cast<double>(c.tp + c.fn)),
              beta2);
}

MeasureValues measures_of(const Confusion& c) {
  const auto tp = static_cast<double>(c.tp);
  const auto tn = static_cast<double>(c.tn);
  const auto total = static_cast<double>(c.tp + c.fp + c.tn + c.fn);
  const double precision = divide(tp, static_cast<double>(c.tp + c.fp));
  const double recall = divide(tp, static_cast<double>(c.tp + c.fn));
  const double specificity = divide(tn, static_cast<double>(c.tn + c.fp));
  const double accuracy = divide(static_cast<double>(c.tp + c.tn), total);
  // hpy_p = ((tp + fp)(tp + fn) + (tn + fn)(tn + tp)) / (tp + fp + tn + fn)^2
  const Chance chance = chance_of(c);
  const double expected = divide(chance.agreement, chance.square);

  MeasureValues m{};
  const auto set = [&m](Measure which, double value) { m[static_cast<std::size_t>(which)] = value; };
  set(Measure::fm, f_of(precision, recall, 0.3));
  set(Measure::f1, f_of(precision, recall, 1));
  set(Measure::pre, precision);
  set(Measure::rec, recall);
  set(Measure::fpr, divide(static_cast<double>(c.fp), static_cast<double>(c.tn + c.fp)));
  set(Measure::iou, divide(tp, static_cast<double>(c.tp + c.fp + c.fn)));
  set(Measure::dice, divide(static_cast<double>(2 * c.tp), static_cast<double>(c.tp + c.fn + c.tp + c.fp)));
  set(Measure::spec, specificity);
  set(Measure::ber, 1 - 0.5 * (recall + specificity));
  set(Measure::oa, accuracy);
  set(Measure::kappa, divide(accuracy - expected, 1 - expected));
  return m;
}

}  // namespace sam2unet::metrics
