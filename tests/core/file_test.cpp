#include "core/file.h"

#include <gtest/gtest.h>

#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const test::TempDir dir;
  {
    AtomicFile f(dir / "a.bin");
    f.write("half");
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(AtomicFile, ReplacesWhole) {
  const test::TempDir dir;
  write_file(dir / "a.txt", "first");
  write_file(dir / "a.txt", "second");
  const MappedFile m(dir / "a.txt");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(m.bytes().data()), m.bytes().size()), "second");
  EXPECT_EQ(read_file(dir / "a.txt").size(), 6u);
}

TEST(AtomicFile, AMissingFolderIsAnError) {
  const test::TempDir dir;
  EXPECT_THROW(AtomicFile(dir / "missing" / "a"), FileError);
}

TEST(MappedFile, SaysWhatIsWrong) {
  const test::TempDir dir;
  EXPECT_NE(test::message_of<FileError>([&] { MappedFile(dir / "nothing"); }).find("no such file"),
            std::string::npos);
  EXPECT_THROW(MappedFile(dir.path()), FileError);
}

TEST(MappedFile, ReleasedPagesStayReadable) {
  const test::TempDir dir;
  const std::string text(100'000, 'x');
  write_file(dir / "a", text);
  const MappedFile m(dir / "a");
  m.release(m.bytes());
  EXPECT_EQ(static_cast<char>(m.bytes()[50'000]), 'x');
}

}  // namespace
}  // namespace sam2unet
