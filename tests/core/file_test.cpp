#include "core/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <functional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/forked.h"
#include "sam2unet/errors.h"
#include "sam2unet/files.h"
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

// What a user reads when the system refuses, and whether another name would help.
TEST(AtomicFile, SaysWhyInPlainWords) {
  const test::TempDir dir;
  struct Case {
    int error;
    const char* says;
    bool by_name;
  };
  for (const Case& c :
       {Case{ENOENT, "no such file or folder", false}, Case{EACCES, "permission denied", false},
        Case{EPERM, "permission denied", false}, Case{EISDIR, "it is a folder, not a file", true},
        Case{ENOSPC, "the disk is full; free some space or write elsewhere", false},
        Case{EDQUOT, "the disk is full; free some space or write elsewhere", false},
        Case{ENAMETOOLONG, "the name is too long for this file system; give the picture a shorter name",
             true},
        Case{EROFS, "the file system is read-only", false}, Case{EINVAL, "", true}, Case{EILSEQ, "", true},
        Case{ENOTDIR, "", true}, Case{EEXIST, "", true}, Case{ELOOP, "", true}, Case{EIO, "", false}}) {
    const Fsync failing([&](int) {
      errno = c.error;
      return -1;
    });
    const auto write = [&] { write_file(dir / "a.bin", "x"); };
    const std::string begin = "cannot write " + (dir / "a.bin").string() + ": " + c.says;
    EXPECT_TRUE(test::message_of<FileError>(write).starts_with(begin)) << test::message_of<FileError>(write);
    EXPECT_EQ(!test::message_of<NameError>([&] {
                 try {
                   write();
                 } catch (const NameError&) {
                   throw;
                 } catch (const FileError&) {  // another kind
                 }
               }).empty(),
              c.by_name)
        << c.error;
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(AtomicFile, NamesThatCannotBeAreToldAtOnce) {
  const test::TempDir dir;
  EXPECT_NE(test::message_of<NameError>([&] {
              AtomicFile f(dir / std::string(300, 'n'));
            }).find("name is too long"),
            std::string::npos);
  std::filesystem::create_directory(dir / "folder");
  EXPECT_NE(test::message_of<NameError>([&] { write_file(dir / "folder", "x"); }).find("it is a folder"),
            std::string::npos);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);  // no temporary is left
}

// A name of its own beside the file, hidden, so that a listing of results does not show it; as open to others
// as any new file.
TEST(AtomicFile, IsHiddenUntilItIsWhole) {
  const test::TempDir dir;
  AtomicFile a(dir / "a.bin"), b(dir / "a.bin");  // two at a time have two names
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(dir.path()))
    names.push_back(e.path().filename().string());
  ASSERT_EQ(names.size(), 2u);
  for (const std::string& name : names) {
    EXPECT_TRUE(name.starts_with(".sam2unet.") && name.ends_with(".part")) << name;
  }
  a.write("of ");
  a.write("a");
  a.commit();
  struct stat st = {};
  ASSERT_EQ(::stat((dir / "a.bin").c_str(), &st), 0);
  const mode_t mask = ::umask(0);
  ::umask(mask);
  EXPECT_EQ(st.st_mode & 0777, 0666 & ~mask);
  EXPECT_EQ(st.st_size, 4);
}

TEST(ReadFile, TakesPipesAndSaysWhatItCannotRead) {
  const test::TempDir dir;
  ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += static_cast<char>('a' + i % 23);
  std::thread writer([&] {
    const int fd = ::open((dir / "pipe").c_str(), O_WRONLY);
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t n = ::write(fd, text.data() + at, text.size() - at);
      if (n <= 0) break;
      at += static_cast<std::size_t>(n);
    }
    ::close(fd);
  });
  std::vector<std::byte> bytes(7);  // what was in it does not matter
  read_file(dir / "pipe", bytes);
  writer.join();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), text);
  write_file(dir / "empty", std::string_view());
  EXPECT_TRUE(read_file(dir / "empty").empty());
  EXPECT_EQ(test::message_of<FileError>([&] { (void)read_file(dir.path()); }),
            "cannot read " + dir.path().string() + ": it is a folder, not a file");
  EXPECT_EQ(test::message_of<FileError>([&] { (void)read_file(dir / "none"); }),
            "cannot open " + (dir / "none").string() + ": no such file or folder");
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  const test::TempDir dir;
  {
    AtomicFile f(dir / "a.bin");
    f.write("half");
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

// Its descriptor is then the one that standard input had.
TEST(AtomicFile, WorksWithoutStandardInput) {
  const test::TempDir dir;
  const int before = ::dup(STDIN_FILENO);
  ::close(STDIN_FILENO);
  { AtomicFile f(dir / "a.bin"); }
  const bool is_left = !std::filesystem::is_empty(dir.path());
  write_file(dir / "b.bin", "whole");
  const std::size_t size = read_file(dir / "b.bin").size();
  const std::size_t mapped = MappedFile(dir / "b.bin").bytes().size();
  const int next = ::dup(STDOUT_FILENO);  // nothing holds it any longer
  ::dup2(before, STDIN_FILENO);
  ::close(before);
  EXPECT_EQ(next, STDIN_FILENO);
  EXPECT_FALSE(is_left);
  EXPECT_EQ(size, 5u);
  EXPECT_EQ(mapped, 5u);
}

TEST(AtomicFile, ReplacesWhole) {
  const test::TempDir dir;
  write_file(dir / "a.txt", "first");
  write_file(dir / "a.txt", "second");
  const MappedFile m(dir / "a.txt");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(m.bytes().data()), m.bytes().size()), "second");
  EXPECT_EQ(read_file(dir / "a.txt").size(), 6u);
}

