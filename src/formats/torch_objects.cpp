// After torch/_utils.py, torch/_tensor.py and torch/serialization.py (persistent_id) of PyTorch 2.11.
#include "formats/torch_objects.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "formats/text.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

enum class Meaning : std::uint8_t {
  ordered_dict,       // OrderedDict(), OrderedDict([[key, value], ...])
  rebuild_tensor,     // _rebuild_tensor_v2(storage, storage_offset, size, stride, requires_grad, hooks[,
                      // metadata])
  rebuild_tensor_v3,  // the same with a dtype after the hooks
  rebuild_parameter,  // _rebuild_parameter(data, requires_grad, hooks)
  rebuild_from_type,  // _rebuild_from_type_v2(func, type, args, state)
  size,               // torch.Size((...))
  storage,            // a class of storages: in persistent ids only
  dtype,              // torch.float32, ...
  inert,              // allowed, and of no interest: whatever is called gives an empty object
};

struct Known {
  std::string_view module, name;
  Meaning meaning;
  DType dtype = DType::u8;
};

constexpr auto kKnown = std::to_array<Known>({
    {"collections", "OrderedDict", Meaning::ordered_dict},
    {"collections", "defaultdict", Meaning::inert},
    {"collections", "Counter", Meaning::inert},
    {"collections", "deque", Meaning::inert},
    {"torch._utils", "_rebuild_tensor", Meaning::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", Meaning::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v3", Meaning::rebuild_tensor_v3},
    {"torch._utils", "_rebuild_parameter", Meaning::rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", Meaning::rebuild_parameter},
    {"torch._tensor", "_rebuild_from_type_v2", Meaning::rebuild_from_type},
    {"torch", "Size", Meaning::size},

    {"torch", "DoubleStorage", Meaning::storage, DType::f64},
    {"torch", "FloatStorage", Meaning::storage, DType::f32},
    {"torch", "HalfStorage", Meaning::storage, DType::f16},
    {"torch", "BFloat16Storage", Meaning::storage, DType::bf16},
    {"torch", "LongStorage", Meaning::storage, DType::i64},
    {"torch", "IntStorage", Meaning::storage, DType::i32},
    {"torch", "ShortStorage", Meaning::storage, DType::i16},
    {"torch", "CharStorage", Meaning::storage, DType::i8},
    {"torch", "ByteStorage", Meaning::storage, DType::u8},
    {"torch", "BoolStorage", Meaning::storage, DType::boolean},
    {"torch", "UntypedStorage", Meaning::storage, DType::u8},
    {"torch.storage", "UntypedStorage", Meaning::storage, DType::u8},
    {"torch.storage", "_UntypedStorage", Meaning::storage, DType::u8},

    {"torch", "float64", Meaning::dtype, DType::f64},
    {"torch", "double", Meaning::dtype, DType::f64},
    {"torch", "float32", Meaning::dtype, DType::f32},
    {"torch", "float", Meaning::dtype, DType::f32},
    {"torch", "float16", Meaning::dtype, DType::f16},
    {"torch", "half", Meaning::dtype, DType::f16},
    {"torch", "bfloat16", Meaning::dtype, DType::bf16},
    {"torch", "int64", Meaning::dtype, DType::i64},
    {"torch", "int32", Meaning::dtype, DType::i32},
    {"torch", "int16", Meaning::dtype, DType::i16},
    {"torch", "int8", Meaning::dtype, DType::i8},
    {"torch", "uint8", Meaning::dtype, DType::u8},
    {"torch", "bool", Meaning::dtype, DType::boolean},

    {"torch", "Tensor", Meaning::inert},
    {"torch", "device", Meaning::inert},
    {"torch.nn.parameter", "Parameter", Meaning::inert},
    {"torch.nn.parameter", "Buffer", Meaning::inert},
    {"torch.serialization", "_get_layout", Meaning::inert},
    {"argparse", "Namespace", Meaning::inert},
    {"types", "SimpleNamespace", Meaning::inert},
    {"pathlib", "PosixPath", Meaning::inert},
    {"pathlib", "PurePosixPath", Meaning::inert},
    {"pathlib", "WindowsPath", Meaning::inert},
    {"pathlib", "PureWindowsPath", Meaning::inert},
    {"datetime", "date", Meaning::inert},
    {"datetime", "datetime", Meaning::inert},
    {"datetime", "timedelta", Meaning::inert},
    {"datetime", "timezone", Meaning::inert},
    {"_codecs", "encode", Meaning::inert},  // how protocol 2 spells bytes
    {"numpy", "dtype", Meaning::inert},
    {"numpy", "ndarray", Meaning::inert},
    {"numpy.core.multiarray", "scalar", Meaning::inert},
    {"numpy.core.multiarray", "_reconstruct", Meaning::inert},
    {"numpy._core.multiarray", "scalar", Meaning::inert},
    {"numpy._core.multiarray", "_reconstruct", Meaning::inert},
    {"numpy.core.numeric", "_frombuffer", Meaning::inert},
    {"numpy._core.numeric", "_frombuffer", Meaning::inert},
});

// Python 2 called the module __builtin__.
constexpr auto kBuiltins = std::to_array<std::string_view>(
    {"set", "frozenset", "list", "dict", "tuple", "int", "long", "float", "bool", "str", "unicode", "bytes",
     "bytearray", "complex", "slice", "range", "object"});
constexpr auto kInert =
    static_cast<std::uint32_t>(kKnown.size());  // id of the names in kBuiltins, and numpy.dtypes.*
constexpr std::uint32_t kForeign = kInert + 1;  // of every name that is on no list

// Packages whose functions run programs or code, or open files and connections: no checkpoint has a use for
// them, an attack has. Nothing would be executed anyhow; the file is refused so that it is told.
constexpr auto kDangerous = std::to_array<std::string_view>({"builtins",
                                                             "__builtin__",
                                                             "os",
                                                             "posix",
                                                             "nt",
                                                             "posixpath",
                                                             "ntpath",
                                                             "subprocess",
                                                             "_posixsubprocess",
                                                             "commands",
                                                             "popen2",
                                                             "sys",
                                                             "shutil",
                                                             "socket",
                                                             "importlib",
                                                             "imp",
                                                             "runpy",
                                                             "pty",
                                                             "code",
                                                             "codeop",
                                                             "ctypes",
                                                             "_ctypes",
                                                             "pickle",
                                                             "_pickle",
                                                             "cPickle",
                                                             "cloudpickle",
                                                             "dill",
                                                             "joblib",
                                                             "marshal",
                                                             "types",
                                                             "operator",
                                                             "_operator",
                                                             "asyncio",
                                                             "multiprocessing",
                                                             "threading",
                                                             "_thread",
                                                             "signal",
                                                             "tempfile",
                                                             "io",
                                                             "_io",
                                                             "glob",
                                                             "fileinput",
                                                             "zipfile",
                                                             "tarfile",
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
                                                             "pdb",
                                                             "bdb",
                                                             "cProfile",
                                                             "profile",
                                                             "timeit",
                                                             "trace",
                                                             "doctest",
                                                             "unittest",
                                                             "pip",
                                                             "setuptools",
                                                             "distutils",
                                                             "ensurepip",
                                                             "venv",
                                                             "pkgutil",
                                                             "zipimport",
                                                             "inspect",
                                                             "gc",
                                                             "site",
                                                             "atexit",
                                                             "concurrent",
                                                             "xmlrpc",
                                                             "linecache",
                                                             "mmap"});
// Functions of packages that are otherwise harmless.
constexpr auto kDangerousParts = std::to_array<std::string_view>(
    {"torch.load", "torch.hub.", "torch.jit.", "torch.package.", "torch.utils.cpp_extension.", "torch.ops.",
     "torch.storage._load_from_bytes", "torch.serialization.load", "torch._dynamo.", "torch._inductor.",
     "numpy.load", "numpy.testing.", "numpy.f2py.", "numpy.distutils.", "copyreg.add_extension",
     "functools.reduce"});

Value object() {
  return {.kind = ValueKind::object};
}

const Known* known_of(const Value& v) {
  return v.is(ValueKind::global) && v.id < kKnown.size() ? &kKnown[v.id] : nullptr;
}

bool is_dangerous(std::string_view module, std::string_view full) {
  const std::string_view package = module.substr(0, module.find('.'));
  return std::ranges::count(kDangerous, package) > 0 ||
         std::ranges::any_of(kDangerousParts, [&](std::string_view p) { return full.starts_with(p); });
}

std::int64_t integer(const Value& v, std::string_view what) {
  if (!v.is(ValueKind::integer))
    throw FormatError(fmt::format("{} is {}, not an int", what, name_of(v.kind)));
  return v.integer;
}

Shape dimensions(const PickleMachine& machine, const Value& v, std::string_view what) {
  const auto items = machine.items(v);
  if (items.size() > Shape::kMaxRank) {
    throw FormatError(
        fmt::format("a tensor of {} dimensions; at most {} are read", items.size(), Shape::kMaxRank));
  }
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  for (std::size_t i = 0; i < items.size(); ++i) {
    dims[i] = integer(items[i], what);
    if (dims[i] < 0) throw FormatError(fmt::format("a tensor with the negative {} {}", what, dims[i]));
  }
  return Shape(std::span<const std::int64_t>(dims.data(), items.size()));
}

Value ordered_dict(PickleMachine& machine, std::span<const Value> args) {
  std::vector<Value> flat;
  if (!args.empty()) {  // Python 2: one argument, a list of pairs
    for (const Value& pair : machine.items(args[0])) {
      const auto two = machine.items(pair);
      if (two.size() != 2) throw FormatError("an OrderedDict of something else than pairs");
      flat.insert(flat.end(), two.begin(), two.end());
    }
  }
  return machine.make(ValueKind::dict, flat);
}

}  // namespace

