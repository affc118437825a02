// What looks like ONNX Runtime to who opens it: its table of functions (the places are those of version 2 in
// onnxruntime_c_api.h), behind which the tests' own loops compute. Handles are of kinds, and what is given
// another kind, or used after it was released, ends the program.
//
// SAM2UNET_FAKE_ERROR moves the first element of each result; SAM2UNET_FAKE_API is the newest version it has.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "onnx/interpreter.h"
#include "onnx/model_reader.h"

namespace {

using sam2unet::test::OnnxModel;
using sam2unet::test::OnnxTensor;

[[noreturn]] void wrong(const char* what) {
  std::fprintf(stderr, "the stand-in for ONNX Runtime: %s\n", what);
  std::abort();
}

struct Object {
  std::string kind;
  std::string text;  // a status
  int threads = -1;  // options
  OnnxModel model;   // a session
  int type = 0;      // a value
  std::vector<std::int64_t> shape;
  std::vector<std::byte> own;
  void* data = nullptr;
};
using Handle = Object*;
std::set<Handle> alive;
int last_threads = -1;
std::size_t allocations = 0;
Object allocator{"allocator", {}, -1, {}, 0, {}, {}, nullptr};

Handle make(const char* kind) {
  auto* o = new Object();
  o->kind = kind;
  alive.insert(o);
  return o;
}
Object& of(Handle h, const char* kind) {
  if (h != &allocator && !alive.contains(h)) wrong("a handle that is none");
  if (h->kind != kind) wrong(("a " + h->kind + " where a " + kind + " belongs").c_str());
  return *h;
}
template <int kIndex>
void release(Handle h) {
  constexpr const char* kKinds[] = {"env",   "status", "memory",  "session",
                                    "value", "info",   "options", "metadata"};
  of(h, kKinds[kIndex]);
  alive.erase(h);
  delete h;
}
Handle status(const std::string& text) {
  Handle h = make("status");
  h->text = text;
  return h;
}

std::size_t bytes_of(int type) {
  return type == 7 ? 8 : type == 1 || type == 6 ? 4 : type == 10 ? 2 : 1;
}

OnnxTensor tensor_of(const Object& v) {
  OnnxTensor t{v.type, v.shape, {}};
  std::size_t n = 1;
  for (const auto d : v.shape) n *= static_cast<std::size_t>(d);
  for (std::size_t i = 0; i < n; ++i) {
    if (v.type == 1) {
      float x = 0;
      std::memcpy(&x, static_cast<const std::byte*>(v.data) + 4 * i, 4);
      t.data.push_back(x);
    } else {
      t.data.push_back(static_cast<const std::uint8_t*>(v.data)[i]);
    }
  }
  return t;
}

Handle value_of(const OnnxTensor& t) {
  Handle h = make("value");
  h->type = t.type;
  h->shape = t.shape;
  const char* error = std::getenv("SAM2UNET_FAKE_ERROR");
  h->own.resize(t.data.size() * bytes_of(t.type));
  for (std::size_t i = 0; i < t.data.size(); ++i) {
    const float x = static_cast<float>(t.data[i] + (i == 0 && error != nullptr ? std::atof(error) : 0.0));
    const auto byte = static_cast<std::uint8_t>(t.data[i]);
    if (t.type == 1)
      std::memcpy(h->own.data() + 4 * i, &x, 4);
    else
      std::memcpy(h->own.data() + i, &byte, 1);
  }
  h->data = h->own.data();
  return h;
}

// --- the functions

const char* get_error_message(Handle s) {
  return of(s, "status").text.c_str();
}
Handle create_env(int level, const char* name, Handle* out) {
  if (level != 3 || std::string(name) != "sam2unet") wrong("another level or name");
  *out = make("env");
  return nullptr;
}
Handle create_session(Handle env, const char* path, Handle options, Handle* out) {
  of(env, "env");
  last_threads = of(options, "options").threads;
  try {
    OnnxModel model = sam2unet::test::read_onnx(path);
    *out = make("session");
    (*out)->model = std::move(model);
    return nullptr;
  } catch (const std::exception& e) {
    return status(std::string("no model: ") + e.what());
  }
}
Handle run(Handle session, Handle options, const char* const* in_names, const Handle* in,
           std::size_t in_count, const char* const* out_names, std::size_t out_count, Handle* out) {
  if (options != nullptr) wrong("options of a run");
  std::map<std::string, OnnxTensor> inputs;
  for (std::size_t i = 0; i < in_count; ++i) inputs.emplace(in_names[i], tensor_of(of(in[i], "value")));
  try {
    const auto values = sam2unet::test::run_onnx(of(session, "session").model, inputs);
    for (std::size_t i = 0; i < out_count; ++i) {
      const auto it = values.find(out_names[i]);
      if (it == values.end()) return status(std::string("no output ") + out_names[i]);
      out[i] = value_of(it->second);
    }
    return nullptr;
  } catch (const std::exception& e) {
    return status(e.what());
  }
}
Handle create_options(Handle* out) {
  *out = make("options");
  return nullptr;
}
Handle set_threads(Handle options, int threads) {
  of(options, "options").threads = threads;
  return nullptr;
}
Handle create_tensor(Handle memory, void* data, std::size_t bytes, const std::int64_t* shape,
                     std::size_t rank, int type, Handle* out) {
  of(memory, "memory");
  std::size_t n = bytes_of(type);
  for (std::size_t i = 0; i < rank; ++i) n *= static_cast<std::size_t>(shape[i]);
  if (n != bytes) return status("a tensor of another size");
  *out = make("value");
  (*out)->type = type;
  (*out)->shape.assign(shape, shape + rank);
  (*out)->data = data;
  return nullptr;
}
Handle get_data(Handle value, void** out) {
  *out = of(value, "value").data;
  return nullptr;
}
Handle get_type(Handle info, int* out) {
  *out = of(info, "info").type;
  return nullptr;
}
Handle get_rank(Handle info, std::size_t* out) {
  *out = of(info, "info").shape.size();
  return nullptr;
}
Handle get_shape(Handle info, std::int64_t* out, std::size_t rank) {
  const auto& shape = of(info, "info").shape;
  if (rank != shape.size()) wrong("another rank");
  std::memcpy(out, shape.data(), rank * sizeof *out);
  return nullptr;
}
Handle get_info(Handle value, Handle* out) {
  *out = make("info");
  (*out)->type = of(value, "value").type;
  (*out)->shape = value->shape;
  return nullptr;
}
Handle create_memory(int allocator_kind, int memory_kind, Handle* out) {
  if (allocator_kind != 0 || memory_kind != 0) wrong("another kind of memory");
  *out = make("memory");
  return nullptr;
}
Handle get_allocator(Handle* out) {
  *out = &allocator;
  return nullptr;
}
Handle allocator_free(Handle a, void* p) {
  of(a, "allocator");
  std::free(p);
  --allocations;
  return nullptr;
}
Handle get_metadata(Handle session, Handle* out) {
  *out = make("metadata");
  (*out)->model.metadata = of(session, "session").model.metadata;
  return nullptr;
}
Handle look_up(Handle metadata, Handle a, const char* key, char** out) {
  of(a, "allocator");
  const auto& all = of(metadata, "metadata").model.metadata;
  const auto it = all.find(key);
  *out = it == all.end() ? nullptr : ::strdup(it->second.c_str());
  allocations += *out != nullptr ? 1 : 0;
  return nullptr;
}
void unknown() {
  wrong("a function that is not among those");
}

const void* get_api(std::uint32_t version) {
  static void* table[300];
  for (void*& f : table) f = reinterpret_cast<void*>(&unknown);
  const std::map<std::size_t, void*> functions = {
      {2, reinterpret_cast<void*>(&get_error_message)}, {3, reinterpret_cast<void*>(&create_env)},
      {7, reinterpret_cast<void*>(&create_session)},    {9, reinterpret_cast<void*>(&run)},
      {10, reinterpret_cast<void*>(&create_options)},   {24, reinterpret_cast<void*>(&set_threads)},
      {49, reinterpret_cast<void*>(&create_tensor)},    {51, reinterpret_cast<void*>(&get_data)},
      {60, reinterpret_cast<void*>(&get_type)},         {61, reinterpret_cast<void*>(&get_rank)},
      {62, reinterpret_cast<void*>(&get_shape)},        {65, reinterpret_cast<void*>(&get_info)},
      {69, reinterpret_cast<void*>(&create_memory)},    {76, reinterpret_cast<void*>(&allocator_free)},
      {78, reinterpret_cast<void*>(&get_allocator)},    {92, reinterpret_cast<void*>(&release<0>)},
      {93, reinterpret_cast<void*>(&release<1>)},       {94, reinterpret_cast<void*>(&release<2>)},
      {95, reinterpret_cast<void*>(&release<3>)},       {96, reinterpret_cast<void*>(&release<4>)},
      {99, reinterpret_cast<void*>(&release<5>)},       {100, reinterpret_cast<void*>(&release<6>)},
      {111, reinterpret_cast<void*>(&get_metadata)},    {116, reinterpret_cast<void*>(&look_up)},
      {118, reinterpret_cast<void*>(&release<7>)}};
  for (const auto& [slot, function] : functions) table[slot] = function;
  const char* newest = std::getenv("SAM2UNET_FAKE_API");
  return version <= (newest == nullptr ? 24U : static_cast<std::uint32_t>(std::atoi(newest))) ? table
                                                                                              : nullptr;
}
const char* get_version() {
  return "1.99.7";
}
struct ApiBase {
  const void* (*get_api)(std::uint32_t);
  const char* (*get_version)();
};

}  // namespace

#define S2U_SHOWN extern "C" __attribute__((visibility("default")))
S2U_SHOWN const void* OrtGetApiBase();
S2U_SHOWN const void* OrtGetApiBase() {
  static const ApiBase base{&get_api, &get_version};
  return &base;
}
/// What was not released.
S2U_SHOWN std::size_t fake_alive();
S2U_SHOWN std::size_t fake_alive() {
  return alive.size() + allocations;
}
S2U_SHOWN int fake_threads();
S2U_SHOWN int fake_threads() {
  return last_threads;
}
