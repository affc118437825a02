// Models by name: found by what they are, checked, added, fetched.
#include "sam2unet/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/file.h"
#include "core/sha256.h"
#include "formats/tensor_file.h"
#include "models/place.h"
#include "sam2unet/errors.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Models : public testing::Test {
 protected:
  Models() {
    set("SAM2UNET_MODELS", (dir_ / "models").string());
    ::unsetenv("SAM2UNET_OFFLINE");
    write_tiny_weights(dir_ / "tiny.safetensors");
  }
  ~Models() override {
    for (const char* name : {"SAM2UNET_MODELS", "SAM2UNET_OFFLINE", "SAM2UNET_MODEL"}) ::unsetenv(name);
  }
  static void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }
  // The model that comes with the program is looked for beside it.
  static std::vector<InstalledModel> added() {
    auto all = installed_models();
    std::erase_if(all, [](const InstalledModel& m) { return m.name == "sam2unet-t-duts"; });
    return all;
  }
  std::string address() const { return "file://" + (dir_ / "tiny.safetensors").string(); }
  TempDir dir_;
};

TEST_F(Models, TheRegistryIsSound) {
  std::set<std::string> names, files;
  for (const KnownModel& m : known_models()) {
    EXPECT_TRUE(names.insert(m.name).second) << m.name;
    EXPECT_TRUE(files.insert(m.file).second) << m.file;
    EXPECT_FALSE(m.page.empty() || m.what.empty() || m.code_licence.empty() || m.weights_licence.empty() ||
                 m.data_licence.empty())
        << m.name;
    EXPECT_TRUE(m.sha256.empty() || models::is_sha256(m.sha256)) << m.name;
    EXPECT_TRUE(m.url.empty() || m.url.starts_with("https://")) << m.name;
    EXPECT_GT(m.bytes, 1'000'000U) << m.name;
  }
}