Value TorchObjects::global(std::string_view module, std::string_view name) {
  for (std::uint32_t i = 0; i < kKnown.size(); ++i) {
    if (kKnown[i].module == module && kKnown[i].name == name) return {.kind = ValueKind::global, .id = i};
  }
  const bool builtin =
      (module == "builtins" || module == "__builtin__") && std::ranges::count(kBuiltins, name) > 0;
  if (builtin || module == "numpy.dtypes") return {.kind = ValueKind::global, .id = kInert};
  const auto begins = [&](std::string_view p) { return name.starts_with(p); };
  if (module == "torch" &&
      (name.ends_with("Storage") || begins("float") || begins("uint") || begins("complex"))) {
    throw FormatError(
        fmt::format("it holds tensors of type 'torch.{}', which is not read; convert them in Python first",
                    printable(name)));
  }
  const std::string full = fmt::format("{}.{}", printable(module), printable(name));
  if (is_dangerous(module, full)) {
    throw FormatError(
        fmt::format("it refers to '{}', which is not one of the names a checkpoint may use; nothing was "
                    "executed. If you trust the file, load it in Python and save model.state_dict() alone",
                    full));
  }
  constexpr std::size_t kMaxForeign = 4096;
  const auto [at, is_new] = foreign_.insert(full);
  if (is_new && foreign_.size() > kMaxForeign) {
    throw FormatError(
        fmt::format("it names more than {} classes and functions; no checkpoint needs as many", kMaxForeign));
  }
  return {.kind = ValueKind::global, .id = kForeign, .text = *at};
}

