// What `info`, `verify`, `convert`, `export`, `bench`, `doctor` and `models` print, line by line.
#include <filesystem>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/sha256.h"
#include "formats/file_builder.h"
#include "formats/tensor_file.h"
#include "model/metadata.h"
#include "model/tensor_table.h"
#include "predict_fixture.h"
#include "support/changed_weights.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using Json = nlohmann::json;

class Told : public PredictTest {
 protected:
  Finished run_it(const std::vector<std::string>& arguments, RunOptions options = {}) {
    return predict_plain(arguments, std::move(options));
  }
  std::string megabytes(const std::string& file) {
    return fmt::format("{:.1f} MB", static_cast<double>(fs::file_size(dir / file)) * 1e-6);
  }
  // The tiny weights without those tensors of which `left_out` is true, and with one that nothing knows.
  void write_some(const std::string& file, const std::function<bool(const std::string&)>& left_out,
                  const std::string& unknown = {}) {
    const auto in = formats::TensorFile::open(dir / "tiny.safetensors");
    std::vector<formats::NamedTensor> tensors;
    for (const auto& t : in.tensors())
      if (!left_out(t.name)) tensors.push_back(t);
    if (!unknown.empty()) {
      tensors.push_back(tensors.front());
      tensors.back().name = unknown;
    }
    formats::write_safetensors(dir / file, tensors, in.metadata());
  }
};

// Counted from the table of tensors: running statistics are no parameters, the trunk is not trained.
TEST_F(Told, InfoLineByLine) {
  std::map<std::string, std::int64_t> parts;
  std::int64_t all = 0, trained = 0;
  for (const auto& t : model::tensor_table(tiny_config())) {
    if (t.is_buffer()) continue;
    all += t.shape.numel();
    parts[std::string(model::name_of(t.part))] += t.shape.numel();
    if (t.part != model::Part::trunk && t.part != model::Part::unused) trained += t.shape.numel();
  }
  const std::size_t tensors = model::tensor_table(tiny_config()).size();
  std::string want =
      "file        tiny.safetensors\nformat      safetensors\n"
      "contents    full SAM2-UNet, variant custom\n";
  want += fmt::format("size        {}\ntensors     {}\nparameters  {} ({} trained by the official recipe)\n",
                      megabytes("tiny.safetensors"), tensors, all, trained);
  for (const auto& [part, n] : parts) want += fmt::format("  {:<12} {}\n", part, n);
  want += fmt::format(
      "dtypes      f32 x {}  \nusable for  predict, eval, verify, convert; a start for training\n", tensors);
  EXPECT_EQ(run_it({"info", "tiny.safetensors"}).out, want);
}

TEST_F(Told, InfoTellsWhatTheFileSaysOfItself) {
  write_tiny_weights(dir / "boxed.safetensors", false, {{"fit", "letterbox"}, {"input_size", "96x64"}});
  EXPECT_THAT(run_it({"info", "boxed.safetensors"}).out,
              HasSubstr("\ntrained at  96x64\nfit         letterbox\nusable for  "));
  write_three_classes();
  EXPECT_THAT(run_it({"info", "three.safetensors"}).out,
              HasSubstr("\nclasses     3: background, road, car\n"));
  model::Config config = tiny_config();
  config.out_channels = 3;
  write_weights(dir / "nameless.safetensors", config);
  EXPECT_THAT(run_it({"info", "nameless.safetensors"}).out,
              HasSubstr("\nclasses     3, background included\n"));
  write_weights(dir / "odd.safetensors", config, {{"classes", "{"}});
  EXPECT_THAT(run_it({"info", "odd.safetensors"}).out, ContainsRegex("\nclasses     3 \\(.+\\)\n"));
  EXPECT_THAT(run_it({"info", "tiny.safetensors"}).out, Not(HasSubstr("classes")));
  const std::string nested = repository_data() / "pth" / "zip_nested_model.pt";
  EXPECT_THAT(run_it({"info", nested}).out, HasSubstr("\nformat      PyTorch, tensors under \"model\"\n"));
}

