// PyTorch files made here, sound and hostile, through TensorFile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "formats/file_builder.h"
#include "formats/tensor_file.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

using test::as_span;
using test::build_zip;
using test::le;
using test::message_of;
using test::torch_zip;
using testing::ElementsAre;
using testing::HasSubstr;
namespace op = test::op;

std::string floats(const std::vector<float>& v) {
  return {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(float)};
}
const std::string kSix = floats({0, 1, 2, 3, 4, 5});

std::string refusal(const std::string& bytes) {
  return message_of<FormatError>([&] { TensorFile::view(as_span(bytes), "test.pth"); });
}
// One tensor "w" of six stored floats.
std::string one_tensor(std::int64_t offset, const std::vector<std::int64_t>& size,
                       const std::vector<std::int64_t>& stride) {
  return torch_zip(op::pickle(op::dict({{"w", op::tensor(6, offset, size, stride)}})), kSix);
}
std::vector<float> values(const TensorView& view) {
  std::vector<float> out(static_cast<std::size_t>(view.numel()));
  copy_to(view, std::span<float>(out));
  return out;
}
std::vector<float> read_one(const std::string& bytes) {
  const TensorFile file = TensorFile::view(as_span(bytes), "test.pth");
  return values(*file.find("w"));
}

TEST(TorchFile, StridesAndOffsets) {
  EXPECT_THAT(read_one(one_tensor(0, {2, 3}, {3, 1})), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(read_one(one_tensor(0, {3, 2}, {1, 3})), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_THAT(read_one(one_tensor(1, {2, 2}, {3, 1})), ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(read_one(one_tensor(5, {4}, {0})), ElementsAre(5, 5, 5, 5));  // an expanded tensor
  EXPECT_THAT(read_one(one_tensor(3, {}, {})), ElementsAre(3));
  EXPECT_THAT(read_one(one_tensor(0, {0, 3}, {3, 1})), ElementsAre());
  EXPECT_THAT(read_one(one_tensor(6, {0}, {1})), ElementsAre());
}

TEST(TorchFile, TensorsOutsideOfTheirStorage) {
  EXPECT_THAT(refusal(one_tensor(0, {7}, {1})), HasSubstr("tensor 'w'"));
  EXPECT_NE(refusal(one_tensor(1, {6}, {1})), "");
  EXPECT_NE(refusal(one_tensor(6, {}, {})), "");
  EXPECT_NE(refusal(one_tensor(0, {2, 3}, {4, 1})), "");
  EXPECT_THAT(refusal(one_tensor(-1, {2}, {1})), HasSubstr("negative storage offset"));
  EXPECT_THAT(refusal(one_tensor(5, {2}, {-1})), HasSubstr("negative stride"));
  EXPECT_THAT(refusal(one_tensor(0, {-2}, {1})), HasSubstr("negative size"));
  EXPECT_NE(refusal(one_tensor(0, {2, 3}, {1})), "");
  EXPECT_THAT(refusal(one_tensor(0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1})),
              HasSubstr("9 dimensions"));
}

TEST(TorchFile, SizesThatOverflow) {
  constexpr std::int64_t kBig = std::int64_t{1} << 62;
  EXPECT_NE(refusal(one_tensor(0, {kBig, 4}, {0, 0})), "");
  EXPECT_NE(refusal(one_tensor(0, {kBig, 4, 0}, {1, 1, 1})), "");
  EXPECT_NE(refusal(one_tensor(0, {3, 3}, {kBig, kBig})), "");
  EXPECT_NE(refusal(one_tensor(INT64_MAX, {2}, {1})), "");
  EXPECT_NE(refusal(one_tensor(kBig, {2}, {kBig})), "");
  EXPECT_NE(refusal(one_tensor(0, {0, kBig, 4}, {1, 4, 1})), "");
  EXPECT_THAT(refusal(one_tensor(0, {std::int64_t{1} << 40}, {0})), HasSubstr("too often"));
}

TEST(TorchFile, Storages) {
  const auto with = [](std::string_view type, std::int64_t numel, std::string_view key = "0") {
    return torch_zip(op::pickle(op::dict({{"w", op::tensor(numel, 0, {1}, {1}, key, type)}})), kSix);
  };
  EXPECT_EQ(refusal(with("FloatStorage", 6)), "");
  EXPECT_THAT(refusal(with("FloatStorage", 7)), HasSubstr("24 bytes where 28 are needed"));
  EXPECT_THAT(refusal(with("DoubleStorage", 6)), HasSubstr("24 bytes where 48 are needed"));
  EXPECT_THAT(refusal(with("FloatStorage", -1)), HasSubstr("negative size"));
  EXPECT_THAT(refusal(with("DoubleStorage", std::int64_t{1} << 61)), HasSubstr("overflows"));
  EXPECT_THAT(refusal(with("FloatStorage", 6, "1")), HasSubstr("storage '1' is missing"));
  EXPECT_THAT(refusal(with("FloatStorage", 6, "../data/0")), HasSubstr("missing"));
  EXPECT_THAT(refusal(with("ComplexFloatStorage", 1)), HasSubstr("'torch.ComplexFloatStorage'"));
}

TEST(TorchFile, DtypesOfNewerPyTorch) {
  // _rebuild_tensor_v3 reads an untyped storage as a dtype
  const std::string v3 = op::global("torch._utils", "_rebuild_tensor_v3") + "(" +
                         op::storage("UntypedStorage", "0", 24).substr(1) + op::integer(1) + op::ints({2}) +
                         op::ints({1}) + "\x89N";
  EXPECT_THAT(
      read_one(torch_zip(op::pickle(op::dict({{"w", v3 + op::global("torch", "float32") + "}tR"}})), kSix)),
      ElementsAre(1, 2));
  EXPECT_THAT(refusal(torch_zip(op::pickle(op::dict({{"w", v3 + op::global("torch", "float64") + "}tR"}})),
                                kSix.substr(0, 23))),
              HasSubstr("storage '0'"));
  EXPECT_THAT(refusal(torch_zip(
                  op::pickle(op::dict({{"w", v3 + op::global("torch", "float8_e4m3fn") + "}tR"}})), kSix)),
              HasSubstr("'torch.float8_e4m3fn'"));
  EXPECT_NE(refusal(torch_zip(op::pickle(op::dict({{"w", v3 + op::global("torch", "Size") + "}tR"}})), kSix)),
            "");
}

TEST(TorchFile, WhereTheStateDictLies) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  const auto open = [](const std::string& body) {
    static std::string bytes;
    bytes = torch_zip(op::pickle(body), kSix);
    return TensorFile::view(as_span(bytes), "test.pth");
  };
  const auto names = [](const TensorFile& f) {
    std::vector<std::string> out;
    for (const auto& n : f.tensors()) out.push_back(n.name);
    return out;
  };
  for (const char* key : {"model", "state_dict", "model_state_dict", "net"}) {
    const auto file = open(
        op::dict({{"epoch", "K\x03"}, {"optimizer", op::dict({{"m", t}})}, {key, op::dict({{"w", t}})}}));
    EXPECT_EQ(file.wrapper(), key);
    EXPECT_THAT(names(file), ElementsAre("w"));
  }
  EXPECT_EQ(open(op::dict({{"checkpoint", op::dict({{"model", op::dict({{"w", t}})}})}})).wrapper(),
            "checkpoint.model");
  EXPECT_EQ(open(op::dict({{"model", op::dict({{"w", t}})}, {"ema", op::dict({{"v", t}})}})).wrapper(),
            "model");
  EXPECT_EQ(open(op::dict({{"odd name", op::dict({{"w", t}})}, {"n", "N"}})).wrapper(), "odd name");
  // A stray tensor beside the model does not make the file a bare state_dict.
  EXPECT_EQ(open(op::dict({{"loss", t}, {"model", op::dict({{"w", t}})}})).wrapper(), "model");
  EXPECT_EQ(open(op::dict({{"module._orig_mod.w", t}, {"module._orig_mod.b", t}})).prefix(),
            "module._orig_mod.");
  EXPECT_EQ(open(op::dict({{"module.w", t}, {"b", t}})).prefix(), "");
  // The last of two values of a key counts, in the place of the first.
  const auto twice = open(op::dict({{"w", t}, {"v", t}, {"w", op::tensor(6, 2, {1}, {1})}}));
  EXPECT_THAT(names(twice), ElementsAre("w", "v"));
  EXPECT_THAT(values(*twice.find("w")), ElementsAre(2));

  EXPECT_THAT(refusal(torch_zip(
                  op::pickle(op::dict({{"a", op::dict({{"w", t}})}, {"b", op::dict({{"w", t}})}})), kSix)),
              HasSubstr("several sets of tensors"));
  EXPECT_THAT(refusal(torch_zip(op::pickle(op::dict({{"a", "N"}})), kSix)), HasSubstr("no tensors"));
  EXPECT_THAT(refusal(torch_zip(op::pickle("]" + t + "a"), kSix)), HasSubstr("it holds a list"));
  // Under a number there is no set, as there is no tensor.
  for (const std::string& value : {t, op::dict({{"w", t}})})
    EXPECT_THAT(refusal(torch_zip(op::pickle("}(" + op::integer(5) + value + "u"), kSix)),
                HasSubstr("no tensors"));
  EXPECT_THAT(refusal(torch_zip(op::pickle(op::dict({{"\xff\xfe", t}})), kSix)), HasSubstr("not text"));
}

// The keys under which checkpoints keep their weights: each before those after it.
TEST(TorchFile, UsualKeysInTheirOrder) {
  const std::vector<std::string> keys{"model",   "state_dict", "model_state_dict", "model_state", "net",
                                      "network", "weights",    "params",           "checkpoint",  "module",
                                      "ema",     "model_ema",  "state_dict_ema"};
  const std::string t = op::tensor(6, 0, {6}, {1});
  for (std::size_t first = 0; first < keys.size(); ++first) {
    std::vector<std::pair<std::string, std::string>> entries{{"optimizer", op::dict({{"m", t}})}};
    for (std::size_t k = keys.size(); k-- > first;) entries.emplace_back(keys[k], op::dict({{"w", t}}));
    const std::string bytes = torch_zip(op::pickle(op::dict(entries)), kSix);
    EXPECT_EQ(TensorFile::view(as_span(bytes), "test.pth").wrapper(), keys[first]);
  }
}

TEST(TorchFile, HowDeepTheStateDictMayLie) {
  const auto nested = [](int depth) {
    std::string body = op::dict({{"w", op::tensor(6, 0, {6}, {1})}});
    for (int i = 0; i < depth; ++i) body = op::dict({{"net", body}});
    return torch_zip(op::pickle(body), kSix);
  };
  const std::string four = nested(4);
  EXPECT_EQ(TensorFile::view(as_span(four), "test.pth").wrapper(), "net.net.net.net");
  EXPECT_THAT(refusal(nested(5)), HasSubstr("no tensors in it"));
}

TEST(TorchFile, OnlyNamedTensorsAreOfTheStateDict) {
  const std::string t = op::tensor(6, 0, {6}, {1}), other = op::tensor(6, 3, {2}, {1});
  const std::string bytes = torch_zip(
      op::pickle("}(" + op::text("epoch") + "K\x03K\x07" + other + op::text("w") + t + op::text("lr") + "Nu"),
      kSix);
  const TensorFile file = TensorFile::view(as_span(bytes), "test.pth");
  ASSERT_EQ(file.tensors().size(), 1u);
  EXPECT_EQ(file.tensors()[0].name, "w");
  EXPECT_THAT(values(file.tensors()[0].view), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(TorchFile, PrefixesThatAreNoPartOfTheModel) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  const auto open = [&](const std::string& a, const std::string& b) {
    const std::string bytes = torch_zip(op::pickle(op::dict({{a, t}, {b, t}})), kSix);
    const TensorFile file = TensorFile::view(as_span(bytes), "test.pth");
    return file.prefix() + "|" + file.tensors()[0].name + "|" + file.tensors()[1].name;
  };
  EXPECT_EQ(open("model.w", "model.b"), "model.|w|b");
  EXPECT_EQ(open("net.w", "net.b"), "net.|w|b");
  EXPECT_EQ(open("net.model.w", "net.model.b"), "net.model.|w|b");
  EXPECT_EQ(open("encoder.w", "encoder.b"), "|encoder.w|encoder.b");
  EXPECT_EQ(open("net.", "net.b"), "|net.|net.b");  // a name must remain
}

TEST(TorchFile, SetsOfTensorsAreBothNamed) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  EXPECT_THAT(refusal(torch_zip(
                  op::pickle(op::dict({{"a", op::dict({{"w", t}})}, {"b", op::dict({{"w", t}})}})), kSix)),
              HasSubstr("several sets of tensors in it ('a', 'b')"));
}

// A file is sound or it is refused: tensors beside the model's count too.
TEST(TorchFile, TensorsBesideTheModelAreCheckedToo) {
  const std::string t = op::tensor(6, 0, {6}, {1}), broken = op::tensor(6, 0, {7}, {1});
  EXPECT_THAT(
      refusal(torch_zip(
          op::pickle(op::dict({{"model", op::dict({{"w", t}})}, {"optimizer", op::dict({{"m", broken}})}})),
          kSix)),
      HasSubstr("tensor '(unnamed)': shape [7], strides [1], offset 0 reach element 6 of a storage of 6"));
}

// An expanded tensor may show more than is stored, up to 16 million elements.
TEST(TorchFile, HowOftenAStorageMayBeRepeated) {
  constexpr std::int64_t kMost = 16'777'216;
  EXPECT_EQ(refusal(one_tensor(0, {kMost}, {0})), "");
  EXPECT_THAT(refusal(one_tensor(0, {kMost + 1}, {0})),
              HasSubstr("shape [16777217] repeats the 6 elements of its storage too often"));
  EXPECT_EQ(refusal(one_tensor(0, {0, 3}, {std::int64_t{1} << 62, std::int64_t{1} << 62})),
            "");  // none at all
}

TEST(TorchFile, FilesWithoutAFolder) {
  EXPECT_THAT(read_one(build_zip(
                  {{.name = "data.pkl", .data = op::pickle(op::dict({{"w", op::tensor(6, 4, {2}, {1})}}))},
                   {.name = "data/0", .data = kSix}})),
              ElementsAre(4, 5));
}

TEST(TorchFile, PlainValuesOfTrainingCheckpointsAreTolerated) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  const std::string scalar = op::global("numpy.core.multiarray", "scalar") + op::global("numpy", "dtype") +
                             "(" + op::text("f8") + "\x89\x88tR" + "(K\x03" + op::text("<") + "NNNtb" +
                             op::global("_codecs", "encode") + op::text("abcdefgh") + op::text("latin1") +
                             "\x86R\x86R";
  const std::string name_space =
      op::global("argparse", "Namespace") + ")\x81" + op::dict({{"lr", "G" + std::string(8, 'x')}}) + "b";
  const std::string device = op::global("torch", "device") + op::text("cuda") + "K\x01\x86R";
  const std::string ordered =
      op::global("collections", "OrderedDict") + ")R(" + op::text("w") + t + "u" +  // with _metadata
      op::dict({{"_metadata", op::global("collections", "OrderedDict") + ")R"}}) + "b";
  const std::string file = torch_zip(
      op::pickle(op::dict({{"model", ordered},
                           {"best", scalar},
                           {"args", name_space},
                           {"device", device},
                           {"dtype", op::global("torch", "bfloat16")},
                           {"shape", op::global("torch", "Size") + op::ints({1, 2}) + "\x85R"},
                           {"set", op::global("builtins", "set") + "](K\x01K\x02"
                                                                   "e\x85R"},
                           {"path", op::global("pathlib", "PosixPath") + op::text("a") + "\x85R"}})),
      kSix);
  EXPECT_EQ(refusal(file), "");
  EXPECT_THAT(read_one(file), ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST(TorchFile, ParametersAndSubclasses) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  const std::string parameter = op::global("torch._utils", "_rebuild_parameter") + "(" + t + "\x88NtR";
  const std::string subclass = op::global("torch._tensor", "_rebuild_from_type_v2") + "(" +
                               op::global("torch._utils", "_rebuild_parameter") +
                               op::global("torch.nn.parameter", "Parameter") + "(" + t + "\x88Nt}tR";
  EXPECT_THAT(read_one(torch_zip(op::pickle(op::dict({{"w", parameter}})), kSix)),
              ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(read_one(torch_zip(op::pickle(op::dict({{"w", subclass}})), kSix)),
              ElementsAre(0, 1, 2, 3, 4, 5));
  const std::string through = op::global("torch._tensor", "_rebuild_from_type_v2") + "(" +
                              op::global("builtins", "list") + op::global("torch", "Tensor") + "(" + t +
                              "t}tR";
  EXPECT_NE(refusal(torch_zip(op::pickle(op::dict({{"w", through}})), kSix)), "");
}

TEST(TorchFile, NamesOutsideOfTheListAreNamed) {
  for (const auto& [module, name] :
       {std::pair("os", "system"), std::pair("builtins", "eval"), std::pair("builtins", "getattr"),
        std::pair("subprocess", "Popen"), std::pair("torch", "load"),
        std::pair("torch.nn.modules.conv", "Conv2d"), std::pair("torch.hub", "load_state_dict_from_url"),
        std::pair("SAM2UNet", "SAM2UNet")}) {
    const std::string full = std::string("'") + module + "." + name + "'";
    EXPECT_THAT(refusal(torch_zip(op::pickle(op::global(module, name) + op::text("x") + "\x85R"))),
                HasSubstr(full));
    EXPECT_THAT(refusal(torch_zip(op::pickle(op::text(module) + op::text(name) + "\x93"))), HasSubstr(full));
    EXPECT_THAT(refusal(torch_zip(op::pickle(op::global(module, name) + ")\x81"))), HasSubstr(full));
  }
}

TEST(TorchFile, UnknownObjectsBesideSoundWeightsArePlaceholders) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  const std::string config = op::global("omegaconf.dictconfig", "DictConfig") + ")\x81" +
                             op::dict({{"_content", op::dict({{"lr", "K\x01"}})}}) + "b";
  const std::string easydict =
      op::global("easydict", "EasyDict") + ")\x81(" + op::text("epochs") + "K\x14" + "u";
  const std::string schedule = op::global("torch.optim.lr_scheduler", "CosineAnnealingLR") + ")R";
  const std::string history =
      op::global("mmengine.logging.history_buffer", "HistoryBuffer") + "(K\x01K\x02tR";
  const std::string file = torch_zip(op::pickle(op::dict({{"state_dict", op::dict({{"w", t}})},
                                                          {"config", config},
                                                          {"args", easydict},
                                                          {"scheduler", schedule},
                                                          {"history", history}})),
                                     kSix);
  EXPECT_THAT(read_one(file), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(TensorFile::view(as_span(file), "test.pth").passed_over(),
              ElementsAre("easydict.EasyDict", "mmengine.logging.history_buffer.HistoryBuffer",
                          "omegaconf.dictconfig.DictConfig", "torch.optim.lr_scheduler.CosineAnnealingLR"));
}

TEST(TorchFile, APlaceholderIsNoTensorAndNoDictOfThem) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  const std::string made = op::global("evil", "make_tensor") + ")R";
  EXPECT_THAT(refusal(torch_zip(op::pickle(op::dict({{"w", t}, {"v", made}})), kSix)),
              testing::AllOf(HasSubstr("'v'"), HasSubstr("'evil.make_tensor'")));
  EXPECT_THAT(refusal(torch_zip(op::pickle(op::dict({{"state_dict", made}})), kSix)),
              testing::AllOf(HasSubstr("no tensors"), HasSubstr("'evil.make_tensor', which is not read")));
  // A tensor made by an unknown function through the ones that are known.
  const std::string subclass = op::global("torch._tensor", "_rebuild_from_type_v2") + "(" +
                               op::global("evil", "rebuild") + op::global("evil", "Tensor") + "(" + t +
                               "t}tR";
  EXPECT_NE(refusal(torch_zip(op::pickle(op::dict({{"w", subclass}})), kSix)), "");
  const std::string storage = "(" + op::text("storage") + op::global("evil", "FloatStorage") + op::text("0") +
                              op::text("cpu") + "K\x06tQ";
  EXPECT_NE(refusal(torch_zip(op::pickle(op::dict({{"w", storage}})), kSix)), "");
}

TEST(TorchFile, WhatRunsSomethingIsRefusedAlsoBesideSoundWeights) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  for (const auto& [module, name] :
       {std::pair("os", "system"), std::pair("posix", "system"), std::pair("nt", "system"),
        std::pair("builtins", "exec"), std::pair("__builtin__", "eval"),
        std::pair("subprocess", "check_output"), std::pair("runpy", "_run_code"),
        std::pair("importlib", "import_module"), std::pair("operator", "attrgetter"),
        std::pair("types", "FunctionType"), std::pair("torch.hub", "load"),
        std::pair("torch.utils.cpp_extension", "load"),
        std::pair("numpy.testing._private.utils", "runstring"),
        std::pair("torch.storage", "_load_from_bytes")}) {
    const std::string call = op::global(module, name) + op::text("x") + "\x85R";
    EXPECT_THAT(
        refusal(torch_zip(op::pickle(op::dict({{"state_dict", op::dict({{"w", t}})}, {"x", call}})), kSix)),
        HasSubstr(std::string("'") + module + "." + name + "'"));
  }
  std::string many = "](";
  for (int i = 0; i < 5000; ++i) many += op::global("m", "C" + std::to_string(i));
  EXPECT_THAT(refusal(torch_zip(op::pickle(many + "e"))), HasSubstr("no checkpoint needs as many"));
}