// Addresses and sizes as docs/weights.md has them, files as their authors call them.
TEST_F(Models, WhatIsKnownAndWhereItIs) {
  std::vector<std::string> names;
  for (const KnownModel& m : known_models()) names.push_back(m.name);
  EXPECT_THAT(names, testing::ElementsAre("sam2unet-t-duts", "sam2-t", "sam2-s", "sam2-b+", "sam2-l",
                                          "sam2.1-t", "sam2.1-s", "sam2.1-b+", "sam2.1-l", "sam2unet-cod",
                                          "sam2unet-sod", "sam2unet-mas3k", "sam2unet-rmas", "sam2unet-msd",
                                          "sam2unet-pmd", "sam2unet-polyp"));
  const std::string at = "https://dl.fbaipublicfiles.com/segment_anything_2/";
  struct Trunk {
    const char *name, *url, *what;
    std::uint64_t megabytes;
  };
  for (const auto& [name, url, what, megabytes] :
       {Trunk{"sam2-t", "072824/sam2_hiera_tiny.pt", "SAM2 trunk, to train from", 156},
        {"sam2-s", "072824/sam2_hiera_small.pt", "SAM2 trunk, to train from", 184},
        {"sam2-b+", "072824/sam2_hiera_base_plus.pt", "SAM2 trunk, to train from", 323},
        {"sam2-l", "072824/sam2_hiera_large.pt", "SAM2 trunk, to train from", 898},
        {"sam2.1-t", "092824/sam2.1_hiera_tiny.pt", "SAM2.1 trunk, to train from", 156},
        {"sam2.1-s", "092824/sam2.1_hiera_small.pt", "SAM2.1 trunk, to train from", 184},
        {"sam2.1-b+", "092824/sam2.1_hiera_base_plus.pt", "SAM2.1 trunk, to train from", 323},
        {"sam2.1-l", "092824/sam2.1_hiera_large.pt", "SAM2.1 trunk, to train from", 898}}) {
    const KnownModel& m = *find_known_model(name);
    EXPECT_EQ(m.url, at + url);
    EXPECT_EQ(m.file, std::string(url).substr(7));
    EXPECT_EQ(m.what, what);
    EXPECT_EQ(m.bytes, megabytes * 1'000'000) << name;
    EXPECT_EQ(m.page, "https://github.com/facebookresearch/sam2");
    EXPECT_EQ(m.code_licence, "Apache-2.0");
    EXPECT_EQ(m.weights_licence, "Apache-2.0");
    EXPECT_THAT(m.data_licence, HasSubstr("SA-1B"));
  }
  for (const auto& [name, file, what, data] :
       {std::tuple("sam2unet-cod", "SAM2-UNet-COD.pth", "camouflaged objects", "COD10K, CAMO"),
        {"sam2unet-sod", "SAM2-UNet-SOD.pth", "salient objects", "DUTS-TR"},
        {"sam2unet-mas3k", "SAM2-UNet-MAS3K.pth", "marine animals", "MAS3K"},
        {"sam2unet-rmas", "SAM2-UNet-RMAS.pth", "marine animals", "RMAS"},
        {"sam2unet-msd", "SAM2-UNet-MSD.pth", "mirrors", "MSD"},
        {"sam2unet-pmd", "SAM2-UNet-PMD.pth", "mirrors", "PMD"},
        {"sam2unet-polyp", "SAM2-UNet-Polyp.pth", "polyps", "Kvasir-SEG, CVC-ClinicDB"}}) {
    const KnownModel& m = *find_known_model(name);
    EXPECT_EQ(m.file, file);
    EXPECT_EQ(m.what, std::string("SAM2-UNet-L of the paper, ") + what);
    EXPECT_EQ(m.data_licence, std::string(data) + ": research use");
    EXPECT_EQ(m.url, "");
    EXPECT_EQ(m.sha256, "");
    EXPECT_EQ(m.bytes, 866'000'000U);
    EXPECT_EQ(m.page, "https://github.com/WZH0120/SAM2-UNet#testing");
    EXPECT_EQ(m.code_licence, "Apache-2.0");
    EXPECT_EQ(m.weights_licence, "not stated");
  }
  const KnownModel& own = *find_known_model("sam2unet-t-duts");
  EXPECT_EQ(own.file, "sam2unet_t_duts_int8.safetensors");
  EXPECT_EQ(own.url, "");
  EXPECT_EQ(own.weights_licence, "research use");
  EXPECT_EQ(find_known_model("sam2-T"), nullptr);
}

TEST_F(Models, TheDefaultModelIsKnownByItsHash) {
  const fs::path own = fs::path(S2U_SOURCE_DIR) / "models" / "sam2unet_t_duts_int8.safetensors";
  EXPECT_EQ(find_known_model("sam2unet-t-duts")->sha256, sha256_of_file(own));
  EXPECT_EQ(find_known_model("sam2unet-t-duts")->bytes, fs::file_size(own));
  fs::create_directories(dir_ / "models");
  fs::create_symlink(own, dir_ / "models" / "renamed.safetensors");
  EXPECT_EQ(model_path("sam2unet-t-duts"), dir_ / "models" / "renamed.safetensors");
  EXPECT_EQ(check_model({"sam2unet-t-duts", own, 0}).state, ModelState::sound);
}

TEST_F(Models, OneAddedByHandIsFoundByItsPublishedName) {
  fs::create_directories(dir_ / "models");
  fs::copy_file(dir_ / "tiny.safetensors", dir_ / "models" / "SAM2-UNet-COD.pth");
  EXPECT_EQ(model_path("sam2unet-cod"), dir_ / "models" / "SAM2-UNet-COD.pth");
  EXPECT_EQ(check_model(added().at(0)).state, ModelState::unknown);
}

