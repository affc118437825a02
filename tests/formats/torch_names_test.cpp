// Names that PyTorch files refer to: which mean something, which are passed over, which are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "formats/file_builder.h"
#include "formats/tensor_file.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

using test::as_span;
using test::message_of;
using test::torch_zip;
using testing::ElementsAre;
using testing::HasSubstr;
namespace op = test::op;

const std::string kZeros(192, '\0');

std::string refusal(const std::string& bytes) {
  return message_of<FormatError>([&] { TensorFile::view(as_span(bytes), "test.pth"); });
}
// A sound checkpoint with an object beside its weights.
std::string beside_weights(const std::string& object) {
  return torch_zip(
      op::pickle(op::dict({{"model", op::dict({{"w", op::tensor(6, 0, {6}, {1})}})}, {"x", object}})),
      kZeros);
}
DType dtype_of(const std::string& tensor) {
  const std::string bytes = torch_zip(op::pickle(op::dict({{"w", tensor}})), kZeros);
  return TensorFile::view(as_span(bytes), "test.pth").find("w")->dtype;
}

// torch/storage.py
TEST(TorchNames, StoragesOfEachElementType) {
  const std::pair<const char*, DType> storages[] = {
      {"DoubleStorage", DType::f64},    {"FloatStorage", DType::f32}, {"HalfStorage", DType::f16},
      {"BFloat16Storage", DType::bf16}, {"LongStorage", DType::i64},  {"IntStorage", DType::i32},
      {"ShortStorage", DType::i16},     {"CharStorage", DType::i8},   {"ByteStorage", DType::u8},
      {"BoolStorage", DType::boolean},  {"UntypedStorage", DType::u8}};
  for (const auto& [name, dtype] : storages) {
    EXPECT_EQ(dtype_of(op::tensor(6, 0, {6}, {1}, "0", name)), dtype) << name;
  }
}

std::string v3(const std::string& storage, const std::string& dtype) {
  return op::global("torch._utils", "_rebuild_tensor_v3") + "(" + storage + op::integer(0) + op::ints({1}) +
         op::ints({1}) + "\x89N" + dtype + "}tR";
}

TEST(TorchNames, ElementTypesByEachOfTheirNames) {
  const std::pair<const char*, DType> dtypes[] = {
      {"float64", DType::f64}, {"double", DType::f64}, {"float32", DType::f32},   {"float", DType::f32},
      {"float16", DType::f16}, {"half", DType::f16},   {"bfloat16", DType::bf16}, {"int64", DType::i64},
      {"int32", DType::i32},   {"int16", DType::i16},  {"int8", DType::i8},       {"uint8", DType::u8},
      {"bool", DType::boolean}};
  for (const auto& [name, dtype] : dtypes) {
    EXPECT_EQ(dtype_of(v3(op::storage("UntypedStorage", "0", 24).substr(1), op::global("torch", name))),
              dtype)
        << name;
  }
  for (const char* name : {"UntypedStorage", "_UntypedStorage"}) {
    const std::string storage = "(" + op::text("storage") + op::global("torch.storage", name) +
                                op::text("0") + op::text("cpu") + "K\x18tQ";
    EXPECT_EQ(dtype_of(v3(storage, op::global("torch", "int16"))), DType::i16) << name;
  }
  for (const char* name : {"uint16", "complex64", "float8_e5m2", "QUInt8Storage"}) {
    EXPECT_THAT(refusal(beside_weights(op::global("torch", name))),
                HasSubstr(std::string("it holds tensors of type 'torch.") + name + "', which is not read"));
  }
}

