#include "core/clock_text.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sam2unet {
namespace {

// Rounded up, so that 0:00 is the end.
TEST(ClockText, IsOfWholeSeconds) {
  EXPECT_EQ(clock_text(0.0), "0:00");
  EXPECT_EQ(clock_text(-3.0), "0:00");
  EXPECT_EQ(clock_text(0.1), "0:01");
  EXPECT_EQ(clock_text(59.2), "1:00");
  EXPECT_EQ(clock_text(3599.0), "59:59");
  EXPECT_EQ(clock_text(3600.0), "1:00:00");
  EXPECT_EQ(clock_text(3661.0), "1:01:01");
  EXPECT_EQ(clock_text(86399.5), "24:00:00");
  EXPECT_EQ(clock_text(1e300), clock_text(1e8));
  EXPECT_EQ(clock_text(std::nan("")), "0:00");
}

}  // namespace
}  // namespace sam2unet
