// What the writers put down, checked byte by byte and read back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "formats/file_builder.h"
#include "formats/tensor_file.h"
#include "formats/zip_reader.h"
#include "sam2unet/errors.h"
#include "support/shared_data.h"
#include "support/temp_dir.h"

namespace sam2unet::formats {
namespace {

using test::as_span;
using test::le;
using test::message_of;
using testing::HasSubstr;

template <typename T>
TensorView dense(const std::vector<T>& values, DType dtype, const Shape& shape) {
  return {.data = reinterpret_cast<const std::byte*>(values.data()),
          .dtype = dtype,
          .shape = shape,
          .strides = shape.dense_strides()};
}
std::string contents(const std::filesystem::path& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// One tensor of each kind; the second is the first transposed, a view with strides.
class Writers : public testing::Test {
 protected:
  Writers() {
    tensors_ = {{"i8", dense(i8_, DType::i8, {3})},
                {"w", dense(f32_, DType::f32, {2, 3})},
                {"t", {.data = tensors_data(f32_), .dtype = DType::f32, .shape = {3, 2}, .strides = {1, 3}}},
                {"half", dense(u16_, DType::f16, {2})},
                {"b", dense(u16_, DType::bf16, {1, 2})},
                {"d", dense(f64_, DType::f64, {})},
                {"i64", dense(i64_, DType::i64, {2})},
                {"flag", dense(u8_, DType::boolean, {2})},
                {"empty", dense(f32_, DType::f32, {0, 3})}};
  }
  static const std::byte* tensors_data(const std::vector<float>& v) {
    return reinterpret_cast<const std::byte*>(v.data());
  }

  static void expect_equal(const TensorView& got, const TensorView& want) {
    EXPECT_EQ(got.dtype, want.dtype);
    ASSERT_EQ(got.shape, want.shape);
    std::vector<std::byte> a(static_cast<std::size_t>(got.numel()) * size_of(got.dtype)), b(a.size());
    copy_bytes(got, a);
    copy_bytes(want, b);
    EXPECT_EQ(a, b);
  }
  void expect_read_back(const std::filesystem::path& path) const {
    const TensorFile file = TensorFile::open(path);
    ASSERT_EQ(file.tensors().size(), tensors_.size());
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      SCOPED_TRACE(tensors_[i].name);
      EXPECT_EQ(file.tensors()[i].name, tensors_[i].name);
      expect_equal(file.tensors()[i].view, tensors_[i].view);
    }
  }

  test::TempDir dir_;
  std::vector<float> f32_{0, 1, 2, 3, 4, 5};
  std::vector<double> f64_{-0.1};
  std::vector<std::int8_t> i8_{-128, 0, 127};
  std::vector<std::uint8_t> u8_{1, 0};
  std::vector<std::uint16_t> u16_{0x3C00, 0xBC00};
  std::vector<std::int64_t> i64_{INT64_MIN, INT64_MAX};
  std::vector<NamedTensor> tensors_;
};

TEST_F(Writers, SafetensorsByteByByte) {
  const std::vector<NamedTensor> two{{"q", dense(i8_, DType::i8, {3})},
                                     {"w\"\n", dense(f32_, DType::f32, {1, 2})}};
  write_safetensors(dir_ / "x.safetensors", two, {{"b", "2"}, {"a", "1"}});
  // The order given in the header; the wider type first in the data, so that it lies aligned.
  std::string header =
      R"({"__metadata__":{"a":"1","b":"2"},"q":{"dtype":"I8","shape":[3],"data_offsets":[8,11]},)"
      R"("w\"\n":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(contents(dir_ / "x.safetensors"),
            le(header.size(), 8) + header + le(0, 4) + le(0x3F800000, 4) + std::string("\x80\x00\x7F", 3));
}

TEST_F(Writers, SafetensorsReadBackAlignedAndTheSameEveryTime) {
  const auto path = dir_ / "x.safetensors";
  write_safetensors(path, tensors_, {{"format", "pt"}});
  expect_read_back(path);
  const TensorFile file = TensorFile::open(path);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  for (const auto& t : file.tensors()) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.view.data) % size_of(t.view.dtype), 0u) << t.name;
  }
  write_safetensors(dir_ / "y.safetensors", tensors_, {{"format", "pt"}});
  EXPECT_EQ(contents(path), contents(dir_ / "y.safetensors"));
}