// Ten names are shown, however many there are.
TEST_F(Told, InfoNamesWhatIsWrong) {
  std::vector<std::string> rfb;
  for (const auto& t : model::tensor_table(tiny_config()))
    if (t.name.starts_with("rfb1.") && !t.is_buffer()) rfb.push_back(t.name);
  ASSERT_GT(rfb.size(), 12U);
  for (const std::size_t gone : {10U, 12U}) {
    const std::vector<std::string> names(rfb.begin(), rfb.begin() + static_cast<std::ptrdiff_t>(gone));
    write_some("some.safetensors",
               [&](const std::string& n) { return std::find(names.begin(), names.end(), n) != names.end(); });
    const std::string out = run_it({"info", "some.safetensors"}).out;
    const std::string list = out.substr(out.find(fmt::format("\nmissing ({}):\n", gone)) + 1);
    EXPECT_EQ(std::count(list.begin(), list.end(), '\n'), gone == 10U ? 11 : 12) << out;
    EXPECT_EQ(list.ends_with("\n  ... and 2 more\n"), gone == 12U) << out;
    EXPECT_THAT(out, HasSubstr("\nusable for  nothing as it is: "));
  }
  write_some(
      "more.safetensors", [](const std::string&) { return false; }, "of.another");
  EXPECT_THAT(run_it({"info", "more.safetensors"}).out,
              AllOf(HasSubstr("\nnot of this network (1):\n  of.another"), Not(HasSubstr("missing"))));
  write_filled(dir / "tiny.safetensors", dir / "nan.safetensors", "head.", std::nanf(""));
  EXPECT_THAT(run_it({"info", "nan.safetensors"}).out,
              HasSubstr("\nwith NaN, infinity or a negative variance (2):\n  head."));
}

// Each kind of trouble under its own name: tensors of another shape, what tools and losses leave, objects
// that are no tensors, and measurements of other weights. A network of other widths is told with what
// differs.
TEST_F(Told, InfoNamesWhatIsBesideTheNetwork) {
  const auto tiny = formats::TensorFile::open(dir / "tiny.safetensors");
  std::vector<formats::NamedTensor> tensors = tiny.tensors();
  tensors.push_back(tensors.front());
  tensors.back().name = "total_ops";
  for (auto& t : tensors) {
    if (t.name == "encoder.patch_embed.proj.bias") {
      const Shape shape{4, 4};
      t.view = {t.view.data, t.view.dtype, shape, shape.dense_strides()};
    }
  }
  formats::write_safetensors(dir / "odd.safetensors", tensors, tiny.metadata());
  const std::string out = run_it({"info", "odd.safetensors"}).out;
  EXPECT_TRUE(
      out.ends_with("\nmisshapen (1):\n  encoder.patch_embed.proj.bias is [4, 4], expected [16]\n"
                    "left out, of a training tool or a loss (1):\n  total_ops\n"))
      << out;
  auto metadata = tiny.metadata();
  metadata[model::kGatesKey] = "{";
  formats::write_safetensors(dir / "gates.safetensors", tiny.tensors(), metadata);
  EXPECT_THAT(run_it({"info", "gates.safetensors"}).out,
              HasSubstr("\nprecisions  what is stored of them does not count: "));
  model::Config config = tiny_config();
  config.out_channels = 2;
  config.adapter_width = 7;
  write_weights(dir / "other.safetensors", config);
  EXPECT_THAT(run_it({"info", "other.safetensors"}).out,
              HasSubstr("\nclasses     2, background included\ndiffers     output channels 2 instead of 1\n"
                        "differs     adapter width 7 instead of 32\nsize        "));
  // An object that torch.save stored beside a tensor.
  put("object.pth",
      torch_zip(op::pickle(op::dict({{"state_dict", op::dict({{"w", op::tensor(6, 0, {6}, {1})}})},
                                     {"config", op::global("easydict", "EasyDict") + ")R"}})),
                std::string(24, '\0')));
  const Finished object = run_it({"info", "object.pth"});
  EXPECT_EQ(object.err, "");
  EXPECT_THAT(object.out,
              AllOf(HasSubstr("contents    unknown\n"),
                    HasSubstr("\npassed over, objects beside the tensors (1):\n  easydict.EasyDict\n")));
}