TEST_F(Models, WhatSystemsLeaveBesideFilesIsNoModel) {
  fs::create_directories(dir_ / "models");
  for (const char* name : {"mine.safetensors", "._mine.safetensors", ".hidden.pth", "notes.txt"})
    fs::copy_file(dir_ / "tiny.safetensors", dir_ / "models" / name);
  fs::create_directories(dir_ / "models" / "folder.pth");
  ASSERT_EQ(added().size(), 1u);
  EXPECT_EQ(added()[0].name, "mine");
}

TEST_F(Models, OneThatIsMissingIsNamedWithWhereToGetIt) {
  const auto missing = message_of<FileError>([] { model_path("sam2unet-cod"); });
  EXPECT_THAT(missing, HasSubstr((dir_ / "models").string()));
  EXPECT_THAT(missing, HasSubstr("SAM2-UNet-COD.pth"));
  EXPECT_THAT(missing, HasSubstr("github.com/WZH0120"));
  EXPECT_THAT(message_of<FileError>([] { model_path("sam2-l"); }),
              HasSubstr("https://dl.fbaipublicfiles.com"));
  EXPECT_THAT(message_of<FileError>([] { model_path("none"); }), HasSubstr("none of that name is known"));
}

// The whole line, with each folder that was looked into.
TEST_F(Models, WhatIsMissingIsToldInFull) {
  set("SAM2UNET_MODELS", (dir_ / "one").string() + ":" + (dir_ / "two").string());
  const std::string folders = (dir_ / "one").string() + ", " + (dir_ / "two").string();
  EXPECT_EQ(message_of<FileError>([] { model_path("sam2-t"); }),
            "model sam2-t is not on this machine: sam2_hiera_tiny.pt is to lie in " + folders +
                "; `sam2unet models fetch sam2-t` gets it from "
                "https://dl.fbaipublicfiles.com/segment_anything_2/072824/sam2_hiera_tiny.pt");
  EXPECT_EQ(message_of<FileError>([] { find_weights("sam2unet-cod"); }),
            "sam2unet-cod: no such file, and model sam2unet-cod is not on this machine: SAM2-UNet-COD.pth is "
            "to lie "
            "in " +
                folders +
                "; get it from https://github.com/WZH0120/SAM2-UNet#testing, then `sam2unet models add "
                "SAM2-UNet-COD.pth`");
  std::string names;
  for (const KnownModel& m : known_models()) names += (names.empty() ? "" : ", ") + m.name;
  EXPECT_EQ(message_of<FileError>([] { model_path("none"); }),
            "no model none in " + folders + ", and none of that name is known (" + names +
                "); `sam2unet models add FILE` puts a file there");
  EXPECT_EQ(message_of<UnavailableError>([] { fetch_model("sam2unet-cod"); }),
            "model sam2unet-cod can only be got by hand: SAM2-UNet-COD.pth from "
            "https://github.com/WZH0120/SAM2-UNet#testing, into " +
                (dir_ / "one").string());
  set("SAM2UNET_OFFLINE", "yes");
  EXPECT_EQ(message_of<UnavailableError>([] { fetch_model("http://example.org/x.pth"); }),
            "SAM2UNET_OFFLINE is set, so nothing is fetched; get http://example.org/x.pth by hand and put it "
            "into " +
                (dir_ / "one").string());
  EXPECT_EQ(message_of<UsageError>([] { fetch_model("ftp://example.org/x.pth"); }),
            "ftp://example.org/x.pth: no known model, and no http, https or file address");
  FetchOptions options;
  options.sha256 = std::string(63, '0') + "G";
  EXPECT_EQ(message_of<UsageError>([&] { fetch_model("http://example.org/x.pth", options); }),
            "'" + options.sha256 + "' is no SHA-256: 64 digits of 0-9 and a-f");
  EXPECT_EQ(message_of<UsageError>([] { add_model("x.onnx"); }),
            "x.onnx: no weight file by its name; use .safetensors, .pth or .pt");
  const auto m = add_model(dir_ / "tiny.safetensors");
  write_tiny_weights(dir_ / "tiny.safetensors", /*only_trunk=*/true);
  EXPECT_EQ(message_of<UsageError>([&] { add_model(dir_ / "tiny.safetensors"); }),
            m.path.string() + " is there already, and another file; rename one of them");
  write_file(dir_ / "one" / "tiny.safetensors.sha256", std::string(64, '0'));
  EXPECT_EQ(check_model(m).why, "its SHA-256 should be " + std::string(64, '0'));
}

