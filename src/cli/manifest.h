// What became of each picture, as a file of JSON lines that outlives a killed run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace sam2unet::cli {

struct ManifestEntry {
  std::string key;    // of its results: their path below the output folder, without what tells their kind
  std::string input;  // the picture
  std::string error;  // empty if it went well
  double milliseconds = 0.0;
};

class Manifest {
 public:
  /// Opens or makes the file, which this object alone may write as long as it lives, and reads what it tells.
  /// A last line that a killed run left torn is cut off. FileError; FormatError if it is something else than
  /// a manifest. Lines are added as of these weights.
  Manifest(std::filesystem::path file, std::string weights_sha256);
  ~Manifest();
  Manifest(const Manifest&) = delete;
  Manifest& operator=(const Manifest&) = delete;

  /// Whether the last line of this key tells that the same picture went well with the same weights.
  bool is_done(const std::string& key, const std::string& input) const;
  /// Appends a line, at once and whole. From any thread. FileError.
  void add(const ManifestEntry& entry);

 private:
  void read();
  void take_line(const std::string& line, std::size_t number);
  void cut_torn_line(const std::string& torn, std::uint64_t begin, std::size_t number) const;
  [[noreturn]] void fail(const std::string& what, int error) const;

  std::filesystem::path file_;
  std::string weights_;
  int fd_ = -1;
  std::set<std::pair<std::string, std::string>> done_;  // key, input
  std::mutex mutex_;                                    // of writing
};

}  // namespace sam2unet::cli
