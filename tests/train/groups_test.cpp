// What processes do together, by two threads that each believe to be one: sums, texts, gradients, data and
// validation, value by value.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <array>
#include <atomic>
#include <cmath>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "free_port.h"
#include "selection_fixture.h"
#include "support/tiny_weights.h"
#include "train/input.h"
#include "train/loss.h"
#include "train/reducer.h"
#include "train/run_data.h"
#include "train/step.h"
#include "train/validate.h"

namespace sam2unet::train {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Calls f(group) as each of two processes; both have ended when it returns.
template <class F>
void as_two(const F& f) {
  at::set_num_threads(1);
  const std::uint16_t port = free_port();
  std::latch ended(2);
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&f, &ended, rank, port] {
      const Place place{.rank = rank, .world = 2, .local_rank = rank, .host = "127.0.0.1", .port = port};
      Group group(place, at::kCPU, std::chrono::seconds(20));
      f(group);
      ended.arrive_and_wait();  // rank 0 hosts what the other still asks
    });
  }
}

std::vector<double> values(const at::Tensor& t) {
  const at::Tensor c = t.detach().to(at::kDouble).contiguous();
  return {c.const_data_ptr<double>(), c.const_data_ptr<double>() + c.numel()};
}

TEST(Groups, SumGatherBroadcastAndExchange) {
  as_two([](Group& group) {
    const int rank = group.rank();
    EXPECT_EQ(group.world(), 2);
    EXPECT_EQ(group.is_first(), rank == 0);
    EXPECT_FALSE(group.is_alone());
    at::Tensor one = at::tensor({1.0, 2.0}, at::kDouble) * (rank + 1);
    group.sum(one);
    EXPECT_THAT(values(one), ElementsAre(3, 6));
    at::Tensor first = at::full({2}, rank == 0 ? 5.0 : 0.5, at::kFloat), second = at::full({1}, rank + 7.0);
    const auto wait_first = group.start_sum(first), wait_second = group.start_sum(second);
    wait_first();
    wait_second();
    EXPECT_THAT(values(first), ElementsAre(5.5, 5.5));
    EXPECT_THAT(values(second), ElementsAre(15));
    const at::Tensor all = group.gather_statistics(at::tensor({rank + 1.0, 10 * (rank + 1.0)}, at::kFloat));
    EXPECT_EQ(all.sizes(), (std::vector<std::int64_t>{2, 2}));
    EXPECT_THAT(values(all), ElementsAre(1, 10, 2, 20));
    at::Tensor shared = at::full({3}, rank + 5.0);
    group.broadcast(shared);
    EXPECT_THAT(values(shared), ElementsAre(5, 5, 5));
    EXPECT_THAT(group.exchange("names", rank == 0 ? "zero" : ""), ElementsAre("zero", ""));
  });
}

TEST(Groups, OneAloneLeavesEverythingAsItIs) {
  Group alone({}, at::kCPU, std::chrono::seconds(5));
  EXPECT_TRUE(alone.is_alone() && alone.is_first());
  at::Tensor t = at::tensor({1.0, 2.0}, at::kDouble);
  alone.sum(t);
  alone.broadcast(t);
  alone.start_sum(t)();
  EXPECT_THAT(values(t), ElementsAre(1, 2));
  EXPECT_EQ(alone.gather_statistics(t).sizes(), (std::vector<std::int64_t>{1, 2}));
  EXPECT_THAT(alone.exchange("names", "text"), ElementsAre("text"));
  EXPECT_TRUE(alone.leave());
}

