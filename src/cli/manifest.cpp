#include "manifest.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "sam2unet/errors.h"
#include "sam2unet/version.h"

namespace sam2unet::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kBegin = "{\"key\":\"";  // of every line
constexpr std::size_t kLongestLine = 1 << 20;

// Length of the UTF-8 sequence that `text` begins with; 0 if it begins with none.
std::size_t sequence(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const std::size_t n = first >= 0xC2 && first < 0xE0   ? 2
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xF0 && first < 0xF5 ? 4
                                                        : 0;
  if (n == 0 || n > text.size()) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((at(i) & 0xC0U) != 0x80) return 0;
  }
  const unsigned char second = at(1);  // no overlong forms, surrogates, or numbers past the last
  const bool is_wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                        (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return is_wrong ? 0 : n;
}

// File names are bytes, JSON is UTF-8: a byte that is none is written as \xNN, so that different names stay
// different.
std::string utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t n = sequence(text);
    if (n == 0)
      out += fmt::format("\\x{:02X}", static_cast<unsigned char>(text[0]));
    else
      out += text.substr(0, n);
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}

}  // namespace

Manifest::Manifest(std::filesystem::path file, std::string weights_sha256)
    : file_(std::move(file)), weights_(std::move(weights_sha256)) {
  fd_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) fail("open", errno);
  try {
    // Where a file system knows no locks, there is none.
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      throw FileError(
          fmt::format("{}: another run writes this manifest; give each shard its own", file_.string()));
    }
    read();
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

Manifest::~Manifest() {
  ::close(fd_);
}

void Manifest::fail(const std::string& what, int error) const {
  throw FileError(fmt::format("cannot {} the manifest {}: {}", what, file_.string(),
                              std::generic_category().message(error)));
}

void Manifest::read() {
  std::string rest;
  std::uint64_t begin = 0;  // of `rest`, in the file
  std::size_t number = 1;
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t n = ::read(fd_, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read", errno);
    if (n == 0) break;
    rest.append(buffer.data(), static_cast<std::size_t>(n));
    std::size_t used = 0;
    for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', used)) {
      take_line(rest.substr(used, end - used), number++);
      used = end + 1;
    }
    rest.erase(0, used);
    begin += used;
    if (rest.size() > kLongestLine) take_line(rest, number);  // which refuses it
  }
  if (!rest.empty()) cut_torn_line(rest, begin, number);
}

void Manifest::take_line(const std::string& line, std::size_t number) {
  const Json json = line.size() > kLongestLine ? Json() : Json::parse(line, nullptr, false);
  const auto has_text = [&](const char* name) { return json.contains(name) && json[name].is_string(); };
  if (!json.is_object() || !has_text("key") || !has_text("input") || !has_text("status") ||
      !has_text("weights")) {
    throw FormatError(
        fmt::format("{}: line {} is not of a manifest; name another file", file_.string(), number));
  }
  const std::pair<std::string, std::string> name(json["key"], json["input"]);
  if (json["status"] == "ok" && json["weights"] == weights_)
    done_.insert(name);
  else
    done_.erase(name);
}

// Only what a manifest's line begins with is cut off: a file named by mistake keeps its bytes.
void Manifest::cut_torn_line(const std::string& torn, std::uint64_t begin, std::size_t number) const {
  const std::string_view common = kBegin.substr(0, torn.size());
  if (!torn.starts_with(common)) {
    throw FormatError(
        fmt::format("{}: line {} is not of a manifest; name another file", file_.string(), number));
  }
  if (::ftruncate(fd_, static_cast<off_t>(begin)) != 0) fail("repair", errno);
}

bool Manifest::is_done(const std::string& key, const std::string& input) const {
  return done_.count({utf8(key), utf8(input)}) != 0;
}

void Manifest::add(const ManifestEntry& entry) {
  Json json;
  json["key"] = utf8(entry.key);
  json["input"] = utf8(entry.input);
  json["status"] = entry.error.empty() ? "ok" : "failed";
  if (!entry.error.empty()) json["error"] = utf8(entry.error);
  json["milliseconds"] = std::round(entry.milliseconds * 100.0) / 100.0;
  json["weights"] = weights_;
  json["version"] = version();
  const std::string line = json.dump() + "\n";
  const std::lock_guard lock(mutex_);
  std::string_view rest = line;  // all in one, but for a disk that fills up
  while (!rest.empty()) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("write", errno);
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
}

}  // namespace sam2unet::cli
