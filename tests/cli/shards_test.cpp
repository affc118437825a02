// `sam2unet predict` on several machines: shards, manifests, resuming, tar files.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "predict_fixture.h"
#include "tar/tar_file.h"
#include "tar/writer.h"

namespace sam2unet {
namespace {

using test::Finished;
using test::PredictTest;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using Json = nlohmann::json;

class ShardsTest : public PredictTest {
 protected:
  void put_pictures(int count) {
    for (int i = 0; i < count; ++i) put_picture("in/" + std::to_string(i) + ".png", 20 + i, 24);
  }
  std::vector<Json> manifest(const std::string& name) {
    std::vector<Json> out;
    const std::string all = get(name);
    std::istringstream text(all.substr(0, all.rfind('\n') + 1));  // without what a killed run left torn
    for (std::string line; std::getline(text, line);) out.push_back(Json::parse(line));
    return out;
  }
  std::string shard_of(const std::vector<std::string>& environment, const std::string& text = "auto") {
    const Finished r =
        predict({"in", "-o", "-", "--save", "json", "--shard", text}, {.environment = environment});
    if (r.exit_code != 0) return r.err;
    std::string names;
    std::istringstream lines(r.out);
    for (std::string line; std::getline(lines, line);)
      names += Json::parse(line)["input"].get<std::string>().substr(3, 1);
    return names;
  }
  void put_tar(const std::string& name, const std::vector<std::string>& files) {
    tar::TarWriter writer(dir / name);
    for (const std::string& file : files) writer.add(file, read_file(dir / "in" / file));
    writer.commit();
  }
};

TEST_F(ShardsTest, PartitionTheSortedList) {
  put_pictures(8);
  std::vector<std::string> all;
  for (int i = 0; i < 3; ++i) {
    const Finished r =
        predict({"in/7.png", "in", "-o", "out" + std::to_string(i), "--shard", std::to_string(i) + "/3"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    for (const auto& name : list("out" + std::to_string(i))) all.push_back(name);
  }
  EXPECT_THAT(list("out0"), ElementsAre("0.png", "3.png", "6.png"));
  std::sort(all.begin(), all.end());
  EXPECT_THAT(all, ElementsAre("0.png", "1.png", "2.png", "3.png", "4.png", "5.png", "6.png", "7.png"));
  EXPECT_EQ(predict({"in", "-o", "none", "--shard", "9/10"}).exit_code, 0);  // more parts than pictures
  EXPECT_THAT(list("none"), IsEmpty());
}

// a.png and a.jpg in different shards must not both become a.png.
TEST_F(ShardsTest, NamesAreThoseOfTheWholeRun) {
  put_picture("in/a.png", 20, 20);
  std::filesystem::create_directories(dir / "in");
  write_file(dir / "in" / "a.jpg", read_file(test::repository_data() / "image" / "files" / "rgb.jpg"));
  ASSERT_EQ(predict({"in", "-o", "whole"}).exit_code, 0);
  ASSERT_EQ(predict({"in", "-o", "out", "--shard", "0/2"}).exit_code, 0);
  ASSERT_EQ(predict({"in", "-o", "out", "--shard", "1/2"}).exit_code, 0);
  ASSERT_EQ(list("out"), list("whole"));
  for (const auto& name : list("out")) EXPECT_EQ(get("out/" + name), get("whole/" + name));
}

TEST_F(ShardsTest, OfTheEnvironment) {
  put_pictures(5);
  EXPECT_EQ(shard_of({}, "1/2"), "13");
  EXPECT_EQ(shard_of({"SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_MIN=0"}), "13");
  EXPECT_EQ(shard_of({"SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_MIN=1"}), "024");
  EXPECT_EQ(shard_of({"SLURM_ARRAY_TASK_ID=20", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_MIN=10",
                      "SLURM_ARRAY_TASK_MAX=20", "SLURM_ARRAY_TASK_STEP=10"}),
            "13");
  EXPECT_EQ(shard_of({"JOB_COMPLETION_INDEX=1", "SAM2UNET_SHARDS=2"}), "13");
  EXPECT_EQ(shard_of({"JOB_COMPLETION_INDEX=1"}, "auto/2"), "13");
  // Tasks of an array again: their number among them is not that among all.
  EXPECT_THAT(shard_of({"SLURM_ARRAY_TASK_ID=3", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_MIN=1",
                        "SLURM_ARRAY_TASK_MAX=3"}),
              HasSubstr("do not follow each other"));
  EXPECT_EQ(
      shard_of({"SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_COUNT=1", "SLURM_ARRAY_TASK_MIN=1"}, "auto/2"),
      "13");
  EXPECT_THAT(shard_of({}), HasSubstr("neither"));
  EXPECT_THAT(shard_of({"JOB_COMPLETION_INDEX=0"}), HasSubstr("auto/N"));
  EXPECT_THAT(shard_of({"JOB_COMPLETION_INDEX=0", "SLURM_ARRAY_TASK_ID=0"}), HasSubstr("both"));
  EXPECT_THAT(shard_of({"JOB_COMPLETION_INDEX=2"}, "auto/2"), HasSubstr("count from 0"));
  for (const char* wrong :
       {"2/2", "0/0", "-1/2", "1", "1/", "/2", "a/b", "1/2/3", "99999999999999999999/2", "auto/"}) {
    const Finished r = predict({"in", "-o", "out", "--shard", wrong});
    EXPECT_EQ(r.exit_code, 2) << wrong << r.err;
  }
}

TEST_F(ShardsTest, OfTheEnvironmentAtTheEdges) {
  put_pictures(3);
  EXPECT_EQ(shard_of({"SLURM_ARRAY_TASK_ID=", "JOB_COMPLETION_INDEX=1", "SAM2UNET_SHARDS=2"}), "1");
  // A count of one's own goes before what SLURM tells, and the id is then taken as it is.
  EXPECT_EQ(shard_of({"SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_COUNT=3", "SLURM_ARRAY_TASK_MIN=1",
                      "SAM2UNET_SHARDS=2"}),
            "1");
  EXPECT_THAT(shard_of({"JOB_COMPLETION_INDEX=x"}, "auto/2"),
              HasSubstr("JOB_COMPLETION_INDEX=x is not a number up to 1000000"));
  EXPECT_THAT(shard_of({"SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_STEP=0"}),
              HasSubstr("do not follow each other"));
  EXPECT_THAT(shard_of({"SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_MIN=2"}),
              HasSubstr("do not follow each other"));
  EXPECT_THAT(shard_of({"SLURM_ARRAY_TASK_ID=2", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_STEP=3"}),
              HasSubstr("do not follow each other"));
  EXPECT_EQ(predict({"in", "-o", "many", "--shard", "999999/1000000"}).exit_code, 0);
  EXPECT_EQ(predict({"in", "-o", "many", "--shard", "0/1000001"}).exit_code, 2);
}

// Two runs would write lines into each other's.
TEST_F(ShardsTest, AManifestIsOfOneRunAtATime) {
  put_pictures(1);
  const int fd = ::open((dir / "m").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  ASSERT_EQ(::flock(fd, LOCK_EX), 0);
  const Finished r = predict({"in", "-o", "out", "--manifest", "m"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.err, HasSubstr("m: another run writes this manifest"));
  EXPECT_EQ(get("m"), "");
  ::close(fd);
  EXPECT_EQ(predict({"in", "-o", "out", "--manifest", "m"}).exit_code, 0);
  const Json line = manifest("m").at(0);
  const std::string version = line.at("version");
  EXPECT_NE(version, "");
  EXPECT_THAT(predict_plain({"--version"}).out, HasSubstr(version));
  // In hundredths of a millisecond.
  const double hundredths = line.at("milliseconds").get<double>() * 100.0;
  EXPECT_NEAR(hundredths, std::round(hundredths), 1e-6);
}

TEST_F(ShardsTest, ManifestTellsOfEachPicture) {
  put_pictures(3);
  put("in/bad.png", "no picture");
  ASSERT_EQ(predict({"in", "-o", "out", "--manifest", "m.jsonl"}).exit_code, 1);
  std::map<std::string, Json> lines;
  for (const Json& line : manifest("m.jsonl")) lines[line["key"]] = line;
  ASSERT_THAT(lines, SizeIs(4));
  EXPECT_EQ(lines["1"]["status"], "ok");
  EXPECT_EQ(lines["1"]["input"], "in/1.png");
  EXPECT_FALSE(lines["1"].contains("error"));
  EXPECT_GT(lines["1"]["milliseconds"].get<double>(), 0.0);
  EXPECT_THAT(lines["1"]["weights"].get<std::string>(), SizeIs(64));
  EXPECT_EQ(lines["bad"]["status"], "failed");
  EXPECT_THAT(lines["bad"]["error"].get<std::string>(), HasSubstr("in/bad.png"));
  // Again: what went well is left out, what failed is tried again.
  const Finished again = predict({"in", "-o", "out", "--manifest", "m.jsonl", "--resume"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_EQ(again.out, "");
  EXPECT_THAT(again.err, AllOf(HasSubstr("3 of 4 pictures are done"), HasSubstr("bad.png")));
  EXPECT_THAT(manifest("m.jsonl"), SizeIs(5));
}

// JSON is UTF-8, names are bytes: overlong forms, surrogates and numbers past the last are none.
TEST_F(ShardsTest, NamesThatAreNoTextAreWrittenByteByByte) {
  for (const char* name : {"caf\xC3\xA9", "\xE2\x82\xAC", "a\xC0\xAF", "\xE0\x82\x80", "\xED\xA0\x80",
                           "\xF4\x90\x80\x80", "\xFF", "\xC3"})
    put_picture(std::string("in/") + name + ".png", 20, 24);
  ASSERT_EQ(predict({"in", "-o", "out", "--manifest", "m"}).exit_code, 0);
  std::set<std::string> keys;
  for (const Json& line : manifest("m")) keys.insert(line["key"]);
  EXPECT_THAT(keys,
              testing::UnorderedElementsAre("caf\xC3\xA9", "\xE2\x82\xAC", "a\\xC0\\xAF", "\\xE0\\x82\\x80",
                                            "\\xED\\xA0\\x80", "\\xF4\\x90\\x80\\x80", "\\xFF", "\\xC3"));
}

TEST_F(ShardsTest, ResumeMakesWhatIsMissing) {
  put_pictures(4);
  ASSERT_EQ(predict({"in", "-o", "out", "--save", "map,mask", "--manifest", "m"}).exit_code, 0);
  std::filesystem::remove(dir / "out" / "2_mask.png");
  EXPECT_EQ(predict({"in", "-o", "out", "--save", "map,mask", "--resume"}).out,
            "out/2.png\nout/2_mask.png\n");
  EXPECT_EQ(predict({"in", "-o", "out", "--save", "map,mask", "--resume", "--manifest", "m"}).out, "");
  // Recorded of other weights: nothing is done.
  std::string text = get("m");
  const std::string sha = manifest("m")[0]["weights"];
  for (std::size_t at = text.find(sha); at != std::string::npos; at = text.find(sha, at + 1))
    text.replace(at, 64, std::string(64, '0'));
  put("m", text);
  const Finished r = predict({"in", "-o", "out", "--resume", "--manifest", "m"});
  EXPECT_EQ(r.out, "out/0.png\nout/1.png\nout/2.png\nout/3.png\n");
}

TEST_F(ShardsTest, TornLineIsRepaired) {
  put_pictures(2);
  ASSERT_EQ(predict({"in", "-o", "out", "--manifest", "m"}).exit_code, 0);
  const std::string whole = get("m");
  for (const std::size_t cut : {whole.size() - 1, whole.size() - 30, whole.find('\n') + 4}) {
    put("m", whole.substr(0, cut));
    const Finished r = predict({"in", "-o", "out", "--manifest", "m", "--resume"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    const auto lines = manifest("m");
    ASSERT_THAT(lines, SizeIs(2)) << cut;
    EXPECT_NE(lines[0]["key"], lines[1]["key"]);
  }
  for (const std::string& other :
       {std::string("notes of mine"), std::string("{}\n"), whole + "\n", get("in/0.png")}) {
    put("other", other);
    const Finished r = predict({"in", "-o", "out", "--manifest", "other", "--resume"});
    EXPECT_EQ(r.exit_code, 1);
    EXPECT_THAT(r.err, HasSubstr("is not of a manifest"));
    EXPECT_EQ(get("other"), other);
  }
}

// What a batch took is shared by its pictures: together they cannot have taken longer than the program ran.
TEST_F(ShardsTest, TimesOfABatchArePartsOfIt) {
  put_pictures(8);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(predict_plain({"predict", "--weights", "tiny.safetensors", "--size", "320", "in", "-o", "out",
                           "--manifest", "m", "--batch", "8", "--streams", "1"})
                .exit_code,
            0);
  const std::chrono::duration<double, std::milli> ran = std::chrono::steady_clock::now() - begin;
  double sum = 0;
  for (const auto& line : manifest("m")) sum += line.at("milliseconds").get<double>();
  EXPECT_GT(sum, 0);
  EXPECT_LT(sum, ran.count());
}

// It is read in pieces of 64 KiB; what a long one holds before the torn line stays.
TEST_F(ShardsTest, TornLineOfALongManifestIsRepaired) {
  put_pictures(1);
  ASSERT_EQ(predict({"in", "-o", "out", "--manifest", "m"}).exit_code, 0);
  const std::string line = get("m");
  std::string lines;
  while (lines.size() < 200'000) lines += line;
  put("m", lines + line.substr(0, line.size() / 2));
  const Finished r = predict({"in", "-o", "out", "--manifest", "m", "--resume"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(get("m"), lines);
}

// Everything that there is is done already; a name that leads nowhere fails all the same.
TEST_F(ShardsTest, NothingLeftToDoIsNoExcuseForAMissingInput) {
  put_pictures(2);
  ASSERT_EQ(predict({"in", "-o", "out"}).exit_code, 0);
  EXPECT_EQ(predict({"in", "-o", "out", "--resume"}).exit_code, 0);
  const Finished r = predict({"in", "gone.png", "-o", "out", "--resume"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.err, HasSubstr("gone.png"));
  EXPECT_EQ(r.out, "");
}

// The last line of a picture counts: one that failed later is tried again, though its old result is there.
TEST_F(ShardsTest, WhatFailedLaterIsNotDone) {
  put_pictures(2);
  ASSERT_EQ(predict({"in", "-o", "out", "--manifest", "m"}).exit_code, 0);
  put("in/0.png", "no picture");
  ASSERT_EQ(predict({"in", "-o", "out", "--manifest", "m"}).exit_code, 1);
  put_pictures(2);
  const Finished r = predict({"in", "-o", "out", "--manifest", "m", "--resume"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_EQ(r.out, "out/0.png\n");
}

// Killed in the middle, as often as it takes: whatever was told to be done is not touched again, and all is
// done in the end.
TEST_F(ShardsTest, KilledAndResumed) {
  put_pictures(12);
  ASSERT_EQ(predict({"in", "-o", "whole"}).exit_code, 0);
  const auto kill_after_some = [&] {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[0]);
      ::close(ends[1]);
      const int quiet = ::open("/dev/null", O_WRONLY);
      ::dup2(quiet, STDERR_FILENO);
      if (::chdir(dir.path().c_str()) != 0) ::_exit(126);
      const std::string program = test::program("sam2unet");
      ::execl(program.c_str(), program.c_str(), "predict", "--weights", "tiny.safetensors", "--size", "64",
              "in", "-o", "out", "--resume", "--manifest", "m", "--batch", "1", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    ::close(ends[1]);
    char name[64];
    EXPECT_GT(::read(ends[0], name, sizeof name), 0);  // a picture is done
    ::kill(child, SIGKILL);
    ::close(ends[0]);
    ::waitpid(child, nullptr, 0);
  };
  const auto told = [&] {
    std::set<std::string> out;
    for (const Json& line : manifest("m"))
      EXPECT_TRUE(out.insert(line["key"]).second) << "written twice: " << line;
    return out;
  };
  for (int round = 0; round < 3; ++round) {
    if (round > 0 && told().size() == 12) break;
    kill_after_some();
  }
  std::map<std::string, ino_t> done;
  for (const std::string& key : told()) {
    struct stat st = {};
    ASSERT_EQ(::stat((dir / "out" / (key + ".png")).c_str(), &st), 0) << key;
    done[key] = st.st_ino;
  }
  ASSERT_EQ(predict({"in", "-o", "out", "--resume", "--manifest", "m"}).exit_code, 0);
  EXPECT_THAT(told(), SizeIs(12));
  for (const auto& [key, inode] : done) {
    struct stat st = {};
    ::stat((dir / "out" / (key + ".png")).c_str(), &st);
    EXPECT_EQ(st.st_ino, inode) << key << " was written again";
  }
  for (const auto& name : list("whole")) EXPECT_EQ(get("out/" + name), get("whole/" + name));
}

TEST_F(ShardsTest, MaxFailures) {
  put_pictures(4);
  for (const char* name : {"in/00.png", "in/01.png"}) put(name, "no picture");
  EXPECT_EQ(predict({"in", "-o", "a"}).exit_code, 1);
  const Finished tolerated = predict({"in", "-o", "b", "--max-failures", "2"});
  EXPECT_EQ(tolerated.exit_code, 0) << tolerated.err;
  EXPECT_THAT(list("b"), SizeIs(4));
  // A name that leads nowhere is no picture that failed.
  EXPECT_EQ(predict({"in", "gone.png", "-o", "b", "--max-failures", "2"}).exit_code, 1);
  const Finished given_up = predict({"in", "-o", "c", "--max-failures", "1"});
  EXPECT_EQ(given_up.exit_code, 1);
  EXPECT_THAT(given_up.err,
              testing::ContainsRegex("\nsam2unet: given up after [2-6] of 6 pictures: 2 failed, more "
                                     "than --max-failures 1\n$"));
  const Finished none = predict({"in", "-o", "d", "--max-failures", "0"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("failed, more than --max-failures 0\n"));
}

TEST_F(ShardsTest, ResultsAmongThePicturesAreRefused) {
  put_pictures(2);
  for (const std::vector<std::string>& how : {std::vector<std::string>{"--resume"}, {"--shard", "0/2"}}) {
    std::vector<std::string> arguments = {"in", "-o", "in"};
    arguments.insert(arguments.end(), how.begin(), how.end());
    const Finished r = predict(arguments);
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_THAT(r.err, HasSubstr("apart from the pictures"));
  }
  EXPECT_THAT(list("in"), ElementsAre("0.png", "1.png"));
}

TEST_F(ShardsTest, TarInAndOutIsTheFolder) {
  put_pictures(3);
  put_picture("in/sub/3.png", 30, 30);
  put("in/0.json", "{}");
  put_tar("in.tar", {"0.png", "0.json", "1.png", "2.png", "sub/3.png"});
  ASSERT_EQ(predict({"in", "-r", "-o", "folder", "--save", "map,mask,cutout"}).exit_code, 0);
  const Finished r = predict({"in.tar", "-o", "out.tar", "--save", "map,mask,cutout", "--manifest", "m"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const tar::TarFile out(dir / "out.tar");
  std::vector<std::string> names;
  for (const auto& member : out.members()) {
    names.push_back(member.name);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(member.bytes.data()), member.bytes.size()),
              get("folder/" + member.name))
        << member.name;
  }
  EXPECT_THAT(names, ElementsAre("0.png", "0_mask.png", "0_cutout.png", "1.png", "1_mask.png", "1_cutout.png",
                                 "2.png", "2_mask.png", "2_cutout.png", "sub/3.png", "sub/3_mask.png",
                                 "sub/3_cutout.png"));
  EXPECT_THAT(manifest("m"), SizeIs(4));
  // In milliseconds, of which no network takes a twentieth alone.
  for (const auto& line : manifest("m")) EXPECT_GT(line.at("milliseconds").get<double>(), 0.05);
  // The same bytes from the folder, and to a folder.
  ASSERT_EQ(predict({"in", "-r", "-o", "again.tar", "--save", "map,mask,cutout"}).exit_code, 0);
  EXPECT_EQ(get("again.tar"), get("out.tar"));
  ASSERT_EQ(predict({"in.tar", "-o", "files"}).exit_code, 0);
  EXPECT_EQ(get("files/sub/3.png"), get("folder/sub/3.png"));
  // Whole, or not there.
  EXPECT_EQ(
      predict({"in.tar", "-o", "out.tar", "--save", "map,mask,cutout", "--manifest", "m", "--resume"}).out,
      "");
  EXPECT_THAT(manifest("m"), SizeIs(4));
  std::filesystem::remove(dir / "out.tar");
  ASSERT_EQ(predict({"in.tar", "-o", "out.tar", "--save", "map,mask,cutout", "--manifest", "m", "--resume"})
                .exit_code,
            0);
  EXPECT_EQ(get("again.tar"), get("out.tar"));
}

// A tar of results is there or not; of which only some pictures are told to be done, it is made again.
TEST_F(ShardsTest, ATarIsDoneAsAWhole) {
  put_pictures(3);
  put_tar("in.tar", {"0.png", "1.png", "2.png"});
  const auto again = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"in.tar", "-o", "out.tar", "--resume"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished r = predict(arguments);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return r.out + r.err;
  };
  const std::string made = "out.tar/0.png\nout.tar/1.png\nout.tar/2.png\n",
                    done = "sam2unet: note: 3 of 3 pictures are done already\n";
  EXPECT_EQ(again({}), made);
  EXPECT_EQ(again({}), done);
  EXPECT_EQ(again({"--manifest", "m"}), made);
  EXPECT_EQ(again({"--manifest", "m"}), done);
  const auto lines = manifest("m");
  ASSERT_THAT(lines, SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(lines[static_cast<std::size_t>(i)]["key"], std::to_string(i));
    EXPECT_EQ(lines[static_cast<std::size_t>(i)]["input"], "in.tar/" + std::to_string(i) + ".png");
  }
  const std::string all = get("m");
  put("m", all.substr(0, all.find('\n') + 1));
  EXPECT_EQ(again({"--manifest", "m"}), made);
  EXPECT_THAT(manifest("m"), SizeIs(4));
}

// A tar may hold what macOS keeps beside a file, be named twice, or hold no pictures.
TEST_F(ShardsTest, TarsOfOtherThings) {
  put_pictures(2);
  put("in/._0.png", "of macOS");
  put("in/notes.txt", "none");
  put_tar("in.tar", {"._0.png", "0.png", "1.png"});
  const Finished r = predict({"in.tar", "./in.tar", "in.tar", "-o", "out"});
  EXPECT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(list("out"), ElementsAre("0.png", "1.png"));
  put_tar("notes.tar", {"notes.txt"});
  const Finished none = predict({"in/0.png", "notes.tar", "-o", "none"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_THAT(none.err, HasSubstr("no pictures in notes.tar"));
  EXPECT_THAT(list("none"), ElementsAre("0.png"));
  std::filesystem::rename(dir / "in.tar", dir / "IN.TAR");
  EXPECT_EQ(predict({"IN.TAR", "-o", "upper"}).exit_code, 0);
  EXPECT_THAT(list("upper"), ElementsAre("0.png", "1.png"));
}

TEST_F(ShardsTest, HostileTars) {
  put_pictures(2);
  put_tar("good.tar", {"0.png", "1.png"});
  const std::string good = get("good.tar");
  put("cut.tar", good.substr(0, good.size() - 1024));
  put("text.tar", std::string(2000, 't'));
  put("empty.tar", "");
  for (const char* name : {"cut.tar", "text.tar", "empty.tar"}) {
    const Finished r = predict({name, "-o", "out.tar"});
    EXPECT_EQ(r.exit_code, 1) << name;
    EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
    EXPECT_THAT(r.err, AllOf(HasSubstr(name), Not(HasSubstr("exception"))));
    EXPECT_FALSE(exists("out.tar"));
  }
  EXPECT_EQ(predict({"good.tar", "-o", "good.tar"}).exit_code, 2);
  EXPECT_EQ(get("good.tar"), good);
}

// A tar of results appears when the run is through, and not if it was given up.
TEST_F(ShardsTest, GivenUpLeavesNoTar) {
  put_pictures(1);
  put("in/bad.png", "no picture");
  EXPECT_EQ(predict({"in", "-o", "out.tar", "--max-failures", "0", "--manifest", "m"}).exit_code, 1);
  EXPECT_FALSE(exists("out.tar"));
  for (const Json& line : manifest("m")) EXPECT_EQ(line["status"], "failed");
  EXPECT_THAT(list("."), ElementsAre("in", "m", "tiny.safetensors"));
}

}  // namespace
}  // namespace sam2unet
