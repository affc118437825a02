#include "metrics/resize.h"

#include <opencv2/imgproc.hpp>

#include "sam2unet/errors.h"

namespace sam2unet::metrics {

Image resize_linear(const ImageView& map, int width, int height) {
  if (map.channels != 1 || map.width < 1 || map.height < 1 || width < 1 || height < 1) {
    throw UsageError("only a gray map can be resized, to at least 1x1");
  }
  Image out(width, height, 1);
  const cv::Mat from(map.height, map.width, CV_8U, const_cast<std::uint8_t*>(map.data),
                     static_cast<std::size_t>(map.stride));
  cv::Mat to(height, width, CV_8U, out.pixels.data());
  cv::resize(from, to, to.size(), 0, 0, cv::INTER_LINEAR);
  return out;
}

}  // namespace sam2unet::metrics
