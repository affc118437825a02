// Tar files: what is written is read again, what `tar` and Python write is read, and whatever is wrong is
// refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/file.h"
#include "sam2unet/errors.h"
#include "support/temp_dir.h"
#include "tar/reader.h"
#include "tar/tar_file.h"
#include "tar/writer.h"

namespace sam2unet {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}
std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A member as a hostile writer may spell it; the checksum is right unless told otherwise.
struct Header {
  std::string name = "a.jpg", size = "00000000003",
              magic = std::string(
                  "ustar\0"
                  "00",
                  8);
  char type = '0';
  bool is_sound = true;
};
std::string member(const Header& h, const std::string& contents) {
  std::string block(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  put(0, h.name.substr(0, 100));
  put(124, h.size);
  put(148, "        ");
  block[156] = h.type;
  put(257, h.magic);
  unsigned sum = h.is_sound ? 0 : 1;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  char text[16];
  std::snprintf(text, sizeof text, "%06o", sum);
  put(148, text + std::string("\0 ", 2));
  return block + contents + std::string((512 - contents.size() % 512) % 512, '\0');
}
std::string octal(std::size_t n) {
  char text[16];
  std::snprintf(text, sizeof text, "%011zo", n);
  return text;
}
std::string extended(char type, const std::string& contents) {
  return member({"x", octal(contents.size()),
                 std::string("ustar\0"
                             "00",
                             8),
                 type},
                contents);
}
const std::string kEnd(1024, '\0');

void expect_refused(const std::string& tar, const std::string& why) {
  try {
    tar::read_tar(bytes_of(tar), "t.tar");
    ADD_FAILURE() << "was read; wanted: " << why;
  } catch (const FormatError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("t.tar: "), HasSubstr(why), Not(HasSubstr("\n"))));
  }
}

TEST(Tar, ReadsWhatItWrote) {
  const test::TempDir dir;
  const std::string deep(90, 'd');
  const std::vector<std::pair<std::string, std::string>> files = {
      {"a.png", "abc"},
      {"empty", ""},
      {"full", std::string(512, 'f')},
      {deep + "/" + deep + ".png", "ustar's prefix"},
      {std::string(150, 'n') + ".png", "PAX"},
      {"\xC3\xA4/\xC3\xB6.png", "PAX too"},
      {std::string(100, 'e'), "just fits"}};
  const auto write = [&](const std::string& name) {
    tar::TarWriter writer(dir / name);
    for (const auto& [file, contents] : files) writer.add(file, bytes_of(contents));
    writer.commit();
  };
  write("a.tar");
  const tar::TarFile read(dir / "a.tar");
  ASSERT_EQ(read.members().size(), files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(read.members()[i].name, files[i].first);
    EXPECT_EQ(text_of(read.members()[i].bytes), files[i].second);
  }
  write("b.tar");
  EXPECT_EQ(read_file(dir / "a.tar"), read_file(dir / "b.tar"));
}

