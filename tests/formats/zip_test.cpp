#include "formats/zip_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "formats/crc32.h"
#include "formats/file_builder.h"
#include "formats/zip_writer.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

using test::as_span;
using test::build_zip;
using test::le;
using test::message_of;
using testing::HasSubstr;

ZipWriter::Sink into(std::string& bytes) {
  return [&bytes](std::span<const std::byte> b) {
    bytes.append(reinterpret_cast<const char*>(b.data()), b.size());
  };
}

std::string refusal(const std::string& bytes) {
  return message_of<FormatError>([&] { ZipArchive::read(as_span(bytes)); });
}
std::string text_of(const ZipEntry* e) {
  return e == nullptr ? "(none)" : std::string(reinterpret_cast<const char*>(e->data.data()), e->data.size());
}

TEST(Crc32, IsTheStandardsAtEveryLengthAndInParts) {
  EXPECT_EQ(crc32(as_span("123456789")), 0xCBF43926u);  // the catalogue's check value
  std::string s;
  for (int i = 0; i < 70; ++i) {
    EXPECT_EQ(crc32(as_span(s)), test::plain_crc32(s)) << s.size();
    EXPECT_EQ(crc32(as_span(s).subspan(s.size() / 3), crc32(as_span(s).first(s.size() / 3))),
              test::plain_crc32(s));
    s += static_cast<char>(i * 37 + 11);
  }
}

TEST(ZipReader, FindsStoredEntries) {
  const std::string bytes = build_zip(
      {{.name = "a/x", .data = "hello"}, {.name = "a/y", .data = ""}, {.name = "a/z", .data = "!"}});
  const ZipArchive zip = ZipArchive::read(as_span(bytes));
  ASSERT_EQ(zip.entries().size(), 3u);
  EXPECT_EQ(text_of(zip.find("a/x")), "hello");
  EXPECT_EQ(text_of(zip.find("a/y")), "");
  EXPECT_EQ(text_of(zip.find("a/z")), "!");
  EXPECT_EQ(zip.find("a/w"), nullptr);
  EXPECT_NO_THROW(check_crc(*zip.find("a/x")));
}

TEST(ZipReader, ReadsAComment) {
  // The comment itself looks like an end record, but does not end where the file does.
  const std::string fake = "PK\x05\x06" + std::string(18, '\0') + "tail";
  const std::string bytes = build_zip({{.name = "x", .data = "1"}}, {.before = "", .comment = fake});
  EXPECT_EQ(text_of(ZipArchive::read(as_span(bytes)).find("x")), "1");
}

TEST(ZipReader, ACommentMayBeAsLongAsItsFieldHolds) {
  for (const std::size_t length : {std::size_t{300}, std::size_t{0xFFFF}}) {
    const std::string bytes =
        build_zip({{.name = "x", .data = "1"}}, {.before = "", .comment = std::string(length, '-')});
    EXPECT_EQ(text_of(ZipArchive::read(as_span(bytes)).find("x")), "1") << length;
  }
}

TEST(ZipReader, EntriesMayHaveComments) {
  const std::string bytes =
      build_zip({{.name = "x", .data = "1", .comment = "of the first"}, {.name = "y", .data = "2"}});
  EXPECT_EQ(text_of(ZipArchive::read(as_span(bytes)).find("y")), "2");
}

TEST(ZipReader, OnlyStoredEntriesAreRead) {
  const auto stored = [](const test::ZipPart& part) {
    const std::string bytes = build_zip({part});
    const ZipArchive zip = ZipArchive::read(as_span(bytes));
    return message_of<FormatError>([&] { zip.find("x")->stored(); });
  };
  EXPECT_EQ(stored({.name = "x", .data = "1"}), "");
  EXPECT_THAT(stored({.name = "x", .data = "1", .method = 8, .uncompressed = 90}),
              HasSubstr("compressed (method 8)"));
  EXPECT_THAT(stored({.name = "x", .data = "1", .flags = 1}), HasSubstr("encrypted"));
}

TEST(ZipReader, RefusesTwoEntriesOfOneName) {
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1"}, {.name = "x", .data = "2"}})),
              HasSubstr("two zip entries are named 'x'"));
}

