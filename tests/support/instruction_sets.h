// Our kernels on every instruction set that this machine has.
#pragma once

#include <hwy/targets.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sam2unet::test {

/// Highway's names for those there are.
inline std::vector<std::int64_t> instruction_sets() {
  std::vector<std::int64_t> out;
  for (std::int64_t all = hwy::SupportedTargets(); all != 0; all &= all - 1) out.push_back(all & -all);
  return out;
}

/// All of them at once, as the program runs.
inline std::int64_t all_instruction_sets() {
  return hwy::SupportedTargets();
}

/// Kernels run on this one as long as it lives.
class InstructionSet {
 public:
  explicit InstructionSet(std::int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
  }
  ~InstructionSet() {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
  InstructionSet(const InstructionSet&) = delete;
  InstructionSet& operator=(const InstructionSet&) = delete;
};

/// For the names of tests that have one as their parameter.
inline std::string name_of(std::int64_t target) {
  return hwy::TargetName(target);
}

}  // namespace sam2unet::test
