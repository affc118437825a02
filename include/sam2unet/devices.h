// The devices that a network can be computed on, and which of them this installation has.
#pragma once

#include <string>
#include <vector>

#include "sam2unet/export.h"
#include "sam2unet/segmenter.h"

namespace sam2unet {

/// How hard it is looked.
enum class DeviceSearch {
  installed,  ///< whether a device's files are there; nothing is loaded
  tried,      ///< a small network is made ready on it, which loads plug-ins, drivers and GPUs
};

struct DeviceInfo {
  std::string name;  ///< as SegmenterOptions::device takes it: "cpu", "cuda", "cuda-torch", "torch-cpu"
  std::string description;
  std::vector<Precision> precisions;  ///< that it computes in; the first is what `standard` means there
  std::string problem;     ///< why it cannot be used and what to do; empty where nothing is known against it
  std::string arithmetic;  ///< where it was tried and works: what multiplies, in words

  bool usable() const { return problem.empty(); }
};

/// All that this version knows of, whether they are there or not.
SAM2UNET_API std::vector<DeviceInfo> devices(DeviceSearch search = DeviceSearch::installed);

}  // namespace sam2unet
