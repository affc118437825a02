// Where the tensors of a PyTorch file lie, and what of a storage is theirs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "formats/file_builder.h"
#include "formats/tensor_file.h"
#include "formats/torch_objects.h"
#include "sam2unet/errors.h"

namespace sam2unet::formats {
namespace {

using test::as_span;
using test::le;
using test::message_of;
using test::torch_zip;
using testing::ElementsAre;
using testing::HasSubstr;
namespace op = test::op;

const std::string kZeros(24, '\0');

std::string file_with(const std::string& body) {
  return torch_zip(op::pickle(body), kZeros);
}
TensorFile opened(const std::string& bytes) {
  return TensorFile::view(as_span(bytes), "folder/test.pth");
}
std::string refusal(const std::string& bytes) {
  return message_of<FormatError>([&] { opened(bytes); });
}

// The whole way is told: "net" is a usual key, what stands under it is not.
TEST(StateDict, UnusualKeysBelowUsualOnes) {
  const std::string w = op::dict({{"w", op::tensor(6, 0, {6}, {1})}});
  const std::string one = file_with(op::dict({{"net", op::dict({{"odd", w}})}}));
  EXPECT_EQ(opened(one).wrapper(), "net.odd");
  EXPECT_THAT(refusal(file_with(op::dict({{"net", op::dict({{"a", w}, {"b", w}})}}))),
              HasSubstr("several sets of tensors in it ('net.a', 'net.b')"));
  // A usual key without tensors is passed over for the next.
  const std::string later = file_with(op::dict({{"model", op::dict({{"lr", "N"}})}, {"ema", w}}));
  EXPECT_EQ(opened(later).wrapper(), "ema");
}

// One dict under several names is several sets, but for the usual names.
TEST(StateDict, OneDictUnderSeveralNames) {
  const std::string w = op::dict({{"w", op::tensor(6, 0, {6}, {1})}});
  const std::string usual =
      file_with("}(" + op::text("model") + w + op::put(0) + op::text("ema") + op::get(0) + "u");
  EXPECT_EQ(opened(usual).wrapper(), "model");
  EXPECT_THAT(refusal(file_with("}(" + op::text("a") + w + op::put(0) + op::text("b") + op::get(0) + "u")),
              HasSubstr("('a', 'b')"));
}

TEST(StateDict, AFileKnowsItsNameAndMovesWithItsTensors) {
  const std::string bytes = file_with(op::dict({{"w", op::tensor(6, 1, {2}, {1})}}));
  TensorFile first = opened(bytes);
  EXPECT_EQ(first.path(), "folder/test.pth");
  EXPECT_THAT(refusal(bytes.substr(1)), HasSubstr("cannot read folder/test.pth: "));
  const TensorFile second = std::move(first);
  EXPECT_EQ(second.path(), "folder/test.pth");
  ASSERT_NE(second.find("w"), nullptr);
  EXPECT_EQ(second.find("w")->shape, Shape({2}));
}

// Files of before 2018: a tensor of a part sees the part alone, though the storage goes on behind it.
TEST(StateDict, PartsOfStoragesEndWhereTheySay) {
  const auto with = [](std::int64_t first, std::int64_t numel, std::int64_t offset, std::int64_t size) {
    const std::string part = "(" + op::text("storage") + op::global("torch", "FloatStorage") + op::text("0") +
                             op::text("cpu") + op::integer(6) + "(" + op::text("v") + op::integer(first) +
                             op::integer(numel) + "ttQ";
    return torch_zip(
        op::pickle(op::dict({{"w", op::global("torch._utils", "_rebuild_tensor") + "(" + part +
                                       op::integer(offset) + op::ints({size}) + op::ints({1}) + "tR"}})),
        le(0x3F800000, 4) + le(0x40000000, 4) + le(0x40400000, 4) + le(0x40800000, 4) + le(0x40A00000, 4) +
            le(0x40C00000, 4));  // 1 to 6
  };
  const std::string sound = with(2, 3, 1, 2);
  std::vector<float> values(2);
  copy_to(*opened(sound).find("w"), std::span<float>(values));
  EXPECT_THAT(values, ElementsAre(4, 5));
  EXPECT_THAT(refusal(with(2, 3, 1, 3)),
              HasSubstr("shape [3], strides [1], offset 1 reach element 3 of a storage of 3"));
  EXPECT_EQ(refusal(with(3, 3, 0, 3)), "");
  EXPECT_THAT(refusal(with(4, 3, 0, 1)), HasSubstr("storage '0' has 24 bytes where 28 are needed"));
  EXPECT_THAT(refusal(with(INT64_MAX, 1, 0, 1)), HasSubstr("overflows"));
  EXPECT_THAT(refusal(with(INT64_MAX / 4, 3, 0, 1)), HasSubstr("overflows"));
  EXPECT_THAT(refusal(with(7, 0, 0, 0)), HasSubstr("storage '0' has 24 bytes where 28 are needed"));
}

// Of a storage that is read as wider elements those that fit; places count in elements.
TEST(StateDict, ElementsOfAnUntypedStorage) {
  const std::string bytes(24, '\1');
  const auto view = [&](DType dtype, std::int64_t offset, std::int64_t size, std::int64_t stride) {
    TensorRef t;
    t.dtype = dtype;
    t.offset = offset;
    t.shape = {size};
    t.strides = {stride};
    return view_of(t, as_span(bytes));
  };
  const auto begin = [&](const TensorView& v) { return v.data - as_span(bytes).data(); };
  EXPECT_EQ(begin(view(DType::f64, 2, 1, 1)), 16);
  EXPECT_EQ(begin(view(DType::f16, 5, 7, 1)), 10);
  EXPECT_EQ(begin(view(DType::u8, 23, 1, 1)), 23);
  EXPECT_EQ(view(DType::i32, 1, 2, 4).strides, Shape({4}));  // elements 1 and 5
  for (const auto& [dtype, offset, size, stride] :
       {std::tuple{DType::f64, 2, 2, 1}, {DType::f16, 6, 7, 1}, {DType::u8, 24, 1, 1}, {DType::i32, 2, 2, 4}})
    EXPECT_THROW(view(dtype, offset, size, stride), FormatError) << offset << " " << size << " " << stride;
}

}  // namespace
}  // namespace sam2unet::formats
