// Exported files verified by ONNX Runtime, of which a stand-in computes by the tests' own loops.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "core/sha256.h"
#include "onnx/graph.h"
#include "onnx/runtime.h"
#include "onnx/write.h"
#include "sam2unet/errors.h"
#include "sam2unet/onnx.h"
#include "sam2unet/verify.h"
#include "support/message.h"
#include "support/temp_dir.h"
#include "support/tiny_weights.h"

namespace sam2unet::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const fs::path kFolder = fs::path(S2U_BINARY_DIR) / "tests" / "fake_onnxruntime";
const fs::path kLibrary = kFolder / "libonnxruntime.so.1";

class OnnxVerify : public testing::Test {
 protected:
  OnnxVerify() { ::setenv("SAM2UNET_ONNXRUNTIME", kLibrary.c_str(), 1); }
  ~OnnxVerify() override {
    for (const char* name : {"SAM2UNET_ONNXRUNTIME", "SAM2UNET_FAKE_ERROR", "SAM2UNET_FAKE_API"})
      ::unsetenv(name);
    EXPECT_EQ(number("fake_alive"), 0U) << "something of the runtime's was not released";
  }
  template <typename T = std::size_t>
  static T number(const char* name) {
    void* library = ::dlopen(kLibrary.c_str(), RTLD_NOW | RTLD_LOCAL);
    return reinterpret_cast<T (*)()>(::dlsym(library, name))();
  }
  static void err_by(double error) { ::setenv("SAM2UNET_FAKE_ERROR", std::to_string(error).c_str(), 1); }

  fs::path exported(const OnnxOptions& options, int channels = 1) {
    model::Config config = tiny_config();
    config.out_channels = channels;
    write_weights(dir / "w.safetensors", config);
    export_onnx(dir / "w.safetensors", dir / "m.onnx", options);
    return dir / "m.onnx";
  }
  // The checks' names and whether all were ok, which is what was returned.
  std::vector<std::string> verified(const fs::path& file, bool* ok = nullptr) {
    std::vector<std::string> names;
    checks.clear();
    const bool all = verify(file, {dir / "w.safetensors", 1}, [&](const VerifyCheck& c) {
      names.push_back(c.name);
      checks.push_back(c);
    });
    EXPECT_EQ(all, std::all_of(checks.begin(), checks.end(), [](const VerifyCheck& c) { return c.ok(); }));
    if (ok != nullptr) *ok = all;
    return names;
  }
  // The first check alone, since each takes its time.
  VerifyCheck first_of(const fs::path& file) {
    struct Enough {};
    VerifyCheck first;
    try {
      verify(file, {dir / "w.safetensors", 1}, [&](const VerifyCheck& c) {
        first = c;
        throw Enough();
      });
    } catch (const Enough&) {
    }
    return first;
  }
  TempDir dir;
  std::vector<VerifyCheck> checks;
};

TEST_F(OnnxVerify, ACoreGraphInTwoBatches) {
  const fs::path file = exported({OnnxGraph::core, InputSize::of(64, 32)});
  bool ok = false;
  EXPECT_THAT(verified(file, &ok), ElementsAre("core, batch 1", "core, batch 3"));
  EXPECT_TRUE(ok);
  for (const VerifyCheck& c : checks) {
    EXPECT_EQ(c.tolerance, 2e-5);
    EXPECT_EQ(c.unit, "of range");
    EXPECT_GT(c.error, 0.0);
    EXPECT_LT(c.error, 5e-6);
  }
  EXPECT_EQ(number<int>("fake_threads"), 1);
}

TEST_F(OnnxVerify, OneNumberThatIsWrongIsEnough) {
  const fs::path file = exported({OnnxGraph::core, InputSize::of(32, 32)});
  err_by(1.0);
  bool ok = true;
  EXPECT_EQ(verified(file, &ok).size(), 2U);
  EXPECT_FALSE(ok);
  EXPECT_FALSE(checks[0].ok());
  EXPECT_FALSE(checks[1].ok());
}

TEST_F(OnnxVerify, OfEachPrecisionWhatItKeeps) {
  const VerifyCheck int8 =
      first_of(exported({OnnxGraph::core, InputSize::of(32, 64), OnnxPrecision::int8}, 3));
  EXPECT_EQ(int8.tolerance, 1e-3);
  EXPECT_LT(int8.error, 2e-4);  // of the network with rounded weights
  const VerifyCheck f16 = first_of(exported({OnnxGraph::core, InputSize::of(32, 64), OnnxPrecision::f16}, 3));
  EXPECT_EQ(f16.tolerance, 3e-2);
  EXPECT_GT(f16.error, 1e-5);
  EXPECT_LT(f16.error, 5e-3);
}

