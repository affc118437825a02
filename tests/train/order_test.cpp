// Random numbers, orders and parts against another program's: splitmix64 as its author gives it, in Python.
// Runs that are resumed by a later version, and folds that several runs share, depend on every bit.
#include <ATen/ATen.h>

#include <cmath>

#include "selection_fixture.h"
#include "train/loader.h"

namespace sam2unet::train {
namespace {

using ::testing::ElementsAre;

TEST(Random, IsSplitmixOverItsThreeNumbers) {
  Random random(1, 2, 3);
  EXPECT_EQ(random.next(), 0xdd034ea7d44e8739u);
  EXPECT_EQ(random.next(), 0x5b70c9b40c7440b6u);
  EXPECT_EQ(random.next(), 0x814662edbdef0c19u);
  Random uniform(1, 2, 3);
  EXPECT_EQ(uniform.uniform(), 0.8633317146052892);
  EXPECT_EQ(uniform.uniform(-1, 3), -1 + 4 * 0.35718975682944265);
  EXPECT_NEAR(Random(1, 2, 3).normal(), -1.244379897945536, 1e-14);
  Random below(1, 2, 3), coin(1, 2, 3);
  std::vector<std::uint64_t> numbers;
  std::vector<bool> coins;
  for (int i = 0; i < 8; ++i) {
    numbers.push_back(below.below(10));
    coins.push_back(coin.coin());
  }
  EXPECT_THAT(numbers, ElementsAre(1, 8, 9, 5, 7, 6, 7, 9));
  EXPECT_THAT(coins, ElementsAre(false, true, false, false, false, false, true, true));
}

TEST(Random, OrdersAreFisherAndYates) {
  EXPECT_THAT(shuffled(8, 1, 0), ElementsAre(5, 4, 3, 7, 2, 1, 6, 0));
  EXPECT_THAT(shuffled(8, 1, 1), ElementsAre(3, 0, 4, 7, 5, 1, 2, 6));
  EXPECT_THAT(shuffled(8, 2, 0), ElementsAre(3, 7, 0, 6, 1, 5, 2, 4));
  EXPECT_TRUE(shuffled(0, 1, 0).empty());
}

class Orders : public Selection {};

TEST_F(Orders, FoldsAndSplitsAreTheSameInEveryVersion) {
  Settings s = settings_of(dir / "a");
  const std::vector<std::vector<std::string>> folds{
      {"4.png", "5.png", "6.png"}, {"2.png", "3.png", "7.png"}, {"0.png", "1.png"}};
  for (int i = 1; i <= 3; ++i) {
    s.fold = {i, 3};
    EXPECT_EQ(names(find(s).validation), folds[static_cast<std::size_t>(i - 1)]);
  }
  s.fold = {1, 3};
  EXPECT_THAT(names(find(s).train), ElementsAre("0.png", "1.png", "2.png", "3.png", "7.png"));
  s.fold = {};
  s.val_split = 0.375;
  s.seed = 1;
  EXPECT_THAT(names(find(s).validation), ElementsAre("2.png", "4.png", "1.png"));
  EXPECT_THAT(names(find(s).train), ElementsAre("5.png", "6.png", "0.png", "7.png", "3.png"));
  s.fold = {8, 8};  // each picture is a part
  EXPECT_EQ(find(s).validation.size(), 1u);
  EXPECT_EQ(find(s).train.size(), 7u);
  s.fold = {3, 9};
  s.val_split = 0;
  EXPECT_EQ(test::message_of<UsageError>([&] { find(s); }), "--fold 3/9: there are 8 pictures");
}

// The members of each batch are the order's, one behind the other; with several processes every other one.
TEST_F(Orders, BatchesTakeTheOrderAsItComes) {
  const auto pairs = find(settings_of(dir / "a")).train;
  LoaderOptions options;
  options.size = 32;
  options.batch = 3;
  options.seed = 1;
  Loader loader(pairs, options, 0, 1, 2);  // from the second batch of the first epoch on, to the end of two
  EXPECT_THAT(loader.next().members, ElementsAre(7u, 2u, 1u));
  EXPECT_THAT(loader.next().members, ElementsAre(6u, 0u));
  EXPECT_THAT(loader.next().members, ElementsAre(3u, 0u, 4u));
  options.world = 2;
  options.rank = 1;
  Loader other(pairs, options, 0, 1, 1);
  EXPECT_THAT(other.next().members, ElementsAre(2u));
  EXPECT_THAT(other.next().members, ElementsAre(0u));
  EXPECT_EQ(test::message_of<UsageError>([&] { other.next(); }), "the loader has no batch left");
}

// Each picture is augmented by the seed, its epoch (from 1) and its place in the data.
TEST_F(Orders, SamplesAreDrawnBySeedEpochAndPicture) {
  const auto pairs = find(settings_of(dir / "a")).train;
  LoaderOptions options;
  options.size = 32;
  options.batch = 4;
  options.seed = 9;
  for (const bool bytes : {false, true}) {
    options.bytes = bytes;
    options.augment = Augment::strong;  // mixes pixels, so it is float32 whatever is asked
    Loader loader(pairs, options, 2, 0, 3);
    const Batch batch = loader.next();
    ASSERT_EQ(batch.image.scalar_type(), at::kFloat);
    ASSERT_EQ(batch.mask.scalar_type(), at::kFloat);
    for (std::size_t i = 0; i < batch.members.size(); ++i) {
      const std::size_t member = batch.members[i];
      const Sample s = load_sample(pairs[member], 32, Augment::strong, Random(9, 3, member));
      const auto at = static_cast<std::int64_t>(i);
      EXPECT_TRUE(std::equal(s.image.begin(), s.image.end(), batch.image[at].const_data_ptr<float>()));
      EXPECT_TRUE(std::equal(s.mask.begin(), s.mask.end(), batch.mask[at].const_data_ptr<float>()));
    }
  }
}

// A mask that somebody still looks at keeps its batch's memory, as a picture does.
TEST_F(Orders, AMaskThatIsHeldIsNotOverwritten) {
  const auto pairs = find(settings_of(dir / "a")).train;
  LoaderOptions options;
  options.size = 32;
  options.batch = 2;
  Loader loader(pairs, options, 0, 0, 8);
  std::vector<at::Tensor> held, copies;
  for (int i = 0; i < 32; ++i) {
    const Batch b = loader.next();
    if (i % 8 != 0) continue;
    held.push_back(b.mask.slice(0, 1, 2));
    copies.push_back(held.back().clone());
  }
  for (std::size_t i = 0; i < held.size(); ++i) EXPECT_TRUE(at::equal(held[i], copies[i])) << i;
}

}  // namespace
}  // namespace sam2unet::train
