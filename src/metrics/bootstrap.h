// What percentile bootstraps over pictures share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sam2unet::metrics {

/// How often each picture is drawn in each resample, [images, resamples]: a function of the seed and the
/// numbers.
std::vector<std::uint16_t> draw_weights(std::size_t images, std::size_t resamples, std::uint64_t seed);

/// numpy.percentile with linear interpolation, of values in rising order.
double percentile(const std::vector<double>& sorted, double q);

}  // namespace sam2unet::metrics