TEST_F(OnnxVerify, AFullGraphOnThreePictures) {
  const fs::path file = exported({OnnxGraph::full, InputSize::of(64, 32)});
  bool ok = false;
  EXPECT_THAT(verified(file, &ok),
              ElementsAre("full, picture of 640x427", "full, picture of 97x131", "full, picture of 31x500"));
  EXPECT_TRUE(ok);
  for (const VerifyCheck& c : checks) {
    EXPECT_EQ(c.tolerance, 2e-5);
    EXPECT_LT(c.error, 1e-5);
  }
}

// A map that is off by d has logits off by 4 d (sigmoid) or 2 d (softmax) at least, beside their range.
TEST_F(OnnxVerify, AFullGraphThatIsWrongIsTold) {
  EXPECT_LT(first_of(exported({OnnxGraph::full, InputSize::of(32, 32)}, 3)).error, 1e-5);
  err_by(1e-2);
  EXPECT_GT(first_of(dir / "m.onnx").error, 1e-3);
}

TEST_F(OnnxVerify, FilesOfOthersAndOtherWeightsAreTold) {
  const auto said = [&](const fs::path& file, const fs::path& weights) {
    std::string out;
    try {
      verify(file, {weights, 1}, [](const VerifyCheck&) { FAIL(); });
    } catch (const FormatError& e) {
      out = std::string("format ") + e.what();
    } catch (const WeightsError& e) {
      out = std::string("weights ") + e.what();
    } catch (const UsageError& e) {
      out = std::string("usage ") + e.what();
    } catch (const FileError& e) {
      out = std::string("file ") + e.what();
    }
    return out;
  };
  EXPECT_EQ(said(dir / "none.onnx", {}), "file " + (dir / "none.onnx").string() + ": no such file");
  std::ofstream(dir / "bad.onnx") << "no model";
  EXPECT_THAT(said(dir / "bad.onnx", {}), testing::StartsWith("format ONNX Runtime: no model: "));
  const std::string foreign = ": has no metadata of sam2unet's; only what it exported can be verified";
  const std::string hash(64, 'a');
  for (const std::map<std::string, std::string>& metadata : std::vector<std::map<std::string, std::string>>{
           {},
           {{"sam2unet.size", "32x64"}, {"sam2unet.weights_sha256", hash}},
           {{"sam2unet.graph", "core"}, {"sam2unet.weights_sha256", hash}},
           {{"sam2unet.graph", "core"}, {"sam2unet.size", "32"}, {"sam2unet.weights_sha256", hash}},
           {{"sam2unet.graph", "core"}, {"sam2unet.size", "32x64"}}}) {
    onnx::Graph g;
    const auto x = g.input({"image", onnx::ElementType::f32, {std::int64_t{1}}});
    g.output(g.node("Relu", {x}), {"logits", onnx::ElementType::f32, {std::int64_t{1}}});
    onnx::write_model(dir / "other.onnx", g, {"1", metadata});
    EXPECT_EQ(said(dir / "other.onnx", {}), "format " + (dir / "other.onnx").string() + foreign);
  }
  const fs::path file = exported({OnnxGraph::core, InputSize::of(32, 32)});
  const std::string own = sha256_of_file(dir / "w.safetensors");
  fs::rename(dir / "w.safetensors", dir / "own.safetensors");
  write_weights(dir / "w.safetensors", nano_config());
  const std::string needs = ": needs the weights it was exported from (SHA-256 " + own + "); ";
  EXPECT_EQ(said(file, dir / "w.safetensors"), "weights " + file.string() + needs +
                                                   (dir / "w.safetensors").string() + " is another file (" +
                                                   sha256_of_file(dir / "w.safetensors") + ")");
  const std::string usual = said(file, {});  // where there is a default model at all
  if (usual.starts_with("usage")) {
    EXPECT_EQ(usual, "usage " + file.string() + needs + "the default model is not those");
  }
}

// Each result under its own name, in whatever order they are asked for.
TEST_F(OnnxVerify, ResultsHaveTheirNames) {
  onnx::Graph g;
  const auto x = g.input({"x", onnx::ElementType::u8, {std::int64_t{3}}});
  const auto once = g.node("Cast", {x}, {{"to", std::int64_t{1}}});
  const auto twice = g.node("Mul", {once, g.floats({2.0F}, {1})});
  g.output(once, {"once", onnx::ElementType::f32, {std::int64_t{3}}});
  g.output(twice, {"twice", onnx::ElementType::f32, {std::int64_t{3}}});
  onnx::write_model(dir / "m.onnx", g, {"1", {}});
  onnx::RuntimeSession session(dir / "m.onnx", 1);
  const onnx::RuntimeTensor in{onnx::ElementType::u8, {3}, {std::byte{1}, std::byte{2}, std::byte{200}}};
  for (const std::vector<std::string>& names :
       std::vector<std::vector<std::string>>{{"once", "twice"}, {"twice", "once"}}) {
    const auto out = session.run("x", in, names);
    ASSERT_EQ(out.size(), 2U);
    for (const auto& [name, factor] : {std::pair("once", 1.0F), {"twice", 2.0F}}) {
      const onnx::RuntimeTensor& t = out.at(name);
      ASSERT_EQ(t.bytes.size(), 12U);
      std::vector<float> values(3);
      std::memcpy(values.data(), t.bytes.data(), 12);
      EXPECT_THAT(values, ElementsAre(factor, 2 * factor, 200 * factor)) << name;
    }
  }
}