// What a tool left in a file is noted by who leaves it out.
TEST_F(Told, NotesOfWeightsAreTold) {
  const auto tiny = formats::TensorFile::open(dir / "tiny.safetensors");
  std::vector<formats::NamedTensor> tensors = tiny.tensors();
  tensors.push_back(tensors.front());
  tensors.back().name = "total_ops";
  formats::write_safetensors(dir / "noted.safetensors", tensors, tiny.metadata());
  put_picture("in/a.png", 40, 30);
  fs::create_directories(dir / "gt");
  write_png(dir / "gt/a.png", Image(40, 30, 1));
  const auto note = testing::MatchesRegex("sam2unet: note: [^\n]*total_ops[^\n]*\n");
  EXPECT_THAT(run_it({"predict", "in", "-o", "out", "-w", "noted.safetensors", "--size", "64"}).err, note);
  EXPECT_THAT(run_it({"eval", "--images", "in", "--gt", "gt", "-w", "noted.safetensors", "--size", "64"}).err,
              note);
  EXPECT_THAT(run_it({"convert", "noted.safetensors", "c.safetensors"}).err, note);
  // Where there was a bar, the note takes its place.
  put_picture("in/b.png", 40, 30);
  EXPECT_THAT(run_it({"convert", "noted.safetensors", "c.safetensors", "--gates", "in", "--threads", "1"},
                     {.terminal = true})
                  .err,
              ContainsRegex("2/2 pictures in f32, bf16 and int8[^\n]* left\r\033\\[Ksam2unet: note: "));
}

TEST_F(Told, ConvertSaysWhatItWrote) {
  const std::size_t tensors = model::tensor_table(tiny_config()).size();
  const Finished r = run_it({"convert", "tiny.safetensors", "half.safetensors", "--dtype", "f16"});
  EXPECT_EQ(r.out, fmt::format("half.safetensors: full SAM2-UNet, variant custom, {} tensors, {}\n", tensors,
                               megabytes("half.safetensors")));
  EXPECT_LT(fs::file_size(dir / "half.safetensors"), fs::file_size(dir / "tiny.safetensors") * 6 / 10);
  for (const char* threads : {"-1", "1025"})
    EXPECT_EQ(run_it({"convert", "tiny.safetensors", "x.safetensors", "-j", threads}).exit_code, 2);
  for (const char* threads : {"0", "1024"})
    EXPECT_EQ(run_it({"convert", "tiny.safetensors", "x.safetensors", "-j", threads}).exit_code, 0);
}

// The layers that int8 leaves alone are named in the file, and by both commands.
TEST_F(Told, CalibrationKeepsWhatItMust) {
  put_picture("photos/a.png", 40, 30);
  const Finished r = run_it({"convert", "tiny.safetensors", "fast.safetensors", "--calibrate", "photos"},
                            {.terminal = true});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("layers of int8"));
  const Json j = Json::parse(run_it({"info", "fast.safetensors", "--json"}).out);
  EXPECT_EQ(j.at("measured_pictures"), 1);
  const std::string told = run_it({"info", "fast.safetensors"}).out;
  for (const auto& m : j.at("measured")) {
    const double change = m.at("change"), limit = m.at("limit");
    const std::string line = fmt::format(
        "{:<12}changes maps by {:.5f} on 1 pictures: {} {}\n", m.at("precision").get<std::string>(), change,
        change <= limit ? "--precision auto may take it, up to" : "more than", limit);
    EXPECT_THAT(told, HasSubstr(line));
    EXPECT_THAT(r.out, HasSubstr(line));
  }
  const auto kept = j.at("kept_in_bf16").size();
  EXPECT_EQ(told.find(fmt::format("int8 keeps  {} layers in bf16: ", kept)) != std::string::npos, kept > 0U);
  EXPECT_THAT(
      run_it({"convert", "tiny.safetensors", "x.safetensors", "--calibrate", "photos", "--gates", "photos"})
          .err,
      HasSubstr("--calibrate measures what --gates does, and more"));
}