// What programs write by: part after part, moved about, and nothing without its end.
TEST(AtomicWriter, WritesWhatWasCommittedAlone) {
  const test::TempDir dir;
  const auto put = [](AtomicWriter& w, std::string_view text) { w.write(std::as_bytes(std::span(text))); };
  {
    AtomicWriter a(dir / "a.txt"), dropped(dir / "b.txt");
    put(a, "one, ");
    put(dropped, "never seen");
    AtomicWriter moved(std::move(a));
    put(moved, "two");
    EXPECT_FALSE(std::filesystem::exists(dir / "a.txt"));
    moved.commit();
    moved = std::move(dropped);
  }
  const auto text = [&](const char* name) {
    const auto bytes = read_file(dir / name);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  EXPECT_EQ(text("a.txt"), "one, two");
  write_atomically(dir / "c.txt", std::string_view("text"));
  write_atomically(dir / "d.bin", std::as_bytes(std::span(std::string_view("bytes"))));
  EXPECT_EQ(text("c.txt"), "text");
  EXPECT_EQ(text("d.bin"), "bytes");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 3);
  EXPECT_THROW(AtomicWriter(dir / "none" / "a"), FileError);
}

TEST(AtomicFile, AMissingFolderIsAnError) {
  const test::TempDir dir;
  EXPECT_THROW(AtomicFile(dir / "missing" / "a"), FileError);
}

TEST(MappedFile, SaysWhatIsWrong) {
  const test::TempDir dir;
  EXPECT_NE(test::message_of<FileError>([&] { MappedFile(dir / "nothing"); }).find("no such file"),
            std::string::npos);
  EXPECT_EQ(test::message_of<FileError>([&] { MappedFile m(dir.path()); }),
            "cannot read " + dir.path().string() + ": it is a folder, not a file");
  EXPECT_EQ(test::message_of<FileError>([] { MappedFile m("/dev/null"); }),
            "cannot map /dev/null: it is not a regular file; copy it to one first");
}

TEST(MappedFile, MovesAndMayBeEmpty) {
  const test::TempDir dir;
  write_file(dir / "a", "first");
  write_file(dir / "b", "second one");
  write_file(dir / "empty", std::string_view());
  const auto text = [](const MappedFile& m) {
    return std::string(reinterpret_cast<const char*>(m.bytes().data()), m.bytes().size());
  };
  MappedFile a(dir / "a"), b(dir / "b");
  EXPECT_EQ(a.path(), dir / "a");
  a = std::move(b);
  EXPECT_EQ(text(a), "second one");
  EXPECT_EQ(a.path(), dir / "b");
  const MappedFile c(std::move(a));
  EXPECT_EQ(text(c), "second one");
  EXPECT_EQ(c.path(), dir / "b");
  EXPECT_TRUE(MappedFile(dir / "empty").bytes().empty());
}

// Kilobytes of this mapping that are in memory, as the system counts them; -1 where it does not.
long resident_kb(const void* begin) {
  std::ifstream maps("/proc/self/smaps");
  std::ostringstream head;
  head << std::hex << reinterpret_cast<std::uintptr_t>(begin) << '-';
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.starts_with(head.str())) here = true;
    if (here && line.starts_with("Rss:")) return std::stol(line.substr(4));
  }
  return -1;
}

// Only whole pages leave: those at the ends hold a neighbour's bytes, which are still to be read.
TEST(MappedFile, ReleasedPagesLeaveMemory) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const test::TempDir dir;
  write_file(dir / "a", std::string(64 * page, 'x'));
  const MappedFile m(dir / "a");
  int sum = 0;
  const auto touch = [&] {
    for (std::size_t i = 0; i < m.bytes().size(); i += page) sum += static_cast<int>(m.bytes()[i]);
  };
  touch();
  const long all = resident_kb(m.bytes().data());
  if (all != static_cast<long>(64 * page / 1024)) GTEST_SKIP() << "the system does not count pages of files";
  m.release(m.bytes().subspan(100, 3 * page));
  EXPECT_EQ(all - resident_kb(m.bytes().data()), static_cast<long>(2 * page / 1024));
  touch();
  m.release(m.bytes().subspan(100, page));  // no whole one
  EXPECT_EQ(resident_kb(m.bytes().data()), all);
  m.release(m.bytes().subspan(page, page));  // one, from end to end
  EXPECT_EQ(all - resident_kb(m.bytes().data()), static_cast<long>(page / 1024));
  m.release(
      m.bytes().subspan(5 * page + 1, 2 * page - 1));  // one, at the end of a part that begins before it
  EXPECT_EQ(all - resident_kb(m.bytes().data()), static_cast<long>(2 * page / 1024));
  m.release(m.bytes());
  EXPECT_EQ(resident_kb(m.bytes().data()), 0);
  EXPECT_EQ(sum, 2 * 64 * 'x');
}

TEST(MappedFile, ReleasedPagesStayReadable) {
  const test::TempDir dir;
  const std::string text(100'000, 'x');
  write_file(dir / "a", text);
  const MappedFile m(dir / "a");
  m.release(m.bytes());
  EXPECT_EQ(static_cast<char>(m.bytes()[50'000]), 'x');
}

TEST(Forked, OnlyInAChild) {
  EXPECT_FALSE(forked());
  const pid_t child = ::fork();
  if (child == 0) ::_exit(forked() ? 7 : 1);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_FALSE(forked());
}

}  // namespace
}  // namespace sam2unet
