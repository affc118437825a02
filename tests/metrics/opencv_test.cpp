// The five things that PySODMetrics and readers ask of OpenCV, ours beside OpenCV's own on random pictures.
// Only this test links OpenCV.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <opencv2/imgproc.hpp>
#include <random>

#include "metrics/camouflage.h"
#include "metrics/contours.h"
#include "metrics/lab.h"
#include "metrics/resize.h"

namespace sam2unet::metrics {
namespace {

using Random = std::mt19937;

int upto(Random& random, int n) {
  return static_cast<int>(random() % static_cast<unsigned>(n + 1));
}

/// Noise, blots and thin lines: 1x1 to `most` pixels a side.
Bitmap random_mask(Random& random, int most) {
  // One after the other: the arguments of a call are computed in an order of the compiler's own.
  const int height = 1 + upto(random, most - 1), width = 1 + upto(random, most - 1);
  Bitmap out(width, height);
  const int block = 1 + upto(random, 4), share = 1 + upto(random, 8);
  const unsigned salt = random();
  for (int y = 0; y < out.height(); ++y) {
    for (int x = 0; x < out.width(); ++x) {
      Random cell(salt + static_cast<unsigned>(x / block) * 7919u +
                  static_cast<unsigned>(y / block) * 104729u);
      if (upto(cell, 9) < share) out.set(x, y);
    }
  }
  return out;
}

cv::Mat unpacked(const Bitmap& bits) {
  cv::Mat out(bits.height(), bits.width(), CV_8U, cv::Scalar(0));
  for (int y = 0; y < bits.height(); ++y) {
    for (int x = 0; x < bits.width(); ++x) out.ptr(y)[x] = bits.at(x, y) ? 1 : 0;
  }
  return out;
}

TEST(OpenCv, ContoursTheirOrderAndParents) {
  Random random(1);
  std::size_t holes = 0, inside_holes = 0, most = 0;
  for (int run = 0; run < 600; ++run) {
    const Bitmap mask = random_mask(random, run % 20 == 0 ? 200 : 40);
    std::vector<std::vector<cv::Point>> contours;
    std::vector<cv::Vec4i> hierarchy;
    cv::findContours(unpacked(mask), contours, hierarchy, cv::RETR_TREE, cv::CHAIN_APPROX_NONE);
    const std::vector<Contour> ours = find_contours(mask);
    ASSERT_EQ(ours.size(), contours.size()) << "run " << run;
    most = std::max(most, ours.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      ASSERT_EQ(ours[i].parent, hierarchy[i][3]) << "run " << run << ", contour " << i;
      ASSERT_EQ(ours[i].points.size(), contours[i].size()) << "run " << run << ", contour " << i;
      for (std::size_t k = 0; k < contours[i].size(); ++k) {
        ASSERT_EQ(ours[i].points[k].x, contours[i][k].x);
        ASSERT_EQ(ours[i].points[k].y, contours[i][k].y);
      }
      holes += ours[i].hole ? 1 : 0;
      inside_holes += ours[i].parent >= 0 && !ours[i].hole ? 1 : 0;
    }
  }
  EXPECT_GT(holes, 1000U);  // the pictures have what the test is about
  EXPECT_GT(inside_holes, 20U);
  EXPECT_GT(most, 300U);  // more than OpenCV's 7-bit labels
}

TEST(OpenCv, PolygonsOfOpenLines) {
  Random random(2);
  for (int run = 0; run < 3000; ++run) {
    // A walk that never comes back: x grows, or y does.
    std::vector<cv::Point> line;
    std::vector<Point> ours;
    int x = 0, y = 0;
    const int length = 1 + upto(random, 60), mood = upto(random, 2);
    for (int i = 0; i < length; ++i) {
      line.emplace_back(x, y);
      ours.push_back({x, y});
      if (mood == 0) {
        ++x;
        y += upto(random, 2) - 1;
      } else if (mood == 1) {
        x += upto(random, 2) - 1;
        ++y;
      } else if (upto(random, 3) == 0) {
        ++x;
      } else {
        ++y;
      }
    }
    for (const double epsilon : {0.5, 1.0, 2.0, 3.7}) {
      std::vector<cv::Point> polygon;
      cv::approxPolyDP(line, polygon, epsilon, false);
      ASSERT_EQ(polygon_size(ours, epsilon), polygon.size()) << "run " << run << ", epsilon " << epsilon;
    }
  }
}

TEST(OpenCv, PolygonsOfStretchesOfContours) {
  Random random(3);
  for (int run = 0; run < 300; ++run) {
    for (const Contour& contour : find_contours(random_mask(random, 120))) {
      // Each pixel once, as the human correction effort takes them.
      Bitmap visited(120, 120);
      std::vector<Point> ours;
      std::vector<cv::Point> line;
      for (const Point& p : contour.points) {
        if (visited.at(p.x, p.y)) continue;
        visited.set(p.x, p.y);
        ours.push_back(p);
        line.emplace_back(p.x, p.y);
      }
      std::vector<cv::Point> polygon;
      cv::approxPolyDP(line, polygon, 2, false);
      ASSERT_EQ(polygon_size(ours, 2), polygon.size()) << "run " << run;
    }
  }
}

TEST(OpenCv, SurroundingsAreADilationLessTheMask) {
  Random random(4);
  for (int run = 0; run < 200; ++run) {
    const Bitmap mask = random_mask(random, 70);
    cv::Mat grown;
    cv::dilate(unpacked(mask), grown, cv::Mat(20, 20, CV_8U, cv::Scalar(1)));
    const Bitmap ours = surroundings(mask);
    for (int y = 0; y < mask.height(); ++y) {
      for (int x = 0; x < mask.width(); ++x) {
        ASSERT_EQ(ours.at(x, y), grown.ptr(y)[x] != 0 && !mask.at(x, y))
            << "run " << run << ": " << x << ", " << y;
      }
    }
  }
}

TEST(OpenCv, LabOfAllColours) {
  Image rgb(4096, 256, 3);
  for (int part = 0; part < 16; ++part) {
    for (int i = 0; i < 4096 * 256; ++i) {
      const unsigned colour = static_cast<unsigned>(part) << 20 | static_cast<unsigned>(i);
      std::uint8_t* to = rgb.pixels.data() + 3 * static_cast<std::ptrdiff_t>(i);
      to[0] = static_cast<std::uint8_t>(colour >> 16);
      to[1] = static_cast<std::uint8_t>(colour >> 8);
      to[2] = static_cast<std::uint8_t>(colour);
    }
    cv::Mat lab;
    cv::cvtColor(cv::Mat(256, 4096, CV_8UC3, rgb.pixels.data()), lab, cv::COLOR_RGB2Lab);
    const std::vector<std::uint8_t> ours = rgb_to_lab8(rgb);
    const auto differs = std::mismatch(ours.begin(), ours.end(), lab.data);
    ASSERT_EQ(differs.first, ours.end()) << "colour " << (part << 20 | (differs.first - ours.begin()) / 3);
  }
}

TEST(OpenCv, LinearResize) {
  Random random(5);
  for (int run = 0; run < 400; ++run) {
    const auto side = [&] { return run % 10 == 0 ? 1 + upto(random, 700) : 1 + upto(random, 60); };
    Image map(side(), side(), 1);
    for (std::uint8_t& v : map.pixels) v = static_cast<std::uint8_t>(random());
    int width = side(), height = side();
    if (run % 4 == 1) width = map.width, height = map.height * 2;
    if (run % 4 == 2) width = std::max(1, map.width / 2), height = std::max(1, map.height / 2);
    cv::Mat theirs;
    cv::resize(cv::Mat(map.height, map.width, CV_8U, map.pixels.data()), theirs, cv::Size(width, height), 0,
               0, cv::INTER_LINEAR);
    const Image ours = resize_linear(map, width, height);
    ASSERT_TRUE(std::equal(ours.pixels.begin(), ours.pixels.end(), theirs.data))
        << map.width << "x" << map.height << " to " << width << "x" << height;
  }
}

}  // namespace
}  // namespace sam2unet::metrics
