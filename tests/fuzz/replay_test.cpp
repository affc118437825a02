// Runs a fuzz target on each file of its regression corpus (fuzz/corpus/TARGET): inputs that once crashed
// or hung it, and those that reach the most of the code. A sanitizer build sees what they touch.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "core/file.h"

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
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(exact.data()), exact.size()), 0);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_LT(took.count(), 5.0);
    ++files;
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace sam2unet
