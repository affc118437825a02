// Finds what would silently ruin a training or an evaluation, before it does.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sam2unet/classes.h"
#include "sam2unet/export.h"
#include "sam2unet/listing.h"

namespace sam2unet {

struct DoctorOptions {
  /// Folders, or patterns ("Imgs/*.jpg").
  std::filesystem::path images;
  std::filesystem::path masks;
  /// Pictures that the training ones must not hold; empty: none.
  std::filesystem::path test_images;
  /// What the masks' ids are; empty: masks of one foreground.
  ClassTable classes;
  /// Look into subfolders too; names then pair with the folders below.
  bool recursive = false;
  /// What the names of one side have beside the shared part.
  NameAffix image_affix, mask_affix;
  /// Threads that read; 0: all cores.
  int threads = 0;
  /// Called now and then, by one thread at a time.
  std::function<void(std::size_t done, std::size_t total)> progress;
};

/// One kind of trouble.
struct Finding {
  /// "unpaired-image", "unpaired-mask", "format-not-read", "unreadable", "size-mismatch", "zero-one-mask",
  /// "dim-mask", "alpha-mask", "jpeg-noise-mask", "colour-mask", "class-id-mask", "empty-mask",
  /// "inverted-masks", "deep-image", "deep-mask", "exif-rotated", "duplicate", "train-test-duplicate"; of
  /// masks of classes "unknown-ids", "unknown-colours", "jpeg-class-mask", "zero-255-mask", "palette-order",
  /// "all-ignored", "mostly-ignored", "class-never-occurs"
  std::string kind;
  std::string message;  ///< what is wrong, and what it would do
  std::string remedy;   ///< how to mend it
  std::vector<std::filesystem::path> files;
  /// Of duplicates: the files that are alike the first of them, a group each.
  std::vector<std::vector<std::filesystem::path>> groups;
};

/// What masks of classes hold.
struct ClassCensus {
  struct Class {
    std::string name;
    std::int64_t pixels = 0;
    std::size_t masks = 0;  ///< that have a pixel of it
  };
  std::vector<Class> classes;  ///< [K]
  std::int64_t ignored_pixels = 0;
  std::int64_t pixels = 0;  ///< of all masks, ignored and unknown ones included
};

struct Diagnosis {
  std::size_t images = 0;  ///< pictures looked at, test pictures included
  std::size_t pairs = 0;   ///< picture and mask with one name
  std::vector<Finding> findings;
  ClassCensus census;  ///< of masks of classes
  bool clean() const { return findings.empty(); }
};

/// Reads every file once. FileError or UsageError if a folder cannot be listed or holds no pictures; trouble
/// with single files is what it finds.
SAM2UNET_API Diagnosis diagnose(const DoctorOptions& options);

/// {"images", "pairs", "clean", "findings": [{"kind", "message", "remedy", "files", "groups"}]}, and of masks
/// of classes "classes": {"each": [{"id", "name", "pixels", "masks"}], "ignored_pixels", "pixels"}
SAM2UNET_API std::string to_json(const Diagnosis& diagnosis);

}  // namespace sam2unet
