// The CUDA backend on this machine's GPU: what the card can do, every product of a network on every kernel
// that takes it, where a forward pass spends its time, and how long it takes as a recorded graph. Ratios are
// to the card's own ceilings, measured in the same run.
//
//   bench_cuda [variant=l] [batch=64] [size=352] [element=bf16] [products]
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <map>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "model/gflop.h"
#include "model/network.h"
#include "model/weight_source.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/timed_ops.h"

namespace {

using namespace sam2unet;
using namespace sam2unet::ops::cuda;
using Clock = std::chrono::steady_clock;

struct Choice {
  std::string variant = "l";
  int batch = 64, size = 352;
  Element element = Element::bf16;
  bool products = false;
};

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Median seconds of one of `times` repetitions of `work`, recorded as a graph, after `warm` seconds of it: an
// idle card's clock is a fifth of a busy one's.
template <class Work>
double time_of(Stream& stream, int times, double warm, const Work& work) {
  work();
  stream.wait();
  const auto graph = stream.record([&] {
    for (int i = 0; i < times; ++i) work();
  });
  for (const auto begin = Clock::now(); seconds_since(begin) < warm;) {
    graph->launch();
    stream.wait();
  }
  std::vector<double> all;
  for (int i = 0; i < 5; ++i) {
    const auto begin = Clock::now();
    graph->launch();
    stream.wait();
    all.push_back(seconds_since(begin) / times);
  }
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

// Random numbers, since zeros are multiplied faster.
Memory random_elements(std::size_t count, Element e) {
  constexpr std::size_t kPeriod = 1000003;  // as many different ones
  std::vector<std::uint16_t> bits(count);
  std::minstd_rand random(7);
  for (std::size_t i = 0; i < count && i < kPeriod; ++i)
    bits[i] = to_bits(static_cast<float>(random() % 2001) * 1e-3F - 1.0F, e);
  for (std::size_t i = kPeriod; i < count; ++i) bits[i] = bits[i - kPeriod];
  Memory m(count * 2, MemoryKind::device);
  copy_now(m.data(), bits.data(), count * 2);
  return m;
}

const char* name_of(ProductWay way) {
  return way == ProductWay::mma ? "mma.sync" : way == ProductWay::warpgroups ? "wgmma" : "boxes";
}

struct Product {
  int rows, columns, depth, taps;
  auto operator<=>(const Product&) const = default;
};

ProductTask task_of(const Product& p, const Memory& left, const Memory& right, const Memory& bias,
                    const Memory& out) {
  ProductTask t;
  t.parts[0] = left.data();
  t.pitches[0] = t.part_width = p.depth;
  t.rows = p.rows;
  t.columns = p.columns;
  t.depth = p.depth;
  t.tap_rows = t.tap_columns = p.taps == 9 ? 3 : 1;
  t.height = t.width = 88;
  t.weights = right.data();
  t.weights_pitch = p.depth * p.taps;
  t.bias = reinterpret_cast<const float*>(bias.data());
  t.out = out.data();
  t.out_pitch = p.columns;
  return t;
}

double ceilings(Stream& stream, const DeviceInfo& device, Element e) {
  const std::size_t bytes = std::size_t{1} << 30;
  Memory a(bytes, MemoryKind::device), b(bytes, MemoryKind::device);
  const double copy = time_of(stream, 4, 0.3, [&] { stream.copy(b.data(), a.data(), bytes); });
  std::printf("%s  compute %d.%d  %d multiprocessors\n", device.name.c_str(), device.limits.major,
              device.limits.minor, device.limits.multiprocessors);
  std::printf("copy %.2f TB/s (read and written)\n", 2e-12 * static_cast<double>(bytes) / copy);
  const Product p{8192, 8064, 8192, 1};
  const Memory left = random_elements(std::size_t{8192} * 8192, e),
               right = random_elements(std::size_t{8192} * 8064, e);
  const Launcher l{device.limits, stream.handle()};
  double best = 0;
  for (const auto kernels : {mma_kernels(), warpgroup_kernels(), box_kernels()})
    for (const ProductKernel& k : kernels) {
      if (k.element != e || k.convolution || k.split > 1 || k.rows < 128 ||
          k.shared_bytes > device.limits.shared_bytes)
        continue;
      if (k.way != ProductWay::mma && device.limits.major != 9) continue;
      const ProductTask t = task_of(p, left, right, a, b);
      const double s = time_of(stream, 2, 0.02, [&] { launch_product(l, k, t); });
      const double rate = 2e-12 * p.rows * p.columns * p.depth / s;
      best = std::max(best, rate);
      std::printf("  8192 x 8064 x 8192 by %3dx%-3d %-9s %7.1f TFLOP/s\n", k.rows, k.columns, name_of(k.way),
                  rate);
    }
  return best;
}

// Every distinct product of the trunk, and the decoder's.
std::set<Product> products_of(const model::Config& c, int batch, int size) {
  std::set<Product> all;
  int pixels = batch * (size / 4) * (size / 4);
  for (const auto& b : c.blocks()) {
    all.insert({pixels, 3 * b.dim_out, b.dim_in, 1});
    if (b.attention.q_pool == 2) pixels /= 4;
    all.insert({pixels, b.dim_out, b.dim_out, 1});
    all.insert({pixels, 4 * b.dim_out, b.dim_out, 1});
    all.insert({pixels, b.dim_out, 4 * b.dim_out, 1});
  }
  const int base = batch * (size / 4) * (size / 4), d = c.decoder_width;
  all.insert({base, d, 2 * d, 9});
  all.insert({base, d, d, 9});
  all.insert({base, d, 4 * d, 9});
  return all;
}

// The largest difference of two results, relative to the largest number.
double difference(const std::vector<std::uint16_t>& a, const std::vector<std::uint16_t>& b, Element e) {
  double worst = 0, largest = 1e-30;
  const std::size_t step = a.size() / 500000 + 1;  // every so many, of all rows and columns in the end
  for (std::size_t i = 0; i < a.size(); i += step) {
    const double x = from_bits(a[i], e), d = std::abs(x - from_bits(b[i], e));
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
    largest = std::max(largest, std::abs(x));
  }
  return worst / largest;
}

std::vector<std::uint16_t> values_of(const Memory& m) {
  std::vector<std::uint16_t> v(m.bytes() / 2);
  copy_now(v.data(), m.data(), m.bytes());
  return v;
}

void time_products(Stream& stream, const DeviceInfo& device, const Choice& choice, const model::Config& c,
                   double best) {
  const Launcher l{device.limits, stream.handle()};
  for (const Product& p : products_of(c, choice.batch, choice.size)) {
    const auto rows = static_cast<std::size_t>(p.rows);
    const Memory left = random_elements(rows * static_cast<std::size_t>(p.depth), choice.element),
                 right = random_elements(
                     static_cast<std::size_t>(p.columns) * static_cast<std::size_t>(p.depth * p.taps),
                     choice.element),
                 out(rows * static_cast<std::size_t>(p.columns) * 2, MemoryKind::device),
                 bias = random_elements(static_cast<std::size_t>(p.columns) * 2, choice.element);
    const ProductKernel* chosen =
        choose_product(device.limits, choice.element, {p.rows, p.columns, p.depth, p.taps});
    std::vector<std::uint16_t> first;
    const Memory poison = random_elements(out.bytes() / 2, choice.element);
    std::printf("%7d x %4d x %4d%s, us:", p.rows, p.columns, p.depth, p.taps > 1 ? " x 9" : "");
    for (const auto kernels : {mma_kernels(), warpgroup_kernels(), box_kernels()})
      for (const ProductKernel& k : kernels) {
        if (k.element != choice.element || k.convolution != (p.taps > 1) ||
            k.shared_bytes > device.limits.shared_bytes)
          continue;
        if (k.way != ProductWay::mma && device.limits.major != 9) continue;
        if (choice.batch > 8 && k.rows < 128) continue;  // never the fastest then
        const ProductTask t = task_of(p, left, right, bias, out);
        stream.copy(out.data(), poison.data(), out.bytes());
        launch_product(l, k, t);
        stream.wait();
        if (first.empty()) {
          first = values_of(out);
        } else if (const double d = difference(first, values_of(out), choice.element); d > 1e-2) {
          std::printf(" WRONG by %.3g:", d);
        }
        const double s = time_of(stream, choice.batch > 8 ? 4 : 20, 0.02, [&] { launch_product(l, k, t); });
        const char* way = k.way == ProductWay::mma ? "" : k.way == ProductWay::warpgroups ? "w" : "b";
        std::printf(" %s%s%dx%d%s %.1f", &k == chosen ? "*" : "", way, k.rows, k.columns,
                    k.split == 1 ? "" : fmt::format("/{}", k.split).c_str(), 1e6 * s);
        if (&k == chosen) {
          std::printf(" (%.0f TFLOP/s, %.2f of the best)", 2e-12 * p.rows * p.columns * p.depth * p.taps / s,
                      2e-12 * p.rows * p.columns * p.depth * p.taps / s / best);
        }
      }
    std::printf("\n");
  }
}

void profile(CudaOps& o, const model::Network<CudaWeights>& net, const CudaTensor& image) {
  std::vector<ops::Timing> timings;
  std::map<std::string, std::map<std::string, std::pair<double, int>>> table;
  ops::TimedOps<CudaOps> timed(o, timings);
  std::size_t at = 0;
  std::string stage = "stage 1";
  const auto add = [&](const std::string& part) {
    for (; at < timings.size(); ++at) {
      auto& cell = table[part][std::string(ops::name_of(timings[at].kind))];
      cell.first += std::chrono::duration<double, std::micro>(timings[at].end - timings[at].begin).count();
      ++cell.second;
    }
  };
  const auto tell = [&](const char* what, int index, const auto&) {
    const std::string name = what;
    if (name == "block") add(stage);
    if (name == "stage") stage = "stage " + std::to_string(index + 1);
    if (name == "rfb") add("neck " + std::to_string(index));
    if (name == "up") add("up " + std::to_string(index));
  };
  model::sam2unet(timed, net, image, model::Sides::none, tell);
  add("head");
  std::printf("operation by operation, each waited for, us:\n");
  for (const auto& [part, kinds] : table) {
    std::printf("  %-8s", part.c_str());
    for (const auto& [kind, value] : kinds)
      std::printf("  %s %.0f (%d)", kind.c_str(), value.first, value.second);
    std::printf("\n");
  }
}

void forward(const Choice& choice, const DeviceInfo& device, const model::Config& config, double best) {
  model::DeterministicWeights source;
  DeviceStore store;
  CudaWeights weights(source, store, choice.element);
  const auto net = model::Network<CudaWeights>::make(weights, config);
  CudaOps o(device, choice.element);
  const ops::Extent input{choice.batch, choice.size, choice.size, 3};
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(input.numel()));
  std::minstd_rand random(3);
  for (auto& b : bytes) b = static_cast<std::uint8_t>(random());
  Memory there(bytes.size(), MemoryKind::device);
  copy_now(there.data(), bytes.data(), bytes.size());
  const CudaTensor image = o.pictures(reinterpret_cast<const std::uint8_t*>(there.data()), input);
  model::sam2unet(o, net, image);
  o.finish();
  profile(o, net, image);
  const double s = time_of(o.stream(), 1, 0.5, [&] { model::sam2unet(o, net, image); });
  const double gflop = model::network_gflop(config, input);
  std::printf("%s batch %d: %.3f ms, %.1f pictures/s, %.0f TFLOP/s%s; memory %.2f GB, weights %.2f GB\n",
              choice.variant.c_str(), choice.batch, 1e3 * s, choice.batch / s, 1e-3 * gflop / s,
              best > 0 ? fmt::format(", {:.2f} of the best product", 1e-3 * gflop / s / best).c_str() : "",
              1e-9 * static_cast<double>(o.arena_bytes()), 1e-9 * static_cast<double>(store.bytes()));
}

void run(const Choice& choice) {
  const DeviceInfo device = find_device("cuda");
  const DeviceScope scope(device.index);
  prepare_kernels(device.limits);
  const auto config = model::Config::of_variant(choice.variant);
  double best = 0;
  if (choice.products) {
    Stream stream;
    best = ceilings(stream, device, choice.element);
    time_products(stream, device, choice, config, best);
  }
  forward(choice, device, config, best);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    Choice c;
    if (argc > 1) c.variant = argv[1];
    if (argc > 2) c.batch = std::stoi(argv[2]);
    if (argc > 3) c.size = std::stoi(argv[3]);
    if (argc > 4) c.element = std::string(argv[4]) == "f16" ? Element::f16 : Element::bf16;
    c.products = argc > 5;
    run(c);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "bench_cuda: %s\n", e.what());
    return 1;
  }
}