// Folder by folder, in each by name; the one that comes with the program once and last, wherever else it
// lies.
TEST_F(Models, AllThatAreHereInTheirOrder) {
  set("SAM2UNET_MODELS", (dir_ / "one").string() + ":" + (dir_ / "two").string());
  for (const char* folder : {"one", "two"}) fs::create_directories(dir_ / folder);
  for (const char* name : {"one/b.pt", "one/a.pth", "two/SAM2-UNet-PMD.pth", "two/0.safetensors"})
    fs::copy_file(dir_ / "tiny.safetensors", dir_ / name);
  const auto names = [] {
    std::vector<std::string> out;
    for (const auto& m : installed_models()) out.push_back(m.name);
    return out;
  };
  EXPECT_THAT(names(), testing::ElementsAre("a", "b", "0", "sam2unet-pmd", "sam2unet-t-duts"));
  EXPECT_EQ(installed_models()[0].bytes, fs::file_size(dir_ / "tiny.safetensors"));
  EXPECT_EQ(installed_models()[3].path, dir_ / "two/SAM2-UNet-PMD.pth");
  fs::create_symlink(installed_models().back().path, dir_ / "one/own.safetensors");
  EXPECT_THAT(names(), testing::ElementsAre("a", "b", "sam2unet-t-duts", "0", "sam2unet-pmd"));
}

// The model that comes with the program may be another, and need not be there.
TEST_F(Models, TheProgramsOwnModelIsWhatTheEnvironmentNames) {
  set("SAM2UNET_MODEL", (dir_ / "tiny.safetensors").string());
  auto all = installed_models();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].name, "tiny");
  EXPECT_EQ(all[0].path, dir_ / "tiny.safetensors");
  EXPECT_EQ(all[0].bytes, fs::file_size(dir_ / "tiny.safetensors"));
  EXPECT_EQ(model_path("tiny"), dir_ / "tiny.safetensors");
  set("SAM2UNET_MODEL", (dir_ / "none.safetensors").string());
  EXPECT_TRUE(installed_models().empty());
  EXPECT_THAT(message_of<FileError>([] { model_path("sam2unet-t-duts"); }),
              HasSubstr("sam2unet_t_duts_int8.safetensors (SHA-256 e18e73b7"));
}

TEST_F(Models, WeightsAreFoundByPathOrName) {
  const auto m = add_model(dir_ / "tiny.safetensors");
  EXPECT_EQ(find_weights("tiny"), m.path);
  EXPECT_EQ(find_weights("tiny.safetensors"), m.path);
  EXPECT_EQ(find_weights(""), "");
  // With a folder in it, it is a path, whether it exists or not.
  EXPECT_EQ(find_weights(dir_ / "tiny"), dir_ / "tiny");
  EXPECT_EQ(find_weights("./tiny"), "./tiny");
  // A file of the working directory comes before a model.
  const fs::path before = fs::current_path();
  fs::current_path(dir_.path());
  write_file("tiny", std::string_view("mine"));
  EXPECT_EQ(find_weights("tiny"), "tiny");
  fs::current_path(before);
  EXPECT_EQ(find_weights("tiny"), m.path);
}

