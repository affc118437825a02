#include "train/parallel.h"

#include <ATen/ATen.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "train/nccl.h"

namespace sam2unet::train {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kLeaving = "leaving";    // in the store: how many processes end with an error
constexpr std::uint16_t kDefaultPort = 29500;  // torchrun's

int number(const std::string& name, const std::string& text, int low, int high) {
  int v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || v < low || v > high) {
    throw UsageError(fmt::format("{}={}: must be a number from {} to {}", name, text, low, high));
  }
  return v;
}

// "gpu[03-05,9],login1" -> "gpu03"
std::string first_host(const std::string& list) {
  const auto bracket = list.find('['), comma = list.find(',');
  if (bracket == std::string::npos || comma < bracket) return list.substr(0, comma);
  return list.substr(0, bracket) + list.substr(bracket + 1, list.find_first_of("-,]", bracket) - bracket - 1);
}

struct Launcher {
  const char* rank;
  const char* world;
  const char* local_rank;
};
constexpr Launcher kTorchrun{"RANK", "WORLD_SIZE", "LOCAL_RANK"};
// SLURM_NTASKS is the job's; a step (srun) may have fewer.
constexpr Launcher kLaunchers[] = {
    kTorchrun,
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"},
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"},
    {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"}};

// Of "[file:line] what happened. This is typically caused by ..." what happened.
std::string in_short(std::string text) {
  if (const auto end = text.find("] "); text.starts_with("[/") && end != std::string::npos)
    text.erase(0, end + 2);
  return text.substr(0, std::min(text.find(". This is typically"), text.find('\n')));
}

std::string this_process() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("{}, process {}", host.data(), ::getpid());
}

}  // namespace

