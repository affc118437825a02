// Runs a fuzz target on each file of its regression corpus (fuzz/corpus/TARGET): inputs that once crashed
// or hung it, and those that reach the most of the code. A sanitizer build sees what they touch.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <vector>

#include "core/file.h"
#include "support/effort.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace sam2unet {
namespace {

TEST(FuzzReplay, Corpus) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(S2U_SOURCE_DIR) /
                                                               "fuzz" / "corpus" / S2U_FUZZ_TARGET)) {
    SCOPED_TRACE(entry.path().filename());
    const auto bytes = read_file(entry.path());
    const std::vector<std::byte> exact(bytes.begin(), bytes.end());  // no spare capacity behind the last byte
    const double effort = test::effort([&] {
      EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(exact.data()), exact.size()), 0);
    });
    EXPECT_LT(effort, test::kMaxEffort);
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace sam2unet
