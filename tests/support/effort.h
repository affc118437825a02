// How much work a call is, for the tests of what hostile inputs may cost.
#pragma once

#include <algorithm>
#include <ctime>
#include <map>
#include <string>
#include <utility>

namespace sam2unet::test {

/// Processor time of the call, which other programs on the machine do not stretch.
template <typename F>
double processor_seconds(F&& f) {
  const std::clock_t start = std::clock();
  std::forward<F>(f)();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

/// The least of three processor times of a fixed piece of work of the readers' own kind: small strings in a
/// map.
inline double unit_of_effort() {
  static const double unit = [] {
    double least = 1e9;
    for (int run = 0; run < 3; ++run) {
      least = std::min(least, processor_seconds([] {
                         std::map<std::string, int> names;
                         for (int i = 0; i < 100'000; ++i)
                           names["tensor." + std::to_string(i * 7919LL % 100'003)] = i;
                       }));
    }
    return least;
  }();
  return unit;
}

/// The call's processor time in that unit: the same for slow machines, builds without optimisation and
/// sanitizers.
template <typename F>
double effort(F&& f) {
  return processor_seconds(std::forward<F>(f)) / unit_of_effort();
}

/// What a hostile file of up to 100 MB may be: far above reading it once, far below anything that is not
/// linear.
inline constexpr double kMaxEffort = 100;

}  // namespace sam2unet::test
