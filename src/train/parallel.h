// One run over several processes, on PyTorch's c10d: who they are, and what they do together.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sam2unet/errors.h"

namespace c10d {
class Work;
}

namespace sam2unet::train {

/// Which process of how many this is, and where they meet.
struct Place {
  int rank = 0, world = 1;
  int local_rank = 0;  ///< on its machine: which GPU it takes
  std::string host;    ///< of the store at which they meet
  std::uint16_t port = 0;
  bool store_runs = false;  ///< torchrun's agent hosts the store; else rank 0 does
  std::string prefix;       ///< of the keys in the store
};

/// Value of an environment variable, if it is set.
using Variables = std::function<std::optional<std::string>(const std::string&)>;

/// What torchrun (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), srun (SLURM_*) or mpirun
/// (OMPI_COMM_WORLD_*, PMI_*) say; one process where none does. UsageError if what they say is incomplete.
Place place_from(const Variables& variables);
Place place_from_environment();

/// The GPU that --device `cuda` or `cuda:N` means for this process, of the `visible` ones: each process of a
/// machine takes its own, or the only one it was given to see. UsageError if several processes are to share
/// one.
std::string gpu_name(const std::string& device, const Place& place, int visible);

/// Another process was lost, or ended on its own.
class LostProcess : public Error {
 public:
  enum class Told {
    by_this,   ///< nobody else says why
    by_other,  ///< another process says why; this one need not
  };
  LostProcess(const std::string& what, Told told) : Error(what), told_(told) {}
  Told told() const { return told_; }

 private:
  Told told_;
};

/// The processes of a run. With one alone, every operation leaves its argument as it is. Collective: all
/// processes must call the same operations in the same order. LostProcess if one of them does not within the
/// timeout, or ends.
class Group {
 public:
  /// Meets the others. Tensors on `device` travel by NCCL where that is a GPU, all others by Gloo.
  Group(const Place& place, c10::Device device, std::chrono::seconds timeout);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  int rank() const { return place_.rank; }
  int world() const { return place_.world; }
  bool is_alone() const { return place_.world == 1; }
  bool is_first() const { return place_.rank == 0; }

  /// Sum over all processes, in place.
  void sum(at::Tensor& t);
  /// The same, underway while the caller computes; call what is returned before the tensor is used.
  std::function<void()> start_sum(at::Tensor t);
  /// [K] -> [world, K], on a connection of its own, since backward passes use it between other sums.
  at::Tensor gather_statistics(const at::Tensor& t);
  /// Rank 0's values, in place.
  void broadcast(at::Tensor& t);
  /// Every process's text, by rank. `key` names the exchange and must not repeat.
  std::vector<std::string> exchange(const std::string& key, const std::string& text);

  /// Says that this process ends with an error. True if it is the first to; else the error is only a
  /// consequence and need not be told.
  bool leave() noexcept;

 private:
  struct Connections;
  void wait(c10d::Work& work);
  template <class F>
  void guarded(F&& f);
  [[noreturn]] void lost(const std::string& reason);

  Place place_;
  std::unique_ptr<Connections> connections_;
};

}  // namespace sam2unet::train
