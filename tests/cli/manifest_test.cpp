// The lines of a manifest, byte by byte.
#include "cli/manifest.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/file.h"
#include "sam2unet/version.h"
#include "support/temp_dir.h"

namespace sam2unet::cli {
namespace {

std::string text_of(const std::filesystem::path& file) {
  const auto bytes = read_file(file);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ManifestTest, ALineHasAllThatIsKnown) {
  const test::TempDir dir;
  const auto file = dir / "done.jsonl";
  const std::string end = ",\"weights\":\"w1\",\"version\":\"" + std::string(version()) + "\"}\n";
  {
    Manifest manifest(file, "w1");
    manifest.add({"sub/a", "in/a.png", "", 12.3456});
    manifest.add({"b", "in/\xFF.png", "cannot read \xE4", 0.0});
    manifest.add({"c", "c.png", "", 1234567.8});
  }
  EXPECT_EQ(text_of(file),
            "{\"key\":\"sub/a\",\"input\":\"in/a.png\",\"status\":\"ok\",\"milliseconds\":12.35" + end +
                "{\"key\":\"b\",\"input\":\"in/\\\\xFF.png\",\"status\":\"failed\",\"error\":\"cannot read "
                "\\\\xE4\",\"milliseconds\":0.0" +
                end + "{\"key\":\"c\",\"input\":\"c.png\",\"status\":\"ok\",\"milliseconds\":1234567.8" +
                end);
  EXPECT_FALSE(Manifest(file, "w2").is_done("sub/a", "in/a.png"));  // of other weights
  const Manifest again(file, "w1");
  EXPECT_TRUE(again.is_done("sub/a", "in/a.png"));
  EXPECT_FALSE(again.is_done("sub/a", "a.png"));
  EXPECT_FALSE(again.is_done("b", "in/\xFF.png"));
}

}  // namespace
}  // namespace sam2unet::cli
