#include "serve/compression.h"

#include <zlib.h>

#include <algorithm>
#include <new>
#include <string>

namespace sam2unet::serve {
namespace {

constexpr std::size_t kStep = 256 << 10;
constexpr int kWindow = 15,
              kGzip = 16;  // zlib's windowBits; with kGzip added, gzip's frame instead of its own

int window_of(Coding coding) {
  return coding == Coding::gzip ? kWindow + kGzip : kWindow;
}

// Feeds `bytes` in parts, since zlib counts in 32 bits.
class Source {
 public:
  explicit Source(ByteView bytes) : rest_(bytes) {}
  void refill(z_stream& z) {
    if (z.avail_in > 0 || rest_.empty()) return;
    const std::size_t n = std::min<std::size_t>(rest_.size(), std::size_t{1} << 30);
    z.next_in =
        const_cast<Bytef*>(reinterpret_cast<const Bytef*>(rest_.data()));  // zlib's type is older than const
    z.avail_in = static_cast<uInt>(n);
    rest_ = rest_.subspan(n);
  }
  bool empty() const { return rest_.empty(); }

 private:
  ByteView rest_;
};

struct Inflater {
  explicit Inflater(Coding coding) {
    if (inflateInit2(&z, window_of(coding)) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&z); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  z_stream z{};
};

struct Deflater {
  explicit Deflater(Coding coding) {
    constexpr int kMemory = 8;
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, window_of(coding), kMemory, Z_DEFAULT_STRATEGY) != Z_OK)
      throw std::bad_alloc();
  }
  ~Deflater() { deflateEnd(&z); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  z_stream z{};
};

}  // namespace

std::string_view name_of(Coding coding) {
  return coding == Coding::gzip ? "gzip" : "deflate";
}

std::optional<Coding> parse_coding(std::string_view name) {
  name = trim(name);
  if (name.empty() || equal_words(name, "identity")) return std::nullopt;
  if (equal_words(name, "gzip") || equal_words(name, "x-gzip")) return Coding::gzip;
  if (equal_words(name, "deflate")) return Coding::deflate;
  throw Refused(415, Refusal::bad_request, "Content-Encoding: gzip and deflate are read, and nothing else");
}

std::optional<Coding> choose_coding(std::string_view accepted) {
  if (accepts(accepted, "gzip")) return Coding::gzip;
  if (accepts(accepted, "deflate")) return Coding::deflate;
  return std::nullopt;
}

Bytes decompress(ByteView bytes, Coding coding, std::size_t limit) {
  Inflater inflater(coding);
  z_stream& z = inflater.z;
  Source source(bytes);
  Bytes out;
  while (true) {
    source.refill(z);
    const std::size_t used = out.size();
    out.resize(used + std::min(kStep, limit + 1 - used));
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(out.size() - used);
    const int status = inflate(&z, Z_NO_FLUSH);
    out.resize(out.size() - z.avail_out);
    if (out.size() > limit) {
      throw Refused(
          413, Refusal::too_large,
          "the body is more than " + std::to_string(limit) + " bytes when decompressed (--max-upload)");
    }
    if (status == Z_STREAM_END) break;
    const bool starved = z.avail_in == 0 && source.empty();
    if ((status != Z_OK && status != Z_BUF_ERROR) || (starved && z.avail_out > 0))
      throw bad_request("the body is no whole " + std::string(name_of(coding)) + " data");
  }
  if (z.avail_in > 0 || !source.empty()) throw bad_request("something follows the compressed body");
  return out;
}

Bytes compress(ByteView bytes, Coding coding) {
  Deflater deflater(coding);
  z_stream& z = deflater.z;
  Source source(bytes);
  Bytes out;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    source.refill(z);
    const std::size_t used = out.size();
    out.resize(used + kStep);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    z.avail_out = static_cast<uInt>(kStep);
    status = deflate(&z, source.empty() ? Z_FINISH : Z_NO_FLUSH);
    out.resize(out.size() - z.avail_out);
  }
  return out;
}

}  // namespace sam2unet::serve
