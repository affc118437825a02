// Pointers that must not be null, told by their names.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "capi/calls.h"

namespace sam2unet {

/// What a call with one pointer null came back with, and that pointer's name.
struct Null {
  s2u_status* status;
  const char* name;
};

inline void expect_told(const std::vector<Null>& nulls) {
  for (std::size_t i = 0; i < nulls.size(); ++i) {
    const Told t = told(nulls[i].status);
    EXPECT_EQ(t.code, S2U_INVALID_ARGUMENT) << i;
    EXPECT_EQ(t.text, std::string(nulls[i].name) + " is null") << i;
  }
}

}  // namespace sam2unet