// The program's side of the comparison is computed as was asked for.
TEST_F(OnnxVerify, OptionsReachTheNetwork) {
  const fs::path file = exported({OnnxGraph::core, InputSize::of(32, 32)});
  const auto says = [&](const std::string& device, Precision precision) {
    VerifyOptions options;
    options.weights = dir / "w.safetensors";
    options.device = device;
    options.precision = precision;
    return message_of<UsageError>([&] { verify(file, options, [](const VerifyCheck&) { FAIL(); }); });
  };
  EXPECT_THAT(says("abacus", Precision::standard), testing::StartsWith("device abacus: must be cpu"));
  EXPECT_THAT(says("cpu", Precision::tf32), testing::StartsWith("precision tf32: the device cpu"));
}

// --- the runtime itself

TEST_F(OnnxVerify, WhereTheRuntimeIsLookedFor) {
  const fs::path model = dir / "m.onnx";
  onnx::Graph g;
  const auto x = g.input({"x", onnx::ElementType::u8, {std::int64_t{2}, std::int64_t{3}}});
  g.output(g.node("Cast", {x}, {{"to", std::int64_t{1}}}), {"y", onnx::ElementType::f32, {std::int64_t{2}}});
  onnx::write_model(model, g, {"1", {{"a", "b"}, {"empty", ""}}});
  ::setenv("SAM2UNET_ONNXRUNTIME", kFolder.c_str(), 1);
  {
    onnx::RuntimeSession session(model, 3);
    EXPECT_EQ(number<int>("fake_threads"), 3);
    EXPECT_EQ(session.version(), "1.99.7");
    EXPECT_EQ(session.metadata("a"), "b");
    EXPECT_EQ(session.metadata("empty"), "");
    EXPECT_EQ(session.metadata("none"), "");
    const onnx::RuntimeTensor in{
        onnx::ElementType::u8,
        {2, 3},
        {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}, std::byte{255}}};
    const auto out = session.run("x", in, {"y"});
    ASSERT_EQ(out.size(), 1U);
    const auto& y = out.at("y");
    EXPECT_EQ(y.type, onnx::ElementType::f32);
    EXPECT_THAT(y.shape, ElementsAre(2, 3));
    ASSERT_EQ(y.bytes.size(), 24U);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(y.bytes.data()) + 20, 4),
              std::string("\0\0\x7F\x43", 4));
    EXPECT_EQ(message_of<FormatError>([&] { session.run("x", in, {"z"}); }), "ONNX Runtime: no output z");
    EXPECT_EQ(message_of<FormatError>([&] {
                session.run("x", {onnx::ElementType::u8, {2, 4}, in.bytes}, {"y"});
              }),
              "ONNX Runtime: a tensor of another size");
  }
  const auto said = [&](const fs::path& where) {
    ::setenv("SAM2UNET_ONNXRUNTIME", where.c_str(), 1);
    return message_of<UnavailableError>([&] { onnx::RuntimeSession(model, 0); });
  };
  EXPECT_EQ(said(dir.path()), "SAM2UNET_ONNXRUNTIME: " + dir.path().string() + " holds no libonnxruntime.so");
  EXPECT_THAT(said(dir / "none.so"),
              AllOf(HasSubstr("ONNX Runtime cannot be opened (" + (dir / "none.so").string() + ": "),
                    HasSubstr("set SAM2UNET_ONNXRUNTIME to its folder onnxruntime/capi")));
  EXPECT_THAT(said("libdl.so.2"), HasSubstr("libdl.so.2 is no ONNX Runtime"));
  // Of several that can be opened the first one that is it.
  fs::create_directory(dir / "lib");
  std::ofstream(dir / "lib" / "libonnxruntime.so.0") << "no library";
  std::ofstream(dir / "lib" / "other") << "";
  EXPECT_THAT(said(dir / "lib"), HasSubstr("libonnxruntime.so.0: "));
  std::ofstream(dir / "lib" / "libonnxruntime.so.2") << "no library";
  const std::string both = said(dir / "lib");  // in the order of their names
  EXPECT_LT(both.find("libonnxruntime.so.0: "), both.find("libonnxruntime.so.2: "));
  EXPECT_THAT(both, HasSubstr("libonnxruntime.so.2: "));
  fs::create_symlink(kLibrary, dir / "lib" / "libonnxruntime.so.1");
  EXPECT_EQ(said(dir / "lib"), "");
  ::setenv("SAM2UNET_FAKE_API", "1", 1);
  EXPECT_EQ(said(kLibrary), "this ONNX Runtime does not have version 2 of its C API");
  ::setenv("SAM2UNET_FAKE_API", "2", 1);
  EXPECT_EQ(said(kLibrary), "");
}

}  // namespace
}  // namespace sam2unet::test
