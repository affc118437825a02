// Processor quotas of control groups: what containers and services get of a machine whose processors they all
// see.
#pragma once

#include <filesystem>
#include <optional>

namespace sam2unet {

/// The least quota, in processors, of this process's control group and those above it; none where there is no
/// limit. `root` stands for "/" in the files it reads: proc/self/cgroup, proc/self/mountinfo, and the mounts
/// named there.
std::optional<double> processor_quota(const std::filesystem::path& root = "/");

}  // namespace sam2unet
