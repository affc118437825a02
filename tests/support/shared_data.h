// Where the golden values lie: what the repository carries in tests/data, and all of it in ../shared beside
// the checkout where that is there (a user's clone has none; the tests then run on what the repository
// carries).
#pragma once

#include <filesystem>
#include <optional>

namespace sam2unet::test {

inline std::filesystem::path repository_data() {
  return std::filesystem::path(S2U_SOURCE_DIR) / "tests" / "data";
}

/// The development data beside the checkout (also found from a worktree one level deeper), if there is any. A
/// test that cannot run without it says GTEST_SKIP: it counts as skipped, not as passed.
inline std::optional<std::filesystem::path> shared_data() {
  std::filesystem::path p = S2U_SOURCE_DIR;
  for (int i = 0; i < 2; ++i) {
    p = p.parent_path();
    if (std::filesystem::is_directory(p / "shared" / "golden")) return p / "shared";
  }
  return std::nullopt;
}

}  // namespace sam2unet::test