TEST(ZipReader, RefusesLies) {
  const std::string big(100, 'd');
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1", .uncompressed = 1'000'000}})),
              HasSubstr("sizes differ"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1", .compressed = 4000, .uncompressed = 4000}})),
              HasSubstr("reaches past the end"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1", .offset = 5000}})),
              HasSubstr("outside of the file"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = big, .offset = 3}})),
              HasSubstr("does not begin where it should"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1", .local_name = "y"}})),
              HasSubstr("not the one the directory says"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1", .local_method = 8}})),
              HasSubstr("not the one the directory says"));
  // One byte too many, which is the directory's first.
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1", .compressed = 2, .uncompressed = 2}})),
              HasSubstr("'x' of 2 bytes reaches past the end of the file, where 1 are left"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1"}}, {.entries = 60000})),
              HasSubstr("cannot hold 60000 entries"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1"}}, {.size = 0x7FFFFFFF})),
              HasSubstr("outside of the file"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1"}}, {.offset = 0x7FFFFFFF})),
              HasSubstr("outside of the file"));
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = big}}, {.offset = 2})),
              HasSubstr("does not begin where it should"));
  const std::string damaged = build_zip({{.name = "x", .data = "1", .crc = 7}});
  EXPECT_THAT(message_of<FormatError>([&] { check_crc(*ZipArchive::read(as_span(damaged)).find("x")); }),
              HasSubstr("checksum"));
}

// 4.4.19 to 4.4.23: a disk of its own number, or another count of entries on this one.
TEST(ZipReader, RefusesFilesInSeveralParts) {
  const std::string sound = build_zip({{.name = "x", .data = "1"}});
  EXPECT_EQ(refusal(sound), "");
  const std::size_t end = sound.size() - 22;
  for (const auto& [at, value] : {std::pair{4, 1}, std::pair{6, 1}, std::pair{8, 2}}) {
    std::string parts = sound;
    parts.replace(end + static_cast<std::size_t>(at), 2, le(static_cast<std::uint64_t>(value), 2));
    EXPECT_THAT(refusal(parts), HasSubstr("a zip file in several parts; join them first")) << at;
  }
}

// The directory may name them in another order than they lie in.
TEST(ZipReader, TheDirectoryHasAnOrderOfItsOwn) {
  std::string bytes = build_zip({{.name = "a", .data = "first"}, {.name = "b", .data = "second"}});
  constexpr std::size_t kRecord = 46 + 1, kEnd = 22;
  const auto directory = bytes.end() - static_cast<std::ptrdiff_t>(2 * kRecord + kEnd);
  std::swap_ranges(directory, directory + kRecord, directory + kRecord);
  const ZipArchive zip = ZipArchive::read(as_span(bytes));
  for (const auto& [name, data] : {std::pair<std::string, std::string>{"a", "first"}, {"b", "second"}}) {
    const auto stored = zip.find(name)->stored();
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(stored.data()), stored.size()), data);
  }
}

TEST(ZipReader, RefusesOverlappingEntries) {
  // A bomb: the second entry's header lies in the first one's data, so that bytes are counted twice.
  const std::string inner_data(50, 'q');
  const std::string inner = build_zip({{.name = "b", .data = inner_data}});
  const std::string local = inner.substr(0, 30 + 1 + inner_data.size());
  EXPECT_THAT(
      refusal(build_zip({{.name = "a", .data = local}, {.name = "b", .data = inner_data, .offset = 31}})),
      HasSubstr("'a' and 'b' overlap"));
  EXPECT_THAT(refusal(build_zip({{.name = "a", .data = "1"}, {.name = "b", .data = "1", .offset = 0}})),
              HasSubstr("not the one the directory says"));
  // One byte is enough: the first byte of the second entry's header is said to be the first entry's last.
  EXPECT_THAT(refusal(build_zip({{.name = "a", .data = "1234", .compressed = 5, .uncompressed = 5},
                                 {.name = "b", .data = "1"}})),
              HasSubstr("'a' and 'b' overlap"));
}

struct Zip64 {
  std::uint64_t entries = 1, size, offset, record_at;
  std::uint32_t signature = 0x06064b50, disk = 0;
};
std::string zip64_end(const Zip64& z) {
  return le(z.signature, 4) + le(44, 8) + le(45, 2) + le(45, 2) + le(z.disk, 4) + le(0, 4) +
         le(z.entries, 8) + le(z.entries, 8) + le(z.size, 8) + le(z.offset, 8) + le(0x07064b50, 4) +
         le(0, 4) + le(z.record_at, 8) + le(1, 4);
}

