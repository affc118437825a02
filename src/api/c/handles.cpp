#include "api/c/handles.h"

#include <pthread.h>

#include <mutex>
#include <unordered_map>
#include <utility>

namespace sam2unet::capi {

namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<const void*, const void*> kinds;
};

// Never destroyed: other objects' destructors may free handles when the program ends.
Registry& registry() {
  static Registry& all = *new Registry;  // NOLINT(cppcoreguidelines-owning-memory)
  return all;
}

// A fork waits until no other thread is in the registry, or the child could never enter it.
const bool is_safe_after_fork =
    pthread_atfork([] { registry().mutex.lock(); }, [] { registry().mutex.unlock(); },
                   [] { registry().mutex.unlock(); }) == 0;

}  // namespace

void enlist(const void* handle, const void* kind) {
  static_cast<void>(is_safe_after_fork);
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.kinds[handle] = kind;
}

bool strike(const void* handle, const void* kind) noexcept {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  const auto it = all.kinds.find(handle);
  if (it == all.kinds.end() || it->second != kind) return false;
  all.kinds.erase(it);
  return true;
}

bool is_enlisted(const void* handle, const void* kind) noexcept {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  const auto it = all.kinds.find(handle);
  return it != all.kinds.end() && it->second == kind;
}

bool flag(int32_t value, const char* what) {
  if (value != 0 && value != 1)
    throw UsageError(std::string(what) + " is " + std::to_string(value) + ": must be 0 or 1");
  return value == 1;
}

const char* text_of(const char* text, const char* what) {
  need(text, what);
  return text;
}

void check_struct(std::size_t struct_size, std::size_t least, const char* what) {
  if (struct_size >= least) return;
  throw UsageError(std::string(what) + ": struct_size is " + std::to_string(struct_size) +
                   " and must be its sizeof, " + std::to_string(least));
}

void give_text(std::string text, s2u_text** out) {
  auto object = std::make_unique<s2u_text>();
  object->value = std::move(text);
  hand_out(std::move(object), out);
}

}  // namespace sam2unet::capi

using namespace sam2unet::capi;

extern "C" {

const char* s2u_text_data(const s2u_text* text) {
  return is_live(text) ? text->value.c_str() : "";
}

size_t s2u_text_size(const s2u_text* text) {
  return is_live(text) ? text->value.size() : 0;
}

void s2u_text_free(s2u_text* text) {
  destroy(text);
}
}