// Buckets of one tensor and of two; gradients of a pass that is not the last wait for it; what one process or
// both have no gradient for counts as zeros.
TEST(Groups, GradientsAreSummedBucketByBucket) {
  for (const std::size_t bucket : {std::size_t{1}, std::size_t{16}, std::size_t{1} << 20}) {
    as_two([bucket](Group& group) {
      const double rank = group.rank();
      std::vector<AdamW::Slot> slots;
      for (const int n : {2, 1, 3, 1}) {
        const at::Tensor p = at::ones({n}, at::kDouble).requires_grad_(true);
        slots.push_back({"p", p, at::zeros_like(p), at::zeros_like(p), 0.0});
      }
      GradientReducer reducer(slots, group, bucket);
      for (int step = 1; step <= 2; ++step) {
        for (auto& s : slots) s.parameter.mutable_grad().reset();
        const auto backward = [&](double factor) {
          at::Tensor sum = (slots[0].parameter * factor).sum() + (slots[2].parameter * (factor * 10)).sum();
          if (rank == 1) sum = sum + (slots[1].parameter * (factor * 100)).sum();
          sum.backward();
        };
        backward(step);
        reducer.start();
        backward(step * (2 + rank));
        reducer.finish();
        // Both passes of both: step (1 + 2) of rank 0 and step (1 + 3) of rank 1.
        EXPECT_THAT(values(slots[0].parameter.grad()), ElementsAre(7 * step, 7 * step)) << bucket;
        EXPECT_THAT(values(slots[1].parameter.grad()), ElementsAre(400 * step)) << bucket;
        EXPECT_THAT(values(slots[2].parameter.grad()), ElementsAre(70 * step, 70 * step, 70 * step));
        EXPECT_THAT(values(slots[3].parameter.grad()), ElementsAre(0));
      }
    });
  }
}

// The first that leaves tells why; whoever comes later need not.
TEST(Groups, OnlyTheFirstThatLeavesTells) {
  std::array<bool, 2> tells{};
  at::set_num_threads(1);
  const std::uint16_t port = free_port();
  std::array<std::atomic<bool>, 2> left{};
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      const Place place{.rank = rank, .world = 2, .host = "127.0.0.1", .port = port};
      Group group(place, at::kCPU, std::chrono::seconds(20));
      if (rank == 0) left[1].wait(false);
      tells[static_cast<std::size_t>(rank)] = group.leave();
      left[static_cast<std::size_t>(rank)] = true;
      left[static_cast<std::size_t>(rank)].notify_all();
    });
  }
  threads.clear();
  EXPECT_FALSE(tells[0]);
  EXPECT_TRUE(tells[1]);
}

class GroupData : public Selection {
 protected:
  // What checked_data says to each of two, whose settings `change` makes differ.
  std::array<std::string, 2> refusals(const std::function<void(int rank, Settings&)>& change) {
    std::array<std::string, 2> out;
    as_two([&](Group& group) {
      Settings s = settings_of(dir / "a");
      s.size = 32;
      change(group.rank(), s);
      out[static_cast<std::size_t>(group.rank())] = test::message_of<UsageError>([&] {
        checked_data(
            s, test::tiny_config(), [](const std::string&) {}, group, nullptr);
      });
    });
    return out;
  }
};

TEST_F(GroupData, AllMustFindTheSameAndHaveAPictureEach) {
  const auto none = refusals([](int rank, Settings& s) {
    s.batch = 2;
    s.workers = 1 + rank;  // how many threads read is each one's own business
    s.out = "run" + std::to_string(rank);
  });
  EXPECT_THAT(none, ElementsAre("", ""));
  const std::string alone = "2 processes, but a batch of 1 from 8 pictures: each must get a picture";
  EXPECT_THAT(refusals([](int, Settings& s) { s.batch = 1; }), ElementsAre(alone, alone));
  set_of(dir / "c", 1);
  const std::string few = "2 processes, but a batch of 12 from 1 pictures: each must get a picture";
  EXPECT_THAT(refusals([&](int, Settings& s) {
                s.images = settings_of(dir / "c").images;
                s.masks = settings_of(dir / "c").masks;
              }),
              ElementsAre(few, few));
  const std::string rate = "rank 1 was started otherwise than rank 0: lr (0.001 before, 0.5 now)";
  EXPECT_THAT(refusals([](int rank, Settings& s) { s.lr = rank == 1 ? 0.5 : 1e-3; }),
              ElementsAre(rate, rate));
  set_of(dir / "b", 7);
  for (const auto& message : refusals([&](int rank, Settings&s) {
         if (rank == 0) return;
         s.images = settings_of(dir / "b").images;
         s.masks = settings_of(dir / "b").masks;
       })) {
    EXPECT_THAT(message,
                AllOf(HasSubstr("rank 1 was started otherwise than rank 0: "), HasSubstr("images (")));
  }
}

