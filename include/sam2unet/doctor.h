// Finds what would silently ruin a training or an evaluation, before it does.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sam2unet/export.h"

namespace sam2unet {

struct DoctorOptions {
  std::filesystem::path images;
  std::filesystem::path masks;
  /// Pictures that the training ones must not hold; empty: none.
  std::filesystem::path test_images;
  /// Threads that read; 0: all cores.
  int threads = 0;
  /// Called now and then, by one thread at a time.
  std::function<void(std::size_t done, std::size_t total)> progress;
};

/// One kind of trouble.
struct Finding {
  /// "unpaired-image", "unpaired-mask", "unreadable", "size-mismatch", "zero-one-mask", "dim-mask",
  /// "jpeg-noise-mask", "colour-mask", "class-id-mask", "empty-mask", "inverted-masks", "exif-rotated",
  /// "duplicate", "train-test-duplicate"
  std::string kind;
  std::string message;  ///< what is wrong, and what it would do
  std::string remedy;   ///< how to mend it
  std::vector<std::filesystem::path> files;
  /// Of duplicates: the files that are the same picture, a group each.
  std::vector<std::vector<std::filesystem::path>> groups;
};

struct Diagnosis {
  std::size_t images = 0;  ///< pictures looked at, test pictures included
  std::size_t pairs = 0;   ///< picture and mask with one name
  std::vector<Finding> findings;
  bool clean() const { return findings.empty(); }
};

/// Reads every file once. FileError or UsageError if a folder cannot be listed or holds no pictures; trouble
/// with single files is what it finds.
SAM2UNET_API Diagnosis diagnose(const DoctorOptions& options);

/// {"images", "pairs", "clean", "findings": [{"kind", "message", "remedy", "files", "groups"}]}
SAM2UNET_API std::string to_json(const Diagnosis& diagnosis);

}  // namespace sam2unet
