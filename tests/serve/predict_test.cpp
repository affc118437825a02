// What the service answers is what `sam2unet predict` writes, to the byte.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "running.h"
#include "sam2unet/segmenter.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(ServePredict, SameBytes) {
  const TempDir dir;
  const fs::path picture = fs::path(S2U_SOURCE_DIR) / "samples" / "cat.jpg";
  serve::Options options;
  options.port = 0;
  options.models = {{"sam2unet", default_model_path()}};
  options.open = serve::open_segmenters({});
  Running s(options, nullptr);
  s.wait_for("ready");
  const std::string bytes = contents(picture);
  ASSERT_FALSE(bytes.empty());
  struct Case {
    std::string kind, query;
    std::vector<std::string> arguments;
  };
  const std::vector<Case> cases = {{"map", "", {}},
                                   {"map", "&official=1&size=288x320", {"--official", "--size", "288x320"}},
                                   {"mask", "&threshold=0.3", {"--threshold", "0.3"}},
                                   {"overlay", "&fit=letterbox", {"--fit", "letterbox"}},
                                   {"cutout", "", {}},
                                   {"cutout", "&clean_edges=0", {"--no-clean-edges"}},
                                   {"map",
                                    "&tile=256&overlap=0.5&tile_context=0.25",
                                    {"--tile", "256", "--overlap", "0.5", "--tile-context", "0.25"}},
                                   {"map", "&tta=hflip", {"--tta", "hflip"}}};
  for (const Case& c : cases) {
    const fs::path out = dir.path() / "out.png";
    std::vector<std::string> arguments = {"predict", picture.string(), "-o", out.string(), "--save", c.kind};
    arguments.insert(arguments.end(), c.arguments.begin(), c.arguments.end());
    const Finished f = run(program("sam2unet"), arguments);
    ASSERT_EQ(f.exit_code, 0) << f.err;
    const Answer a = s.ask("POST", "/v1/segment?result=" + c.kind + c.query, "", bytes);
    ASSERT_EQ(a.status, 200) << a.body;
    EXPECT_TRUE(a.body == contents(out)) << c.kind << c.query;
  }
}

Finished serve(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"serve", "--port", "0"});
  return run(program("sam2unet"), arguments);
}

TEST(ServePredict, CommandSaysWhatIsWrong) {
  EXPECT_EQ(serve({"--max-upload", "x"}).exit_code, 2);
  EXPECT_EQ(serve({"--max-upload", "1G"}).exit_code, 2);
  EXPECT_EQ(serve({"--deadline", "-1"}).exit_code, 2);
  EXPECT_EQ(serve({"--cors", "*"}).exit_code, 2);
  EXPECT_EQ(serve({"--tls-cert", "x.pem"}).exit_code, 2);
  EXPECT_EQ(serve({"--weights", "a=x", "--weights", "a=y"}).exit_code, 2);
  const Finished missing = serve({"--weights", "a=/nowhere/x.safetensors"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, testing::HasSubstr("/nowhere/x.safetensors"));
  EXPECT_EQ(serve({"--host", "300.1.1.1"}).exit_code, 1);
  EXPECT_EQ(serve({"--token-file", "/nowhere/token"}).exit_code, 1);
}

// Whoever listens beyond this machine without a token is told so; the file that is missing ends it then.
TEST(ServePredict, ListeningToAllIsWarnedOf) {
  const TempDir dir;
  std::ofstream(dir.path() / "token") << "0123456789abcdef\n";
  const auto said = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--weights", "a=/nowhere/x.safetensors"});
    return serve(arguments).err;
  };
  const auto warning = testing::HasSubstr("warning: whoever reaches 0.0.0.0 may use this service");
  EXPECT_THAT(said({"--host", "0.0.0.0"}), warning);
  EXPECT_THAT(said({"--host", "0.0.0.0", "--token-file", (dir.path() / "token").string()}),
              testing::Not(testing::HasSubstr("warning")));
  for (const char* own : {"127.0.0.1", "127.0.0.2", "localhost"}) {
    const std::string err = said({"--host", own});
    EXPECT_THAT(err, testing::Not(testing::HasSubstr("warning"))) << own;
    EXPECT_THAT(err, testing::HasSubstr(std::string("listening on http://") + own + ":")) << own;
  }
  const Finished log = serve({"--access-log", "/nowhere/log", "--weights", "a=/nowhere/x.safetensors"});
  EXPECT_EQ(log.exit_code, 1);
  EXPECT_THAT(log.err, testing::HasSubstr("cannot write the access log /nowhere/log"));
  // A service that starts again goes on with its log.
  std::ofstream(dir.path() / "log") << "before\n";
  said({"--host", "127.0.0.1", "--access-log", (dir.path() / "log").string()});
  std::string first;
  std::getline(std::ifstream(dir.path() / "log"), first);
  EXPECT_EQ(first, "before");
}

// The first one has the program's name where it has none of its own.
TEST(ServePredict, TheFirstModelIsTheOneOfNoName) {
  const Finished f = serve({"--weights", "x.pth", "--weights", "sam2unet=y.pth"});
  EXPECT_EQ(f.exit_code, 2);
  EXPECT_THAT(f.err, testing::HasSubstr("two models would be called 'sam2unet'"));
}

// What a model would be called is told where two would be called the same.
TEST(ServePredict, AnUnnamedModelHasItsFilesNameWithoutTheEnding) {
  for (const std::string second : {"sam2.1-t", "a/sam2.1-t", "a/sam2.1-t.safetensors", "a/sam2.1-t.pth"}) {
    const Finished f = serve({"--weights", "first=x", "--weights", "b/sam2.1-t.pt", "--weights", second});
    EXPECT_EQ(f.exit_code, 2) << second;
    EXPECT_THAT(f.err, testing::HasSubstr("two models would be called 'sam2.1-t'")) << second;
  }
}

}  // namespace
}  // namespace sam2unet::test
