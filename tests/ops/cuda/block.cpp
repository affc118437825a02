#include "block.h"

#include <fmt/format.h>

#include <algorithm>

namespace sam2unet::ops::cuda::device {
namespace {

constexpr std::size_t marks_behind = 4096;
constexpr unsigned char mark = 0xa5;
#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t stack_bytes = std::size_t{256} << 10;
#else
constexpr std::size_t stack_bytes = std::size_t{96} << 10;
#endif

thread_local Block* current = nullptr;

struct Running {
  explicit Running(Block& block) { current = &block; }
  ~Running() { current = nullptr; }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
};

}  // namespace

const char* name_of(Wait w) {
  switch (w) {
    case Wait::none:
      return "running";
    case Wait::block:
      return "sync_threads";
    case Wait::cluster:
      return "sync_cluster";
    case Wait::warp:
      return "sync_warp";
    case Wait::shuffle:
      return "shuffle_xor";
    case Wait::matrix:
      return "load_matrix";
    case Wait::product:
      return "multiply_add";
    case Wait::ended:
      return "the end";
  }
  return "";
}

Block& here() {
  if (current == nullptr) throw Fault("a device function is called outside of launch()");
  return *current;
}

Block::Block(const Launch& launch, const std::function<void()>& kernel)
    : launch_(launch),
      kernel_(kernel),
      stacks_(new std::byte[stack_bytes * static_cast<std::size_t>(launch.threads)]),
      lanes_(static_cast<std::size_t>(launch.threads)),
      warp_barriers_(lanes_.size() / warp_lanes) {
  fibers_.reserve(lanes_.size());
  for (std::size_t i = 0; i < lanes_.size(); i++)
    fibers_.emplace_back(stacks_.get() + i * stack_bytes, stack_bytes);
  memory_.resize(launch.shared_bytes + marks_behind + 1024);
  const auto address = reinterpret_cast<std::uintptr_t>(memory_.data());
  shared_ = memory_.data() + (1024 - address % 1024) % 1024;
}

void Block::lane_body(void* self) {
  auto& block = *static_cast<Block*>(self);
  Lane& lane = *block.lane_;
  try {
    block.kernel_();
  } catch (...) {
    lane.thrown = std::current_exception();
  }
  lane.wait = Wait::ended;
  block.fibers_[static_cast<std::size_t>(lane.thread)].leave();
}

void Block::wait(Wait what, std::uint32_t variant) {
  Lane& lane = *lane_;
  lane.wait = what;
  lane.variant = variant;
  fibers_[static_cast<std::size_t>(lane.thread)].yield();
}

void Block::fault(const Lane& lane, const std::string& what) const {
  throw Fault(fmt::format("block ({}, {}, {}) thread {} (warp {} lane {}): {}", index[0], index[1], index[2],
                          lane.thread, lane.thread / warp_lanes, lane.thread % warp_lanes, what));
}

Moment Block::moment(const Lane& lane) const {
  return {.thread = lane.thread,
          .block_barriers = barriers_,
          .warp_barriers = warp_barriers_[static_cast<std::size_t>(lane.thread / warp_lanes)],
          .cluster_barriers = cluster_barriers_};
}

bool Block::is_shared(const void* p) const {
  const auto a = reinterpret_cast<std::uintptr_t>(p),
             first = reinterpret_cast<std::uintptr_t>(memory_.data());
  return a >= first && a < first + memory_.size();
}

void Block::check_alignment(const void* p, int alignment, const char* what) const {
  if (reinterpret_cast<std::uintptr_t>(p) % static_cast<std::uintptr_t>(alignment) != 0) {
    fault(*lane_, fmt::format("{}: the address is no multiple of {}", what, alignment));
  }
}

std::size_t Block::offset(const void* p, int bytes, const Lane& lane, const char* what) const {
  const auto at = reinterpret_cast<std::intptr_t>(p) - reinterpret_cast<std::intptr_t>(shared_);
  if (at < 0 || at + bytes > static_cast<std::intptr_t>(launch_.shared_bytes)) {
    fault(lane, fmt::format("{}: {} bytes at {} of the block's {} bytes of shared memory", what, bytes, at,
                            launch_.shared_bytes));
  }
  return static_cast<std::size_t>(at);
}

void Block::read(const void* p, int bytes, int alignment) {
  check_alignment(p, alignment, "load");
  if (!is_shared(p)) return;
  const std::string wrong =
      cells_.read(offset(p, bytes, *lane_, "load"), static_cast<std::size_t>(bytes), moment(*lane_));
  if (!wrong.empty()) fault(*lane_, wrong);
}

void Block::write(void* p, int bytes, int alignment) {
  check_alignment(p, alignment, "store");
  if (!is_shared(p)) return;
  const std::string wrong =
      cells_.write(offset(p, bytes, *lane_, "store"), static_cast<std::size_t>(bytes), moment(*lane_));
  if (!wrong.empty()) fault(*lane_, wrong);
}

void Block::copy(void* to, const void* from, bool valid) {
  check_alignment(to, 16, "copy_async_16 to");
  check_alignment(from, 16, "copy_async_16 from");
  const std::size_t at = offset(to, 16, *lane_, "copy_async_16");
  if (const std::string wrong = cells_.begin_copy(at, 16, moment(*lane_)); !wrong.empty())
    fault(*lane_, wrong);
  if (valid) {  // the source must be readable now, under AddressSanitizer too, and is read when the bytes
                // arrive
    if (is_shared(from)) fault(*lane_, "copy_async_16: from shared memory");
    std::memcpy(to, from, 16);
  }
  std::memset(to, 0xff, 16);
  lane_->uncommitted.push_back({static_cast<unsigned char*>(to), valid ? from : nullptr});
  counters_.copies++;
}

void Block::wait_async(int groups) {
  Lane& lane = *lane_;
  while (lane.groups.size() > static_cast<std::size_t>(groups)) {
    for (const Copy& c : lane.groups.front()) {
      if (c.from != nullptr) {
        std::memcpy(c.to, c.from, 16);
      } else {
        std::memset(c.to, 0, 16);
      }
      cells_.arrive(static_cast<std::size_t>(c.to - shared_), 16, moment(lane));
    }
    lane.groups.pop_front();
  }
}

/// What all lanes of the warp wait for.
Wait Block::meeting(int warp) const {
  const Lane* lanes = &lanes_[static_cast<std::size_t>(warp) * warp_lanes];
  for (int l = 1; l < warp_lanes; l++) {
    if (lanes[l].wait != lanes[0].wait) {
      fault(lanes[l],
            fmt::format("at {} while lane 0 is at {}", name_of(lanes[l].wait), name_of(lanes[0].wait)));
    }
    if (lanes[l].variant != lanes[0].variant) {
      fault(lanes[l], fmt::format("another form of {} than lane 0", name_of(lanes[l].wait)));
    }
  }
  return lanes[0].wait;
}

/// Runs the warp to its next sync_threads or sync_cluster, or its end: which of them.
Wait Block::run_warp(int warp) {
  for (;;) {
    for (int i = 0; i < warp_lanes; i++) {
      const int l = launch_.reversed ? warp_lanes - 1 - i : i;
      const auto thread = static_cast<std::size_t>(warp * warp_lanes + l);
      lane_ = &lanes_[thread];
      fibers_[thread].resume();
      if (lane_->thrown) std::rethrow_exception(lane_->thrown);
    }
    const Wait what = meeting(warp);
    if (what == Wait::ended) check_end(warp);
    if (what == Wait::ended || what == Wait::block || what == Wait::cluster) return what;
    compute(warp, what);
  }
}

void Block::check_end(int warp) const {
  for (int l = 0; l < warp_lanes; l++) {
    const auto thread = static_cast<std::size_t>(warp * warp_lanes + l);
    const Lane& lane = lanes_[thread];
    const bool copying = !lane.uncommitted.empty() || std::any_of(lane.groups.begin(), lane.groups.end(),
                                                                  [](const auto& g) { return !g.empty(); });
    if (copying) fault(lane, "ends while a cp.async of its own is under way");
    if (!fibers_[thread].stack_is_whole()) fault(lane, "the emulator's stack is too small");
  }
}

void Block::begin(int x, int y, int z, std::vector<std::unique_ptr<Block>>* cluster) {
  index = {x, y, z};
  cluster_ = cluster;
  has_ended_ = false;
  std::fill_n(shared_, launch_.shared_bytes, static_cast<unsigned char>(0xff));
  std::fill_n(shared_ + launch_.shared_bytes, marks_behind, mark);
  cells_.reset(launch_.shared_bytes);
  barriers_ = cluster_barriers_ = 0;
  std::fill(warp_barriers_.begin(), warp_barriers_.end(), 0U);
  for (std::size_t i = 0; i < lanes_.size(); i++) {
    lanes_[i] = {};
    lanes_[i].thread = static_cast<int>(i);
    fibers_[i].start(&Block::lane_body, this);
  }
}

/// Runs all warps from one sync_threads to the next, up to the first that is none.
Wait Block::run_warps() {
  const Running running(*this);
  const int warps = static_cast<int>(warp_barriers_.size());
  Wait all = Wait::block;
  while (all == Wait::block) {
    for (int i = 0; i < warps; i++) {
      const int warp = launch_.reversed ? warps - 1 - i : i;
      const Wait what = run_warp(warp);
      if (i == 0) all = what;
      if (what == all) continue;
      const Lane& lane = lanes_[static_cast<std::size_t>(warp * warp_lanes)];
      fault(lane, fmt::format("at {} while other warps of the block are at {}", name_of(what), name_of(all)));
    }
    barriers_++;
    if (all == Wait::block) counters_.barriers++;
  }
  return all;
}

Wait Block::proceed() {
  const Wait all = run_warps();
  if (all == Wait::cluster) return all;
  has_ended_ = true;
  counters_.blocks++;
  const unsigned char* behind = shared_ + launch_.shared_bytes;
  if (!std::all_of(behind, behind + marks_behind, [](unsigned char b) { return b == mark; })) {
    fault(lanes_[0], "somebody wrote behind the block's shared memory");
  }
  return all;
}

void Block::pass_cluster_barrier() {
  cluster_barriers_++;
  counters_.barriers++;
}

float Block::load_from_cluster(const float* p, int rank) {
  if (rank < 0 || rank >= static_cast<int>(cluster_->size()))
    fault(*lane_, "load_from_cluster: no such block");
  const std::size_t at = offset(p, 4, *lane_, "load_from_cluster");
  Block& other = *(*cluster_)[static_cast<std::size_t>(rank)];
  if (&other == this) {
    read(p, 4, 4);
    return *p;
  }
  if (other.has_ended_) fault(*lane_, "load_from_cluster: the other block has ended");
  const std::string wrong = other.cells_.read_from_outside(at, 4, cluster_barriers_);
  if (!wrong.empty()) fault(*lane_, wrong);
  float v = 0;
  std::memcpy(&v, other.shared_ + at, 4);
  return v;
}

void Block::compute(int warp, Wait what) {
  Lane* lanes = &lanes_[static_cast<std::size_t>(warp) * warp_lanes];
  switch (what) {
    case Wait::warp:
      warp_barriers_[static_cast<std::size_t>(warp)]++;
      break;
    case Wait::shuffle:
      shuffle(lanes);
      break;
    case Wait::matrix:
      load_matrices(lanes);
      break;
    case Wait::product:
      multiply(lanes);
      break;
    case Wait::none:
    case Wait::block:
    case Wait::cluster:
    case Wait::ended:
      break;
  }
}

void Block::shuffle(Lane* lanes) {
  std::array<float, warp_lanes> values{};
  for (int l = 0; l < warp_lanes; l++) {
    if (lanes[l].mask < 0 || lanes[l].mask >= warp_lanes)
      fault(lanes[l], "shuffle_xor: the mask is not below 32");
    values[static_cast<std::size_t>(l)] = lanes[l ^ lanes[l].mask].value;
  }
  for (int l = 0; l < warp_lanes; l++) lanes[l].value = values[static_cast<std::size_t>(l)];
}

void Block::read_row(const Lane& lane, std::uint32_t (&words)[4]) {
  if (reinterpret_cast<std::uintptr_t>(lane.address) % 16 != 0) {
    fault(lane, "load_matrix: the row's address is no multiple of 16");
  }
  const std::size_t at = offset(lane.address, 16, lane, "load_matrix");
  if (const std::string wrong = cells_.read_by_warp(at, 16, moment(lane)); !wrong.empty()) fault(lane, wrong);
  std::memcpy(words, lane.address, 16);
}

/// Eight rows come in one wavefront where they lie in eight different sixteenths of 128 bytes, or are the
/// same row.
void Block::count_banks(const Lane* rows) {
  int worst = 1;
  for (int i = 0; i < 8; i++) {
    int same = 1;
    for (int j = 0; j < i; j++) {
      const auto a = reinterpret_cast<std::uintptr_t>(rows[i].address);
      const auto b = reinterpret_cast<std::uintptr_t>(rows[j].address);
      if (a != b && a % 128 == b % 128) same++;
    }
    worst = std::max(worst, same);
  }
  counters_.matrix_phases++;
  counters_.extra_wavefronts += worst - 1;
}

void Block::load_matrices(Lane* lanes) {
  const int count = static_cast<int>(lanes[0].variant >> 1);
  const bool transposed = (lanes[0].variant & 1U) != 0;
  for (int m = 0; m < count; m++) {
    std::uint32_t words[8][4];
    for (int row = 0; row < 8; row++) read_row(lanes[8 * m + row], words[row]);
    count_banks(lanes + 8 * m);
    const auto element = [&](int row, int column) {
      return (words[row][column / 2] >> (16 * (column % 2))) & 0xffffU;
    };
    for (int l = 0; l < warp_lanes; l++) {
      const int i = l / 4, j = 2 * (l % 4);
      lanes[l].registers[m] =
          transposed ? element(j, i) | (element(j + 1, i) << 16) : element(i, j) | (element(i, j + 1) << 16);
    }
  }
}

void Block::multiply(Lane* lanes) {
  const int k = static_cast<int>(lanes[0].variant >> 8);
  const auto e = static_cast<Element>(lanes[0].variant & 0xffU);
  float a[16][16], b[16][8], c[16][8];
  const auto half = [&](std::uint32_t v, int i) {
    return from_bits(static_cast<std::uint16_t>(v >> (16 * i)), e);
  };
  for (int l = 0; l < warp_lanes; l++) {
    const int row = l / 4, column = 2 * (l % 4);
    for (int i = 0; i < 2; i++) {
      for (int part = 0; part < k / 8; part++) {
        const auto p = static_cast<std::size_t>(part);
        a[row][8 * part + column + i] = half(lanes[l].a[2 * p], i);
        a[row + 8][8 * part + column + i] = half(lanes[l].a[2 * p + 1], i);
        b[8 * part + column + i][row] = half(lanes[l].b[p], i);
      }
      c[row][column + i] = lanes[l].c[i];
      c[row + 8][column + i] = lanes[l].c[2 + i];
    }
  }
  // The product of two 16-bit numbers is exact in float32, so this is a chain of fused multiply-adds.
  for (int row = 0; row < 16; row++) {
    for (int i = 0; i < k; i++) {
      for (int column = 0; column < 8; column++) c[row][column] += a[row][i] * b[i][column];
    }
  }
  for (int l = 0; l < warp_lanes; l++) {
    const int row = l / 4, column = 2 * (l % 4);
    for (int i = 0; i < 2; i++) {
      lanes[l].c[i] = c[row][column + i];
      lanes[l].c[2 + i] = c[row + 8][column + i];
    }
  }
  (k == 16 ? counters_.products : counters_.products_k8)++;
}

}  // namespace sam2unet::ops::cuda::device
