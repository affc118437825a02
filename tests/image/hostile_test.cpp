// Damaged, cut off and lying files: an ImageError, never a crash, a hang or a huge allocation.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "core/hash.h"
#include "sam2unet/errors.h"
#include "sam2unet/image.h"
#include "support/message.h"
#include "support/pictures.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

std::vector<std::filesystem::path> files_in(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) out.push_back(entry.path());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::filesystem::path> good_files() {
  return files_in(test::repository_data() / "image" / "files");
}

// True if it decodes; anything but an ImageError escapes and fails the test.
bool decodes(std::span<const std::byte> bytes) {
  try {
    const Image image = decode_image(bytes, {.max_pixels = 1 << 20}, "hostile");
    EXPECT_GT(image.width, 0);
    EXPECT_EQ(image.pixels.size(),
              static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height) * 3);
    return true;
  } catch (const ImageError& e) {
    EXPECT_EQ(std::string_view(e.what()).find('\n'), std::string_view::npos) << e.what();
    return false;
  }
}

std::string refusal(std::string_view bytes, std::int64_t max_pixels = 1 << 28) {
  return test::message_of<ImageError>(
      [&] { decode_image(std::as_bytes(std::span(bytes)), {.max_pixels = max_pixels}, "x.png"); });
}

TEST(Hostile, EveryPrefixIsRefusedOrDecoded) {
  for (const auto& path : good_files()) {
    SCOPED_TRACE(path.filename().string());
    const auto bytes = read_file(path);
    ASSERT_TRUE(decodes(bytes));
    const std::span<const std::byte> all(bytes);
    for (std::size_t n = 0; n < bytes.size(); ++n) decodes(all.first(n));
    EXPECT_FALSE(decodes(all.first(bytes.size() / 4)));
  }
}

TEST(Hostile, ChangedBytesAreRefusedOrDecoded) {
  for (const auto& path : good_files()) {
    SCOPED_TRACE(path.filename().string());
    const auto bytes = read_file(path);
    std::uint64_t state = fnv1a(path.filename().string());
    const auto random = [&] { return (state = state * 6364136223846793005U + 1442695040888963407U) >> 33; };
    for (int i = 0; i < 200; ++i) {
      auto changed = bytes;
      for (std::uint64_t n = 1 + random() % 4; n > 0; --n) {
        // The first bytes tell the format: changing them only tests the telling.
        const std::size_t at = 4 + random() % (changed.size() - 4);
        changed[at] = random() % 3 == 0 ? std::byte{0xFF} : static_cast<std::byte>(random());
      }
      decodes(changed);
    }
  }
}

// Inputs that the fuzzer found to be interesting or that once went wrong.
TEST(Hostile, RegressionCorpus) {
  for (const auto& path : files_in(std::filesystem::path(S2U_SOURCE_DIR) / "fuzz" / "corpus" / "image")) {
    SCOPED_TRACE(path.filename().string());
    decodes(read_file(path));
  }
}

TEST(Hostile, LongerThanAllowedIsRefusedBeforeAllocating) {
  // 2^31 - 1 pixels square, in headers of a few bytes
  EXPECT_NE(refusal("P5 999999999 999999999 255\n").find("more than the"), std::string::npos);
  const std::string bmp(
      "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\xFF\xFF\xFF\x7F\xFF\xFF\xFF\x7F\1\0\x18\0\0\0\0\0"
      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
      54);
  EXPECT_NE(refusal(bmp).find("more than the"), std::string::npos) << refusal(bmp);
  const auto png = encode_png(test::picture(300, 10, 1));
  const std::string_view text(reinterpret_cast<const char*>(png.data()), png.size());
  EXPECT_EQ(refusal(text, 3000), "");
  EXPECT_NE(refusal(text, 2999).find("300 x 10 pixels, more than the 2999 allowed"), std::string::npos);
}

TEST(Hostile, MessagesSayWhatIsWrong) {
  EXPECT_EQ(refusal(""), "cannot decode x.png: the file is empty");
  EXPECT_NE(refusal("hello, world").find("not a JPEG, PNG"), std::string::npos);
  EXPECT_NE(refusal("P5 0 4 255\n").find("0 x 4 pixels, an empty picture"), std::string::npos);
  EXPECT_NE(refusal("P5 4 4 255\nabcdefgh").find("after 2 of 4 rows"), std::string::npos);
  EXPECT_NE(refusal("P3 2 1 255\n1 2 3 4 5 256 ").find("256"), std::string::npos);
  EXPECT_NE(refusal("P2 2 1 255\n1 x ").find("should have a number"), std::string::npos);
  EXPECT_NE(refusal("P2 4 4 0\n").find("given as 0"), std::string::npos);
}

TEST(Hostile, ACutOffJpegIsAnError) {
  const auto bytes = read_file(test::repository_data() / "image" / "files" / "rgb.jpg");
  EXPECT_FALSE(decodes(std::span(bytes).first(bytes.size() - 20)));
}

TEST(ReadImage, NamesTheFile) {
  const test::TempDir dir;
  write_file(dir / "broken.jpg", std::string_view("\xFF\xD8\xFF\xE0"));
  try {
    read_image(dir / "broken.jpg");
    FAIL();
  } catch (const ImageError& e) {
    EXPECT_NE(std::string_view(e.what()).find("broken.jpg"), std::string_view::npos);
  }
  EXPECT_THROW(read_image(dir / "missing.png"), FileError);
  EXPECT_THROW(read_image(dir.path()), FileError);
}

}  // namespace
}  // namespace sam2unet
