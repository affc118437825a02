#include "core/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <vector>

#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"

namespace {
std::function<int(int)> on_fsync;  // in place of the system's
}  // namespace

// Stands before the C library's for this program.
extern "C" int fsync(int fd) {
  return on_fsync ? on_fsync(fd) : static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace sam2unet {
namespace {

struct Fsync {
  explicit Fsync(std::function<int(int)> f) { on_fsync = std::move(f); }
  ~Fsync() { on_fsync = nullptr; }
  Fsync(const Fsync&) = delete;
  Fsync& operator=(const Fsync&) = delete;
};

// Else a power cut may leave the name with an empty file behind it.
TEST(AtomicFile, IsOnTheDiskBeforeItHasItsName) {
  const test::TempDir dir;
  std::vector<off_t> sizes;
  const Fsync watched([&](int fd) {
    struct stat st = {};
    EXPECT_EQ(::fstat(fd, &st), 0);
    sizes.push_back(st.st_size);
    EXPECT_FALSE(std::filesystem::exists(dir / "a.bin"));
    return 0;
  });
  write_file(dir / "a.bin", "whole");
  EXPECT_EQ(sizes, std::vector<off_t>{5});
}

TEST(AtomicFile, ADiskThatFailsAtTheEndLeavesTheOldFile) {
  const test::TempDir dir;
  write_file(dir / "a.bin", "old");
  {
    const Fsync failing([](int) {
      errno = EIO;
      return -1;
    });
    EXPECT_THROW(write_file(dir / "a.bin", "new"), FileError);
  }
  EXPECT_EQ(read_file(dir / "a.bin").size(), 3u);
  const MappedFile m(dir / "a.bin");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(m.bytes().data()), m.bytes().size()), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);
}

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