TEST(TorchFile, MisusedNames) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  for (const std::string& body : std::initializer_list<std::string>{
           op::global("torch", "FloatStorage") + ")R",                   // a storage class called
           op::global("torch._utils", "_rebuild_tensor_v2") + ")R",      // without arguments
           op::global("torch._utils", "_rebuild_parameter") + "N\x85R",  // of nothing
           op::global("collections", "OrderedDict") + "K\x01\x85R",      // of an int
           op::global("collections", "OrderedDict") + "](K\x01"
                                                      "e\x85R",  // of a list of ints
           op::global("torch", "Size") + ")R",                   //
           "N)R", t + ")R",                                      // what cannot be called
           "(" + op::text("storage") + "NtQ", "NQ", ")Q",        // persistent ids that are none
           "(" + op::text("module") + "NNNtQ",                   //
           "(" + op::text("storage") + op::global("torch", "Size") + op::text("0") + op::text("cpu") +
               "K\x01tQ"}) {
    EXPECT_NE(refusal(torch_zip(op::pickle(body), kSix)), "") << body;
  }
}

TEST(TorchFile, ContainersThatHoldThemselvesOrOneAMillionTimes) {
  const auto effort = [](const std::string& bytes) {
    return test::effort([&] { EXPECT_NE(refusal(bytes), ""); });
  };
  // d = {"model": d, "state_dict": d, ...}
  std::string self = "}" + op::put(0) + "(";
  for (int i = 0; i < 1000; ++i) {
    for (const char* key : {"model", "state_dict", "net", "ema"}) self += op::text(key) + op::get(0);
  }
  EXPECT_LT(effort(torch_zip(op::pickle(self + "u"))), test::kMaxEffort);
  // A large dict without tensors, under a hundred thousand names.
  std::string wide = "}" + op::put(1) + "(";
  for (int i = 0; i < 100'000; ++i) wide += op::text("k") + "N";
  wide += "u}(";
  for (int i = 0; i < 100'000; ++i) wide += op::text("k" + std::to_string(i)) + op::get(1);
  EXPECT_LT(effort(torch_zip(op::pickle(wide + "u"))), test::kMaxEffort);
  std::string list = "]" + op::put(0) + op::get(0) + "a";
  EXPECT_LT(effort(torch_zip(op::pickle(list))), test::kMaxEffort);
}

TEST(TorchFile, OtherZipFiles) {
  EXPECT_THAT(refusal(build_zip({})), HasSubstr("empty zip"));
  EXPECT_THAT(refusal(build_zip({{.name = "m/data.pkl", .data = "zzz", .method = 8, .uncompressed = 90}})),
              HasSubstr("compressed"));
  EXPECT_THAT(refusal(build_zip({{.name = "a.txt", .data = "x"}})), HasSubstr("without data.pkl"));
  EXPECT_THAT(refusal(build_zip({{.name = "SAM2-UNet.pth", .data = "zzz", .method = 8, .uncompressed = 90}})),
              HasSubstr("archive around weights (SAM2-UNet.pth); unpack it"));
  for (const std::string name : {"w.pth", "w.pt", "w.ckpt", "w.safetensors", "pytorch_model.bin"}) {
    EXPECT_THAT(refusal(build_zip({{.name = "readme", .data = "x"}, {.name = name, .data = "x"}})),
                HasSubstr("a zip archive around weights (" + name + "); unpack it first"));
  }
  EXPECT_THAT(refusal(build_zip({{.name = "a.txt", .data = "x"}})), HasSubstr("(it holds a.txt)"));
  EXPECT_THAT(refusal(build_zip(
                  {{.name = "a.txt", .data = "x"}, {.name = "b", .data = ""}, {.name = "c", .data = ""}})),
              HasSubstr("(it holds a.txt and 2 more)"));
  EXPECT_THAT(refusal(build_zip({{.name = "arr_0.npy", .data = "x"}})), HasSubstr("NumPy"));
  EXPECT_THAT(
      refusal(build_zip({{.name = "m/data.pkl", .data = "N."}, {.name = "m/constants.pkl", .data = ")."}})),
      HasSubstr("TorchScript"));
  EXPECT_THAT(
      refusal(build_zip({{.name = "m/data.pkl", .data = "N."}, {.name = "m/byteorder", .data = "big"}})),
      HasSubstr("big-endian"));
  EXPECT_THAT(refusal(build_zip({{.name = "m/data.pkl", .data = "N.", .crc = 5}})), HasSubstr("checksum"));
}

TEST(TorchFile, WhatIsNoCheckpointIsSaidSo) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal("hello"), HasSubstr("neither safetensors nor"));
  // The magic number of PyTorch's stream format, but no pickle.
  EXPECT_THAT(refusal("hello \x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."),
              HasSubstr("neither safetensors nor"));
  EXPECT_THAT(refusal("<!DOCTYPE html><html>"), HasSubstr("web page"));
  EXPECT_THAT(refusal("\xEF\xBB\xBF\r\n  <!DOCTYPE html><html>"), HasSubstr("web page"));
  EXPECT_THAT(refusal(std::string("\xFF\xFE<\0h\0t\0m\0l\0>\0", 14)), HasSubstr("web page"));
  EXPECT_THAT(refusal("{\"error\": \"quota\"}"), HasSubstr("JSON"));
  EXPECT_THAT(refusal("\x1F\x8B\x08 and more"), HasSubstr("gzip archive"));
  EXPECT_THAT(refusal("BZh91AY and more"), HasSubstr("a bzip2 archive"));
  EXPECT_THAT(refusal(std::string("\xFD\x37zXZ\0 and more", 15)), HasSubstr("an xz archive"));
  EXPECT_THAT(refusal("\x28\xB5\x2F\xFD and more"), HasSubstr("a zstd archive"));
  EXPECT_THAT(refusal("\x04\x22\x4D\x18 and more"), HasSubstr("an lz4 archive"));
  EXPECT_THAT(refusal("7z\xBC\xAF\x27\x1C and more"), HasSubstr("7z archive"));
  EXPECT_THAT(refusal("\x89HDF\r\n\x1a\n and more"), HasSubstr("HDF5 file (Keras)"));
  EXPECT_THAT(refusal(std::string("\xFE\xFF\0<\0h\0t\0m\0l\0>", 14)), HasSubstr("web page"));
  EXPECT_THAT(refusal("\t\n <html>"), HasSubstr("web page"));
  EXPECT_THAT(refusal("Rar!\x1A\x07 and more"), HasSubstr("rar archive"));
  EXPECT_THAT(refusal(std::string(257, 'n') + "ustar  "), HasSubstr("tar archive"));
  EXPECT_THAT(refusal("version https://git-lfs.github.com/spec/v1\noid sha256:1\n"),
              HasSubstr("git lfs pull"));
  EXPECT_THAT(refusal("\x80\x03}q."), HasSubstr("plain pickle"));
  EXPECT_THAT(refusal("hello"), HasSubstr("test.pth"));
}

