#include "ops/torch/torch_errors.h"

#include <new>
#include <string>

#include "sam2unet/errors.h"

namespace sam2unet::ops {

void rethrow(const c10::Error& e) {
  const std::string text = e.what_without_backtrace();
  // The host's allocator has no type of its own for it (c10/core/impl/alloc_cpu.cpp).
  const bool is_memory = dynamic_cast<const c10::OutOfMemoryError*>(&e) != nullptr ||
                         text.find("can't allocate memory") != std::string::npos;
  if (is_memory) throw std::bad_alloc();
  throw Error(text.substr(0, text.find('\n')));  // a GPU's errors go on about debugging
}

}  // namespace sam2unet::ops