TEST_F(Told, ExportCountsChannels) {
  write_three_classes();
  const auto says = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"export", "o.onnx"});
    const Finished r = run_it(more);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return r.out;
  };
  const std::string three = says({"-w", "three.safetensors", "--size", "32"});
  EXPECT_THAT(three, AllOf(StartsWith("o.onnx: core graph, variant custom, 32x32, 3 channels, f32, "),
                           testing::EndsWith(" nodes, " + megabytes("o.onnx") + "\n")));
  EXPECT_EQ(run_it({"export", ".onnx", "-w", "tiny.safetensors"}).exit_code, 2);  // an ending, and no name
  EXPECT_FALSE(exists(".onnx"));
}

TEST_F(Told, BenchLineByLine) {
  const auto out = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"bench", "-w", "tiny.safetensors", "--size", "32x64"});
    const Finished r = run_it(more);
    EXPECT_EQ(r.exit_code, 0) << r.err;
    return r.out;
  };
  const std::string plain = out({"-n", "2", "-j", "2", "--batch", "3"});
  EXPECT_THAT(plain, StartsWith("variant     custom, 32x64, batch 3\ncomputes    f32 on cpu, 2 threads\n"));
  for (const char* line :
       {"\nlatency     min [0-9.]+  median [0-9.]+  p90 [0-9.]+  p99 [0-9.]+ ms\n", "\npictures/s  [0-9.]+\n",
        "\noperations  [0-9.]+ GFLOP, [0-9]+ GFLOP/s\n",
        "\npeak        [0-9]+ GFLOP/s, floor [0-9.]+ ms, [0-9.]+ times the floor\n",
        "\nmemory      [0-9]+ MB at most\n", "\n  stage 1   +[0-9.]+ ms  [^\n]+ [0-9.]+, "})
    EXPECT_THAT(plain, ContainsRegex(line));
  EXPECT_THAT(plain, Not(HasSubstr("chosen")));
  // The same numbers as in the file.
  const std::string both = out({"-n", "5", "--json", "o.json"});
  const Json file = Json::parse(get("o.json")), &ms = file.at("latency_ms");
  EXPECT_THAT(both,
              HasSubstr(fmt::format(
                  "\nlatency     min {:.1f}  median {:.1f}  p90 {:.1f}  p99 {:.1f} ms\npictures/s  {:.2f}\n",
                  ms.at("min").get<double>(), ms.at("median").get<double>(), ms.at("p90").get<double>(),
                  ms.at("p99").get<double>(), file.at("images_per_s").get<double>())));
  EXPECT_EQ(file.at("rounds"), 5);
  EXPECT_EQ(file.at("streams"), 1);
  EXPECT_THAT(out({"-n", "2", "-j", "2", "--streams", "2"}),
              HasSubstr(", batch 1\ncomputes    f32 on cpu, 2 streams of 1 threads\n"));
  EXPECT_THAT(out({"-n", "1", "--precision", "auto"}), HasSubstr("\nchosen      auto: the weights carry no"));
  // What goes to standard output goes there alone.
  const Json trace = Json::parse(out({"-n", "1", "--profile", "-"}));
  EXPECT_EQ(trace.at("displayTimeUnit"), "ms");
  for (const auto& e : trace.at("traceEvents")) {
    EXPECT_GE(e.at("dur").get<double>(), 0.0);
    EXPECT_EQ(e.at("pid"), 1);
    EXPECT_EQ(e.at("tid"), 1);
  }
  EXPECT_EQ(trace.at("traceEvents").at(0).at("cat"), "stage 1");
  EXPECT_EQ(trace.at("traceEvents").back().at("cat"), "head");
  const Json j = Json::parse(out({"-n", "1", "--json", "-", "--precision", "auto"}));
  EXPECT_THAT(j.at("choice").get<std::string>(), StartsWith("the weights carry no"));
}