TEST(Tar, UnfinishedLeavesNothing) {
  const test::TempDir dir;
  { tar::TarWriter(dir / "a.tar").add("a", bytes_of("abc")); }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

// Both forms of the program `tar`, which also reads what we write.
TEST(Tar, AgreesWithTar) {
  if (std::system("tar --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no tar";
  const test::TempDir dir;
  const std::string name(120, 'n');
  write_file(dir / (name + ".png"), "long");
  write_file(dir / "short.png", "short");
  const std::string at = "cd '" + dir.path().string() + "' && ";
  for (const std::string format : {"gnu", "posix", "ustar"}) {
    const std::string names = format == "ustar" ? " ./short.png" : " ./short.png ./" + name + ".png";
    ASSERT_EQ(std::system((at + "tar --format=" + format + " -cf t.tar" + names).c_str()), 0);
    const tar::TarFile read(dir / "t.tar");
    ASSERT_EQ(read.members().size(), format == "ustar" ? 1U : 2U) << format;
    EXPECT_EQ(read.members()[0].name, "short.png");
    EXPECT_EQ(text_of(read.members().back().bytes), format == "ustar" ? "short" : "long");
    EXPECT_EQ(read.members().back().name, format == "ustar" ? "short.png" : name + ".png");
  }
  tar::TarWriter writer(dir / "ours.tar");
  writer.add("o/" + name + name + ".txt", bytes_of("ours"));
  writer.commit();
  ASSERT_EQ(std::system((at + "tar -xf ours.tar && [ \"$(cat o/*)\" = ours ]").c_str()), 0);
}

TEST(Tar, RefusesWhatIsDamaged) {
  expect_refused("", "end mark");
  expect_refused("short", "end mark");
  expect_refused(std::string("\x1F\x8B", 2) + std::string(600, 'z'), "compressed");
  expect_refused(member({}, "abc"), "end mark");
  expect_refused(member({}, "abc").substr(0, 700), "should have 3 bytes");
  expect_refused(member({.is_sound = false}, "abc") + kEnd, "checksum");
  expect_refused(member({.size = "77777777777"}, "abc") + kEnd, "should have 8589934591 bytes");
  expect_refused(member({.size = "-0000000001"}, "abc") + kEnd, "no octal number");
  expect_refused(member({.size = "00000000009"}, "abcdefghi") + kEnd, "no octal number");
  expect_refused(member({.size = std::string(12, '\xFF')}, "abc") + kEnd, "negative or too large");
  expect_refused(
      member({.size = std::string("\x80\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 12)}, "abc") + kEnd,
      "negative or too large");
  expect_refused(member({.magic = "notatar "}, "abc") + kEnd, "not ustar");
  expect_refused(member({}, "abc") + kEnd + member({}, "abc") + kEnd, "behind each other");
}

TEST(Tar, RefusesNamesThatLeadElsewhere) {
  expect_refused(member({.name = "../a.jpg"}, "abc") + kEnd, "leads out");
  expect_refused(member({.name = "a/../../b.jpg"}, "abc") + kEnd, "leads out");
  expect_refused(member({.name = "/etc/a.jpg"}, "abc") + kEnd, "absolute");
  expect_refused(member({.name = "a\n\x1B[2J.jpg"}, "abc") + kEnd, "control characters");
  expect_refused(member({.name = ""}, "abc") + kEnd, "no name");
  expect_refused(member({}, "abc") + member({.name = "./a.jpg"}, "abd") + kEnd, "twice");
  expect_refused(extended('x', "20 path=../../a.jpg\n") + member({}, "abc") + kEnd, "leads out");
  expect_refused(extended('L', std::string("/a.jpg\0", 7)) + member({}, "abc") + kEnd, "absolute");
}

TEST(Tar, RefusesWhatIsNoPlainFile) {
  for (const char type : {'1', '2'})
    expect_refused(member({.size = "0", .type = type}, "") + kEnd, "is a link");
  for (const char type : {'3', '4', '6'})
    expect_refused(member({.size = "0", .type = type}, "") + kEnd, "device");
  for (const char type : {'S', 'M', 'V', '\n'})
    expect_refused(member({.size = "0", .type = type}, "") + kEnd, "a type");
}

TEST(Tar, RefusesDamagedExtensions) {
  const auto with = [](const std::string& records) {
    return extended('x', records) + member({}, "abc") + kEnd;
  };
  expect_refused(with("99 path=a\n"), "damaged");
  expect_refused(with("0 path=a\n"), "damaged");
  expect_refused(with("-5 path=a\n"), "damaged");
  expect_refused(with("path=a\n"), "damaged");
  expect_refused(with("10 path=a."), "damaged");
  expect_refused(with("5 ab\n"), "damaged");
  expect_refused(with("30 size=99999999999999999999\n\n"), "damaged");
  expect_refused(with("13 size=9999\n"), "should have 9999 bytes");
  expect_refused(with("22 GNU.sparse.major=1\n"), "sparse");
  expect_refused(extended('g', "10 path=a\n") + member({}, "abc") + kEnd, "for all members");
  expect_refused(extended('x', "10 path=a\n") + kEnd, "without the member");
  expect_refused(member({"x", octal(std::size_t{2} << 20),
                         std::string("ustar\0"
                                     "00",
                                     8),
                         'x'},
                        std::string(2 << 20, 'x')) +
                     kEnd,
                 "extended header of");
}

// However it is cut or changed, it is read or refused: no other exception, nothing outside its bytes.
TEST(Tar, EveryCutAndFlippedByte) {
  const std::string tar =
      extended('x', "19 path=long/b.jpg\n") + member({}, "abc") + member({.name = "c.png"}, "xyz") + kEnd;
  const auto try_it = [](const std::string& text) {
    const std::vector<char> exact(text.begin(), text.end());  // on the heap, where the sanitizers see its end
    try {
      for (const auto& m : tar::read_tar(std::as_bytes(std::span(exact)), "t")) {
        EXPECT_GE(m.bytes.data(), std::as_bytes(std::span(exact)).data());
        EXPECT_LE(m.bytes.data() + m.bytes.size(), std::as_bytes(std::span(exact)).data() + exact.size());
      }
      return true;
    } catch (const FormatError&) {
      return false;
    }
  };
  ASSERT_TRUE(try_it(tar));
  for (std::size_t n = 0; n + kEnd.size() < tar.size(); n += 7) EXPECT_FALSE(try_it(tar.substr(0, n))) << n;
  for (std::size_t i = 0; i < tar.size(); ++i) {
    std::string changed = tar;
    changed[i] = static_cast<char>(changed[i] ^ 0xFF);
    try_it(changed);
  }
}

std::string pax(const std::string& key, const std::string& value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (rest + std::to_string(length).size() != length) ++length;
  return std::to_string(length) + " " + key + "=" + value + "\n";
}

std::vector<std::string> read_all(const std::string& tar) {
  std::vector<std::string> out;
  for (const auto& m : tar::read_tar(bytes_of(tar), "t.tar")) out.push_back(m.name + ": " + text_of(m.bytes));
  return out;
}

// What an extended header says is of the next member, and of no other.
TEST(Tar, AnExtendedHeaderIsOfTheNextMemberAlone) {
  EXPECT_THAT(read_all(extended('x', pax("size", "5") + pax("path", "long/b.jpg")) +
                       member({.size = "00000000000"}, "abcde") + member({.name = "c.jpg"}, "xyz") + kEnd),
              ElementsAre("long/b.jpg: abcde", "c.jpg: xyz"));
  EXPECT_THAT(read_all(extended('L', std::string("l/b.jpg\0", 8)) + member({}, "abc") +
                       member({.name = "c.jpg"}, "xyz") + kEnd),
              ElementsAre("l/b.jpg: abc", "c.jpg: xyz"));
}

// What tells nothing of names or sizes is passed over: times of all members, long names of links' targets.
TEST(Tar, ExtensionsThatDoNotMatterArePassedOver) {
  EXPECT_THAT(read_all(extended('g', pax("comment", "c0ffee")) + extended('K', std::string("far\0", 4)) +
                       extended('x', pax("mtime", "1.5") + pax("LIBARCHIVE.xattr", "a=b")) +
                       member({}, "abc") + kEnd),
              ElementsAre("a.jpg: abc"));
}

TEST(Tar, TheKindsOfPlainFilesAndFolders) {
  EXPECT_THAT(read_all(member({.name = "d/", .size = "0", .type = '5'}, "") +
                       member({.name = "e/", .size = "0"}, "") +  // folders of before 1988
                       member({.name = "f/", .size = "0", .type = '\0'}, "") +
                       member({.name = "old.jpg", .type = '\0'}, "abc") +
                       member({.name = "contiguous.jpg", .type = '7'}, "abd") + kEnd),
              ElementsAre("old.jpg: abc", "contiguous.jpg: abd"));
}

TEST(Tar, SizesInEveryForm) {
  const auto of = [](std::string size) {
    size.resize(12, '\0');
    return read_all(member({.size = size}, "abc") + kEnd);
  };
  const auto abc = ElementsAre("a.jpg: abc");
  EXPECT_THAT(of("3"), abc);
  EXPECT_THAT(of("       3 "), abc);
  EXPECT_THAT(of("000000000003"), abc);  // all twelve bytes
  // GNU's, of 258 bytes.
  const std::string big(258, 'g'), size("\x80\0\0\0\0\0\0\0\0\0\x01\x02", 12);
  EXPECT_THAT(read_all(member({.size = size}, big) + kEnd), ElementsAre("a.jpg: " + big));
}

// Members end at a block; where they end just there nothing is put between them.
TEST(Tar, ContentsOfWholeBlocksEndWithThem) {
  for (const std::size_t n : {0U, 511U, 512U, 513U, 1024U}) {
    const std::string full(n, 'f');
    EXPECT_THAT(read_all(member({.size = octal(n)}, full) + member({.name = "b.jpg"}, "xyz") + kEnd),
                ElementsAre("a.jpg: " + full, "b.jpg: xyz"))
        << n;
  }
  // The last member without what fills its block, as of a tar that was cut off.
  const std::string tar = member({}, "abc");
  for (const std::size_t less : {1U, 509U})
    expect_refused(tar.substr(0, tar.size() - less), "should have 3 bytes, but the file ends after");
}

// One block of zeros ends a tar, as some programs write it; any number may follow.
TEST(Tar, TheEndIsABlockOfZerosOrMore) {
  for (const std::size_t n : {512U, 1024U, 10240U})
    EXPECT_THAT(read_all(member({}, "abc") + std::string(n, '\0')), ElementsAre("a.jpg: abc")) << n;
  EXPECT_THAT(read_all(std::string(512, '\0')), ::testing::IsEmpty());
  expect_refused(member({}, "abc") + std::string(511, '\0'), "end mark");
  expect_refused(member({}, "abc") + std::string(512, '\0') + "x", "bytes follow its end mark");
}

// GNU keeps times where ustar has the first part of a name.
TEST(Tar, OnlyUstarHasPrefixes) {
  const auto with_prefix = [](const std::string& magic) {
    std::string tar = member({.magic = magic}, "abc");
    tar.replace(345, 3, "dir");
    unsigned sum = 0;
    for (std::size_t i = 0; i < 512; ++i)
      sum += static_cast<unsigned char>(i >= 148 && i < 156 ? ' ' : tar[i]);
    char text[16];
    std::snprintf(text, sizeof text, "%06o", sum);
    tar.replace(148, 6, text);
    return read_all(tar + kEnd);
  };
  EXPECT_THAT(with_prefix(std::string("ustar\0"
                                      "00",
                                      8)),
              ElementsAre("dir/a.jpg: abc"));
  EXPECT_THAT(with_prefix(std::string("ustar  \0", 8)), ElementsAre("a.jpg: abc"));
}

TEST(Tar, NamesOfUpToFourThousandBytes) {
  const auto named = [](std::size_t n) {
    return extended('x', pax("path", std::string(n, 'n'))) + member({}, "abc") + kEnd;
  };
  EXPECT_EQ(tar::read_tar(bytes_of(named(4096)), "t").at(0).name.size(), 4096U);
  expect_refused(named(4097), "a name of 4097 bytes");
}

TEST(Tar, NamesAreWrittenInOneWay) {
  EXPECT_THAT(read_all(member({.name = "./a//b/./c.jpg"}, "abc") + kEnd), ElementsAre("a/b/c.jpg: abc"));
  expect_refused(extended('x', pax("path", "")) + member({}, "abc") + kEnd, "an empty name");
}

// In messages a long name is cut, and a header has its own place.
TEST(Tar, MessagesNameThePlaceAndNoMoreThan80Bytes) {
  expect_refused(member({.name = "/" + std::string(99, 'n')}, "abc") + kEnd,
                 "the name /" + std::string(79, 'n') + "... is absolute");
  expect_refused(member({.name = "/" + std::string(80, 'n')}, "abc") + kEnd,
                 "the name /" + std::string(79, 'n') + "... is absolute");
  expect_refused(member({.name = "/" + std::string(79, 'n')}, "abc") + kEnd,
                 "the name /" + std::string(79, 'n') + " is absolute");
  expect_refused(member({}, "abc") + member({.is_sound = false}, "abc") + kEnd, "the header at byte 1024 ");
  expect_refused(member({}, "abc") + member({.magic = "notatar "}, "abc") + kEnd, "the header at byte 1024 ");
}

TEST(Tar, ACompressedOneIsCalledSo) {
  for (const std::string& begin :
       {std::string("\x1F\x8B", 2), std::string("\x28\xB5\x2F\xFD", 4), std::string("BZh9"),
        std::string("\xFD"
                    "7zXZ")})
    expect_refused(begin + std::string(2000, 'z'), "it is compressed; unpack it first");
}

TEST(Tar, ExtendedHeadersOfUpToAMegabyte) {
  const auto of = [](std::size_t n) {  // seven digits, a space, "comment=" and a line's end
    return extended('x', pax("comment", std::string(n - 17, 'c'))) + member({}, "abc") + kEnd;
  };
  EXPECT_THAT(read_all(of(1048576)), ElementsAre("a.jpg: abc"));
  expect_refused(of(1048577), "an extended header of 1048577 bytes");
}

// Some old programs summed a header's bytes as signed ones.
TEST(Tar, ChecksumsOfSignedBytes) {
  std::string tar = member({.name = "\xC3\xA4.jpg"}, "abc");
  int sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += static_cast<signed char>(i >= 148 && i < 156 ? ' ' : tar[i]);
  char text[16];
  std::snprintf(text, sizeof text, "%06o", static_cast<unsigned>(sum));
  tar.replace(148, 6, text);
  EXPECT_THAT(read_all(tar + kEnd), ElementsAre("\xC3\xA4.jpg: abc"));
  std::snprintf(text, sizeof text, "%06o", static_cast<unsigned>(sum + 1));
  tar.replace(148, 6, text);
  expect_refused(tar + kEnd, "checksum");
}

// PAX is for those that ustar cannot hold: older readers do not know it.
TEST(Tar, NamesThatFitUstarAreNotWrittenAsPax) {
  const test::TempDir dir;
  const auto bytes = [&](const std::string& name) {
    tar::TarWriter writer(dir / "a.tar");
    writer.add(name, bytes_of("abc"));
    writer.commit();
    return text_of(read_file(dir / "a.tar"));
  };
  // A header, a block and two blocks of zeros; PAX takes two more.
  EXPECT_EQ(bytes(std::string(100, 'n')).size(), 2048U);
  EXPECT_EQ(bytes(std::string(101, 'n')).size(), 3072U);
  EXPECT_EQ(bytes(std::string(155, 'd') + "/" + std::string(100, 'n')).size(), 2048U);
  EXPECT_EQ(bytes(std::string(156, 'd') + "/" + std::string(100, 'n')).size(), 3072U);
  EXPECT_EQ(bytes(std::string(155, 'd') + "/" + std::string(101, 'n')).size(), 3072U);
}

// Field by field (POSIX.1-1988): of nobody, at no time, so that the same members are the same bytes.
TEST(Tar, IsWrittenByteByByte) {
  const test::TempDir dir;
  {
    tar::TarWriter writer(dir / "a.tar");
    writer.add("d/a.png", bytes_of("abc"));
    writer.commit();
  }
  std::string block(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  put(0, "d/a.png");
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000000003");
  put(136, "00000000000");
  put(148, "        ");
  put(156, "0");
  put(257, std::string("ustar\0"
                       "00",
                       8));
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  char text[16];
  std::snprintf(text, sizeof text, "%06o", sum);
  put(148, text + std::string("\0 ", 2));
  EXPECT_EQ(text_of(read_file(dir / "a.tar")), block + "abc" + std::string(509, '\0') + kEnd);
}

// The length of a record counts its own digits, also where they become one more.
TEST(Tar, PaxHeadersOfEveryLength) {
  const test::TempDir dir;
  for (const std::size_t n :
       {3U, 83U, 88U, 89U, 90U, 91U, 92U, 93U, 986U, 987U, 988U, 989U, 990U, 991U, 992U}) {
    const std::string name = "\xC3\xA4" + std::string(n, 'n');
    {
      tar::TarWriter writer(dir / "a.tar");
      writer.add(name, bytes_of("abc"));
      writer.commit();
    }
    const std::string tar = text_of(read_file(dir / "a.tar"));
    EXPECT_EQ(tar.substr(0, 15), "PaxHeaders/name");
    EXPECT_EQ(tar[156], 'x');
    EXPECT_EQ(tar.substr(512, pax("path", name).size()), pax("path", name)) << n;
    const tar::TarFile read(dir / "a.tar");
    ASSERT_EQ(read.members().size(), 1U);
    EXPECT_EQ(read.members()[0].name, name);
  }
}

// Eleven octal digits hold less than 8 GiB. The bytes are never looked at.
TEST(Tar, AMemberOfEightGibibytesIsRefused) {
  const test::TempDir dir;
  tar::TarWriter writer(dir / "a.tar");
  const std::byte one{};
  try {
    writer.add("a.png", {&one, std::size_t{1} << 33});
    ADD_FAILURE() << "was written";
  } catch (const FileError& e) {
    EXPECT_STREQ(e.what(), "a.png: 8589934592 bytes are more than a tar file's member may have");
  }
}

TEST(Tar, RefusalsInPlainWords) {
  const auto says = [](const std::string& tar) {
    try {
      tar::read_tar(bytes_of(tar), "t.tar");
    } catch (const FormatError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  const std::string begin = "t.tar: no sound tar file: ";
  EXPECT_EQ(says(""), begin + "it ends without its end mark: cut off while it was written or copied");
  EXPECT_EQ(says(member({.size = "0", .type = '3'}, "") + kEnd), begin + "a.jpg is a device or pipe");
  EXPECT_EQ(says(member({.size = "0", .type = '1'}, "") + kEnd),
            begin + "a.jpg is a link; only plain files are read (tar --dereference --hard-dereference)");
  EXPECT_EQ(says(member({.size = "0", .type = 'S'}, "") + kEnd),
            begin + "a.jpg is of a type that is not read ('S': sparse, or in several parts)");
  EXPECT_EQ(says(member({}, "abc") + member({.name = "./a.jpg"}, "abd") + kEnd),
            begin + "a.jpg is in it twice");
  EXPECT_EQ(says(extended('x', pax("GNU.sparse.major", "1")) + member({}, "abc") + kEnd),
            begin + "it holds sparse files, which are not read (tar without --sparse)");
  EXPECT_EQ(says(extended('g', pax("size", "3")) + member({}, "abc") + kEnd),
            begin + "one size for all members");
  EXPECT_EQ(says(extended('g', pax("path", "a")) + member({}, "abc") + kEnd),
            begin + "one path for all members");
  // The size stands at byte 124 of its header.
  EXPECT_EQ(says(member({}, "abc") + member({.name = "b.jpg", .size = "x"}, "abc") + kEnd),
            begin + "the size at byte 1148 is no octal number");
  EXPECT_EQ(says(member({}, "abc") + member({.size = std::string(12, '\xFF')}, "abc") + kEnd),
            begin + "the size at byte 1024 is negative or too large");
  EXPECT_EQ(says(member({.magic = "notatar "}, "abc") + kEnd),
            begin + "the header at byte 0 is of a form that is not read (not ustar, PAX or GNU)");
  EXPECT_EQ(says(member({.is_sound = false}, "abc") + kEnd),
            begin + "the checksum of the header at byte 0 does not match: damaged, or no tar file");
  EXPECT_EQ(says(extended('x', "5 ab\n") + member({}, "abc") + kEnd),
            begin + "a damaged extended header before byte 1024");
  EXPECT_EQ(says(extended('x', pax("size", "1x")) + member({}, "abc") + kEnd),
            begin + "a damaged number in the extended header before byte 1024");
  EXPECT_EQ(says(extended('x', pax("size", std::string(19, '0'))) + member({}, "abc") + kEnd),
            begin + "a damaged number in the extended header before byte 1024");
  EXPECT_EQ(says(extended('x', pax("size", std::string(17, '0') + "3")) + member({}, "abc") + kEnd), "");
}

// Names are told by their ends in the file: of the member, and by the file's own name.
TEST(Tar, TheFileIsNamedInRefusals) {
  const test::TempDir dir;
  write_file(dir / "broken.tar", "no tar");
  try {
    const tar::TarFile file(dir / "broken.tar");
    ADD_FAILURE() << "was read";
  } catch (const FormatError& e) {
    EXPECT_THAT(e.what(), ::testing::StartsWith((dir / "broken.tar").string() + ": no sound tar file: "));
  }
}

}  // namespace
}  // namespace sam2unet
