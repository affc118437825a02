// SHA-256 against FIPS 180-4's own examples, and in parts against itself.
#include "core/sha256.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "core/file.h"
#include "core/hash.h"
#include "support/temp_dir.h"

namespace sam2unet {
namespace {

std::string hash_of(std::string_view text, std::size_t part = 1 << 20) {
  Sha256 hash;
  for (std::size_t at = 0; at < text.size(); at += part) {
    const auto some = text.substr(at, part);
    hash.update(std::as_bytes(std::span(some)));
  }
  return hash.finish();
}

TEST(Sha256, KnowsTheStandardsExamples) {
  EXPECT_EQ(hash_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash_of(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, DoesNotDependOnTheParts) {
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string text(size, 'x');
    for (const std::size_t part : {1, 7, 63, 64, 65}) EXPECT_EQ(hash_of(text, part), hash_of(text)) << size;
  }
}

TEST(Sha256, OfAFile) {
  const test::TempDir dir;
  write_file(dir / "f", std::string_view("abc"));
  EXPECT_EQ(sha256_of_file(dir / "f"), hash_of("abc"));
  const std::string large(5 << 20, 'z');  // more than is mapped at a time
  write_file(dir / "large", large);
  EXPECT_EQ(sha256_of_file(dir / "large"), hash_of(large));
  write_file(dir / "empty", std::string_view());
  EXPECT_EQ(sha256_of_file(dir / "empty"), hash_of(""));
}

// The function's published values, and in two parts.
TEST(Fnv1a, KnowsThePublishedValues) {
  EXPECT_EQ(fnv1a(""), 0xCBF29CE484222325U);
  EXPECT_EQ(fnv1a("a"), 0xAF63DC4C8601EC8CU);
  EXPECT_EQ(fnv1a("foobar"), 0x85944171F73967E8U);
  EXPECT_EQ(fnv1a("bar", fnv1a("foo")), 0x85944171F73967E8U);
}

}  // namespace
}  // namespace sam2unet
