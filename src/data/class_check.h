// What a mask of class ids tells about how it was made, and what is wrong with a set of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "sam2unet/class_masks.h"
#include "sam2unet/doctor.h"

namespace sam2unet::data {

struct ClassMaskReport {
  std::vector<std::int64_t> pixels;    ///< [K] of each class
  std::int64_t ignored = 0;            ///< pixels that count nowhere, unknown ones not included
  std::vector<UnknownPixels> unknown;  ///< ids or colours that are no class
  bool jpeg_made = false;              ///< lossy compression mixed ids or colours
  bool zero_255 = false;               ///< only 0 and 255, of which 255 is no class
  bool other_palette = false;          ///< the palette has the classes' colours under other indices

  std::int64_t total() const;
};

/// Of the mask as ColorMode::ids reads it, and, for palettes, as RGB.
ClassMaskReport check_class_mask(const Image& stored, const ImageInfo& info, const Image* palette_colors,
                                 const ClassTable& table);
/// Reads a mask and checks it; `width` and `height` are its size. FileError or ImageError.
ClassMaskReport check_class_mask(const std::filesystem::path& file, const ClassTable& table, ImageInfo* info,
                                 int* width, int* height);

struct CheckedClassMask {
  std::filesystem::path file;
  ClassMaskReport report;
};
/// Everything that is wrong with the masks of a data set.
std::vector<Finding> class_findings(const std::vector<CheckedClassMask>& masks, const ClassTable& table);
/// Pixels and masks of each class, and of what is ignored.
ClassCensus class_census(const std::vector<CheckedClassMask>& masks, const ClassTable& table);

}  // namespace sam2unet::data
