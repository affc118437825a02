// The lines of a manifest, byte by byte.
#include "cli/manifest.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/file.h"
#include "sam2unet/errors.h"
#include "sam2unet/version.h"
#include "support/message.h"
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

// RFC 3629, section 4: the least and the most of each kind of sequence, and what lies beside them.
TEST(ManifestTest, BytesThatAreNoUtf8AreWrittenOneByOne) {
  struct Case {
    const char *name, *written;
  };
  const test::TempDir dir;
  const auto file = dir / "done.jsonl";
  const auto written_as = [&](const std::string& name) {
    std::filesystem::remove(file);
    Manifest(file, "w").add({name, name, "", 0.0});
    EXPECT_TRUE(Manifest(file, "w").is_done(name, name));
    return nlohmann::json::parse(text_of(file)).at("key").get<std::string>();
  };
  for (const char* whole :
       {"\x01", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xE0\xBF\xBF", "\xE1\x80\x80",
        "\xEC\xBF\xBF", "\xED\x80\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xEF\xBF\xBF", "\xF0\x90\x80\x80",
        "\xF0\xBF\xBF\xBF", "\xF1\x80\x80\x80", "\xF3\xBF\xBF\xBF", "\xF4\x80\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    const std::string name = std::string("a") + whole + "z";
    EXPECT_EQ(written_as(name), name);
  }
  for (const Case& c : {Case{"\x80", R"(\x80)"},
                        {"\xBF", R"(\xBF)"},
                        {"\xC0\x80", R"(\xC0\x80)"},
                        {"\xC1\xBF", R"(\xC1\xBF)"},
                        {"\xC2", R"(\xC2)"},
                        {"\xC2\xC0", R"(\xC2\xC0)"},
                        {"\xE0\x9F\xBF", R"(\xE0\x9F\xBF)"},
                        {"\xE1\x80", R"(\xE1\x80)"},
                        {"\xED\xA0\x80", R"(\xED\xA0\x80)"},
                        {"\xED\xBF\xBF", R"(\xED\xBF\xBF)"},
                        {"\xEF\xBF", R"(\xEF\xBF)"},
                        {"\xF0\x8F\xBF\xBF", R"(\xF0\x8F\xBF\xBF)"},
                        {"\xF1\x80\x80", R"(\xF1\x80\x80)"},
                        {"\xF4\x90\x80\x80", R"(\xF4\x90\x80\x80)"},
                        {"\xF5\x80\x80\x80", R"(\xF5\x80\x80\x80)"},
                        {"\xFF", R"(\xFF)"}}) {
    EXPECT_EQ(written_as(std::string("a") + c.name + "z"), std::string("a") + c.written + "z");
    EXPECT_EQ(written_as(std::string("a") + c.name), std::string("a") + c.written);  // at the end
  }
}

TEST(ManifestTest, OneThatCannotBeOpenedIsTold) {
  const test::TempDir dir;
  const auto file = dir / "none" / "done.jsonl";
  EXPECT_EQ(test::message_of<FileError>([&] { Manifest(file, "w"); }),
            "cannot open the manifest " + file.string() + ": No such file or directory");
}

// Its lines are objects that have the four texts by which it is read; a file with another is left alone.
TEST(ManifestTest, LinesOfOtherFilesAreRefused) {
  const test::TempDir dir;
  const auto file = dir / "done.jsonl";
  const nlohmann::json whole{{"key", "a"}, {"input", "b"}, {"status", "ok"}, {"weights", "w"}};
  std::vector<std::string> lines{"",   "7", "null", R"("key")", R"(["key","input","status","weights"])",
                                 "{}", "{"};
  for (const char* name : {"key", "input", "status", "weights"}) {
    nlohmann::json line = whole;
    line.erase(name);
    lines.push_back(line.dump());
    line[name] = 7;
    lines.push_back(line.dump());
  }
  for (const std::string& line : lines) {
    const std::string text = whole.dump() + "\n" + line + "\n";
    write_file(file, text);
    EXPECT_EQ(test::message_of<FormatError>([&] { Manifest(file, "w"); }),
              file.string() + ": line 2 is not of a manifest; name another file")
        << line;
    EXPECT_EQ(text_of(file), text);
  }
}

// Its descriptor is then the one that standard input had.
TEST(ManifestTest, WorksWithoutStandardInput) {
  const test::TempDir dir;
  const auto file = dir / "done.jsonl";
  const int before = ::dup(STDIN_FILENO);
  ::close(STDIN_FILENO);
  const std::string said = test::message_of<FileError>([&] { Manifest(file, "w").add({"a", "b", "", 0.0}); });
  ::dup2(before, STDIN_FILENO);
  ::close(before);
  EXPECT_EQ(said, "");
  EXPECT_TRUE(Manifest(file, "w").is_done("a", "b"));
}

// A line is a mebibyte at most, so that no file that is named by mistake is held in memory.
TEST(ManifestTest, LinesHaveALongest) {
  const test::TempDir dir;
  const auto file = dir / "done.jsonl";
  const auto line = [](std::size_t length) {
    const std::string before = R"({"key":"a","input":"b","status":"ok","weights":"w","more":")",
                      after = "\"}";
    return before + std::string(length - before.size() - after.size(), 'x') + after;
  };
  constexpr std::size_t kLongest = 1 << 20;
  write_file(file, line(kLongest) + "\n");
  EXPECT_TRUE(Manifest(file, "w").is_done("a", "b"));
  const std::string refusal = file.string() + ": line 2 is not of a manifest; name another file";
  for (const char* end : {"", "\n"}) {
    const std::string text = line(100) + "\n" + line(kLongest + 1) + end;
    write_file(file, text);
    EXPECT_EQ(test::message_of<FormatError>([&] { Manifest(file, "w"); }), refusal);
    EXPECT_EQ(text_of(file), text);
  }
  // What was torn is cut off, though it is as long.
  write_file(file, line(100) + "\n" + line(kLongest + 1).substr(0, kLongest));
  EXPECT_TRUE(Manifest(file, "w").is_done("a", "b"));
  EXPECT_EQ(text_of(file), line(100) + "\n");
}

}  // namespace
}  // namespace sam2unet::cli
