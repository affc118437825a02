// Calls of the C API and what they tell, for its tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "sam2unet/sam2unet.h"

namespace sam2unet {

// What a call told: its code and text, freed.
struct Told {
  s2u_code code = S2U_OK;
  std::string text;
};

inline Told told(s2u_status* status) {
  Told t{s2u_status_code(status), s2u_status_text(status)};
  s2u_status_free(status);
  return t;
}

/// The call succeeds.
#define MUST(call)                         \
  do {                                     \
    const Told t_ = told(call);            \
    ASSERT_EQ(t_.code, S2U_OK) << t_.text; \
  } while (false)

/// The call fails with this code and says so with this word.
#define REFUSED(call, expected, word)               \
  do {                                              \
    const Told t_ = told(call);                     \
    EXPECT_EQ(t_.code, expected) << #call;          \
    EXPECT_THAT(t_.text, testing::HasSubstr(word)); \
  } while (false)

inline s2u_plane plane_of(const std::vector<std::uint8_t>& pixels, int width, int height, int channels) {
  s2u_plane p{};
  p.struct_size = sizeof p;
  p.data = pixels.data();
  p.type = S2U_U8;
  p.width = width;
  p.height = height;
  p.channels = channels;
  p.stride = static_cast<ptrdiff_t>(width) * channels;
  return p;
}

/// One picture segmented, which must succeed; the caller frees it.
inline s2u_segmentation* segmented(const s2u_segmenter* segmenter, const s2u_plane& picture,
                                   const s2u_segment_options* options) {
  const s2u_plane* pictures[] = {&picture};
  s2u_segmentation* out = nullptr;
  const Told t = told(s2u_segment(segmenter, pictures, 1, options, &out));
  EXPECT_EQ(t.code, S2U_OK) << t.text;
  return out;
}

inline std::vector<std::uint8_t> gradient(int width, int height, int channels) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(width * height * channels));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(i * 37 / 11);
  return out;
}

/// An array that is given out, asked for as a caller does.
template <class T, class Get>
std::vector<T> array_of(const Get& get) {
  std::size_t count = 0;
  EXPECT_EQ(told(get(static_cast<T*>(nullptr), &count)).code, S2U_OK);
  std::vector<T> out(count);
  if (count > 0) {  // one too few writes nothing
    std::size_t less = count - 1;
    EXPECT_EQ(told(get(out.data(), &less)).code, S2U_OK);
    EXPECT_EQ(less, count);
    EXPECT_EQ(out, std::vector<T>(count));
  }
  EXPECT_EQ(told(get(out.data(), &count)).code, S2U_OK);
  EXPECT_EQ(count, out.size());
  return out;
}

}  // namespace sam2unet