TEST(ZipReader, Zip64EndRecords) {
  // One entry "x" of one byte: local part 32 bytes, directory 47.
  const auto with = [](const Zip64& z, const test::ZipEnd& end = {}) {
    test::ZipEnd e = end;
    e.before = zip64_end(z);
    return build_zip({{.name = "x", .data = "1"}}, e);
  };
  const Zip64 sound{.entries = 1, .size = 47, .offset = 32, .record_at = 79};
  EXPECT_EQ(text_of(ZipArchive::read(as_span(with(sound))).find("x")), "1");
  const std::string saturated = with(sound, {.entries = 0xFFFF, .size = 0xFFFFFFFF, .offset = 0xFFFFFFFF});
  EXPECT_EQ(text_of(ZipArchive::read(as_span(saturated)).find("x")), "1");

  auto lie = sound;
  lie.size = 46;
  EXPECT_THAT(refusal(with(lie)), HasSubstr("contradict"));
  lie = sound;
  for (const std::uint64_t at : {~std::uint64_t{0}, std::uint64_t{79 + 56 + 1}}) {  // just behind the locator
    lie.record_at = at;
    EXPECT_THAT(refusal(with(lie)), HasSubstr("outside of the file"));
  }
  lie = sound;
  lie.record_at = 10;
  EXPECT_THAT(refusal(with(lie)), HasSubstr("no zip64 end record"));
  lie = sound;
  lie.disk = 3;
  EXPECT_THAT(refusal(with(lie)), HasSubstr("several parts"));
  lie = sound;
  lie.offset = ~std::uint64_t{0} - 10;
  EXPECT_THAT(refusal(with(lie, {.offset = 0xFFFFFFFF})), HasSubstr("outside of the file"));
  lie = sound;
  lie.entries = 2;
  EXPECT_THAT(refusal(with(lie)), HasSubstr("contradict"));
  lie = sound;
  lie.offset = 31;
  EXPECT_THAT(refusal(with(lie)), HasSubstr("contradict"));
  lie = sound;
  lie.size = 48;  // reaches into the zip64 record
  EXPECT_THAT(refusal(with(lie, {.size = 0xFFFFFFFF})), HasSubstr("outside of the file"));
  lie = sound;
  lie.entries = std::uint64_t{1} << 60;
  EXPECT_THAT(refusal(with(lie, {.entries = 0xFFFF})), HasSubstr("cannot hold"));
}

// 4.3.14, 4.3.15: each field that says that there are several parts.
TEST(ZipReader, Zip64FilesInSeveralParts) {
  const std::string records = zip64_end({.entries = 1, .size = 47, .offset = 32, .record_at = 79});
  const auto with = [&](std::size_t at, const std::string& field) {
    std::string changed = records;
    changed.replace(at, field.size(), field);
    return refusal(build_zip({{.name = "x", .data = "1"}}, {.before = changed}));
  };
  EXPECT_EQ(with(72, le(0, 4)), "");  // some writers count no disks
  EXPECT_THAT(with(16, le(1, 4)), HasSubstr("several parts"));
  EXPECT_THAT(with(20, le(1, 4)), HasSubstr("several parts"));
  EXPECT_THAT(with(60, le(1, 4)), HasSubstr("several parts"));
  EXPECT_THAT(with(72, le(2, 4)), HasSubstr("several parts"));
  EXPECT_THAT(with(24, le(2, 8)), HasSubstr("contradict"));  // entries on this disk
}

// 4.5.3: only what is saturated stands in the field, the uncompressed size before the compressed one.
TEST(ZipReader, Zip64FieldsHoldWhatIsSaturatedInOrder) {
  const auto size_of_x = [](test::ZipPart part) {
    part.name = "x";
    part.data = "abc";
    const std::string bytes = build_zip({part});
    return ZipArchive::read(as_span(bytes)).find("x")->data.size();
  };
  const auto field = [](const std::string& values) { return le(1, 2) + le(values.size(), 2) + values; };
  constexpr std::int64_t kAllOnes = 0xFFFFFFFF;
  EXPECT_EQ(size_of_x({.method = 8,
                       .extra = field(le(90, 8) + le(3, 8)),
                       .compressed = kAllOnes,
                       .uncompressed = kAllOnes}),
            3u);
  EXPECT_EQ(size_of_x({.method = 8, .extra = field(le(3, 8)), .compressed = kAllOnes, .uncompressed = 90}),
            3u);
  EXPECT_EQ(size_of_x({.method = 8, .extra = field(le(90, 8)), .compressed = 3, .uncompressed = kAllOnes}),
            3u);
  EXPECT_EQ(size_of_x({.extra = field(le(0, 8)), .offset = kAllOnes}), 3u);
}