TEST_F(Writers, TorchZipReadBackAndLaidOutAsTorchDoes) {
  const auto path = dir_ / "x.pth";
  write_torch_zip(path, tensors_);
  expect_read_back(path);
  const std::string bytes = contents(path);
  const ZipArchive zip = ZipArchive::read(as_span(bytes));
  EXPECT_EQ(zip.entries().front().name, "archive/data.pkl");  // where torch looks for the folder's name
  for (const auto& e : zip.entries()) {
    EXPECT_EQ((reinterpret_cast<const char*>(e.data.data()) - bytes.data()) % 64, 0) << e.name;
    EXPECT_EQ(e.crc, test::plain_crc32({reinterpret_cast<const char*>(e.data.data()), e.data.size()}))
        << e.name;
  }
  for (const char* name : {"archive/version", "archive/byteorder", "archive/data/0", "archive/data/8"})
    EXPECT_NE(zip.find(name), nullptr) << name;
  write_torch_zip(dir_ / "y.pth", tensors_);
  EXPECT_EQ(bytes, contents(dir_ / "y.pth"));
}

TEST_F(Writers, ThePickleIsTheOneTorchAccepts) {
  // Checked once with torch.load(weights_only=True) of PyTorch 2.15; pinned here opcode by opcode.
  write_torch_zip(dir_ / "x.pth", {{"w", dense(f32_, DType::f32, {2, 3})},
                                   {"big", dense(std::vector<float>(), DType::f32, {0, 300, 70000})}});
  const std::string bytes = contents(dir_ / "x.pth");
  const ZipArchive zip = ZipArchive::read(as_span(bytes));
  const auto& pkl = zip.entries().front().data;
  const auto tensor = [](const std::string& type, const std::string& key, const std::string& numel,
                         const std::string& size, const std::string& stride) {
    namespace op = test::op;
    const std::string rebuild =
        key == "0" ? op::global("torch._utils", "_rebuild_tensor_v2") + op::put(1) : op::get(1);
    return rebuild + "((" + op::text("storage") + op::global("torch", type) + op::text(key) +
           op::text("cpu") + numel + "tQK" + le(0, 1) + "(" + size + "t(" + stride + "t\x89" + op::get(0) +
           ")RtR";
  };
  namespace op = test::op;
  const std::string want = op::proto() + op::global("collections", "OrderedDict") + op::put(0) + ")R(" +
                           op::text("w") + tensor("FloatStorage", "0", "K\x06", "K\x02K\x03", "K\x03K\x01") +
                           op::text("big") +
                           tensor("FloatStorage", "1", std::string("K\0", 2),
                                  std::string("K\0", 2) + "J" + le(300, 4) + "J" + le(70000, 4),
                                  "J" + le(21'000'000, 4) + "J" + le(70000, 4) + "K\x01") +
                           "u.";
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(pkl.data()), pkl.size()), want);
}

// torch/storage.py: the class of storages of each element type.
TEST_F(Writers, StoragesAreNamedAsTorchNamesThem) {
  const std::pair<DType, const char*> names[] = {
      {DType::f64, "DoubleStorage"},    {DType::f32, "FloatStorage"}, {DType::f16, "HalfStorage"},
      {DType::bf16, "BFloat16Storage"}, {DType::i64, "LongStorage"},  {DType::i32, "IntStorage"},
      {DType::i16, "ShortStorage"},     {DType::i8, "CharStorage"},   {DType::u8, "ByteStorage"},
      {DType::boolean, "BoolStorage"}};
  for (const auto& [dtype, name] : names) {
    write_torch_zip(dir_ / "x.pth", {{"w", dense(f32_, dtype, {1})}});
    EXPECT_THAT(contents(dir_ / "x.pth"), HasSubstr(test::op::global("torch", name)));
    EXPECT_EQ(TensorFile::open(dir_ / "x.pth").find("w")->dtype, dtype) << name;
  }
}

TEST_F(Writers, TheSmallEntriesSayWhatTorchWrites) {
  write_torch_zip(dir_ / "x.pth", tensors_);
  const std::string bytes = contents(dir_ / "x.pth");
  const ZipArchive zip = ZipArchive::read(as_span(bytes));
  const auto text = [&](const char* name) {
    const ZipEntry* e = zip.find(name);
    return e == nullptr ? "(none)"
                        : std::string(reinterpret_cast<const char*>(e->data.data()), e->data.size());
  };
  EXPECT_EQ(text("archive/byteorder"), "little");
  EXPECT_EQ(text("archive/version"), "3\n");
  EXPECT_EQ(text("archive/.format_version"), "1");
  EXPECT_EQ(text("archive/.storage_alignment"), "64");
}