// A line for each thing, indented by two, for people and for `diff`.
TEST_F(Told, JsonIsIndented) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"info", "--json"},
        {"info", "--json", "tiny.safetensors"},
        {"models", "list", "--json"},
        {"bench", "-w", "tiny.safetensors", "--size", "32", "-n", "1", "--json", "-"}}) {
    const Finished r = run_it(arguments);
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.out, nlohmann::ordered_json::parse(r.out).dump(2) + "\n") << arguments[0];
  }
}

// Both files of one run: the operations of the trace are what the stages are made of.
TEST_F(Told, BenchFilesAgreeWithEachOther) {
  write_tiny_weights(dir / "trained.safetensors", false, {{"input_size", "64x96"}});
  const Finished r = run_it({"bench", "-w", "trained.safetensors", "-n", "2", "-j", "1", "--json", "a.json",
                             "--profile", "b.json"});
  ASSERT_EQ(r.exit_code, 0) << r.err;
  const Json j = Json::parse(get("a.json")), trace = Json::parse(get("b.json"));
  std::set<std::string> keys;
  for (const auto& [key, value] : j.items()) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"variant", "device", "precision", "arithmetic", "choice", "size",
                                         "batch", "threads", "streams", "rounds", "latency_ms",
                                         "images_per_s", "gflop", "gflops", "peak_gflops", "floor_ms",
                                         "ratio_to_floor", "peak_rss_mb", "stages"}));
  EXPECT_EQ(j.at("size"), (Json{64, 96}));  // what the weights were trained at
  EXPECT_EQ(j.at("variant"), "custom");
  EXPECT_EQ(j.at("choice"), "");
  EXPECT_EQ(j.at("arithmetic"), "f32");
  const double least = j.at("latency_ms").at("min"), most = j.at("latency_ms").at("p99"),
               gflop = j.at("gflop");
  // Of two rounds the median is the mean, and a hundredth of the way lies between the last and the slower
  // one.
  EXPECT_NEAR(j.at("latency_ms").at("median").get<double>(), least + (most - least) / 0.99 / 2, 1e-9);
  EXPECT_NEAR(j.at("latency_ms").at("p90").get<double>(), least + (most - least) / 0.99 * 0.9, 1e-9);
  EXPECT_NEAR(j.at("gflops").get<double>(), gflop / least * 1e3, 1e-6 * gflop / least * 1e3);
  EXPECT_NEAR(j.at("floor_ms").get<double>(), gflop / j.at("peak_gflops").get<double>() * 1e3, 1e-9);
  std::map<std::pair<std::string, std::string>, double> traced;
  for (const auto& e : trace.at("traceEvents"))
    traced[{e.at("cat"), e.at("name")}] += e.at("dur").get<double>() / 1e3;
  std::size_t kinds = 0;
  for (const auto& stage : j.at("stages"))
    for (const auto& [kind, ms] : stage.at("kinds").items()) {
      ++kinds;
      EXPECT_NEAR((traced[{stage.at("name"), kind}]), ms.get<double>(), 1e-6) << stage.at("name") << kind;
    }
  EXPECT_EQ(kinds, traced.size());
  EXPECT_GT(kinds, 20U);
  EXPECT_THAT(r.out, StartsWith("variant     custom, 64x96, batch 1\n"));
  // Twenty times where nothing is said.
  EXPECT_EQ(j.at("rounds"), 2);
  const Json usual =
      Json::parse(run_it({"bench", "-w", "trained.safetensors", "--size", "32", "--json", "-"}).out);
  EXPECT_EQ(usual.at("rounds"), 20);
}