// Of Python, NumPy and PyTorch itself: what training scripts keep beside the weights is not worth a word.
TEST(TorchNames, PlainClassesAreNotReportedAsPassedOver) {
  const std::pair<const char*, const char*> plain[] = {{"collections", "defaultdict"},
                                                       {"collections", "Counter"},
                                                       {"collections", "deque"},
                                                       {"torch", "Tensor"},
                                                       {"torch", "device"},
                                                       {"torch.nn.parameter", "Parameter"},
                                                       {"torch.nn.parameter", "Buffer"},
                                                       {"torch.serialization", "_get_layout"},
                                                       {"argparse", "Namespace"},
                                                       {"types", "SimpleNamespace"},
                                                       {"pathlib", "PosixPath"},
                                                       {"pathlib", "PurePosixPath"},
                                                       {"pathlib", "WindowsPath"},
                                                       {"pathlib", "PureWindowsPath"},
                                                       {"datetime", "date"},
                                                       {"datetime", "datetime"},
                                                       {"datetime", "timedelta"},
                                                       {"datetime", "timezone"},
                                                       {"_codecs", "encode"},
                                                       {"numpy", "dtype"},
                                                       {"numpy", "ndarray"},
                                                       {"numpy.core.multiarray", "scalar"},
                                                       {"numpy.core.multiarray", "_reconstruct"},
                                                       {"numpy._core.multiarray", "scalar"},
                                                       {"numpy._core.multiarray", "_reconstruct"},
                                                       {"numpy.core.numeric", "_frombuffer"},
                                                       {"numpy._core.numeric", "_frombuffer"},
                                                       {"numpy.dtypes", "Float64DType"}};
  for (const auto& [module, name] : plain) {
    const std::string bytes = beside_weights(op::global(module, name) + ")R");
    ASSERT_EQ(refusal(bytes), "") << module << "." << name;
    EXPECT_THAT(TensorFile::view(as_span(bytes), "test.pth").passed_over(), ElementsAre())
        << module << "." << name;
  }
  for (const char* module : {"builtins", "__builtin__"}) {  // Python 2 called it so
    for (const char* name : {"set", "frozenset", "list", "dict", "tuple", "int", "long", "float", "bool",
                             "str", "unicode", "bytes", "bytearray", "complex", "slice", "range", "object"}) {
      const std::string bytes = beside_weights(op::global(module, name) + ")R");
      ASSERT_EQ(refusal(bytes), "") << module << "." << name;
      EXPECT_THAT(TensorFile::view(as_span(bytes), "test.pth").passed_over(), ElementsAre()) << name;
    }
  }
}

// Packages that run programs or code, or open files and connections.
const char* const kDangerousPackages[] = {"builtins",
                                          "__builtin__",
                                          "os",
                                          "posix",
                                          "nt",
                                          "posixpath",
                                          "ntpath",  // the system
                                          "subprocess",
                                          "_posixsubprocess",
                                          "commands",
                                          "popen2",
                                          "pty",
                                          "sys",
                                          "shutil",
                                          "signal",
                                          "multiprocessing",
                                          "threading",
                                          "_thread",
                                          "asyncio",
                                          "concurrent",  //
                                          "importlib",
                                          "imp",
                                          "runpy",
                                          "code",
                                          "codeop",
                                          "pkgutil",
                                          "zipimport",
                                          "site",
                                          "pip",
                                          "setuptools",
                                          "distutils",
                                          "ensurepip",
                                          "venv",  // code
                                          "ctypes",
                                          "_ctypes",
                                          "mmap",
                                          "gc",
                                          "inspect",
                                          "types",
                                          "operator",
                                          "_operator",
                                          "atexit",  //
                                          "pickle",
                                          "_pickle",
                                          "cPickle",
                                          "cloudpickle",
                                          "dill",
                                          "joblib",
                                          "marshal",  //
                                          "socket",
                                          "urllib",
                                          "urllib2",
                                          "http",
                                          "httplib",
                                          "requests",
                                          "ftplib",
                                          "smtplib",
                                          "telnetlib",
                                          "webbrowser",
                                          "antigravity",
                                          "xmlrpc",  // network
                                          "tempfile",
                                          "io",
                                          "_io",
                                          "glob",
                                          "fileinput",
                                          "zipfile",
                                          "tarfile",
                                          "linecache",  // files
                                          "pdb",
                                          "bdb",
                                          "cProfile",
                                          "profile",
                                          "timeit",
                                          "trace",
                                          "doctest",
                                          "unittest"};