// The stream format: magic, version, system, object, keys; then the storages.
struct Stream {
  std::string magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  std::string version = "\x80\x02M\xe9\x03.";
  std::string system = op::pickle(op::dict({{"little_endian", "\x88"}}));
  std::string object, keys, storages;
  std::string bytes() const { return magic + version + system + object + keys + storages; }
};
std::string old_storage(std::int64_t numel, const std::string& view = "N") {
  return "(" + op::text("storage") + op::global("torch", "FloatStorage") + op::text("k") + op::text("cpu") +
         op::integer(numel) + view + "tQ";
}
std::string old_tensor(const std::string& storage) {
  return op::global("torch._utils", "_rebuild_tensor") + "(" + storage + "K" + le(1, 1) + op::ints({2}) +
         op::ints({1}) + "tR";
}
Stream sound_stream() {
  Stream s;
  s.object = op::pickle(op::dict({{"w", old_tensor(old_storage(6))}}));
  s.keys = op::pickle("](" + op::text("k") + "e");
  s.storages = le(6, 8) + kSix;
  return s;
}

TEST(TorchStream, ReadsTensorsAndPartsOfStorages) {
  EXPECT_THAT(read_one(sound_stream().bytes()), ElementsAre(1, 2));
  Stream part = sound_stream();  // storage elements 2..4 of the six
  part.object =
      op::pickle(op::dict({{"w", old_tensor(old_storage(6, "(" + op::text("v") + "K\x02K\x03t"))}}));
  EXPECT_THAT(read_one(part.bytes()), ElementsAre(3, 4));
  part.object =
      op::pickle(op::dict({{"w", old_tensor(old_storage(6, "(" + op::text("v") + "K\x05K\x03t"))}}));
  EXPECT_THAT(refusal(part.bytes()), HasSubstr("storage 'k' has 24 bytes where 32 are needed"));
  // Protocol 4 puts a frame before the magic number.
  Stream framed = sound_stream();
  framed.magic = "\x80\x04\x95" + le(13, 8) + framed.magic.substr(2);
  EXPECT_THAT(read_one(framed.bytes()), ElementsAre(1, 2));
}

