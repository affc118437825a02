// `sam2unet doctor` as a user runs it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "eval/folders.h"
#include "support/process.h"

namespace sam2unet::test {
namespace {

using testing::HasSubstr;

TEST(DoctorCommand, CleanIsZeroAndFindingsAreOne) {
  const MapFolders folders;
  folders.put("a", disc(50, 40, 10, 20, 6, 20), disc(50, 40, 20, 20, 9));
  folders.put("b", disc(50, 40, 40, 10, 8, 20), disc(50, 40, 20, 20, 9));
  RunOptions here;
  here.folder = folders.dir.path();
  const std::vector<std::string> arguments = {"doctor", "--images", "maps", "--masks", "gt"};
  const Finished clean = run(program("sam2unet"), arguments, here);
  EXPECT_EQ(clean.exit_code, 0) << clean.out;
  EXPECT_THAT(clean.out, HasSubstr("2 pictures, 2 pairs: nothing found"));

  Image ones = disc(50, 40, 20, 20, 9);
  for (auto& v : ones.pixels) v = v != 0 ? 1 : 0;
  write_png(folders.gt() / "b.png", ones);
  const Finished found = run(program("sam2unet"), arguments, here);
  EXPECT_EQ(found.exit_code, 1);
  EXPECT_THAT(found.out, HasSubstr("zero-one-mask: 1 mask has 0 and 1"));
  EXPECT_THAT(found.out, HasSubstr("mend: Multiply the masks by 255."));
  EXPECT_EQ(found.err, "");

  std::vector<std::string> json = arguments;
  json.insert(json.end(), {"--json", "-"});
  const Finished told = run(program("sam2unet"), json, here);
  EXPECT_EQ(told.exit_code, 1);
  EXPECT_EQ(nlohmann::json::parse(told.out).at("findings").at(0).at("kind"), "zero-one-mask");

  const Finished wrong = run(program("sam2unet"), {"doctor", "--images", "nowhere", "--masks", "gt"}, here);
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("nowhere: no such folder"));
}

}  // namespace
}  // namespace sam2unet::test