// The widest number of each opcode, and the first that needs the next.
TEST_F(Writers, DimensionsOfEverySizeAreReadBack) {
  for (const std::int64_t n : {255LL, 256LL, 2147483647LL, 2147483648LL, 1LL << 40}) {
    write_torch_zip(dir_ / "x.pth", {{"w", dense(f32_, DType::f32, {0, n})}});
    EXPECT_EQ(TensorFile::open(dir_ / "x.pth").find("w")->shape, Shape({0, n}));
  }
}

TEST_F(Writers, RenamingLeavesOutWhatHasNoName) {
  write_safetensors(dir_ / "x.safetensors", tensors_, {});
  TensorFile file = TensorFile::open(dir_ / "x.safetensors");
  file.rename({"", "a", "", "", "", "", "", "", "b"});
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.tensors()[0].name, "a");
  EXPECT_EQ(file.find("w"), nullptr);
  ASSERT_NE(file.find("a"), nullptr);
  expect_equal(*file.find("a"), tensors_[1].view);
  ASSERT_NE(file.find("b"), nullptr);
  EXPECT_EQ(file.find("b")->shape, Shape({0, 3}));
}

TEST(FileFormats, HaveNames) {
  EXPECT_EQ(name_of(FileFormat::safetensors), "safetensors");
  EXPECT_EQ(name_of(FileFormat::torch_zip), "PyTorch");
  EXPECT_EQ(name_of(FileFormat::torch_legacy), "PyTorch (stream format of before 1.6)");
}

TEST_F(Writers, TensorsUnderAKey) {
  write_torch_zip(dir_ / "x.pth", tensors_);
  std::vector<PendingTensor> pendings;
  for (const auto& t : tensors_) pendings.push_back(pending(t));
  write_torch_zip(dir_ / "y.pth", pendings, "model");
  const auto pickle = [&](const char* name) {
    const std::string bytes = contents(dir_ / name);
    const ZipArchive zip = ZipArchive::read(as_span(bytes));
    const auto& data = zip.entries().front().data;
    return std::string(reinterpret_cast<const char*>(data.data()), data.size());
  };
  // {"model": the bare file's pickle}
  std::string want = pickle("x.pth");
  want.insert(2, "}" + test::op::text("model"));
  want.insert(want.size() - 1, "s");
  EXPECT_EQ(pickle("y.pth"), want);
  expect_read_back(dir_ / "y.pth");
}

TEST_F(Writers, GoldenFilesSurviveBothWays) {
  const TensorFile golden = TensorFile::open(test::repository_data() / "pth" / "zip_state_dict.pth");
  write_torch_zip(dir_ / "a.pth", golden.tensors());
  const TensorFile pth = TensorFile::open(dir_ / "a.pth");
  write_safetensors(dir_ / "b.safetensors", pth.tensors(), {});
  const TensorFile st = TensorFile::open(dir_ / "b.safetensors");
  ASSERT_EQ(st.tensors().size(), golden.tensors().size());
  for (std::size_t i = 0; i < golden.tensors().size(); ++i) {
    EXPECT_EQ(st.tensors()[i].name, golden.tensors()[i].name);
    expect_equal(st.tensors()[i].view, golden.tensors()[i].view);
  }
}

TEST_F(Writers, RefuseWhatCannotBeReadBack) {
  const std::vector<NamedTensor> twice{tensors_[1], tensors_[1]};
  EXPECT_THAT(message_of<FormatError>([&] { write_safetensors(dir_ / "x", twice, {}); }),
              HasSubstr("two tensors are named 'w'"));
  EXPECT_THAT(message_of<FormatError>([&] { write_torch_zip(dir_ / "x", twice); }),
              HasSubstr("two tensors are named 'w'"));
  const std::vector<NamedTensor> broken{{"\xff", tensors_[1].view}};
  EXPECT_THAT(message_of<FormatError>([&] { write_safetensors(dir_ / "x", broken, {}); }),
              HasSubstr("not text"));
  const std::vector<NamedTensor> metadata{{"__metadata__", tensors_[1].view}};
  EXPECT_THAT(message_of<FormatError>([&] { write_safetensors(dir_ / "x", metadata, {}); }),
              HasSubstr("can be named '__metadata__'"));
  EXPECT_THAT(message_of<FormatError>([&] {
                write_safetensors(dir_ / "x", std::vector<NamedTensor>(), {{"k", "\xff"}});
              }),
              HasSubstr("UTF-8"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "x"));
  EXPECT_NE(message_of<FileError>([&] { write_torch_zip(dir_ / "no" / "x.pth", tensors_); }), "");
}