TEST(TorchStream, RefusesWhatIsDamaged) {
  Stream s = sound_stream();
  s.version = op::pickle("K\x01");
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("unknown version"));
  s = sound_stream();
  s.system = op::pickle(op::dict({{"little_endian", "\x89"}}));
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("big-endian"));
  s.system = op::pickle("N");
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("without its system information"));
  s = sound_stream();
  s.magic = "\x80\x02U\x0a" + s.magic.substr(4);  // the digits as a string
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("its magic number is missing"));
  s = sound_stream();
  s.version = op::pickle(op::text("1001"));
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("unknown version"));
  s = sound_stream();
  s.keys = op::pickle("]");
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("storage 'k' is missing"));
  s.keys = op::pickle("](" + op::text("k") + op::text("other") + "e");
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("'other' that nothing refers to"));
  s.keys = op::pickle("N");
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("list of storages"));
  s.keys = op::pickle("](" + op::text("k") + op::text("k") + "e");
  s.storages += s.storages;
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("two storages 'k'"));
  s = sound_stream();
  s.storages = le(~std::uint64_t{0}, 8) + kSix;
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("cut off"));
  s.storages = le(5, 8) + kSix;
  EXPECT_THAT(refusal(s.bytes()), HasSubstr("storage 'k'"));
}

}  // namespace
}  // namespace sam2unet::formats
