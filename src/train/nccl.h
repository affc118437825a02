// What the module for NCCL exports. It is a library of its own because it links libtorch_cuda, which machines
// without a GPU lack.
#pragma once

#include <chrono>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace sam2unet::train {

inline constexpr const char* kNcclModule = "libsam2unet-nccl.so";
inline constexpr const char* kMakeNccl = "sam2unet_make_nccl";
using MakeNccl = c10::intrusive_ptr<c10d::Backend>(c10::intrusive_ptr<c10d::Store> store, int rank, int world,
                                                   std::chrono::milliseconds timeout);

}  // namespace sam2unet::train