// By the gates that are stored in the weights.
TEST_F(Told, BenchFollowsTheGates) {
  put_picture("photos/a.png", 40, 30);
  ASSERT_EQ(run_it({"convert", "tiny.safetensors", "gated.safetensors", "--gates", "photos"}).exit_code, 0);
  const Json info = Json::parse(run_it({"info", "gated.safetensors", "--json"}).out);
  const Json j = Json::parse(run_it({"bench", "-w", "gated.safetensors", "--size", "32", "-n", "1",
                                     "--precision", "auto", "--json", "-"})
                                 .out);
  EXPECT_THAT(j.at("choice").get<std::string>(), StartsWith("int8 "));
  EXPECT_EQ(info.at("measured_pictures"), 1);
}

TEST_F(Told, BenchHasLimitsAndDefaults) {
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{
           {"--batch", "257"}, {"-n", "100001"}, {"--streams", "65"}, {"-j", "1025"}, {"-j", "-1"}})
    EXPECT_EQ(run_it({"bench", "-w", "tiny.safetensors", option, value}).exit_code, 2) << option;
  EXPECT_THAT(run_it({"bench", "--variant", "t", "-w", "tiny.safetensors"}).err,
              HasSubstr("--variant and --weights exclude each other"));
  EXPECT_THAT(run_it({"bench", "--size", "64", "--json", "x", "--profile", "./x"}).err,
              HasSubstr("two results would be written"));
  // Without weights the smallest variant is timed.
  const Json j = Json::parse(run_it({"bench", "--size", "32", "-n", "1", "--json", "-"}).out);
  EXPECT_EQ(j.at("variant"), "t");
  EXPECT_EQ(j.at("batch"), 1);
  EXPECT_EQ(j.at("size"), (Json{32, 32}));
}

