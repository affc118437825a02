// LibTorch's exceptions as ours: what() in one line, without the stack.
#pragma once

#include <c10/util/Exception.h>

#include <utility>

namespace sam2unet::ops {

/// Throws std::bad_alloc where `e` says that memory ran out, else Error.
[[noreturn]] void rethrow(const c10::Error& e);

template <class F>
decltype(auto) with_own_errors(F&& f) {
  try {
    return std::forward<F>(f)();
  } catch (const c10::Error& e) {
    rethrow(e);
  }
}

}  // namespace sam2unet::ops