TEST(TorchNames, WhatRunsSomethingIsRefusedWhateverItsFunctionIsCalled) {
  for (const std::string package : kDangerousPackages) {
    for (const std::string& module : {package, package + ".part"}) {
      const std::string message = refusal(beside_weights(op::global(module, "anything")));
      EXPECT_THAT(message,
                  HasSubstr("it refers to '" + module + ".anything', which is not one of the names"));
      EXPECT_THAT(message, HasSubstr("nothing was executed"));
    }
    // A name that only begins alike is another package.
    EXPECT_EQ(refusal(beside_weights(op::global(package + "x", "anything") + ")R")), "") << package;
  }
}

TEST(TorchNames, DangerousPartsOfOtherPackagesAreRefused) {
  for (const auto& [module, name] :
       {std::pair("torch", "load"), std::pair("torch.hub", "list"), std::pair("torch.jit", "load"),
        std::pair("torch.package", "PackageImporter"), std::pair("torch.utils.cpp_extension", "load_inline"),
        std::pair("torch.ops", "load_library"), std::pair("torch.storage", "_load_from_bytes"),
        std::pair("torch.serialization", "load"), std::pair("torch._dynamo", "run"),
        std::pair("torch._inductor", "compile"), std::pair("numpy", "load"),
        std::pair("numpy.testing", "runstring"), std::pair("numpy.f2py", "compile"),
        std::pair("numpy.distutils", "exec_command"), std::pair("copyreg", "add_extension"),
        std::pair("functools", "reduce")}) {
    EXPECT_THAT(refusal(beside_weights(op::global(module, name))),
                HasSubstr(std::string("it refers to '") + module + "." + name + "'"));
  }
  EXPECT_EQ(refusal(beside_weights(op::global("functools", "partial") + ")R")), "");
}

TEST(TorchNames, AsManyUnknownOnesAsIsSaid) {
  const auto with = [](int n) {
    std::string many = "](";
    for (int i = 0; i < n; ++i) many += op::global("m", "C" + std::to_string(i));
    return refusal(beside_weights(many + op::global("m", "C0") + "e"));  // one comes twice
  };
  EXPECT_EQ(with(4096), "");
  EXPECT_THAT(with(4097), HasSubstr("more than 4096 classes and functions"));
}

TEST(TorchNames, CallsWithTooFewArgumentsSaySo) {
  const std::string t = op::tensor(6, 0, {6}, {1}), storage = op::storage("FloatStorage", "0", 6).substr(1);
  const auto says = [](const std::string& object, const char* what) {
    EXPECT_THAT(refusal(beside_weights(object)), HasSubstr(what));
  };
  says(op::global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + "K" + std::string(1, '\0') +
           op::ints({6}) + "tR",
       "torch._utils._rebuild_tensor_v2 is called with 3 arguments");
  says(op::global("torch._utils", "_rebuild_tensor_v3") + "(" + storage + "K" + std::string(1, '\0') +
           op::ints({6}) + op::ints({1}) + "\x89NtR",
       "torch._utils._rebuild_tensor_v3 is called with 6 arguments");
  says(op::global("torch._utils", "_rebuild_parameter") + ")R", "is called with 0 arguments");
  says(op::global("torch._tensor", "_rebuild_from_type_v2") + "(" +
           op::global("torch._utils", "_rebuild_parameter") + "NtR",
       "torch._tensor._rebuild_from_type_v2 is called with 2 arguments");
  says(op::global("torch", "Size") + ")R", "torch.Size is called with 0 arguments");
  says(op::global("torch", "FloatStorage") + ")R", "torch.FloatStorage is called");
  says(op::global("torch", "float32") + ")R", "torch.float32 is called");
  says(op::global("torch._utils", "_rebuild_parameter") + "K\x01\x85R", "a parameter made of an int");
  says(op::global("torch._utils", "_rebuild_tensor_v2") + "(NK\x01))tR", "a tensor made of None");
  says(v3(storage, op::global("torch", "Size")), "a tensor whose dtype is not one");
  says("K\x05)R", "an int is called");
}