Place place_from(const Variables& get) {
  Place p;
  for (const Launcher& l : kLaunchers) {
    const auto rank = get(l.rank), world = get(l.world);
    if (!rank || !world) continue;
    p.world = number(l.world, *world, 1, 1 << 20);
    p.rank = number(l.rank, *rank, 0, p.world - 1);
    if (const auto local = get(l.local_rank)) p.local_rank = number(l.local_rank, *local, 0, 1 << 20);
    break;
  }
  if (p.world == 1) return p;
  p.port = kDefaultPort;
  if (const auto job = get("SLURM_JOB_ID")) {  // jobs that share a machine do not meet
    p.port = static_cast<std::uint16_t>(20000 + std::strtoull(job->c_str(), nullptr, 10) % 20000);
  }
  if (const auto port = get("MASTER_PORT")) {
    p.port = static_cast<std::uint16_t>(number("MASTER_PORT", *port, 1, 65535));
  }
  const auto of_step = get("SLURM_STEP_NODELIST"), of_job = get("SLURM_JOB_NODELIST");
  const auto local_size = get("OMPI_COMM_WORLD_LOCAL_SIZE"), local_ranks = get("MPI_LOCALNRANKS");
  if (const auto address = get("MASTER_ADDR")) {
    p.host = *address;
  } else if (of_step || of_job) {
    p.host = first_host(of_step ? *of_step : *of_job);
  } else if ((local_size && *local_size == std::to_string(p.world)) ||
             (local_ranks && *local_ranks == std::to_string(p.world))) {
    p.host = "127.0.0.1";  // all on this machine
  } else {
    throw UsageError(
        fmt::format("{} processes were started, but MASTER_ADDR does not say where rank 0 runs; set it (and "
                    "MASTER_PORT) for "
                    "all of them",
                    p.world));
  }
  if (get("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True") {
    p.store_runs = true;
    p.prefix = "/worker/attempt_" + get("TORCHELASTIC_RESTART_COUNT").value_or("0");
  }
  return p;
}

Place place_from_environment() {
  return place_from([](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  });
}

std::string gpu_name(const std::string& device, const Place& place, int visible) {
  if (place.world == 1) return device;
  if (device != "cuda") {
    throw UsageError(fmt::format("--device {} with {} processes: say cuda, and each takes its own GPU",
                                 device, place.world));
  }
  return visible == 1 ? device : fmt::format("cuda:{}", place.local_rank);
}

struct Group::Connections {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> host, device, statistics;
  c10::Device type = c10::kCPU;
  milliseconds timeout{0};
  bool has_failed = false;

  c10d::Backend& of(const at::Tensor& t) { return t.is_cpu() ? *host : *device; }
};

namespace {

std::shared_ptr<::gloo::transport::Device> gloo_device(const Place& place) {
  using Gloo = c10d::ProcessGroupGloo;
  if (const char* interface = std::getenv("GLOO_SOCKET_IFNAME"); interface != nullptr) {
    return Gloo::createDeviceForInterface(interface);
  }
  const bool is_local = place.host == "localhost" || place.host.starts_with("127.") || place.host == "::1";
  return is_local ? Gloo::createDeviceForHostname(place.host) : Gloo::createDefaultDevice();
}

c10::intrusive_ptr<c10d::Backend> gloo(const Place& place, const c10::intrusive_ptr<c10d::Store>& store,
                                       const char* name, milliseconds timeout) {
  auto options = c10d::ProcessGroupGloo::Options::create(timeout);
  options->devices.push_back(gloo_device(place));
  return c10::make_intrusive<c10d::ProcessGroupGloo>(c10::make_intrusive<c10d::PrefixStore>(name, store),
                                                     place.rank, place.world, options);
}

// The module beside this program; it links libtorch_cuda, which must be loaded before.
c10::intrusive_ptr<c10d::Backend> nccl(const Place& place, const c10::intrusive_ptr<c10d::Store>& store,
                                       const char* name, milliseconds timeout) {
  const auto module = std::filesystem::read_symlink("/proc/self/exe").parent_path() / kNcclModule;
  void* library = ::dlopen(module.c_str(), RTLD_NOW);
  auto* make = library == nullptr ? nullptr : reinterpret_cast<MakeNccl*>(::dlsym(library, kMakeNccl));
  if (make == nullptr) {
    throw UnavailableError(
        fmt::format("several GPUs need {} ({}); build the component where scripts/torch.sh --cuda has "
                    "installed NCCL's headers",
                    module.string(), ::dlerror()));
  }
  return make(c10::make_intrusive<c10d::PrefixStore>(name, store), place.rank, place.world, timeout);
}

// Until the key is there. One that ends instead of setting it says so.
void wait_for(c10d::Store& store, const std::string& key, milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (!store.check({key})) {
    if (store.check({kLeaving})) throw LostProcess("another process ended", LostProcess::Told::by_other);
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("no answer within the timeout");
    std::this_thread::sleep_for(milliseconds(20));
  }
}

}  // namespace

Group::Group(const Place& place, c10::Device device, seconds timeout) : place_(place) {
  if (is_alone()) return;
  connections_ = std::make_unique<Connections>();
  auto& c = *connections_;
  c.timeout = timeout;
  c.type = device;
  try {
    c10d::TCPStoreOptions options;
    options.port = place_.port;
    options.isServer = place_.rank == 0 && !place_.store_runs;
    options.numWorkers = static_cast<std::size_t>(place_.world);
    options.timeout = c.timeout;
    c.store = c10::make_intrusive<c10d::TCPStore>(place_.host, options);
    if (!place_.prefix.empty()) c.store = c10::make_intrusive<c10d::PrefixStore>(place_.prefix, c.store);
    c.store->set(fmt::format("place/{}", place_.rank), this_process());
    c.host = gloo(place_, c.store, "host", c.timeout);
    const auto make = device.is_cuda() ? nccl : gloo;
    c.device = device.is_cuda() ? make(place_, c.store, "device", c.timeout) : c.host;
    c.statistics = make(place_, c.store, "statistics", c.timeout);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    c.has_failed = true;
    throw UnavailableError(fmt::format(
        "rank {} of {}: the processes did not meet at {}:{} within {} s; are all of them started, with one "
        "MASTER_ADDR and MASTER_PORT? ({})",
        place_.rank, place_.world, place_.host, place_.port, timeout.count(), in_short(e.what())));
  }
}

Group::~Group() {
  if (!connections_ || !connections_->has_failed) return;
  // The others still ask the store who was lost.
  if (is_first() && !place_.store_runs) std::this_thread::sleep_for(seconds(2));
}

template <class F>
void Group::guarded(F&& f) {
  try {
    f();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& e) {
    lost(e.what());
  }
}

void Group::lost(const std::string& reason) {
  auto& c = *connections_;
  const auto head = fmt::format("rank {} of {}: ", place_.rank, place_.world);
  const std::string tail =
      fmt::format("; the last checkpoint is kept, --resume goes on from it ({})", in_short(reason));
  std::vector<std::string> missing;
  if (!leave()) throw LostProcess(head + "another process ended" + tail, LostProcess::Told::by_other);
  try {
    // Those that live notice too; they are given a moment to say so.
    const auto deadline = std::chrono::steady_clock::now() + seconds(4);
    do {
      std::this_thread::sleep_for(milliseconds(100));
      missing.clear();
      for (int r = 0; r < place_.world; ++r) {
        if (c.store->check({fmt::format("left/{}", r)})) continue;
        const auto place = c.store->get(fmt::format("place/{}", r));
        missing.push_back(fmt::format("rank {} ({})", r, std::string(place.begin(), place.end())));
      }
    } while (missing.size() > 1 && std::chrono::steady_clock::now() < deadline);
  } catch (const std::exception&) {
    missing = {place_.store_runs ? "torchrun's store" : "rank 0"};
  }
  const std::string who =
      missing.empty() ? "the connection to another process" : fmt::format("{}", fmt::join(missing, ", "));
  throw LostProcess(head + who + (missing.size() > 1 ? " were lost" : " was lost") + tail,
                    LostProcess::Told::by_this);
}

bool Group::leave() noexcept {
  if (is_alone()) return true;
  auto& c = *connections_;
  c.has_failed = true;
  try {
    // Closed connections are what the others notice. Taking a broken group apart may wait for what does not
    // come.
    std::thread([gone =
                     std::array{std::move(c.host), std::move(c.device), std::move(c.statistics)}]() mutable {
      for (auto& backend : gone) backend.reset();
    }).detach();
    c.store->setTimeout(seconds(5));
    c.store->set(fmt::format("left/{}", place_.rank), std::string("1"));
    return c.store->add(kLeaving, 1) == 1;
  } catch (const std::exception&) {
    return true;  // the store is gone: nobody else may say so
  }
}

void Group::sum(at::Tensor& t) {
  start_sum(t)();
}

// Gloo notices a lost neighbour by itself; that somebody further away has given up, the store says.
void Group::wait(c10d::Work& work) {
  auto& c = *connections_;
  guarded([&] {
    while (c.type.is_cpu()) {
      try {
        work.wait(seconds(1));
        return;
      } catch (const std::exception&) {
        if (work.isCompleted()) throw;
        if (c.store->check({kLeaving})) throw std::runtime_error("another process gave up");
      }
    }
    work.wait();
  });
}

std::function<void()> Group::start_sum(at::Tensor t) {
  if (is_alone()) return [] {};
  c10::intrusive_ptr<c10d::Work> work;
  guarded([&] {
    std::vector<at::Tensor> tensors{t};
    work = connections_->of(t).allreduce(tensors);
  });
  return [this, work, t] { wait(*work); };
}

at::Tensor Group::gather_statistics(const at::Tensor& t) {
  if (is_alone()) return t.unsqueeze(0);
  at::Tensor all = at::zeros({place_.world, t.numel()}, t.options());
  all[place_.rank].copy_(t);  // summed with the others' zeros, each row is its process's
  c10::intrusive_ptr<c10d::Work> work;
  guarded([&] {
    std::vector<at::Tensor> tensors{all};
    work = connections_->statistics->allreduce(tensors);
  });
  wait(*work);
  return all;
}

void Group::broadcast(at::Tensor& t) {
  if (is_alone()) return;
  c10::intrusive_ptr<c10d::Work> work;
  guarded([&] {
    std::vector<at::Tensor> tensors{t};
    work = connections_->of(t).broadcast(tensors);
  });
  wait(*work);
}

std::vector<std::string> Group::exchange(const std::string& key, const std::string& text) {
  if (is_alone()) return {text};
  std::vector<std::string> out;
  guarded([&] {
    auto& store = *connections_->store;
    store.set(fmt::format("{}/{}", key, place_.rank), text);
    for (int r = 0; r < place_.world; ++r) {
      const auto name = fmt::format("{}/{}", key, r);
      wait_for(store, name, connections_->timeout);
      const auto value = store.get(name);
      out.emplace_back(value.begin(), value.end());
    }
  });
  return out;
}

}  // namespace sam2unet::train