TEST(ZipReader, Zip64SizesOfEntries) {
  const auto with = [](const std::string& extra) {
    return build_zip(
        {{.name = "x", .data = "abc", .extra = extra, .compressed = 0xFFFFFFFF, .uncompressed = 0xFFFFFFFF}});
  };
  EXPECT_EQ(text_of(ZipArchive::read(as_span(with(le(1, 2) + le(16, 2) + le(3, 8) + le(3, 8)))).find("x")),
            "abc");
  const std::string other = le(0x5455, 2) + le(2, 2) + "zz";
  EXPECT_EQ(
      text_of(ZipArchive::read(as_span(with(other + le(1, 2) + le(16, 2) + le(3, 8) + le(3, 8)))).find("x")),
      "abc");
  EXPECT_THAT(refusal(with("")), HasSubstr("lacks its zip64 sizes"));
  EXPECT_THAT(refusal(with(le(1, 2) + le(8, 2) + le(3, 8))), HasSubstr("ends early"));
  EXPECT_THAT(refusal(with(le(1, 2) + le(16, 2) + le(~std::uint64_t{0}, 8) + le(~std::uint64_t{0}, 8))),
              HasSubstr("past the end"));
  EXPECT_THAT(refusal(with(le(1, 2) + le(900, 2) + le(3, 8))), HasSubstr("ends early"));
}

class ZipRoundTrip : public testing::TestWithParam<std::uint64_t> {};

TEST_P(ZipRoundTrip, AlignedAndReadBack) {
  std::string bytes;
  ZipWriter writer(into(bytes), GetParam());
  std::vector<std::string> contents;
  for (int i = 0; i < 20; ++i) {
    contents.push_back(std::string(static_cast<std::size_t>(i * 17), static_cast<char>('a' + i)));
    writer.add("archive/data/" + std::to_string(i), contents.back());
  }
  writer.finish();
  const ZipArchive zip = ZipArchive::read(as_span(bytes));
  ASSERT_EQ(zip.entries().size(), contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    const ZipEntry& e = zip.entries()[i];
    EXPECT_EQ(text_of(&e), contents[i]);
    EXPECT_EQ(e.crc, test::plain_crc32(contents[i]));
    EXPECT_EQ((reinterpret_cast<const char*>(e.data.data()) - bytes.data()) % 64, 0) << i;
  }
}

// Field by field, after 4.3.7, 4.3.12 and 4.3.16: names in UTF-8 (bit 11), the first day DOS can name.
TEST(ZipWriter, ByteByByte) {
  std::string bytes;
  ZipWriter writer(into(bytes));
  writer.add("x", std::string_view("hello"));
  writer.finish();
  const std::string crc = le(test::plain_crc32("hello"), 4);
  // 30 bytes of header, the name, the padding's own four: 29 more are at the multiple of 64.
  const std::string padding = le(0x4246, 2) + le(29, 2) + std::string(29, 'Z');
  const std::string common = le(0x0800, 2) + le(0, 2) + le(0, 2) + le(0x21, 2) + crc + le(5, 4) + le(5, 4);
  const std::string local =
      "PK\x03\x04" + le(20, 2) + common + le(1, 2) + le(33, 2) + "x" + padding + "hello";
  const std::string directory = "PK\x01\x02" + le(20, 2) + le(20, 2) + common + le(1, 2) + le(0, 2) +
                                le(0, 2) + le(0, 2) + le(0, 2) + le(0, 4) + le(0, 4) + "x";
  const std::string end = "PK\x05\x06" + le(0, 4) + le(1, 2) + le(1, 2) + le(directory.size(), 4) +
                          le(local.size(), 4) + le(0, 2);
  EXPECT_EQ(bytes, local + directory + end);
}

// The same with every size and place in its zip64 form: 4.5.3, 4.3.14, 4.3.15.
TEST(ZipWriter, Zip64ByteByByte) {
  std::string bytes;
  ZipWriter writer(into(bytes), 0);
  writer.add("x", std::string_view("hello"));
  writer.finish();
  const std::string crc = le(test::plain_crc32("hello"), 4), ones = le(0xFFFFFFFF, 4);
  const std::string sizes = le(5, 8) + le(5, 8);
  const std::string padding = le(0x4246, 2) + le(9, 2) + std::string(9, 'Z');
  const std::string common = le(0x0800, 2) + le(0, 2) + le(0, 2) + le(0x21, 2) + crc + ones + ones;
  const std::string local = "PK\x03\x04" + le(45, 2) + common + le(1, 2) + le(33, 2) + "x" + le(1, 2) +
                            le(16, 2) + sizes + padding + "hello";
  const std::string directory = "PK\x01\x02" + le(45, 2) + le(45, 2) + common + le(1, 2) + le(28, 2) +
                                le(0, 2) + le(0, 2) + le(0, 2) + le(0, 4) + ones + "x" + le(1, 2) +
                                le(24, 2) + sizes + le(0, 8);
  const std::string record = "PK\x06\x06" + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 4) + le(0, 4) +
                             le(1, 8) + le(1, 8) + le(directory.size(), 8) + le(local.size(), 8);
  const std::string locator = "PK\x06\x07" + le(0, 4) + le(local.size() + directory.size(), 8) + le(1, 4);
  const std::string end =
      "PK\x05\x06" + le(0, 4) + le(1, 2) + le(1, 2) + le(directory.size(), 4) + ones + le(0, 2);
  EXPECT_EQ(bytes, local + directory + record + locator + end);
}

