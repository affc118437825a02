#include "core/forked.h"

#include <pthread.h>

#include <atomic>

namespace sam2unet {

namespace {

std::atomic<bool> in_child{false};

// Registered when the library is loaded.
const bool registered = pthread_atfork(nullptr, nullptr, [] { in_child.store(true); }) == 0;

}  // namespace

bool forked() {
  return registered && in_child.load(std::memory_order_relaxed);
}

}  // namespace sam2unet