Value TorchObjects::call(PickleMachine& machine, const Value& callable, const Value& args) {
  if (!callable.is(ValueKind::global)) throw FormatError(fmt::format("{} is called", name_of(callable.kind)));
  const auto a = machine.items(args);
  if (callable.id == kForeign) return {.kind = ValueKind::object, .text = callable.text};
  if (callable.id == kInert) return object();
  const Known& known = kKnown[callable.id];
  const auto need = [&](std::size_t n) {
    if (a.size() < n)
      throw FormatError(fmt::format("{}.{} is called with {} arguments", known.module, known.name, a.size()));
  };
  switch (known.meaning) {
    case Meaning::ordered_dict:
      return ordered_dict(machine, a);
    case Meaning::rebuild_tensor:
      need(4);
      return rebuild_tensor(machine, a, std::nullopt);
    case Meaning::rebuild_tensor_v3: {
      need(7);
      const Known* dtype = known_of(a[6]);
      if (dtype == nullptr || dtype->meaning != Meaning::dtype) {
        throw FormatError("a tensor whose dtype is not one");
      }
      return rebuild_tensor(machine, a, dtype->dtype);
    }
    case Meaning::rebuild_parameter:
      need(1);
      if (!a[0].is(ValueKind::tensor))
        throw FormatError(fmt::format("a parameter made of {}", name_of(a[0].kind)));
      return a[0];
    case Meaning::rebuild_from_type: {
      need(3);
      const Known* rebuild = known_of(a[0]);
      const bool plain = rebuild != nullptr && (rebuild->meaning == Meaning::rebuild_tensor ||
                                                rebuild->meaning == Meaning::rebuild_tensor_v3 ||
                                                rebuild->meaning == Meaning::rebuild_parameter);
      if (!plain) throw FormatError("a tensor of a class of its own that is not rebuilt as a plain one");
      return call(machine, a[0], a[2]);
    }
    case Meaning::size: {
      need(1);
      return machine.make(ValueKind::tuple, machine.items(a[0]));
    }
    case Meaning::inert:
      return object();
    case Meaning::storage:
    case Meaning::dtype:
      break;
  }
  throw FormatError(fmt::format("{}.{} is called", known.module, known.name));
}