TEST_F(Models, WeightsThatAreNowhereAreToldWithWhatToDo) {
  const auto unknown = message_of<FileError>([] { find_weights("sam2-unet-cod"); });
  for (const char* told :
       {"sam2-unet-cod: no such file", "sam2unet-cod", "sam2-t", "sam2.1-l", "`sam2unet models add FILE`"})
    EXPECT_THAT(unknown, HasSubstr(told));
  EXPECT_THAT(unknown, HasSubstr((dir_ / "models").string()));
  const auto missing = message_of<FileError>([] { find_weights("sam2-t"); });
  EXPECT_THAT(missing, HasSubstr("sam2_hiera_tiny.pt is to lie in " + (dir_ / "models").string()));
  EXPECT_THAT(missing, HasSubstr("`sam2unet models fetch sam2-t`"));
  EXPECT_THAT(message_of<FileError>([] { find_weights("sam2unet-cod"); }),
              HasSubstr("`sam2unet models add SAM2-UNet-COD.pth`"));
  for (const auto& message : {unknown, missing}) EXPECT_THAT(message, testing::Not(HasSubstr("\n")));
}

TEST_F(Models, AddingCopiesChecksAndNotesTheHash) {
  const auto m = add_model(dir_ / "tiny.safetensors");
  EXPECT_EQ(m.name, "tiny");
  EXPECT_EQ(m.path, dir_ / "models" / "tiny.safetensors");
  EXPECT_EQ(model_path("tiny"), m.path);
  EXPECT_EQ(check_model(m).state, ModelState::sound);
  const auto noted = read_file(dir_ / "models" / "tiny.safetensors.sha256");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(noted.data()), noted.size()),
            sha256_of_file(m.path) + "  tiny.safetensors\n");
  EXPECT_EQ(add_model(dir_ / "tiny.safetensors").path, m.path);  // the same again
  write_tiny_weights(dir_ / "tiny.safetensors", /*only_trunk=*/true);
  EXPECT_THAT(message_of<UsageError>([&] { add_model(dir_ / "tiny.safetensors"); }),
              HasSubstr("another file"));
  write_file(dir_ / "junk.safetensors", std::string_view("junk"));
  EXPECT_THAT(message_of<FormatError>([&] { add_model(dir_ / "junk.safetensors"); }),
              HasSubstr("junk.safetensors"));
  EXPECT_THAT(message_of<UsageError>([&] { add_model(dir_ / "a.txt"); }), HasSubstr(".pth"));
  EXPECT_EQ(added().size(), 1U);
}

// Copied in parts of 4 MiB, of which the last is shorter.
TEST_F(Models, ALargeOneIsCopiedWhole) {
  std::vector<float> values(std::size_t{9} << 18);  // 9 MiB
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  const Shape shape{static_cast<std::int64_t>(values.size())};
  formats::write_safetensors(
      dir_ / "large.safetensors",
      {{"w", {reinterpret_cast<const std::byte*>(values.data()), DType::f32, shape, shape.dense_strides()}}},
      {});
  const auto m = add_model(dir_ / "large.safetensors");
  EXPECT_EQ(m.bytes, fs::file_size(dir_ / "large.safetensors"));
  EXPECT_EQ(read_file(m.path), read_file(dir_ / "large.safetensors"));
  EXPECT_EQ(check_model(m).state, ModelState::sound);
}

TEST_F(Models, ADamagedOneIsTold) {
  const auto m = add_model(dir_ / "tiny.safetensors");
  auto bytes = read_file(m.path);
  bytes.back() ^= std::byte{1};
  write_file(m.path, bytes);
  const ModelCheck changed = check_model(m);
  EXPECT_EQ(changed.state, ModelState::damaged);
  EXPECT_THAT(changed.why, HasSubstr("should be"));
  fs::remove(dir_ / "models" / "tiny.safetensors.sha256");
  bytes.resize(bytes.size() / 2);
  write_file(m.path, bytes);
  EXPECT_EQ(check_model(m).state, ModelState::damaged);
}