TEST_F(Writers, PendingTensorsAreMadeWhenWritten) {
  const auto make = [](std::size_t size) {
    return formats::PendingTensor{"w", DType::u8, {3}, [size](std::vector<std::byte>& buffer) {
                                    buffer.assign(size, std::byte{7});
                                    return std::span<const std::byte>(buffer);
                                  }};
  };
  write_safetensors(dir_ / "a.safetensors", std::vector{make(3)}, {});
  write_torch_zip(dir_ / "a.pth", std::vector{make(3)});
  for (const char* name : {"a.safetensors", "a.pth"}) {
    const TensorFile file = TensorFile::open(dir_ / name);
    std::vector<float> values(3);
    copy_to(*file.find("w"), std::span<float>(values));
    EXPECT_EQ(values, std::vector<float>(3, 7.0F)) << name;
  }
  EXPECT_THAT(message_of<Error>([&] { write_safetensors(dir_ / "b.safetensors", std::vector{make(2)}, {}); }),
              HasSubstr("2 bytes where 3"));
  EXPECT_THAT(message_of<Error>([&] { write_torch_zip(dir_ / "b.pth", std::vector{make(4)}); }),
              HasSubstr("4 bytes where 3"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "b.safetensors") || std::filesystem::exists(dir_ / "b.pth"));
}

// What the format's own reader would refuse is not written.
TEST_F(Writers, AHeaderPastTheFormatsLimitIsNotWritten) {
  // 100,000,000 bytes are {"__metadata__":{"k":"..."}}: 25 bytes about the text.
  const std::vector<NamedTensor> none;
  write_safetensors(dir_ / "x", none, {{"k", std::string(100'000'000 - 25, 'x')}});
  EXPECT_EQ(std::filesystem::file_size(dir_ / "x"), 100'000'008u);
  EXPECT_THAT(message_of<FormatError>([&] {
                write_safetensors(dir_ / "y", none, {{"k", std::string(100'000'000 - 24, 'x')}});
              }),
              HasSubstr("too many tensors for a safetensors file"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "y"));
}

TEST_F(Writers, AFileWithoutTensors) {
  write_safetensors(dir_ / "e.safetensors", std::vector<NamedTensor>(), {});
  EXPECT_TRUE(TensorFile::open(dir_ / "e.safetensors").tensors().empty());
}

// Of no metadata there is no member; the data begins at the next multiple of eight.
TEST_F(Writers, SafetensorsHeadersEndAtAMultipleOfEight) {
  write_safetensors(dir_ / "e.safetensors", std::vector<NamedTensor>(), {});
  EXPECT_EQ(contents(dir_ / "e.safetensors"), le(8, 8) + "{}      ");
  for (std::size_t n = 0; n <= 8; ++n) {
    const std::string name(1 + n, 'w');
    const std::vector<NamedTensor> one{{name, dense(i8_, DType::i8, {3})}};
    write_safetensors(dir_ / "x.safetensors", one, {});
    std::string header = "{\"" + name + R"(":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}})";
    while (header.size() % 8 != 0) header += ' ';
    EXPECT_EQ(contents(dir_ / "x.safetensors"),
              le(header.size(), 8) + header + std::string("\x80\x00\x7F", 3));
  }
}

// Each tensor's bytes lie where the header says, in whatever order their widths put them.
TEST_F(Writers, TensorsOfOneWidthKeepTheirOrder) {
  const std::vector<std::int8_t> first{1}, second{2}, third{3};
  const std::vector<NamedTensor> four{{"a", dense(first, DType::i8, {1})},
                                      {"w", dense(f32_, DType::f32, {1})},
                                      {"b", dense(second, DType::u8, {1})},
                                      {"h", dense(u16_, DType::f16, {1})},
                                      {"c", dense(third, DType::boolean, {1})}};
  write_safetensors(dir_ / "x.safetensors", four, {});
  const std::string bytes = contents(dir_ / "x.safetensors");
  EXPECT_EQ(bytes.substr(bytes.size() - 9), le(0, 4) + le(0x3C00, 2) + "\1\2\3");
}

}  // namespace
}  // namespace sam2unet::formats