// Every other picture is each one's own; the values are those of all.
TEST_F(GroupData, ValidationIsSharedPictureByPicture) {
  const auto pairs = find(settings_of(dir / "a")).train;
  const std::vector<Pair> five(pairs.begin(), pairs.begin() + 5);
  const ValidationOptions options{.size = 32, .batch = 2, .workers = 1};
  const auto made = [&](Group& group) {
    model::DeterministicWeights source;
    TrainableNetwork net(test::tiny_config(), source, Freeze::trunk);
    return validate(net, five, options, group);
  };
  Group alone({}, at::kCPU, std::chrono::seconds(5));
  const Validation whole = made(alone);
  std::array<Validation, 2> shared;
  as_two([&](Group& group) { shared[static_cast<std::size_t>(group.rank())] = made(group); });
  for (const Validation& v : shared) {
    ASSERT_EQ(v.values.size(), whole.values.size());
    for (const auto& [key, value] : whole.values) EXPECT_NEAR(v.value(key), value, 1e-9) << key;
  }
  const auto rows = [](const Validation& v) {
    std::vector<std::string> out;
    for (const auto& row : v.rows) out.push_back(row.name);
    return out;
  };
  EXPECT_THAT(rows(shared[0]), ElementsAre("0", "2", "4"));
  EXPECT_THAT(rows(shared[1]), ElementsAre("1", "3"));
}

// --- where they are

Place place_of(const std::map<std::string, std::string>& variables) {
  return place_from([&](const std::string& name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    return it == variables.end() ? std::nullopt : std::optional(it->second);
  });
}

TEST(PlaceOf, EveryLauncherHasItsOwnNames) {
  const Place pmi =
      place_of({{"PMI_RANK", "3"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "4"}});
  EXPECT_EQ(std::tuple(pmi.rank, pmi.world, pmi.local_rank, pmi.host, pmi.port),
            std::tuple(3, 4, 1, std::string("127.0.0.1"), 29500));
  const Place step = place_of({{"SLURM_PROCID", "1"},
                               {"SLURM_STEP_NUM_TASKS", "2"},
                               {"SLURM_NTASKS", "8"},
                               {"SLURM_LOCALID", "1"},
                               {"SLURM_JOB_ID", "40007"},
                               {"SLURM_JOB_NODELIST", "other"},
                               {"SLURM_STEP_NODELIST", "login1,gpu[03-05]"}});
  EXPECT_EQ(std::tuple(step.rank, step.world, step.local_rank, step.host, step.port),
            std::tuple(1, 2, 1, std::string("login1"), 20007));
  // torchrun's names come before those of the launcher around it, and what it says of the meeting place too.
  const Place inner = place_of({{"RANK", "1"},
                                {"WORLD_SIZE", "2"},
                                {"MASTER_ADDR", "a"},
                                {"MASTER_PORT", "65535"},
                                {"SLURM_PROCID", "0"},
                                {"SLURM_NTASKS", "4"},
                                {"SLURM_JOB_ID", "1"},
                                {"SLURM_JOB_NODELIST", "b"},
                                {"TORCHELASTIC_USE_AGENT_STORE", "False"}});
  EXPECT_EQ(std::tuple(inner.rank, inner.world, inner.local_rank, inner.host, inner.port, inner.store_runs),
            std::tuple(1, 2, 0, std::string("a"), 65535, false));
  EXPECT_EQ(inner.prefix, "");
  EXPECT_EQ(place_of({{"RANK", "0"},
                      {"WORLD_SIZE", "2"},
                      {"MASTER_ADDR", "a"},
                      {"TORCHELASTIC_USE_AGENT_STORE", "True"}})
                .prefix,
            "/worker/attempt_0");
}

