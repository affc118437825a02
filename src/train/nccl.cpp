#include "train/nccl.h"

#include <cstdlib>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#include <utility>

// Waits that block, so that a lost process is an exception where the result is wanted, as with Gloo, and not
// the end of the program by c10d's watchdog.
extern "C" __attribute__((visibility("default"))) c10::intrusive_ptr<c10d::Backend> sam2unet_make_nccl(
    c10::intrusive_ptr<c10d::Store> store, int rank, int world, std::chrono::milliseconds timeout) {
  ::setenv("TORCH_NCCL_BLOCKING_WAIT", "1", /*overwrite=*/0);
  ::setenv("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0", /*overwrite=*/0);
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(std::move(store), rank, world, options);
}