TEST_F(Models, TheFoldersAreTheUsers) {
  set("SAM2UNET_MODELS", "/a:/b/c");
  EXPECT_THAT(model_folders(), testing::ElementsAre("/a", "/b/c"));
  ::unsetenv("SAM2UNET_MODELS");
  const char* home = std::getenv("HOME");
  const std::string before = home == nullptr ? "" : home;
  set("HOME", "/home/u");
  ::unsetenv("XDG_DATA_HOME");
  EXPECT_THAT(model_folders(), testing::ElementsAre("/home/u/.local/share/sam2unet/models"));
  set("XDG_DATA_HOME", "/data");
  EXPECT_THAT(model_folders(), testing::ElementsAre("/data/sam2unet/models"));
  set("XDG_DATA_HOME", "data");  // the specification: no absolute path is none
  EXPECT_THAT(model_folders(), testing::ElementsAre("/home/u/.local/share/sam2unet/models"));
  ::unsetenv("XDG_DATA_HOME");
  ::unsetenv("HOME");
  EXPECT_THAT(message_of<FileError>([] { model_folders(); }), HasSubstr("HOME"));
  if (!before.empty()) set("HOME", before);
}

TEST_F(Models, OfflineNothingIsFetched) {
  set("SAM2UNET_OFFLINE", "1");
  const auto refused = message_of<UnavailableError>([] { fetch_model("sam2-t"); });
  EXPECT_THAT(refused, HasSubstr("SAM2UNET_OFFLINE"));
  EXPECT_THAT(refused, HasSubstr("sam2_hiera_tiny.pt"));
  EXPECT_FALSE(fs::exists(dir_ / "models"));
  ::unsetenv("SAM2UNET_OFFLINE");
  EXPECT_THAT(message_of<UnavailableError>([] { fetch_model("sam2unet-cod"); }), HasSubstr("by hand"));
  EXPECT_THAT(message_of<UsageError>([] { fetch_model("none"); }), HasSubstr("no known model"));
  EXPECT_THAT(message_of<UsageError>([] { fetch_model("https://example.org/"); }),
              HasSubstr("name of a file"));
}

// What is there already needs no network: a query is no part of its name.
TEST_F(Models, OneThatIsThereIsNotFetched) {
  set("SAM2UNET_OFFLINE", "1");
  fs::create_directories(dir_ / "models");
  fs::copy_file(dir_ / "tiny.safetensors", dir_ / "models" / "x.safetensors");
  for (const char* end : {"", "?download=true", "#top", "?a=/b#c/d"}) {
    EXPECT_EQ(fetch_model("https://example.org/a/x.safetensors" + std::string(end)).path,
              dir_ / "models" / "x.safetensors");
  }
  EXPECT_THAT(message_of<UnavailableError>([] { fetch_model("https://example.org/y.safetensors"); }),
              HasSubstr("get https://example.org/y.safetensors by hand"));
  EXPECT_THAT(message_of<UsageError>([] { fetch_model("https://example.org/.x.pth"); }),
              HasSubstr("name of a file"));
}

TEST_F(Models, TheFirstFolderIsForNewOnesAndComesFirst) {
  set("SAM2UNET_MODELS", ":" + (dir_ / "one").string() + "::" + (dir_ / "two").string() + ":");
  EXPECT_THAT(model_folders(), testing::ElementsAre(dir_ / "one", dir_ / "two"));
  fs::create_directories(dir_ / "two");
  fs::copy_file(dir_ / "tiny.safetensors", dir_ / "two" / "tiny.safetensors");
  EXPECT_EQ(model_path("tiny"), dir_ / "two" / "tiny.safetensors");
  EXPECT_EQ(add_model(dir_ / "tiny.safetensors").path, dir_ / "one" / "tiny.safetensors");
  EXPECT_EQ(model_path("tiny"), dir_ / "one" / "tiny.safetensors");
  EXPECT_EQ(added().size(), 2U);
}

