#include "core/default_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>
#include <string>

#include "sam2unet/errors.h"
#include "support/message.h"
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

// The nearest of the three places: PREFIX/bin, PREFIX/lib/ARCH, TREE/build/PRESET/bin.
TEST(DefaultModel, PlacesInTheirOrder) {
  ::unsetenv("SAM2UNET_MODEL");
  const test::TempDir dir;
  const auto bin = dir / "a/b/c/bin";
  std::filesystem::create_directories(bin);
  const auto put = [&](const std::string& folder) {
    std::filesystem::create_directories(dir / folder);
    std::ofstream(dir / folder / "sam2unet_t_duts_int8.safetensors") << "weights";
  };
  for (const char* folder : {"a/models", "a/b/share/sam2unet/models", "a/b/c/share/sam2unet/models"}) {
    put(folder);
    EXPECT_EQ(find_default_model(bin).parent_path(), dir / folder);
  }
  EXPECT_FALSE(own_folder().empty());
  EXPECT_TRUE(std::filesystem::is_directory(own_folder()));
}

TEST(DefaultModel, SaysWhereItLooked) {
  ::unsetenv("SAM2UNET_MODEL");
  const test::TempDir dir;
  const std::string top = dir.path().string(), name = "/sam2unet_t_duts_int8.safetensors";
  EXPECT_EQ(test::message_of<FileError>([&] { find_default_model(dir / "a/b/c/bin"); }),
            "the default model is not installed (looked for " + top + "/a/b/c/share/sam2unet/models" + name +
                ", " + top + "/a/b/share/sam2unet/models" + name + ", " + top + "/a/models" + name +
                "); name a file of weights, or set SAM2UNET_MODEL to one");
}

TEST(DefaultModel, TheEnvironmentGoesBeforeEverything) {
  const test::TempDir dir;
  ::setenv("SAM2UNET_MODEL", "/some/where.safetensors", 1);
  EXPECT_EQ(find_default_model(dir.path()), "/some/where.safetensors");
  ::setenv("SAM2UNET_MODEL", "", 1);  // as if it were not set
  try {
    find_default_model(dir.path());
    ADD_FAILURE() << "there is none";
  } catch (const FileError& e) {
    EXPECT_THAT(e.what(), testing::StartsWith("the default model is not installed (looked for "));
    EXPECT_THAT(e.what(), testing::HasSubstr("/models/sam2unet_t_duts_int8.safetensors); name a file of "
                                             "weights, or set SAM2UNET_MODEL to one"));
  }
  ::unsetenv("SAM2UNET_MODEL");
}

}  // namespace
}  // namespace sam2unet