TEST(PlaceOf, ListsOfHostsBeginWithTheFirst) {
  for (const auto& [list, host] : std::map<std::string, std::string>{{"node1", "node1"},
                                                                     {"a,b", "a"},
                                                                     {"gpu[9]", "gpu9"},
                                                                     {"gpu[03-05,9],login1", "gpu03"},
                                                                     {"gpu[7,9]", "gpu7"},
                                                                     {"login1,gpu[03-05]", "login1"}}) {
    EXPECT_EQ(place_of({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}, {"SLURM_JOB_NODELIST", list}}).host,
              host);
  }
}

TEST(PlaceOf, WhatIsNoPlaceIsNamed) {
  const auto refusal = [](std::map<std::string, std::string> variables) {
    variables.insert({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}});
    return test::message_of<UsageError>([&] { place_of(variables); });
  };
  EXPECT_EQ(refusal({{"RANK", "2"}}), "RANK=2: must be a number from 0 to 1");
  EXPECT_EQ(refusal({{"RANK", "1x"}}), "RANK=1x: must be a number from 0 to 1");
  EXPECT_EQ(refusal({{"RANK", "-1"}}), "RANK=-1: must be a number from 0 to 1");
  EXPECT_EQ(refusal({{"WORLD_SIZE", "0"}}), "WORLD_SIZE=0: must be a number from 1 to 1048576");
  EXPECT_EQ(refusal({{"LOCAL_RANK", ""}}), "LOCAL_RANK=: must be a number from 0 to 1048576");
  EXPECT_EQ(refusal({{"MASTER_PORT", "0"}}), "MASTER_PORT=0: must be a number from 1 to 65535");
  EXPECT_EQ(refusal({{"MASTER_PORT", "65536"}}), "MASTER_PORT=65536: must be a number from 1 to 65535");
  EXPECT_EQ(refusal({}), "");
  EXPECT_EQ(test::message_of<UsageError>([] {
              place_of({{"RANK", "0"}, {"WORLD_SIZE", "3"}});
            }),
            "3 processes were started, but MASTER_ADDR does not say where rank 0 runs; set it (and "
            "MASTER_PORT) for all of them");
  // Some of them run elsewhere.
  for (const char* local : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"}) {
    EXPECT_EQ(place_of({{"PMI_RANK", "0"}, {"PMI_SIZE", "3"}, {local, "3"}}).host, "127.0.0.1") << local;
    EXPECT_THAT(test::message_of<UsageError>([&] {
                  place_of({{"PMI_RANK", "0"}, {"PMI_SIZE", "3"}, {local, "2"}});
                }),
                HasSubstr("MASTER_ADDR does not say"))
        << local;
  }
  const Place place{.rank = 1, .world = 2, .local_rank = 1};
  EXPECT_EQ(test::message_of<UsageError>([&] { gpu_name("cuda:0", place, 2); }),
            "--device cuda:0 with 2 processes: say cuda, and each takes its own GPU");
}

