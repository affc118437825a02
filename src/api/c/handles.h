// Which handles of the C API are alive, so that a freed one, one of another kind or a stray pointer is told
// without being touched.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "capi/status.h"
#include "sam2unet/errors.h"
#include "sam2unet/sam2unet.h"

namespace sam2unet::capi {

/// One address for each kind of handle. (A variable that is written, lest two kinds be folded into one.)
template <class T>
inline char kind_of_handle = 0;

void enlist(const void* handle, const void* kind);
/// False if there is no such handle.
bool strike(const void* handle, const void* kind) noexcept;
bool is_enlisted(const void* handle, const void* kind) noexcept;

template <class T>
bool is_live(const T* handle) noexcept {
  return handle != nullptr && is_enlisted(handle, &kind_of_handle<T>);
}

/// The handle's object. UsageError if it is null, of another kind, or freed.
template <class T>
T& live(T* handle, const char* what) {
  need(handle, what);
  if (!is_live(handle)) throw UsageError(std::string(what) + " is no handle of its kind, or was freed");
  return *handle;
}

/// A new handle's object.
template <class T>
void hand_out(std::unique_ptr<T> object, T** out) {
  enlist(object.get(), &kind_of_handle<T>);
  *out = object.release();
}

template <class T>
void destroy(T* handle) noexcept {
  if (handle != nullptr && strike(handle, &kind_of_handle<T>)) std::unique_ptr<T>(handle).reset();
}

/// Makes one that holds its defaults.
template <class T>
s2u_status* make(T** out, const char* what) noexcept {
  return guarded([&] {
    need(out, what);
    hand_out(std::make_unique<T>(), out);
  });
}

/// The value of options that may be null.
template <class T>
auto value_of(const T* options, const char* what) {
  return options == nullptr ? decltype(options->value)() : live(options, what).value;
}

/// The one of `values` whose place is `number`; UsageError if it has none.
template <class E, std::size_t N>
E chosen(int number, const E (&values)[N], const char* what) {
  if (number < 0 || static_cast<std::size_t>(number) >= N)
    throw UsageError(std::string(what) + " " + std::to_string(number) + " is not known");
  return values[number];
}

bool flag(int32_t value, const char* what);
/// The text, which may not be null.
const char* text_of(const char* text, const char* what);
/// UsageError if the caller's struct is older than the oldest that there is, which has `least` bytes.
void check_struct(std::size_t struct_size, std::size_t least, const char* what);

/// Writes to an array of the caller's: see the header on arrays that are given out.
template <class T>
void give(std::span<const T> from, T* to, std::size_t* count) {
  need(count, "the count");
  if (to != nullptr && *count >= from.size()) std::copy(from.begin(), from.end(), to);
  *count = from.size();
}

/// Whether an array of so many elements is to be written; sets the count.
template <class T>
bool is_wanted(std::size_t size, const T* to, std::size_t* count) {
  need(count, "the count");
  const bool fits = to != nullptr && *count >= size;
  *count = size;
  return fits;
}

/// A text that the caller frees.
void give_text(std::string text, s2u_text** out);

}  // namespace sam2unet::capi

struct s2u_text {
  std::string value;
};
