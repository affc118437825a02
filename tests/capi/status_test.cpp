// What the C API makes of each exception: its code, by the header's list, and its text.
#include "capi/status.h"

#include <gtest/gtest.h>

#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "sam2unet/errors.h"

namespace sam2unet {
namespace {

TEST(CStatus, EachExceptionHasItsCode) {
  const std::string memory = "out of memory";
  const std::vector<std::tuple<std::function<void()>, s2u_code, std::string>> all = {
      {[] { throw UsageError("a"); }, S2U_INVALID_ARGUMENT, "a"},
      {[] { throw FileError("b"); }, S2U_FILE_ERROR, "b"},
      {[] { throw FormatError("c"); }, S2U_FORMAT_ERROR, "c"},
      {[] { throw WeightsError("d"); }, S2U_WEIGHTS_ERROR, "d"},
      {[] { throw ImageError("e"); }, S2U_IMAGE_ERROR, "e"},
      {[] { throw UnavailableError("f"); }, S2U_UNAVAILABLE, "f"},
      {[] { throw std::bad_alloc(); }, S2U_OUT_OF_MEMORY, memory},
      {[] { std::vector<int>().reserve(std::vector<int>().max_size() + 1); }, S2U_OUT_OF_MEMORY, memory},
      {[] { throw std::out_of_range("g"); }, S2U_INTERNAL, "g"},
      {[] { throw 7; }, S2U_INTERNAL, "an unknown exception"},
      {[] { capi::need(nullptr, "the map"); }, S2U_INVALID_ARGUMENT, "the map is null"}};
  for (const auto& [body, code, text] : all) {
    s2u_status* status = capi::guarded(body);
    EXPECT_EQ(s2u_status_code(status), code) << text;
    EXPECT_EQ(s2u_status_text(status), text);
    const bool is_of_memory = s2u_status_code(status) == S2U_OUT_OF_MEMORY;
    s2u_status_free(status);
    if (is_of_memory) s2u_status_free(status);  // that one is nobody's, and stays
  }
  EXPECT_EQ(capi::guarded([] {}), nullptr);
  EXPECT_NO_THROW(capi::need("", "a text"));
}

TEST(CStatus, OfLibrariesOverThisOne) {
  EXPECT_EQ(s2u_status_new(S2U_OK, "fine"), nullptr);
  EXPECT_EQ(s2u_status_code(nullptr), S2U_OK);
  EXPECT_STREQ(s2u_status_text(nullptr), "");
  s2u_status* silent = s2u_status_new(S2U_FORMAT_ERROR, nullptr);
  EXPECT_EQ(s2u_status_code(silent), S2U_FORMAT_ERROR);
  EXPECT_STREQ(s2u_status_text(silent), "");
  s2u_status_free(silent);
}

}  // namespace
}  // namespace sam2unet
