// What the commands say of a wrong use and of what failed: the whole line, and the exit code.
#include "predict_fixture.h"
#include "support/changed_weights.h"
#include "tar/writer.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using Arguments = std::vector<std::string>;

Arguments operator+(Arguments a, const Arguments& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Words : public PredictTest {
 protected:
  Words() {
    put_picture("a.png", 8, 8);
    put_picture("in/b.png", 8, 8);
  }
  // Nothing else is written, on either side.
  void says(const Arguments& arguments, int code, const std::string& lines, RunOptions options = {}) {
    const Finished r = predict_plain(arguments, std::move(options));
    std::string all;
    for (const std::string& a : arguments) all += a + " ";
    EXPECT_EQ(r.exit_code, code) << all;
    EXPECT_EQ(r.err, "sam2unet: " + lines + "\n") << all;
    EXPECT_EQ(r.out, "") << all;
  }
  const Arguments predicts{"predict", "--weights", "tiny.safetensors", "--size", "64"};
};

TEST_F(Words, OfWhereResultsGo) {
  const auto refuses = [&](const Arguments& more, const std::string& line) {
    says(predicts + more, 2, line);
  };
  refuses({"a.png"}, "where should the results go? Give a folder: -o DIR");
  refuses({"a.png", "in/b.png", "-o", "x.png"},
          "-o x.png names one file, for 2 pictures; give a folder: -o DIR");
  refuses(
      {"a.png", "-o", "x.png", "--save", "map,mask"},
      "-o x.png names one file, for 2 kinds of results; choose one with --save, or give a folder: -o DIR");
  refuses({"a.png", "-o", "x.jpg"},
          "-o x.jpg: a map is written as .png; name it so, or give a folder: -o DIR");
  refuses({"a.png", "-o", "x.png", "--save", "json"},
          "-o x.png: a json is written as .json; name it so, or give a folder: -o DIR");
  refuses({"a.png", "-o", "./a.png"}, "-o ./a.png is the picture itself; choose another name");
  refuses({"a.png", "-o", "-", "--save", "map,mask"},
          "standard output takes one kind of result: choose one with --save, or give a folder: -o DIR");
  refuses({"a.png", "in/b.png", "-o", "-", "--save", "mask"},
          "standard output takes one picture's mask, not 2; give a folder: -o DIR");
  refuses({"a.png", "-o", "-", "--resume"}, "--resume needs results in files; give a folder: -o DIR");
  refuses({"a.png", "-o", "out", "--manifest", "in"}, "in is a folder: name a file in it");
  says(predicts + Arguments{"a.png", "-o", "out", "--manifest", "no/such/m"}, 1,
       "no/such/m: cannot write into its folder: No such file or directory");
  says({"doctor", "--images", "in", "--masks", "in", "--json", "no/o.json"}, 1,
       "no/o.json: cannot write into its folder: No such file or directory");
  says({"eval", "--pred", "in", "--gt", "in", "--csv", "-", "--html", "-"}, 2,
       "two results would be written to standard output: name one file for each");
  tar::TarWriter writer(dir / "in.tar");
  writer.add("b.png", read_file(dir / "in/b.png"));
  writer.commit();
  refuses({"in.tar", "-o", "in.tar"},
          "-o in.tar is the tar that pictures are read from; choose another name");
}

// Where pictures are looked for below a folder, results must not be there; elsewhere they may.
TEST_F(Words, OfResultsAmongThePictures) {
  put_picture("in/sub/c.png", 8, 8);
  fs::create_directory_symlink("in", dir / "link");
  const auto among = [](const std::string& picture, const std::string& folder) {
    return "--shard and --resume need results apart from the pictures, which would be mixed up with them: " +
           picture + " lies in " + folder + "; choose another folder: -o DIR";
  };
  says(predicts + Arguments{"in", "-o", "in", "--resume"}, 2, among("in/b.png", "in"));
  says(predicts + Arguments{"in", "-o", "link", "--shard", "0/2"}, 2, among("in/b.png", "link"));
  says(predicts + Arguments{"in/sub", "-r", "-o", "in", "--resume"}, 2, among("in/sub/c.png", "in"));
  put_picture("in/deep/er/d.png", 8, 8);
  says(predicts + Arguments{"in/deep/er", "-r", "-o", "in", "--resume"}, 2, among("in/deep/er/d.png", "in"));
  EXPECT_EQ(predict({"in/sub", "-o", "in", "--resume"}).out, "in/c.png\n");
  EXPECT_EQ(predict({"in/b.png", "-r", "-o", "in/sub", "--resume"}).out, "in/sub/b.png\n");
}

TEST_F(Words, OfNamesThatLeadNowhere) {
  says(predicts + Arguments{"no.png", "*.gif", "-o", "out"}, 1,
       "cannot open no.png: no such file or folder\nsam2unet: nothing matches *.gif\n"
       "sam2unet: there is nothing to segment");
  says(predicts + Arguments{"-", "-o", "out"}, 1,
       "standard input is empty; give it a picture, or a list of paths");
  says(predicts + Arguments{"-", "-o", "out"}, 1,
       "standard input is neither a picture of a known format nor a list of paths",
       {.input = std::string("a\0b", 3)});
  EXPECT_FALSE(exists("out"));
}

TEST_F(Words, OfWeightsAndClassesThatDoNotFit) {
  write_three_classes();
  put("four.toml",
      "[[class]]\nid = 1\nname = \"a\"\n[[class]]\nid = 2\nname = \"b\"\n[[class]]\nid = 3\nname = \"c\"\n");
  const Arguments three{"predict", "a.png", "-o", "out", "--weights", "three.safetensors", "--size", "64"};
  const std::string of_one =
      "--official and --threshold are of one foreground; these weights have several "
      "classes";
  says(three + Arguments{"--threshold", "0.4"}, 2, of_one);
  says(three + Arguments{"--official"}, 2, of_one);
  says(three + Arguments{"--classes", "four.toml"}, 2,
       "--classes four.toml: it has 4 classes, the weights have 3, background included");
  says(predicts + Arguments{"a.png", "-o", "out", "--class", "1"}, 2,
       "--class: these weights have one foreground, not several classes");
  says(predicts + Arguments{"a.png", "-o", "out", "--classes", "3"}, 2,
       "--classes: these weights have one foreground, not several classes");
  says({"eval", "--images", "in", "--gt", "in", "--weights", "three.safetensors", "--official"}, 2,
       "--official is of one foreground; these weights have several classes");
  says({"eval", "--pred", "in", "--gt", "in", "--classes", "3", "--classic"}, 2,
       "--paper, --protocol, --empty and --classic are of maps of one foreground: leave them or --classes "
       "out");
}

// What a picture's network makes is told with the picture's name, which the library does not know.
TEST_F(Words, OfAResultThatIsNone) {
  write_filled(dir / "tiny.safetensors", dir / "large.safetensors", "head.weight", 3e38F);
  const std::string of =
      ": the network's result holds NaN or infinity: with these weights its numbers grow "
      "past what float holds; take an earlier checkpoint";
  for (const Arguments& how : {Arguments{}, {"--tile", "32"}, {"--tta", "hflip"}}) {
    says(Arguments{"predict", "a.png", "in", "-o", "out", "--weights", "large.safetensors", "--size", "64"} +
             how,
         1, "a.png" + of + "\nsam2unet: in/b.png" + of);
  }
  EXPECT_TRUE(list("out").empty());
}

// Every command hands the device and the precision on, and the number of streams.
TEST_F(Words, OfDevicesPrecisionsAndStreams) {
  const Arguments weights{"--weights", "tiny.safetensors"};
  const Arguments predict_it{"predict", "a.png", "-o", "out"},
      eval_it{"eval", "--images", "in", "--gt", "in"}, bench_it{"bench", "-n", "1"};
  fs::create_directories(dir / "data/CAMO/GT");
  fs::copy(dir / "in", dir / "data/CAMO/Imgs");
  fs::copy_file(dir / "in/b.png", dir / "data/CAMO/GT/b.png");
  const Arguments reproduce_it{"reproduce", "--data", "data"};
  const std::string golden = repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors";
  for (const Arguments& command : {predict_it + weights, eval_it + weights, bench_it + weights,
                                   reproduce_it + weights, Arguments{"verify", golden}}) {
    const std::string file = command[0] == "verify" ? golden + "\n" : "";
    const Finished device = predict_plain(command + Arguments{"--device", "abacus"});
    EXPECT_EQ(device.exit_code, 2) << command[0];
    EXPECT_EQ(device.err,
              "sam2unet: device abacus: must be cpu, cuda, cuda:N, cuda-torch, cuda-torch:N or "
              "torch-cpu\n");
    EXPECT_EQ(device.out, file);
    const Finished precision = predict_plain(command + Arguments{"--precision", "tf32"});
    EXPECT_EQ(precision.exit_code, 2) << command[0];
    EXPECT_EQ(precision.err,
              "sam2unet: precision tf32: the device cpu computes in f32, bf16 or int8; for tf32 "
              "choose the device cuda-torch\n");
    EXPECT_EQ(precision.out, file);
  }
  for (const Arguments& command : {predict_it + weights, eval_it + weights}) {
    says(command + Arguments{"--streams", "65"}, 2, "--streams 65: must be auto or 1 to 64");
    says(command + Arguments{"--size", "33"}, 2,
         "--size 33: give N or HxW, multiples of 32 from 32 to 8192, such as 352 or 480x640");
  }
  const Finished half = predict_plain({"verify", golden, "--precision", "bf16"});
  EXPECT_EQ(half.exit_code, 0) << half.out;
  EXPECT_THAT(half.out, HasSubstr("(at most 0.1)  ok\n"));
}

TEST_F(Words, OfWeightsThatAreNeededToVerify) {
  put_picture("set/image/a.png", 8, 8);
  const Finished r = predict_plain({"verify", "set"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_EQ(r.err,
            "sam2unet: set: a folder of pictures needs the weights they were predicted with; name their "
            "file (--weights FILE)\n");
  // What is wrong otherwise is told as it is.
  EXPECT_EQ(predict_plain({"verify", "set", "--weights", "tiny.safetensors", "--device", "abacus"}).err,
            "sam2unet: device abacus: must be cpu, cuda, cuda:N, cuda-torch, cuda-torch:N or torch-cpu\n");
  const std::string golden = repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors";
  EXPECT_EQ(predict_plain({"verify", golden, "--device", "abacus"}).err,
            "sam2unet: device abacus: must be cpu, cuda, cuda:N, cuda-torch, cuda-torch:N or torch-cpu\n");
}

TEST_F(Words, OfModelsAndWeightFiles) {
  const RunOptions offline{.environment = {"SAM2UNET_OFFLINE=1"}};
  says({"models", "list", "x"}, 2, "models list takes no names");
  says({"models", "path"}, 2, "models path needs a name; `models list` shows them");
  says({"models", "fetch"}, 2, "models fetch needs a name; `models list` shows them");
  says({"models", "add"}, 2, "models add needs a file");
  const std::string one_address = "--sha256 goes with the fetching of one address";
  says({"models", "verify", "--sha256", "00"}, 2, one_address);
  says({"models", "fetch", "http://a/b.pth", "http://a/c.pth", "--sha256", "00"}, 2, one_address);
  says({"models", "fetch", "none"}, 2, "none: no known model, and no http, https or file address", offline);
  says({"info", "--tensors"}, 2, "--tensors: of which FILE?");
  says({"info", "tiny.safetensors", "--try"}, 2, "--try is of the devices, and goes without a FILE");
  says({"export", "a.safetensors", "-w", "tiny.safetensors"}, 2,
       "a.safetensors: the extension decides the format; use .onnx");
  says({"convert", "tiny.safetensors", "x.safetensors", "--gates", "in", "--calibrate", "in"}, 2,
       "--calibrate measures what --gates does, and more");
  says({"bench", "--variant", "t", "-w", "tiny.safetensors"}, 2,
       "--variant and --weights exclude each other");
  says({"bench", "--size", "32", "--streams", "3", "-j", "2"}, 2,
       "3 streams: must be 1 to 2, the threads there are");
  says({"eval", "--gt", "in"}, 2,
       "what is to be scored? Give --pred DIR, or --images DIR for the model to predict from");
  says({"eval", "--gt", "in", "--pred", "in", "--tta", "hflip"}, 2,
       "--pred scores maps that are there; --weights, --size, --official, --device, --tile, --tta and the "
       "like are "
       "for predicting: leave one out");
  says({"eval", "--gt", "in", "--pred", "x=in", "--pred", "y=in", "--name", "z"}, 2,
       "--name names one method; name several with --pred NAME=DIR");
  says({"eval", "--gt", "in", "--pred", "in", "--pred", "./in/"}, 2,
       "two predictions are called in: give them names, --pred NAME=DIR");
}

TEST_F(Words, OfShards) {
  const auto refuses = [&](const std::string& shard, const std::string& line,
                           const std::vector<std::string>& environment = {}) {
    says(predicts + Arguments{"in", "-o", "out", "--shard", shard}, 2, line, {.environment = environment});
  };
  refuses("2/2", "--shard 2/2: part 2 of 2; parts count from 0, the last is 1");
  refuses("0/0", "--shard 0/0: 0 parts");
  for (const std::string wrong : {"1", "x/2", "1/1000001", "auto/x"})
    refuses(wrong, "--shard " + wrong + ": write I/N (0/4 to 3/4 for four parts), auto or auto/N");
  refuses("auto",
          "--shard auto: neither SLURM_ARRAY_TASK_ID (a SLURM job array) nor JOB_COMPLETION_INDEX (an "
          "indexed job of "
          "Kubernetes) is set; say which part: --shard I/N");
  refuses("auto",
          "--shard auto: both SLURM_ARRAY_TASK_ID and JOB_COMPLETION_INDEX are set; say which: --shard I/N",
          {"SLURM_ARRAY_TASK_ID=0", "JOB_COMPLETION_INDEX=0"});
  refuses("auto",
          "--shard auto: SLURM_ARRAY_TASK_ID is set, SLURM_ARRAY_TASK_COUNT is not; tell the number of "
          "parts: --shard "
          "auto/N",
          {"SLURM_ARRAY_TASK_ID=0"});
  refuses("auto",
          "--shard auto: the ids of this SLURM array do not follow each other; tell the number of parts, and "
          "ids are "
          "taken as they are, from 0 on: --shard auto/N",
          {"SLURM_ARRAY_TASK_ID=0", "SLURM_ARRAY_TASK_COUNT=2", "SLURM_ARRAY_TASK_MAX=2"});
  refuses("auto",
          "--shard auto: Kubernetes does not tell a job's completions; tell them: --shard auto/N, or "
          "SAM2UNET_SHARDS=N",
          {"JOB_COMPLETION_INDEX=0"});
  refuses("auto/2", "--shard auto: JOB_COMPLETION_INDEX: part 2 of 2; parts count from 0, the last is 1",
          {"JOB_COMPLETION_INDEX=2"});
  refuses("auto/2", "--shard auto: SLURM_ARRAY_TASK_ID: part 3 of 2; parts count from 0, the last is 1",
          {"SLURM_ARRAY_TASK_ID=3"});
  refuses("auto", "--shard auto: SAM2UNET_SHARDS=1.5 is not a number up to 1000000",
          {"JOB_COMPLETION_INDEX=0", "SAM2UNET_SHARDS=1.5"});
}

// A file that is no manifest, by the line that is none of its.
TEST_F(Words, OfManifests) {
  const Arguments with{"a.png", "-o", "out", "--manifest", "m"};
  ASSERT_EQ(predict_plain(predicts + with).exit_code, 0);
  const std::string line = get("m");
  const auto refuses = [&](const std::string& text, int number) {
    put("m", text);
    says(predicts + with, 1,
         "m: line " + std::to_string(number) + " is not of a manifest; name another file");
    EXPECT_TRUE(get("m") == text);
  };
  refuses("notes\n" + line, 1);
  refuses(line + line + "{}\n" + line, 3);
  refuses(line + "of mine", 2);
  refuses(line + std::string((1 << 20) + 1, 'x'), 2);
  for (const char* key : {"key", "input", "status", "weights"}) {
    std::string other = line;
    const std::string quoted = std::string("\"") + key + "\":";
    other.replace(other.find(quoted), quoted.size(), "\"other\":");
    refuses(other, 1);
  }
}

// Folders that do not pair, and this program's options that would help.
class Pairs : public Words {
 protected:
  Pairs() {
    for (const char* name : {"p/1.png", "p/2.png", "g/1_gt.png", "g/2_gt.png", "deep/sub/1.png",
                             "deep/sub/2.png", "m/m_1.png", "m/m_2.png", "empty/sub/1.png"}) {
      fs::create_directories((dir / name).parent_path());
      write_png(dir / name, Image(8, 8, 1));
    }
  }
  // The two sides as options, and how the affixes of each are called.
  void hints(const Arguments& command, const std::string& first, const std::string& second,
             const std::string& first_affix, const std::string& second_affix) {
    const auto with = [&](const std::string& a, const std::string& b) {
      const Finished r = predict_plain(command + Arguments{"--" + first, a, "--" + second, b});
      EXPECT_EQ(r.exit_code, 2) << a << " " << b << ": " << r.err;
      EXPECT_EQ(r.out, "");
      EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << r.err;
      return r.err;
    };
    using testing::EndsWith;
    EXPECT_THAT(with("p", "g"), EndsWith(" (--" + second_affix + "-suffix '_gt')\n"));
    EXPECT_THAT(with("m", "p"), EndsWith(" (--" + first_affix + "-prefix 'm_')\n"));
    EXPECT_THAT(with("m", "g"), EndsWith(": rename one side, or check that the folders belong together\n"));
    EXPECT_THAT(with("p", "deep"), EndsWith(" (-r looks into them)\n"));
    EXPECT_THAT(with("deep", "p"), EndsWith(" (-r looks into them)\n"));
    EXPECT_THAT(with("p", "p"), EndsWith(" (--" + first + " 'DIR/*.jpg' --" + second + " 'DIR/*.png', or --" +
                                         second_affix + "-suffix _" + second_affix + ")\n"));
  }
};

TEST_F(Pairs, EvalNamesItsOptions) {
  hints({"eval"}, "pred", "gt", "pred", "gt");
  hints({"eval", "--classes", "2"}, "pred", "gt", "pred", "gt");
  hints({"eval", "--weights", "tiny.safetensors", "--size", "32"}, "images", "gt", "image", "gt");
  write_three_classes();
  hints({"eval", "--weights", "three.safetensors", "--size", "32"}, "images", "gt", "image", "gt");
}

TEST_F(Pairs, DoctorNamesItsOptions) {
  hints({"doctor"}, "images", "masks", "image", "mask");
}

}  // namespace
}  // namespace sam2unet::test