Value TorchObjects::rebuild_tensor(PickleMachine& machine, std::span<const Value> args,
                                   std::optional<DType> dtype) {
  if (!args[0].is(ValueKind::storage))
    throw FormatError(fmt::format("a tensor made of {}", name_of(args[0].kind)));
  TensorRef t;
  t.storage = args[0].id;
  t.dtype = dtype.value_or(storages_[t.storage].dtype);
  t.offset = integer(args[1], "storage offset");
  t.shape = dimensions(machine, args[2], "size");
  t.strides = dimensions(machine, args[3], "stride");
  if (t.offset < 0) throw FormatError(fmt::format("a tensor with the negative storage offset {}", t.offset));
  if (t.shape.rank() != t.strides.rank()) {
    throw FormatError(
        fmt::format("a tensor of shape {} with strides {}", to_string(t.shape), to_string(t.strides)));
  }
  t.shape.numel();  // throws if it overflows
  tensors_.push_back(t);
  return {.kind = ValueKind::tensor, .id = static_cast<std::uint32_t>(tensors_.size() - 1)};
}

// ('storage', storage type, key, location, numel[, view]) with view = (view key, offset, size) or None
Value TorchObjects::persistent(PickleMachine& machine, const Value& id) {
  const auto a = machine.items(id);
  if (a.size() >= 1 && a[0].is_text("module")) {
    throw FormatError(
        "it holds a whole module with its source code; load it in Python and save model.state_dict() alone");
  }
  if (a.size() < 5 || !a[0].is_text("storage")) throw FormatError("a reference that is not one to a storage");
  const Known* type = known_of(a[1]);
  if (type == nullptr || type->meaning != Meaning::storage) throw FormatError("a storage without a type");
  if (!a[2].is(ValueKind::text)) throw FormatError("a storage whose key is not a string");
  StorageRef s{.dtype = type->dtype, .key = a[2].text, .numel = integer(a[4], "storage size")};
  if (a.size() > 5 && !a[5].is(ValueKind::none)) {
    const auto view = machine.items(a[5]);
    if (view.size() != 3) throw FormatError("a storage that is a part of another, without saying which");
    s.first = integer(view[1], "offset of a storage");
    s.numel = integer(view[2], "size of a storage");
  }
  if (s.numel < 0 || s.first < 0)
    throw FormatError(fmt::format("a storage of negative size {} or offset {}", s.numel, s.first));
  checked_mul(checked_add(s.first, s.numel, "storage size"), static_cast<std::int64_t>(size_of(s.dtype)),
              "storage size");
  storages_.push_back(s);
  return {.kind = ValueKind::storage, .id = static_cast<std::uint32_t>(storages_.size() - 1)};
}

TensorView view_of(const TensorRef& t, std::span<const std::byte> storage) {
  // An expanded tensor (stride 0) may show more elements than are stored; a hostile one so many that whoever
  // copies it runs out of memory.
  constexpr std::int64_t kMaxRepeated = std::int64_t{1} << 24;
  const auto item = static_cast<std::int64_t>(size_of(t.dtype));
  const std::int64_t stored = static_cast<std::int64_t>(storage.size()) / item;
  const std::int64_t numel = t.shape.numel();
  TensorView view{.data = storage.data(), .dtype = t.dtype, .shape = t.shape, .strides = t.strides};
  if (numel == 0) {  // no element is ever addressed; strides that are checked products keep it so
    view.strides = t.shape.dense_strides();
    return view;
  }
  std::int64_t last = t.offset;
  for (std::size_t d = 0; d < t.shape.rank(); ++d) {
    last = checked_add(last, checked_mul(t.shape[d] - 1, t.strides[d], "tensor extent"), "tensor extent");
  }
  if (last >= stored) {
    throw FormatError(fmt::format("shape {}, strides {}, offset {} reach element {} of a storage of {}",
                                  to_string(t.shape), to_string(t.strides), t.offset, last, stored));
  }
  if (numel > std::max(stored, kMaxRepeated)) {
    throw FormatError(
        fmt::format("shape {} repeats the {} elements of its storage too often", to_string(t.shape), stored));
  }
  view.data += t.offset * item;
  return view;
}

}  // namespace sam2unet::formats