// A step of two processes: its loss is that of all pictures, a request to one of them is heard by both, and
// where one of them has no number neither moves, and both know whose it was.
TEST(Groups, AStepOfTwoIsOneStep) {
  as_two([](Group& group) {
    const int rank = group.rank();
    model::DeterministicWeights source;
    TrainableNetwork net(test::tiny_config(), source, Freeze::trunk),
        other(test::tiny_config(), source, Freeze::trunk);
    AdamW optimizer(net.trainable(), {});
    Ema ema(optimizer, 0);
    TrainingStep step(net, optimizer, ema, group, {});
    at::Tensor pixels = at::arange(2 * 32 * 32 * 3, at::kLong).mul_(7 + rank).remainder_(251);
    const at::Tensor mask =
        at::arange(2 * 32 * 32, at::kLong).add_(30 * rank).div_(32, "floor").remainder_(2);
    const Batch batch{
        pixels.view({2, 32, 32, 3}).to(at::kByte), (mask * 255).view({2, 32, 32, 1}).to(at::kByte), {}};
    Batch bad = batch;
    bad.image = at::full({2, 32, 32, 3}, rank == 1 ? std::nan("") : 0.0, at::kFloat);
    const auto make = [&](const Batch& b, Request request) {
      step.start(b, 32, 4, 1e-3, request);
      return step.finish();
    };
    // Each process's part of the mean over the four pictures.
    const InputMaker input(at::kCPU);
    at::Tensor wanted =
        map_losses(other.forward_training(input.image(batch.image)), input.mask(batch.mask), {})
            .total.detach()
            .to(at::kDouble) /
        2;
    group.sum(wanted);
    const StepOutcome first = make(batch, rank == 1 ? Request::stop : Request::none);
    EXPECT_TRUE(first.ok());
    EXPECT_TRUE(first.stops);
    EXPECT_EQ(first.bad_rank, -1);
    EXPECT_NEAR(first.loss, wanted.item<double>(), 1e-5 * wanted.item<double>());
    std::vector<at::Tensor> before;
    for (const auto& e : net.tensors().entries()) {
      before.push_back(e.value.detach().clone());
      if (e.spec.role == model::Role::counter) continue;
      at::Tensor both = before.back().clone();
      group.sum(both);
      EXPECT_TRUE(at::equal(both, before.back() * 2)) << e.spec.name;
    }
    const StepOutcome second = make(bad, Request::none);
    EXPECT_FALSE(second.ok());
    EXPECT_FALSE(second.stops);
    EXPECT_EQ(second.bad_rank, 1);
    EXPECT_TRUE(std::isnan(second.loss));
    for (std::size_t i = 0; i < before.size(); ++i) {
      const auto& e = net.tensors().entries()[i];
      EXPECT_TRUE(at::equal(e.value, before[i])) << e.spec.name;
    }
    const StepOutcome third = make(batch, Request::none);
    EXPECT_TRUE(third.ok());
    EXPECT_FALSE(third.stops);
    EXPECT_EQ(third.bad_rank, -1);
    EXPECT_NE(third.loss, first.loss);
  });
}

// torchrun's agent hosts the store, also for the runs that it starts again: each has names of its own there.
TEST(Groups, ARunThatIsStartedAgainMeetsAtTheSameStore) {
  at::set_num_threads(1);
  const std::uint16_t port = free_port();
  std::latch ended(2);
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&ended, rank, port] {
      Place place{.rank = rank, .world = 2, .local_rank = rank, .host = "127.0.0.1", .port = port};
      std::vector<std::unique_ptr<Group>> groups;
      for (const char* prefix : {"", "/worker/attempt_0", "/worker/attempt_1"}) {
        place.store_runs = !groups.empty();  // the first one's rank 0 is in the agent's place
        place.prefix = prefix;
        groups.push_back(std::make_unique<Group>(place, at::kCPU, std::chrono::seconds(20)));
        const std::string zero = std::string(prefix) + "0", one = std::string(prefix) + "1";
        EXPECT_THAT(groups.back()->exchange("names", rank == 0 ? zero : one), ElementsAre(zero, one));
        at::Tensor t = at::full({1}, rank + 1.0, at::kDouble);
        groups.back()->sum(t);
        EXPECT_THAT(values(t), ElementsAre(3));
      }
      ended.arrive_and_wait();
    });
  }
}

// Who waits for one that has ended with an error does not wait for its timeout, and need not say why.
TEST(Groups, WhoWaitsForOneThatLeftHearsOfIt) {
  as_two([](Group& group) {
    if (group.rank() == 1) {
      EXPECT_TRUE(group.leave());
      return;
    }
    try {
      group.exchange("names", "zero");
      ADD_FAILURE() << "nothing was thrown";
    } catch (const LostProcess& e) {
      EXPECT_EQ(e.told(), LostProcess::Told::by_other);
      EXPECT_STREQ(e.what(), "another process ended");
    }
  });
}

}  // namespace
}  // namespace sam2unet::train
