#include "core/default_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "sam2unet/errors.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

TEST(DefaultModel, IsFoundBesideTheLibraryAndWhereLibIsALink) {
  ::unsetenv("SAM2UNET_MODEL");
  const test::TempDir dir;
  const auto models = dir / "usr/share/sam2unet/models";
  std::filesystem::create_directories(models);
  std::filesystem::create_directories(dir / "usr/lib/arch");
  std::filesystem::create_directory_symlink("usr/lib", dir / "lib");  // as Debian has it
  try {
    find_default_model(dir / "lib/arch");
    FAIL() << "there is none";
  } catch (const FileError& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("usr/share/sam2unet/models"));
  }
  const auto file = models / "sam2unet_t_duts_int8.safetensors";
  std::ofstream(file) << "weights";
  for (const char* place : {"lib/arch", "usr/lib/arch", "usr/lib"})
    EXPECT_TRUE(std::filesystem::equivalent(find_default_model(dir / place), file)) << place;
  EXPECT_THROW(find_default_model({}), FileError);
}

}  // namespace
}  // namespace sam2unet
