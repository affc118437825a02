#include "emulator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "ops/cuda/device.h"

namespace sam2unet::ops::cuda {
namespace {

using namespace device;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

/// What the launch is refused with; "" where it is not.
template <class Kernel>
std::string fault_of(int threads, std::size_t shared_bytes, const Kernel& kernel) {
  try {
    launch({}, threads, shared_bytes, kernel);
  } catch (const Fault& f) {
    return f.what();
  }
  return {};
}

std::vector<std::uint16_t> random_numbers(std::size_t n, Element e, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<std::uint16_t> v(n);
  for (auto& x : v) x = to_bits(normal(random), e);
  return v;
}

/// [16,depth] by [8,depth] to [16,8] as the kernels do it: rows to shared memory, ldmatrix, mma.
template <Element E>
void product_16_by_8(const std::uint16_t* left, const std::uint16_t* right, float* out, int depth) {
  const int lane = thread_index() % 32, pitch = depth + 8;
  auto* a = reinterpret_cast<std::uint16_t*>(shared_memory());
  std::uint16_t* b = a + 16 * pitch;
  for (int piece = lane; piece < 24 * depth / 8; piece += 32) {
    const int row = piece / (depth / 8), column = piece % (depth / 8) * 8;
    const std::uint16_t* from = row < 16 ? left + row * depth : right + (row - 16) * depth;
    copy_async_16(a + row * pitch + column, from + column, true);
  }
  commit_async();
  wait_async<0>();
  sync_warp();
  float c[4] = {};
  int k = 0;
  for (; k + 16 <= depth; k += 16) {
    std::uint32_t x[4], y[2];
    load_matrix_x4(x, a + lane % 16 * pitch + k + lane / 16 * 8);
    load_matrix_x2(y, b + lane % 8 * pitch + k + lane / 8 % 2 * 8);
    multiply_add<E>(c, x, y[0], y[1]);
  }
  if (k < depth) {
    std::uint32_t x[2], y[2];
    load_matrix_x2(x, a + lane % 16 * pitch + k);
    load_matrix_x2(y, b + lane % 8 * pitch + k);  // the second is not used
    multiply_add_k8<E>(c, x[0], x[1], y[0]);
  }
  const int row = lane / 4, column = 2 * (lane % 4);
  for (int i = 0; i < 4; i++) out[(row + i / 2 * 8) * 8 + column + i % 2] = c[i];
}

template <Element E>
void check_product(int depth) {
  const auto left = random_numbers(static_cast<std::size_t>(16 * depth), E, 1);
  const auto right = random_numbers(static_cast<std::size_t>(8 * depth), E, 2);
  std::vector<float> out(16 * 8), expected(16 * 8);
  const Counters c = launch({}, 32, static_cast<std::size_t>(24 * (depth + 8) * 2),
                            [&] { product_16_by_8<E>(left.data(), right.data(), out.data(), depth); });
  for (int m = 0; m < 16; m++) {
    for (int n = 0; n < 8; n++) {
      float sum = 0;
      for (int k = 0; k < depth; k++) {
        sum += from_bits(left[static_cast<std::size_t>(m * depth + k)], E) *
               from_bits(right[static_cast<std::size_t>(n * depth + k)], E);
      }
      expected[static_cast<std::size_t>(m * 8 + n)] = sum;
    }
  }
  EXPECT_EQ(out, expected);
  EXPECT_EQ(c.products, depth / 16);
  EXPECT_EQ(c.products_k8, depth % 16 / 8);
  EXPECT_EQ(c.copies, 24 * depth / 8);
}

TEST(Emulator, AProductOfFragmentsIsTheNaiveSumToTheBit) {
  check_product<Element::bf16>(64);
  check_product<Element::f16>(64);
  check_product<Element::bf16>(72);
  check_product<Element::f16>(56);
}

TEST(Emulator, RowsAtANineTimes16BytePitchAreFreeOfBankConflictsAndAt128BytesTheyCollide) {
  const auto conflicts = [](int pitch_bytes) {
    return launch({}, 32, static_cast<std::size_t>(8 * pitch_bytes),
                  [&] {
                    std::uint32_t r[2];
                    load_matrix_x2(r, shared_memory() + thread_index() % 8 * pitch_bytes);
                  })
        .extra_wavefronts;
  };
  EXPECT_EQ(conflicts(144), 0);
  EXPECT_EQ(conflicts(208), 0);
  EXPECT_EQ(conflicts(192), 2 * 3);  // two matrices, four rows in the same banks
  EXPECT_EQ(conflicts(128), 2 * 7);
}

TEST(Emulator, TransposedMatricesHoldColumns) {
  launch({}, 32, 32 * 16, [] {
    const int lane = thread_index();
    Bytes16 row;
    for (int i = 0; i < 4; i++) {
      row.v[i] = static_cast<std::uint32_t>((100 * lane + 2 * i) | (100 * lane + 2 * i + 1) << 16);
    }
    store_16(shared_memory() + 16 * lane, row);
    sync_warp();
    std::uint32_t plain[4], transposed[4], two[2];
    load_matrix_x4(plain, shared_memory() + 16 * lane);
    load_matrix_x4_transposed(transposed, shared_memory() + 16 * lane);
    load_matrix_x2_transposed(two, shared_memory() + 16 * (lane % 16));
    for (int m = 0; m < 4; m++) {
      const int i = lane / 4, j = 2 * (lane % 4);
      EXPECT_EQ(plain[m] & 0xffffU, static_cast<unsigned>(100 * (8 * m + i) + j));
      EXPECT_EQ(plain[m] >> 16, static_cast<unsigned>(100 * (8 * m + i) + j + 1));
      EXPECT_EQ(transposed[m] & 0xffffU, static_cast<unsigned>(100 * (8 * m + j) + i));
      EXPECT_EQ(transposed[m] >> 16, static_cast<unsigned>(100 * (8 * m + j + 1) + i));
      if (m < 2) {
        EXPECT_EQ(two[m], transposed[m]);
      }
    }
  });
}

TEST(Emulator, ShufflesExchangeAndBlocksKnowTheirPlace) {
  std::vector<float> sums(2 * 3 * 4 * 64);
  const Counters c = launch({2, 3, 4}, 64, 0, [&] {
    float v = static_cast<float>(thread_index());
    for (int mask = 16; mask > 0; mask /= 2) v += shuffle_xor(v, mask);
    const int block = (block_z() * 3 + block_y()) * 2 + block_x();
    sums[static_cast<std::size_t>(block * 64 + thread_index())] = v + static_cast<float>(10000 * block);
  });
  for (std::size_t i = 0; i < sums.size(); i++) {
    EXPECT_EQ(sums[i], static_cast<float>((i % 64 < 32 ? 496 : 1520) + 10000 * (i / 64)));
  }
  EXPECT_EQ(c.blocks, 24);
}

TEST(Emulator, SharedMemoryBeginsAsNoNumberAndIsAligned) {
  launch({}, 32, 64, [] {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(shared_memory()) % 1024, 0U);
    EXPECT_TRUE(std::isnan(*reinterpret_cast<const float*>(shared_memory() + 60)));
  });
}

TEST(Emulator, CopiesArriveWithTheWaitThatCoversThem) {
  alignas(16) std::array<std::uint16_t, 24> from{};
  from.fill(0x3c00);
  const auto first = [](int i) { return *reinterpret_cast<const std::uint16_t*>(shared_memory() + 16 * i); };
  launch({}, 32, 64, [&] {
    if (thread_index() == 0) {
      for (int i = 0; i < 3; i++) {
        copy_async_16(shared_memory() + 16 * i, from.data() + 8 * i, i != 1);
        commit_async();
      }
      copy_async_16(shared_memory() + 48, from.data(), true);
      EXPECT_EQ(first(0), 0xffff);
      wait_async<2>();
      EXPECT_EQ(first(0), 0x3c00);
      EXPECT_EQ(first(1), 0xffff);
      wait_async<0>();
      EXPECT_EQ(first(1), 0);
      EXPECT_EQ(first(2), 0x3c00);
      EXPECT_EQ(first(3), 0xffff) << "not committed";
      commit_async();
      wait_async<0>();
      EXPECT_EQ(first(3), 0x3c00);
    }
  });
}

TEST(Emulator, WhatIsNotWaitedForIsAFault) {
  alignas(16) std::array<std::uint16_t, 8> from{};
  EXPECT_THAT(fault_of(32, 512,
                       [&] {
                         copy_async_16(shared_memory() + 16 * thread_index(), from.data(), true);
                         commit_async();
                         load_16(shared_memory() + 16 * thread_index());
                       }),
              AllOf(HasSubstr("thread 0"), HasSubstr("cp.async"), HasSubstr("under way")));
  EXPECT_THAT(fault_of(32, 512,
                       [&] {
                         copy_async_16(shared_memory() + 16 * thread_index(), from.data(), true);
                         commit_async();
                       }),
              HasSubstr("ends while a cp.async"));
  EXPECT_THAT(fault_of(32, 512,
                       [&] {  // a barrier is needed beside the wait
                         copy_async_16(shared_memory() + 16 * thread_index(), from.data(), true);
                         commit_async();
                         wait_async<0>();
                         std::uint32_t r[4];
                         load_matrix_x4(r, shared_memory() + 16 * thread_index());
                       }),
              HasSubstr("without a barrier after thread 0 wrote it"));
}

TEST(Emulator, LanesThatPartAreAFault) {
  EXPECT_THAT(fault_of(32, 0, [] { thread_index() < 7 ? sync_warp() : sync_threads(); }),
              AllOf(HasSubstr("thread 7"), HasSubstr("at sync_threads while lane 0 is at sync_warp")));
  EXPECT_THAT(fault_of(64, 0,
                       [] {
                         if (thread_index() != 40) sync_threads();
                       }),
              AllOf(HasSubstr("warp 1 lane 8"), HasSubstr("the end")));
  EXPECT_THAT(fault_of(64, 0,
                       [] {
                         if (thread_index() < 32) sync_threads();
                       }),
              AllOf(HasSubstr("at the end"), HasSubstr("at sync_threads")));
  EXPECT_THAT(fault_of(32, 1024,
                       [] {
                         std::uint32_t r[4], s[2];
                         thread_index() < 5 ? load_matrix_x4(r, shared_memory())
                                            : load_matrix_x2(s, shared_memory());
                       }),
              HasSubstr("another form of load_matrix"));
}

TEST(Emulator, AddressesAreChecked) {
  alignas(16) std::array<unsigned char, 64> global{};
  EXPECT_THAT(fault_of(32, 64, [&] { copy_async_16(shared_memory() + 8, global.data(), true); }),
              HasSubstr("no multiple of 16"));
  EXPECT_THAT(fault_of(32, 64, [&] { copy_async_16(shared_memory(), global.data() + 4, true); }),
              HasSubstr("no multiple of 16"));
  EXPECT_THAT(fault_of(32, 64, [&] { load_16(global.data() + 8); }), HasSubstr("no multiple of 16"));
  EXPECT_THAT(fault_of(32, 64, [&] { store_16(shared_memory() + 64, {}); }), HasSubstr("16 bytes at 64 of"));
  EXPECT_THAT(fault_of(32, 64,
                       [&] {
                         std::uint32_t r[4];
                         load_matrix_x4(r, global.data());
                       }),
              HasSubstr("load_matrix: 16 bytes at"));
  EXPECT_THAT(fault_of(32, 64, [] { shared_memory()[70] = 1; }), HasSubstr("behind"));
}

// Which of two accesses the message names depends on the order of lanes.
TEST(Emulator, AccessesWithoutABarrierBetweenAreFaults) {
  const auto own = [] { return shared_memory() + 16 * thread_index(); };
  const auto others = [](int by) { return shared_memory() + 16 * (thread_index() ^ by); };
  EXPECT_THAT(fault_of(64, 1024,
                       [&] {
                         store_16(own(), {});
                         sync_warp();
                         load_16(others(32));
                       }),
              HasSubstr("without a barrier"));
  EXPECT_THAT(fault_of(32, 512,
                       [&] {
                         store_16(own(), {});
                         load_16(others(1));
                       }),
              HasSubstr("without a barrier"));
  EXPECT_THAT(fault_of(64, 1024,
                       [&] {
                         store_16(own(), {});
                         sync_threads();
                         load_16(others(32));
                         store_16(own(), {});
                       }),
              HasSubstr("is read without a barrier after thread 0 wrote it"));
  EXPECT_THAT(fault_of(64, 1024,
                       [&] {  // warp 0 reads what warp 1 then writes
                         if (thread_index() < 32) load_16(own());
                         if (thread_index() >= 32) store_16(others(32), {});
                       }),
              HasSubstr("is written without a barrier after thread 0 read it"));
  EXPECT_THAT(fault_of(32, 512, [&] { store_16(shared_memory(), {}); }),
              HasSubstr("after thread 0 wrote it"));
  EXPECT_EQ(fault_of(64, 1024,
                     [&] {
                       store_16(own(), {});
                       sync_warp();
                       load_16(others(1));
                       sync_warp();
                       store_16(own(), {});
                       sync_threads();
                       load_16(others(32));
                       load_16(others(1));
                       sync_threads();
                       store_16(others(32), {});
                     }),
            "");
}

TEST(Emulator, BlocksOfAClusterReadEachOther) {
  const auto run = [](const auto& kernel) -> std::string {
    Launch l;
    l.grid = {4, 2, 1};
    l.shared_bytes = 512;
    l.cluster = 2;
    try {
      launch(l, kernel);
    } catch (const Fault& f) {
      return f.what();
    }
    return {};
  };
  const auto put = [](float v) {
    store_16(shared_memory() + 16 * thread_index(), {{std::bit_cast<std::uint32_t>(v), 0, 0, 0}});
  };
  const auto get = [](int rank) {
    return load_from_cluster(reinterpret_cast<const float*>(shared_memory() + 16 * thread_index()), rank);
  };
  EXPECT_EQ(run([&] {
              put(static_cast<float>(100 * block_x() + thread_index()));
              sync_cluster();
              EXPECT_EQ(rank_in_cluster(), block_x() % 2);
              EXPECT_EQ(get(1), static_cast<float>(100 * (block_x() / 2 * 2 + 1) + thread_index()));
              EXPECT_EQ(get(0), static_cast<float>(100 * (block_x() / 2 * 2) + thread_index()));
              sync_cluster();
              put(0);
            }),
            "");
  EXPECT_THAT(run([&] {
                put(1);
                get(1 - rank_in_cluster());
                sync_cluster();
              }),
              AnyOf(HasSubstr("without sync_cluster"), HasSubstr("has ended")));
  EXPECT_THAT(run([&] {
                put(1);
                sync_cluster();
                get(1 - rank_in_cluster());
                sync_threads();
                put(2);  // the other may still be reading
                sync_cluster();
              }),
              HasSubstr("without sync_cluster"));
  EXPECT_THAT(run([&] {
                put(1);
                sync_cluster();
                get(1 - rank_in_cluster());  // and the other may have ended
              }),
              HasSubstr("has ended"));
  EXPECT_THAT(run([&] {
                if (rank_in_cluster() == 0) sync_cluster();
              }),
              HasSubstr("blocks of one cluster"));
}

TEST(Emulator, AnotherOrderOfLanesShowsWhatDependsOnIt) {
  const auto first_value = [](bool reversed) {
    float seen = 0;
    launch({.grid = {}, .threads = 64, .shared_bytes = 4, .cluster = 1, .reversed = reversed}, [&] {
      auto* v = reinterpret_cast<float*>(shared_memory());
      *v = static_cast<float>(thread_index());  // by a plain pointer: not seen
      sync_threads();
      seen = *v;
    });
    return seen;
  };
  EXPECT_EQ(first_value(false), 63);
  EXPECT_EQ(first_value(true), 0);
}

TEST(Emulator, WhatAKernelThrowsComesOut) {
  EXPECT_THROW(launch({5, 1, 1}, 32, 0,
                      [] {
                        if (block_x() == 3 && thread_index() == 9) throw std::out_of_range("x");
                      }),
               std::out_of_range);
  EXPECT_THROW(launch({}, 33, 0, [] {}), Fault);
  EXPECT_THROW(launch({}, 32, std::size_t{1} << 20, [] {}), Fault);
  EXPECT_THROW(thread_index(), Fault);
}

TEST(Elements, RoundToTheNearestAndBack) {
  for (std::uint32_t i = 0; i < 65536; i++) {
    const auto h = static_cast<std::uint16_t>(i);
    if (const float f = from_f16(h); !std::isnan(f)) {
      EXPECT_EQ(to_f16(f), h);
    }
    if (const float f = from_bf16(h); !std::isnan(f)) {
      EXPECT_EQ(to_bf16(f), h);
    }
  }
  std::mt19937 random(7);
  std::uniform_int_distribution<std::uint32_t> bits(0, 0x7f7fffff);
  for (int i = 0; i < 200000; i++) {
    const float f = std::bit_cast<float>(bits(random));
    const auto h = to_f16(f);
    const float got = from_f16(h);
    if (f >= 65520.0F) {
      EXPECT_TRUE(std::isinf(got));
    } else if (h > 0 && h < 0x7bff) {
      EXPECT_LE(std::fabs(got - f), std::fabs(from_f16(static_cast<std::uint16_t>(h + 1)) - f));
      EXPECT_LE(std::fabs(got - f), std::fabs(from_f16(static_cast<std::uint16_t>(h - 1)) - f));
    }
  }
  EXPECT_EQ(to_f16(1.0F + 0x1p-11F), to_f16(1.0F));
  EXPECT_EQ(to_f16(0x1p-25F), 0);
  EXPECT_EQ(to_bf16(1.0F + 0x1p-8F), to_bf16(1.0F));
}

}  // namespace
}  // namespace sam2unet::ops::cuda