// Two entries, the second behind the 50 bytes that count as near.
std::string near_and_far() {
  std::string bytes;
  ZipWriter writer(into(bytes), 50);
  writer.add("near", std::string_view("1"));
  writer.add("far", std::string_view("2"));
  writer.finish();
  return bytes;
}

// 4.4.16: an offset that stands in the zip64 field is all ones in the entry's own.
TEST(ZipWriter, AFarOffsetStandsInTheZip64FieldAlone) {
  const std::string bytes = near_and_far();
  const std::size_t near = bytes.find("PK\x01\x02"), far = bytes.find("PK\x01\x02", near + 1);
  ASSERT_NE(far, std::string::npos);
  EXPECT_EQ(bytes.substr(near + 42, 4), le(0, 4));
  EXPECT_EQ(bytes.substr(far + 42, 4), le(0xFFFFFFFF, 4));
}

// 4.4.3.2: version 4.5 for what has a zip64 field, if only for its offset; 2.0 for what has none.
TEST(ZipWriter, VersionsSayWhatIsNeeded) {
  const std::string bytes = near_and_far();
  const std::size_t near = bytes.find("PK\x01\x02"), far = bytes.find("PK\x01\x02", near + 1);
  ASSERT_NE(far, std::string::npos);
  EXPECT_EQ(bytes.substr(near + 4, 4), le(20, 2) + le(20, 2));
  EXPECT_EQ(bytes.substr(far + 4, 4), le(45, 2) + le(45, 2));
  EXPECT_EQ(text_of(ZipArchive::read(as_span(bytes)).find("far")), "2");
}

// 4.4.24: a directory that lies far is told in the zip64 record, though no entry does.
TEST(ZipWriter, ADirectoryMayBeFarByItself) {
  std::string bytes;
  ZipWriter writer(into(bytes), 50);
  writer.add("near", std::string_view("1"));
  writer.finish();
  EXPECT_EQ(bytes.substr(bytes.size() - 6, 4), le(0xFFFFFFFF, 4));
  EXPECT_EQ(bytes.substr(bytes.size() - 42, 4), le(0x07064b50, 4));
  EXPECT_EQ(text_of(ZipArchive::read(as_span(bytes)).find("near")), "1");
}

// 4.3.16, 4.4.1.4: 0xFFFF in the end record means that the count stands in the zip64 one.
TEST(ZipWriter, CountsOfEntriesAboutTheFieldsLimit) {
  for (const std::size_t count : {0xFFFDu, 0xFFFEu, 0xFFFFu, 0x10000u}) {
    std::string bytes;
    ZipWriter writer(into(bytes));
    for (std::size_t i = 0; i < count; ++i) writer.add(std::to_string(i), std::string_view());
    writer.finish();
    const bool zip64 = count >= 0xFFFF;
    EXPECT_EQ(bytes.substr(bytes.size() - 14, 4),
              le(zip64 ? 0xFFFF : count, 2) + le(zip64 ? 0xFFFF : count, 2));
    EXPECT_EQ(bytes.substr(bytes.size() - 42, 4) == le(0x07064b50, 4), zip64) << count;
    EXPECT_EQ(ZipArchive::read(as_span(bytes)).entries().size(), count);
  }
}

INSTANTIATE_TEST_SUITE_P(PlainMixedAndAllZip64, ZipRoundTrip, testing::Values(ZipWriter::kZip64From, 100, 0));

// An entry takes 46 bytes and its name: there is no room for a second.
TEST(ZipReader, RefusesOneEntryMoreThanThereAre) {
  EXPECT_THAT(refusal(build_zip({{.name = "x", .data = "1"}}, {.entries = 2})),
              HasSubstr("zip directory of 47 bytes cannot hold 2 entries"));
  // With names long enough there is, but no entry.
  const std::string name(60, 'n');
  EXPECT_NE(refusal(build_zip({{.name = name, .data = "1"}}, {.entries = 2})), "");
}

}  // namespace
}  // namespace sam2unet::formats