// As `sha256sum` writes it, or the digits alone; what is no such sum says nothing.
TEST_F(Models, SumsBesideAFile) {
  const auto m = add_model(dir_ / "tiny.safetensors");
  const std::string hash = sha256_of_file(m.path);
  const auto state = [&](const std::string& text) {
    write_file(dir_ / "models" / "tiny.safetensors.sha256", text);
    return check_model(m).state;
  };
  for (const std::string& good : {hash, hash + "\n", hash + "\ttiny", hash + " *tiny\r\n"})
    EXPECT_EQ(state(good), ModelState::sound) << good;
  EXPECT_EQ(state(std::string(64, '0') + "\n"), ModelState::damaged);
  for (const std::string& none : {std::string(), std::string("notes"), std::string(63, '0'),
                                  std::string(65, '0'), std::string(63, '0') + "g"})
    EXPECT_EQ(state(none), ModelState::unknown) << none;
}

// By a file's address, which needs no server; an HTTP server is in fetch_test.py.
class Fetching : public Models {
 protected:
  void SetUp() override {
    try {
      fetch_model(address());
      fs::remove_all(dir_ / "models");
    } catch (const UnavailableError& e) {
      GTEST_SKIP() << e.what();
    }
  }
};

TEST_F(Fetching, ChecksAndRenames) {
  FetchOptions options;
  options.sha256 = sha256_of_file(dir_ / "tiny.safetensors");
  std::uint64_t told = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t) { told = done; };
  const auto m = fetch_model(address(), options);
  EXPECT_EQ(sha256_of_file(m.path), options.sha256);
  EXPECT_EQ(check_model(m).state, ModelState::sound);
  EXPECT_FALSE(fs::exists(dir_ / "models" / "tiny.safetensors.part"));
  EXPECT_EQ(told, m.bytes);
  EXPECT_EQ(fetch_model(address(), options).path, m.path);  // is there
}

TEST_F(Fetching, WhatIsThereAndNotRightIsFetchedAgain) {
  fs::create_directories(dir_ / "models");
  write_file(dir_ / "models" / "tiny.safetensors", std::string_view("another"));
  set("SAM2UNET_OFFLINE", "0");  // is as if it were not set
  FetchOptions options;
  options.sha256 = sha256_of_file(dir_ / "tiny.safetensors");
  EXPECT_EQ(sha256_of_file(fetch_model(address(), options).path), options.sha256);
}

TEST_F(Fetching, ContinuesWhereItWasCut) {
  const auto whole = read_file(dir_ / "tiny.safetensors");
  fs::create_directories(dir_ / "models");
  write_file(dir_ / "models" / "tiny.safetensors.part", std::span(whole).first(whole.size() / 3));
  FetchOptions options;
  options.sha256 = sha256_of_file(dir_ / "tiny.safetensors");
  std::uint64_t told = 0, total = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t all) { told = done, total = all; };
  EXPECT_EQ(sha256_of_file(fetch_model(address(), options).path), options.sha256);
  EXPECT_EQ(told, whole.size());  // what was there counts
  EXPECT_EQ(total, whole.size());
}

TEST_F(Fetching, WhatIsNotRightIsRemoved) {
  FetchOptions options;
  options.sha256 = std::string(64, '0');
  EXPECT_THAT(message_of<FormatError>([&] { fetch_model(address(), options); }),
              HasSubstr("instead of 0000"));
  write_file(dir_ / "page.pth", std::string_view("<html>Are you sure?</html>"));
  EXPECT_THAT(message_of<FormatError>([&] { fetch_model("file://" + (dir_ / "page.pth").string()); }),
              HasSubstr("no weight file"));
  EXPECT_THAT(message_of<FileError>([&] { fetch_model("file://" + (dir_ / "none.pth").string()); }),
              HasSubstr("none.pth"));
  EXPECT_TRUE(added().empty());
  options.sha256 = "abc";
  EXPECT_THAT(message_of<UsageError>([&] { fetch_model(address(), options); }), HasSubstr("no SHA-256"));
}

}  // namespace
}  // namespace sam2unet::test