TEST(TorchNames, ReferencesThatAreNotToStorages) {
  const auto says = [](const std::string& id, const char* what) {
    EXPECT_THAT(refusal(beside_weights("(" + id + "tQ")), HasSubstr(what));
  };
  const std::string begin = op::text("storage") + op::global("torch", "FloatStorage");
  says(begin + op::text("0") + op::text("cpu"), "a reference that is not one to a storage");
  says(op::text("other") + op::global("torch", "FloatStorage") + op::text("0") + op::text("cpu") + "K\x06",
       "a reference that is not one to a storage");
  says(begin + "K\x01" + op::text("cpu") + "K\x06", "a storage whose key is not a string");
  says(begin + op::text("0") + op::text("cpu") + "N", "storage size is None, not an int");
  says(op::text("storage") + op::global("torch", "float32") + op::text("0") + op::text("cpu") + "K\x06",
       "a storage without a type");
  says(begin + op::text("0") + op::text("cpu") + "K\x06(" + op::text("v") + "K\x01t",
       "a storage that is a part of another, without saying which");
  says(begin + op::text("0") + op::text("cpu") + "K\x06(" + op::text("v") + op::integer(-1) + "K\x02t",
       "a storage of negative size 2 or offset -1");
  says(op::text("module") + "NNN", "it holds a whole module with its source code");
}

// torch/_utils.py and _tensor.py: parameters with state, and tensors through their class.
TEST(TorchNames, OtherWaysToRebuildATensor) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  const std::string with_state =
      op::global("torch._utils", "_rebuild_parameter_with_state") + "(" + t + "\x88NNtR";
  const std::string arguments = "(" + op::storage("FloatStorage", "0", 6).substr(1) + op::integer(0) +
                                op::ints({2}) + op::ints({1}) + "\x89Nt";
  const std::string from_type = op::global("torch._tensor", "_rebuild_from_type_v2") + "(" +
                                op::global("torch._utils", "_rebuild_tensor_v2") +
                                op::global("torch", "Tensor") + arguments + "}tR";
  const std::string bytes =
      torch_zip(op::pickle(op::dict({{"state", with_state}, {"type", from_type}})), kZeros);
  const TensorFile file = TensorFile::view(as_span(bytes), "test.pth");
  EXPECT_EQ(file.find("state")->shape, Shape({6}));
  EXPECT_EQ(file.find("type")->shape, Shape({2}));
}

// "b" sets attributes: of what may have some.
TEST(TorchNames, AttributesOfTensorsAreOfNoInterest) {
  const std::string attributes = "}" + op::text("name") + op::text("w") + "sb";
  const std::string bytes =
      torch_zip(op::pickle(op::dict({{"w", op::tensor(6, 0, {6}, {1}) + attributes}})), kZeros);
  EXPECT_EQ(TensorFile::view(as_span(bytes), "test.pth").find("w")->shape, Shape({6}));
  EXPECT_THAT(refusal(beside_weights("K\x01" + attributes)), HasSubstr("attributes are set on an int"));
}

// Python 2's OrderedDict([[key, value], ...]).
TEST(TorchNames, AnOrderedDictOfPairs) {
  const std::string t = op::tensor(6, 0, {6}, {1});
  const auto of = [](const std::string& pairs) {
    return torch_zip(op::pickle(op::global("collections", "OrderedDict") + "](" + pairs + "e\x85R"), kZeros);
  };
  const std::string bytes = of("](" + op::text("w") + t + "e" + op::text("v") + t + "\x86");
  const TensorFile file = TensorFile::view(as_span(bytes), "test.pth");
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.tensors()[0].name, "w");
  EXPECT_EQ(file.tensors()[1].name, "v");
  EXPECT_THAT(refusal(of("(" + op::text("w") + t + "Nt")),
              HasSubstr("an OrderedDict of something else than pairs"));
}

}  // namespace
}  // namespace sam2unet::formats