TEST_F(Told, VerifyTellsOfEachTensorAndGoesOn) {
  const std::string golden = repository_data() / "golden" / "forward_nano_1x64x160_c.safetensors";
  const Finished r = run_it({"verify", "none.safetensors", golden, "-j", "1"});
  EXPECT_EQ(r.exit_code, 1);
  EXPECT_THAT(r.err, AllOf(StartsWith("sam2unet: "), HasSubstr("none.safetensors")));
  EXPECT_THAT(r.out, StartsWith("none.safetensors\nnone.safetensors: FAILED\n" + golden + "\n"));
  EXPECT_THAT(r.out, ContainsRegex("\n  [^\n]+ +[-+0-9.e]+ [^\n]+ \\(at most [-0-9.e]+\\)  ok\n"));
  EXPECT_TRUE(r.out.ends_with("\n" + golden + ": ok\n")) << r.out;
  EXPECT_THAT(r.out, HasSubstr(" of range        (at most 2e-05)  ok\n"));
  EXPECT_THAT(r.out, Not(ContainsRegex(" 2e-05 of range")));  // the error, not what is allowed
  EXPECT_EQ(run_it({"verify", golden}).exit_code, 0);
  EXPECT_EQ(run_it({"verify", golden, "-j", "1025"}).exit_code, 2);
  EXPECT_EQ(run_it({"verify", golden, "-j", "-1"}).exit_code, 2);
  // Wrong numbers are told where they are.
  write_filled(golden, dir / "changed.safetensors", "up3", 5.0F);
  const Finished wrong = run_it({"verify", "changed.safetensors"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.out, AllOf(HasSubstr(")  FAILED\n"), HasSubstr("\nchanged.safetensors: FAILED\n")));
}

TEST_F(Told, DoctorCountsClassesToThePixel) {
  put("road.toml", "[[class]]\nid = 1\nname = \"road\"\n[[class]]\nid = 2\nname = \"car\"\n");
  for (const char* side : {"i", "m"}) fs::create_directories(dir / side);
  for (int n = 0; n < 2; ++n) {
    Image ids(40, 25, 1);
    std::fill_n(ids.pixels.begin(), 100, std::uint8_t{1});
    std::fill_n(ids.pixels.begin() + 100, 50, std::uint8_t{255});
    if (n == 0) std::fill_n(ids.pixels.begin() + 150, 250, std::uint8_t{2});
    write_png(dir / "m" / fmt::format("{}.png", n), ids);
    write_png(dir / "i" / fmt::format("{}.png", n), n == 0 ? picture(40, 25, 3) : Image(40, 25, 3));
  }
  const std::string out = run_it({"doctor", "--images", "i", "--masks", "m", "--classes", "road.toml"}).out;
  EXPECT_THAT(out, HasSubstr("pixels of each class:\n"
                             "          1450  72.50 %  0 background, in 2 masks\n"
                             "           200  10.00 %  1 road, in 2 masks\n"
                             "           250  12.50 %  2 car, in 1 masks\n"
                             "           100   5.00 %  ignored\n"
                             "2 pictures, 2 pairs: "));
  EXPECT_EQ(run_it({"doctor", "--images", "i", "--masks", "m", "-j", "1025"}).exit_code, 2);
  EXPECT_THAT(run_it({"doctor", "--images", "i", "--masks", "m"}, {.terminal = true}).err,
              HasSubstr(" files"));
}

// Groups of pictures that are alike, and as many kinds of trouble as there are.
TEST_F(Told, DoctorListsGroupsAndCountsKinds) {
  for (const char* side : {"i", "m"}) fs::create_directories(dir / side);
  for (int n = 0; n < 3; ++n) {
    put_picture(fmt::format("i/a{}.png", n), 40 + n, 30);
    fs::copy_file(dir / "i" / fmt::format("a{}.png", n), dir / "i" / fmt::format("b{}.png", n));
    Image mask(40 + n, 30, 1);
    std::fill_n(mask.pixels.begin(), 300, std::uint8_t{1});
    for (const char* stem : {"a", "b"}) write_png(dir / "m" / fmt::format("{}{}.png", stem, n), mask);
  }
  const auto says = [&](const std::string& names) {
    return run_it({"doctor", "--images", "i", "--masks", "m", "--show", names}).out;
  };
  EXPECT_THAT(says("2"),
              AllOf(HasSubstr("\n    i/a0.png ~ i/b0.png\n    i/a1.png ~ i/b1.png\n    and 1 more\n  mend: "),
                    HasSubstr("\n    m/a0.png\n    m/a1.png\n    and 4 more\n  mend: "),
                    HasSubstr("6 pictures, 6 pairs: 2 kinds of trouble\n")));
  EXPECT_THAT(says("3"), HasSubstr("\n    i/a2.png ~ i/b2.png\n  mend: "));
  // Five are named where nothing is said, and none where none is asked for.
  EXPECT_THAT(
      run_it({"doctor", "--images", "i", "--masks", "m"}).out,
      HasSubstr("\n    m/a0.png\n    m/a1.png\n    m/a2.png\n    m/b0.png\n    m/b1.png\n    and 1 more\n"));
  EXPECT_THAT(says("0"),
              AllOf(HasSubstr("\n    and 3 more\n"), HasSubstr("\n    and 6 more\n"), Not(HasSubstr("~"))));
}

// From the address of a file, which needs no server.
TEST_F(Told, FetchedModelsAreTold) {
  write_tiny_weights(dir / "other.safetensors", false, {{"input_size", "64"}});
  const auto fetch = [&](const std::vector<std::string>& more, bool terminal) {
    std::vector<std::string> arguments{"models", "fetch"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    RunOptions options;
    options.terminal = terminal;
    options.environment = {"SAM2UNET_MODELS=" + (dir / "models").string(), "SAM2UNET_OFFLINE=0"};
    return run_it(arguments, options);
  };
  const auto address = [&](const char* name) { return "file://" + (dir / name).string(); };
  const auto line = [&](const std::string& name) {
    return name + ": " + (dir / "models" / (name + ".safetensors")).string() + "\n";
  };
  const Finished both = fetch({address("tiny.safetensors"), address("other.safetensors")}, false);
  if (both.err.find("needs libcurl") != std::string::npos) GTEST_SKIP() << both.err;
  EXPECT_EQ(both.exit_code, 0);
  EXPECT_EQ(both.out, line("tiny") + line("other"));
  EXPECT_EQ(both.err, "");
  EXPECT_TRUE(get("models/tiny.safetensors") == get("tiny.safetensors"));
  fs::remove_all(dir / "models");
  const Finished shown =
      fetch({address("tiny.safetensors"), "--sha256", sha256_of_file(dir / "tiny.safetensors")}, true);
  EXPECT_EQ(shown.out, line("tiny"));
  EXPECT_THAT(shown.err, ContainsRegex("^\r[0-9]+ MB of [0-9]+ MB .*\r\033\\[K$"));
  fs::remove_all(dir / "models");
  const Finished other = fetch({address("tiny.safetensors"), "--sha256", std::string(64, '0')}, false);
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, HasSubstr("instead of 0000"));
  EXPECT_FALSE(exists("models/tiny.safetensors"));
}

TEST_F(Told, ModelsAreToldWithTheirSums) {
  fs::create_directories(dir / "empty");
  fs::create_directories(dir / "models");
  fs::copy_file(dir / "tiny.safetensors", dir / "models/mine.safetensors");
  const auto models = [&](std::vector<std::string> arguments, const char* folder) {
    arguments.insert(arguments.begin(), "models");
    return run_it(arguments, {.environment = {"SAM2UNET_MODELS=" + (dir / folder).string()}});
  };
  const std::string sum = sha256_of_file(dir / "tiny.safetensors");
  EXPECT_EQ(models({"verify", "mine"}, "models").out,
            fmt::format("{}  {}: readable; no SHA-256 is known\n", sum,
                        (dir / "models/mine.safetensors").string()));
  EXPECT_THAT(
      models({"list"}, "models").out,
      HasSubstr(fmt::format(
          "\n{:<18} {:>8}  here     {}\n", "mine",
          fmt::format("{:.0f} MB", static_cast<double>(fs::file_size(dir / "tiny.safetensors")) * 1e-6),
          (dir / "models/mine.safetensors").string())));
  EXPECT_THAT(models({"path"}, "models").err,
              HasSubstr("models path needs a name; `models list` shows them"));
  EXPECT_THAT(models({"add"}, "models").err, HasSubstr("models add needs a file"));
  EXPECT_EQ(models({"add", "tiny.safetensors"}, "empty").out,
            "tiny: " + (dir / "empty/tiny.safetensors").string() + "\n");
  const std::string listed = models({"list"}, "models").out;
  for (const auto& one : Json::parse(models({"list", "--json"}, "models").out)) {
    const std::string megabytes = fmt::format("{:.0f} MB", one.at("bytes").get<double>() / 1e6);
    EXPECT_THAT(listed,
                HasSubstr(fmt::format("{:<18} {:>8}  ", one.at("name").get<std::string>(), megabytes)));
    if (one.at("name") == "mine") continue;
    for (const char* key : {"what", "file", "page", "code_licence", "data_licence", "weights_licence"})
      EXPECT_FALSE(one.at(key).get<std::string>().empty()) << one;
    EXPECT_GT(one.at("bytes").get<std::int64_t>(), 1'000'000) << one;
  }
}

}  // namespace
}  // namespace sam2unet::test
